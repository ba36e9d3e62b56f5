//! Group J: closing (RFC 6455 sections 5.5.1 and 7), and the registry of close codes.

use std::time::Duration;

use bowsprit::{
    Cause, Close, CloseCode, Config, Exceeded, Header, Initiator, OpCode, Outgoing, ProtocolError, Role, SendError,
    Timeout, TransportState,
};
use hex_literal::hex;

use crate::harness::{Log, ROLES};
use crate::wire::{
    Endpoint, Told, closes, events, fails, from_peer, nothing, ping, row, row_both, row_with, sends, talk, text,
};

pub(crate) fn rows(log: &mut Log) {
    log.group(the_frame);
    log.group(the_handshake);
    log.group(how_it_ends);
    log.group(after_the_end);
    log.group(deadlines);
    #[cfg(feature = "tokio")]
    log.group(connecting_again);
    log.group(codes);
    log.group(registry);
}

/// The longest reason: 123 bytes.
const REASON: &str = "Every reason of a Close has room for one hundred and twenty-three bytes, \
                      and this sentence was written to take each of them";

fn the_frame(log: &mut Log) {
    // REQ: WS-5.5.1-01
    row_both(log, "WS-5.5.1-01", &hex!("88 01 03"), fails(1002).because(ProtocolError::InvalidClosePayload));
    row_both(log, "WS-5.5.1-01", &hex!("88 00"), closes(None));
    row_both(log, "WS-5.5.1-01", &hex!("88 02 03 e8"), closes(Some((1000, ""))));
    row(log, "WS-5.5.1-01", Role::Server, &hex!("88 81 00 00 00 00 03"), fails(1002));
    row_both(log, "WS-5.5.1-01", &hex!("88 02 03"), nothing());
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.gets(&hex!("88 00"));
        end.disconnected();
        assert_eq!(end.connection.end().unwrap().code(), CloseCode::NO_STATUS);
    }

    // REQ: WS-5.5.1-02
    let invalid = || fails(1007).because(ProtocolError::InvalidUtf8);
    row_both(log, "WS-5.5.1-02", &hex!("88 04 03 e8 c3 28"), invalid());
    row_both(log, "WS-5.5.1-02", &hex!("88 03 03 e8 c3"), invalid());
    row_both(log, "WS-5.5.1-02", &hex!("88 04 03 e8 c3 a9"), closes(Some((1000, "é"))));
    assert_eq!(REASON.len(), 123);
    let longest = [&hex!("88 7d 03 e8")[..], REASON.as_bytes()].concat();
    row_both(log, "WS-5.5.1-02", &longest, closes(Some((1000, REASON))));
    for role in ROLES {
        let mut end = Endpoint::new(role);
        let longer = format!("{REASON}.");
        let accents = "é".repeat(62);
        for reason in [&longer, &accents] {
            let close = Close { code: CloseCode::NORMAL, reason };
            assert_eq!(close.encode().map(|_| ()), Err(SendError::ReasonTooLong));
            let payload = [&hex!("03 e8")[..], reason.as_bytes()].concat();
            let raw = Header::new(OpCode::Close, payload.len() as u64);
            assert_eq!(
                end.connection.send(Outgoing::frame(raw, &payload), &mut end.output),
                Err(SendError::ReasonTooLong)
            );
        }
        assert_eq!((end.sent(), end.connection.transport()), (vec![], TransportState::Open));
        end.connection.send("still open", &mut end.output).unwrap();
        end.sent();
        end.close(Some((1000, REASON))).unwrap();
        assert_eq!(end.sent(), longest);

        let mut end = Endpoint::new(role);
        end.close(Some((1000, &longer))).unwrap();
        assert_eq!(end.sent(), longest, "cut after 123 bytes");
        let mut end = Endpoint::new(role);
        end.close(Some((1000, &accents))).unwrap();
        assert_eq!(end.sent(), [&hex!("88 7c 03 e8")[..], "é".repeat(61).as_bytes()].concat(), "cut at a character");
    }

    // REQ: WS-5.5.1-09
    let reason = "\x1b[31mtrust me\r\n";
    let close = Close { code: CloseCode::NORMAL, reason };
    for shown in [close.to_string(), format!("{close:?}")] {
        assert!(shown.contains("trust me"));
        assert!(!shown.contains(char::is_control), "{shown:?} holds a control character");
    }
    row(log, "WS-5.5.1-09", Role::Client, b"\x88\x11\x03\xe8\x1b[31mtrust me\r\n", closes(Some((1000, reason))));
}

fn the_handshake(log: &mut Log) {
    // REQ: WS-5.5.1-03
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.connection.send(bowsprit::Chunk { data: "a".into(), end: false }, &mut end.output).unwrap();
        end.close(None).unwrap();
        assert_eq!(end.sent(), hex!("01 01 61 88 00"));
        let refused = [
            end.connection.send("a", &mut end.output),
            end.connection.send(b"a", &mut end.output),
            end.connection.send(bowsprit::Chunk { data: "a".into(), end: true }, &mut end.output),
            end.connection.send(&bowsprit::Prepared::text("a"), &mut end.output),
            end.connection.send(Outgoing::frame(Header::new(OpCode::Binary, 0), b""), &mut end.output),
            end.close(None),
        ];
        assert_eq!(refused, [Err(SendError::Closing); 6]);
        assert_eq!(end.sent(), b"");
        log.proved("WS-5.5.1-03", role);
    }

    // REQ: WS-5.5.1-04
    row_both(log, "WS-5.5.1-04", &hex!("88 02 03 e8"), closes(Some((1000, ""))));
    row_both(log, "WS-5.5.1-04", &hex!("88 00"), closes(None));
    row_both(log, "WS-5.5.1-04", &hex!("88 02 13 87"), closes(Some((4999, ""))));
    row_both(log, "WS-5.5.1-04", &hex!("88 05 03 e9 62 79 65"), closes(Some((1001, "bye"))));
    for role in ROLES {
        // The answer is there when the event is handed out.
        let mut end = Endpoint::new(role);
        end.input.extend_from_slice(&from_peer(role, &hex!("88 02 03 e8")));
        {
            let mut batch = end.connection.receive(&mut end.input, &mut end.output);
            let (event, mut outbox) = batch.next().unwrap().unwrap();
            assert_eq!(Told::from(event), Told::Close(Some((1000, String::new()))));
            assert_eq!(outbox.send("late"), Err(SendError::Closing));
        }
        assert_eq!(end.sent(), hex!("88 02 03 e8"));
    }

    // REQ: WS-5.5.1-05
    // The default answers at once, whatever is being sent.
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.connection.send(bowsprit::Chunk { data: "a".into(), end: false }, &mut end.output).unwrap();
        end.gets(&hex!("88 02 03 e8"));
        assert_eq!(end.sent(), hex!("01 01 61 88 02 03 e8"));
        log.proved("WS-5.5.1-05", role);
    }

    // REQ: WS-5.5.1-06
    let mut server = Endpoint::new(Role::Server);
    server.gets(&hex!("88 02 03 e8"));
    assert_eq!(server.connection.transport(), TransportState::Shutdown, "the server closes at once: it echoed");
    let mut server = Endpoint::new(Role::Server);
    server.close(Some((1000, ""))).unwrap();
    assert_eq!(server.connection.transport(), TransportState::Open, "the client's Close is still to come");
    server.gets(&hex!("88 02 03 e8"));
    assert_eq!(server.connection.transport(), TransportState::Shutdown);
    server.disconnected();
    assert_eq!(server.connection.transport(), TransportState::Closed);
    log.proved("WS-5.5.1-06", Role::Server);

    // REQ: WS-5.5.1-07
    let closed = || {
        let mut client = Endpoint::new(Role::Client);
        client.gets(&hex!("88 02 03 e8"));
        client.arm(SECOND);
        assert_eq!(client.connection.transport(), TransportState::AwaitEof, "the server closes first");
        client
    };
    let mut client = closed();
    client.sent();
    client.disconnected();
    assert_eq!(client.connection.transport(), TransportState::Closed);
    assert!(client.connection.end().unwrap().clean);
    let mut client = closed();
    client.sent();
    client.arm(SECOND); // the deadline counts from when the Close has left
    assert_eq!(client.expires(SECOND * 11), Some(Timeout::Close));
    assert_eq!(client.connection.transport(), TransportState::Closed);
    assert!(client.connection.end().unwrap().clean, "both Closes were exchanged");
    let mut client = closed();
    assert_eq!(client.expires(SECOND * 31), Some(Timeout::Write), "a peer that accepts nothing");
    let ended = client.connection.end().unwrap();
    assert_eq!((ended.clean, ended.cause), (false, Cause::Timeout(Timeout::Write)), "our Close never left");
    log.proved("WS-5.5.1-07", Role::Client);

    // REQ: WS-5.5.1-08
    let (mut client, mut server) = (Endpoint::new(Role::Client), Endpoint::new(Role::Server));
    client.close(Some((1000, "client"))).unwrap();
    server.close(Some((1001, "server"))).unwrap();
    let (to_server, to_client) = (client.transmits(), server.transmits());
    assert_eq!(client.reads(&to_client), [Told::Close(Some((1001, "server".to_owned())))]);
    assert_eq!(server.reads(&to_server), [Told::Close(Some((1000, "client".to_owned())))]);
    for end in [&mut client, &mut server] {
        assert_eq!(end.sent(), b"", "no second Close");
        end.disconnected();
        assert!(end.connection.end().unwrap().clean);
        log.proved("WS-5.5.1-08", end.role);
    }

    // REQ: WS-7.1-01
    for role in ROLES {
        let started = |close| {
            let mut end = Endpoint::new(role);
            end.close(close).unwrap();
            end.sent()
        };
        assert_eq!(started(None), hex!("88 00"));
        assert_eq!(started(Some((1000, ""))), hex!("88 02 03 e8"));
        assert_eq!(started(Some((4000, "bye"))), hex!("88 05 0f a0 62 79 65"));

        // A Close as a raw frame starts it as well.
        let mut end = Endpoint::new(role);
        let mut raw = |payload: &[u8]| {
            let header = Header::new(OpCode::Close, payload.len() as u64);
            end.connection.send(Outgoing::frame(header, payload), &mut end.output)
        };
        assert_eq!(raw(&hex!("03")), Err(SendError::InvalidFrame));
        assert_eq!(raw(&hex!("03 ed")), Err(SendError::InvalidFrame));
        assert_eq!(raw(&hex!("03 e8 ff")), Err(SendError::InvalidFrame));
        assert_eq!(raw(&hex!("03 e9")), Ok(()));
        assert_eq!(raw(&hex!("03 e9")), Err(SendError::Closing));
        end.gets(&hex!("88 02 03 e8"));
        assert_eq!(end.sent(), hex!("88 02 03 e9"), "one Close");
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.by, ended.sent, ended.clean), (Initiator::Local, Some(CloseCode::GOING_AWAY), true));
        log.proved("WS-7.1-01", role);
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn how_it_ends(log: &mut Log) {
    for role in ROLES {
        // REQ: WS-7.1-02
        let mut end = Endpoint::new(role);
        assert_eq!(end.connection.end(), None, "open");
        end.close(Some((1000, ""))).unwrap();
        assert_eq!(end.connection.send("", &mut end.output), Err(SendError::Closing), "closing: we sent a Close");
        end.gets(&hex!("88 02 03 e9"));
        end.sent();
        end.disconnected();
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.clean, ended.code().0, ended.by), (true, 1001, Initiator::Local));
        assert_eq!(ended.cause, Cause::Close);

        let mut end = Endpoint::new(role);
        end.gets(&hex!("88 02 03 e9"));
        assert_eq!(end.connection.send("", &mut end.output), Err(SendError::Closing), "closing: we got a Close");
        end.sent();
        end.disconnected();
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.clean, ended.code().0, ended.by), (true, 1001, Initiator::Remote));
        assert_eq!(ended.cause, Cause::Close);

        let mut end = Endpoint::new(role);
        end.close(Some((1000, ""))).unwrap();
        end.sent();
        end.disconnected();
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.clean, ended.code().0, ended.by), (false, 1006, Initiator::Local), "only one Close");

        // Nor is it clean when our own Close never left.
        let mut end = Endpoint::new(role);
        end.gets(&hex!("88 02 03 e9"));
        end.disconnected();
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.clean, ended.code().0, ended.by), (false, 1001, Initiator::Remote));
        log.proved("WS-7.1-02", role);

        // REQ: WS-7.1-03
        let code = |ours: Option<Option<(u16, &str)>>, theirs: &[u8]| {
            let mut end = Endpoint::new(role);
            if let Some(close) = ours {
                end.close(close).unwrap();
            }
            end.gets(theirs);
            end.sent();
            end.disconnected();
            end.connection.end().unwrap().code().0
        };
        assert_eq!(code(Some(Some((1000, ""))), &hex!("88 02 03 e9")), 1001);
        assert_eq!(code(Some(None), &hex!("88 02 03 e9")), 1001);
        assert_eq!(code(None, &hex!("88 02 0f a0")), 4000);
        assert_eq!(code(None, &hex!("88 02 0f a0 88 02 03 e8")), 4000, "the first one counts");
        assert_eq!(code(None, &hex!("88 00")), 1005);
        assert_eq!(code(Some(Some((1000, ""))), &hex!("88 00")), 1005);
        assert_eq!(code(None, &[]), 1006);
        assert_eq!(code(Some(Some((1000, ""))), &[]), 1006);
        let mut end = Endpoint::new(role);
        end.gets(&hex!("83 00"));
        end.disconnected();
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.code().0, ended.clean), (1006, false));
        assert_eq!(ended.sent, Some(CloseCode::PROTOCOL_ERROR), "the code that we sent");
        assert_eq!(ended.cause, Cause::Protocol(ProtocolError::UnknownOpCode(3)));
        log.proved("WS-7.1-03", role);

        // REQ: WS-7.1-04
        for frames in [&hex!("01 03 48 65 6c")[..], &hex!("81"), &hex!("81 05 48 65"), &[], &hex!("81 01 61 01 01 61")]
        {
            let mut end = Endpoint::new(role);
            let whole = if frames.len() == 6 { vec![text("a")] } else { vec![] };
            assert_eq!(end.gets(frames), whole, "a partial message is never delivered");
            end.disconnected();
            let ended = end.connection.end().unwrap();
            assert_eq!((ended.code().0, ended.clean, ended.cause), (1006, false, Cause::Disconnected));
            assert_eq!(end.gets(&hex!("80 00")), [], "nor later");
            assert_eq!(end.sent(), b"", "nobody listens any more");
            assert_eq!(end.connection.transport(), TransportState::Closed);
        }
        log.proved("WS-7.1-04", role);

        // REQ: WS-7.1-05
        let mut end = Endpoint::new(role);
        end.close(None).unwrap();
        end.sent();
        end.gets(&hex!("88 00"));
        end.disconnected(); // a reset, as the machine sees it
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.clean, ended.cause), (true, Cause::Close));
        log.proved("WS-7.1-05", role);
    }
}

fn after_the_end(log: &mut Log) {
    // REQ: WS-7.1-06
    let wire = hex!("81 01 61 83 00 81 01 62 89 01 70 88 02 03 e8");
    row_both(log, "WS-7.1-06", &wire, events([text("a")]) + fails(1002));
    row_both(
        log,
        "WS-7.1-06",
        &hex!("89 01 70 81 01 ff 89 01 71 88 00"),
        events([ping(b"p")]) + sends(&hex!("8a 01 70")) + fails(1007),
    );
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.gets(&hex!("83 00"));
        assert_eq!(end.connection.send("a", &mut end.output), Err(SendError::Closing));
        assert_eq!(end.connection.send(Outgoing::ping(b""), &mut end.output), Err(SendError::Closing));
        assert_eq!(end.close(None), Err(SendError::Closing));
        end.gets(&hex!("88 02 03 e8"));
        assert_eq!(end.sent(), hex!("88 02 03 ea"), "one Close and nothing else");
        end.disconnected();
        let ended = end.connection.end().unwrap();
        assert!(ended.received.is_none(), "not even the Close that answers ours");
        assert!(!ended.clean);
    }

    // REQ: WS-7.1-07
    for role in ROLES {
        for close in [hex!("88 02 03 e8")] {
            for behind in
                [&hex!("ff ff ff ff")[..], &hex!("88 02 03 e9"), &hex!("83"), &hex!("81 01 61"), &hex!("89 00")]
            {
                let wire = [&from_peer(role, &close)[..], behind].concat();
                row(log, "WS-7.1-07", role, &wire, closes(Some((1000, ""))));
            }
        }
        let mut end = Endpoint::new(role);
        end.close(None).unwrap();
        end.reads(&[&from_peer(role, &hex!("88 00"))[..], &hex!("ff ff ff ff")].concat());
        assert_eq!(end.sent(), hex!("88 00"));
        end.disconnected();
        assert!(end.connection.end().unwrap().clean);
    }

    // REQ: WS-7.1-08
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.close(Some((1000, ""))).unwrap();
        assert_eq!(
            end.gets(b"\x81\x01a\x81\x01b\x81\x01c\x88\x00"),
            [text("a"), text("b"), text("c"), Told::Close(None)]
        );
        assert_eq!(end.sent(), hex!("88 02 03 e8"));
        end.disconnected();
        assert!(end.connection.end().unwrap().clean);

        let mut end = Endpoint::new(role);
        end.close(Some((1000, ""))).unwrap();
        assert_eq!(end.gets(&hex!("83 00 88 00")), []);
        assert_eq!(end.error, Some(ProtocolError::UnknownOpCode(3)), "frames are still checked");
        assert_eq!(end.sent(), hex!("88 02 03 e8"), "our Close was sent: no second one");
        assert_eq!(end.connection.transport(), TransportState::Shutdown);
        end.disconnected();
        assert!(!end.connection.end().unwrap().clean);
        log.proved("WS-7.1-08", role);
    }
}

fn deadlines(log: &mut Log) {
    // REQ: WS-7.1-09
    for role in ROLES {
        let mut end = Endpoint::new(role);
        end.arm(SECOND);
        end.close(Some((1000, ""))).unwrap();
        end.arm(SECOND * 2);
        end.sent();
        end.gets(b"\x81\x01a"); // what else the peer says does not help
        end.arm(SECOND * 5);
        assert_eq!(end.expires(SECOND * 15), Some(Timeout::Close), "counted from when the Close has left");
        assert_eq!(end.connection.transport(), TransportState::Closed);
        let ended = end.connection.end().unwrap();
        assert_eq!((ended.code().0, ended.clean, ended.cause), (1006, false, Cause::Timeout(Timeout::Close)));
        assert_eq!(end.connection.poll_timeout(), None, "nothing is left to wait for");

        // The same bound holds after we failed the connection.
        let mut end = Endpoint::new(role);
        end.gets(&hex!("83 00"));
        end.sent();
        end.arm(SECOND);
        assert_eq!(end.connection.transport(), TransportState::Shutdown);
        assert_eq!(end.expires(SECOND * 11), Some(Timeout::Close));
        assert_eq!(end.connection.transport(), TransportState::Closed);
        assert_eq!(end.connection.end().unwrap().cause, Cause::Protocol(ProtocolError::UnknownOpCode(3)));
        log.proved("WS-7.1-09", role);
    }
}

#[cfg(feature = "tokio")]
fn connecting_again(log: &mut Log) {
    use bowsprit::client::Backoff;

    // REQ: WS-7.1-10
    let backoff = Backoff::default();
    let seconds = |retry, random| backoff.delay(retry, random).unwrap().as_secs_f64();
    let (mut shortest, mut longest) = (0.0, 5.0);
    for retry in 1..=20 {
        assert_eq!(seconds(retry, 0), shortest, "before attempt {retry}");
        assert!((longest - 0.001..=longest).contains(&seconds(retry, u64::MAX)), "before attempt {retry}");
        assert!((seconds(retry, 1 << 63) - (shortest + longest) / 2.0).abs() < 0.001, "before attempt {retry}");
        // Doubled, as far as the bound.
        longest = f64::min(2.0 * longest, 60.0);
        shortest = longest / 2.0;
    }
    log.proved("WS-7.1-10", Role::Client);
}

fn codes(log: &mut Log) {
    // REQ: WS-7.4-01
    for code in [1005, 1006, 1015] {
        invalid(log, "WS-7.4-01", code);
    }
    row_both(log, "WS-7.4-01", &hex!("88 02 03 ed"), fails(1002));
    row_both(log, "WS-7.4-01", &hex!("88 02 03 ee"), fails(1002));
    row_both(log, "WS-7.4-01", &hex!("88 02 03 f7"), fails(1002));

    // REQ: WS-7.4-02
    for code in [0, 1, 999, 1004, 1016, 1100, 2000, 2999] {
        invalid(log, "WS-7.4-02", code);
    }

    // REQ: WS-7.4-03
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        let [high, low] = u16::to_be_bytes(code);
        row_both(log, "WS-7.4-03", &[0x88, 0x02, high, low], closes(Some((code, ""))));
        let wire = [0x88, 0x05, high, low, 0x62, 0x79, 0x65];
        row_both(log, "WS-7.4-03", &wire, closes(Some((code, "bye"))));
    }

    // REQ: WS-7.4-04
    for code in [5000, 65_535] {
        invalid(log, "WS-7.4-04", code);
    }

    // REQ: WS-7.4-05
    for role in ROLES {
        let allowed = |code| Endpoint::new(role).close(Some((code, "x")));
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 4999] {
            assert_eq!(allowed(code), Ok(()), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
            assert_eq!(allowed(code), Err(SendError::InvalidCloseCode(CloseCode(code))));
        }
        log.proved("WS-7.4-05", role);
    }
    let mandatory = Some((1010, "x-ext"));
    let refused = Err(SendError::InvalidCloseCode(CloseCode::MANDATORY_EXTENSION));
    let mut server = Endpoint::new(Role::Server);
    assert_eq!(server.close(mandatory), refused, "only a client can miss an extension");
    server.connection.send("unaffected", &mut server.output).unwrap();
    let mut client = Endpoint::new(Role::Client);
    assert_eq!(client.close(mandatory), Ok(()));
    assert_eq!(client.sent(), hex!("88 07 03 f2 78 2d 65 78 74"));

    // REQ: WS-7.4-06
    use ProtocolError as E;
    for (error, code) in [
        (E::ReservedBits, 1002),
        (E::UnknownOpCode(3), 1002),
        (E::Unmasked, 1002),
        (E::Masked, 1002),
        (E::NonMinimalLength, 1002),
        (E::LengthOverflow, 1002),
        (E::FragmentedControl, 1002),
        (E::ControlTooLong, 1002),
        (E::UnexpectedContinuation, 1002),
        (E::ExpectedContinuation, 1002),
        (E::InvalidClosePayload, 1002),
        (E::InvalidCloseCode(CloseCode(1005)), 1002),
        (E::InvalidUtf8, 1007),
        (E::FrameTooLong(Exceeded::new(0, 0)), 1009),
        (E::MessageTooLong(Exceeded::new(0, 0)), 1009),
        (E::TooManyFragments, 1008),
    ] {
        assert_eq!(error.close_code(), CloseCode(code), "{error}");
    }
    for role in ROLES {
        let few = Config { max_fragments: 2, max_message: 100, max_frame: Some(50), ..Config::default() };
        let mut run =
            |wire: &[u8], expected| row_with(log, "WS-7.4-06", role, few.clone(), &from_peer(role, wire), expected);
        run(&hex!("83"), fails(1002));
        run(&hex!("81 01 ff"), fails(1007));
        run(&hex!("82 33"), fails(1009).because(E::FrameTooLong(Exceeded::new(0, 0))));
        let fifty = [&hex!("02 32")[..], &[0; 50], &hex!("00 32"), &[0; 50], &hex!("00 01")].concat();
        run(&fifty[..fifty.len() - 2], nothing());
        run(&hex!("02 00 00 00 00 00"), fails(1008).because(E::TooManyFragments));
        // A peer that falls silent, where somebody asked for that deadline: 1001.
        let mut end = Endpoint::with(role, Config { idle_timeout: Some(SECOND * 7), ..Config::default() });
        end.arm(SECOND);
        assert_eq!(end.connection.poll_timeout(), Some(SECOND * 8));
        end.gets(&hex!("8a"));
        end.arm(SECOND * 5); // any byte counts, and nothing else
        end.arm(SECOND * 6);
        assert_eq!(end.expires(SECOND * 12), Some(Timeout::Idle));
        assert_eq!(end.sent(), hex!("88 02 03 e9"));
    }
    // For the application: 1003, 1008 and 1011.
    for code in [CloseCode::UNSUPPORTED_DATA, CloseCode::POLICY_VIOLATION, CloseCode::INTERNAL_ERROR] {
        let (mut client, mut server) = (Endpoint::new(Role::Client), Endpoint::new(Role::Server));
        server.close(Some((code.0, ""))).unwrap();
        assert_eq!(talk(&mut client, &mut server).0, [Told::Close(Some((code.0, String::new())))]);
    }
}

/// Neither end accepts this code, and neither sends it.
fn invalid(log: &mut Log, id: &str, code: u16) {
    let error = ProtocolError::InvalidCloseCode(CloseCode(code));
    let [high, low] = code.to_be_bytes();
    row_both(log, id, &[0x88, 0x02, high, low], fails(1002).because(error));
    row_both(log, id, &[0x88, 0x05, high, low, 0x62, 0x79, 0x65], fails(1002).because(error));
    for role in ROLES {
        let mut end = Endpoint::new(role);
        assert_eq!(end.close(Some((code, ""))), Err(SendError::InvalidCloseCode(CloseCode(code))));
        assert_eq!((end.sent(), end.connection.transport()), (vec![], TransportState::Open));
        end.connection.send("unaffected", &mut end.output).unwrap();
    }
}

fn registry(log: &mut Log) {
    // REQ: IANA-02
    for role in ROLES {
        for code in 0..=u16::MAX {
            let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            let [high, low] = code.to_be_bytes();
            let mut end = Endpoint::new(role);
            let told = end.gets(&[0x88, 0x02, high, low]);
            if valid {
                assert_eq!(told, [Told::Close(Some((code, String::new())))]);
                assert_eq!(end.sent(), [0x88, 0x02, high, low]);
            } else {
                assert_eq!(end.error, Some(ProtocolError::InvalidCloseCode(CloseCode(code))));
                assert_eq!((told, end.sent()), (vec![], hex!("88 02 03 ea").to_vec()));
            }
            let may_send = valid && !(code == 1010 && role == Role::Server);
            assert_eq!(Endpoint::new(role).close(Some((code, ""))).is_ok(), may_send, "{code} from {role:?}");
        }
        log.proved("IANA-02", role);
    }
}
