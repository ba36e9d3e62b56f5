//! Group K: text and UTF-8 (RFC 6455 sections 5.6 and 8.1).

use std::time::Duration;

use bowsprit::handshake::{ClientHandshake, ClientRequest, ResponseError, ServerHandshake};
use bowsprit::{Chunk, Config, HandshakeError, Header, OpCode, Outgoing, ProtocolError, Role, SendError};
use bytes::BytesMut;
use hex_literal::hex;

use crate::harness::{Log, ROLES};
use crate::wire::{Endpoint, binary, events, fails, nothing, ping, pong, row, row_both, sends, talk, text};

pub(crate) fn rows(log: &mut Log) {
    log.group(receiving);
    log.group(sending);
}

fn receiving(log: &mut Log) {
    let invalid = || fails(1007).because(ProtocolError::InvalidUtf8);

    // REQ: WS-8.1-01
    for bytes in [
        &hex!("c3 28")[..],
        &hex!("ed a0 80"),       // a surrogate
        &hex!("ed bf bf"),       // the last one
        &hex!("c0 af"),          // overlong
        &hex!("c1 bf"),          // overlong
        &hex!("e0 9f bf"),       // overlong
        &hex!("f0 8f bf bf"),    // overlong
        &hex!("f4 90 80 80"),    // beyond U+10FFFF
        &hex!("f5 80 80 80"),    // beyond U+10FFFF
        &hex!("f8 88 80 80 80"), // five bytes
        &hex!("80"),             // a continuation alone
        &hex!("fe"),
        &hex!("ff"),
    ] {
        let len = u8::try_from(bytes.len()).unwrap();
        row_both(log, "WS-8.1-01", &[&[0x81, len], bytes].concat(), invalid());
        let behind = [&[0x81, len + 30][..], b"text that is long enough: 30 b", bytes].concat();
        row_both(log, "WS-8.1-01", &behind, invalid());
        let ahead = [&[0x81, len + 30][..], bytes, b"text that is long enough: 30 b"].concat();
        row_both(log, "WS-8.1-01", &ahead, invalid());
        row_both(log, "WS-8.1-01", &[&hex!("01 01 61 80")[..], &[len], bytes].concat(), invalid());
    }
    row(log, "WS-8.1-01", Role::Server, &hex!("81 82 00 00 00 00 c3 28"), invalid());
    row_both(log, "WS-8.1-01", &hex!("81 01 61 81 01 ff"), events([text("a")]) + invalid());

    // REQ: WS-8.1-02
    row_both(log, "WS-8.1-02", &hex!("01 01 c3 80 01 a9"), events([text("é")]));
    row_both(log, "WS-8.1-02", &hex!("01 02 f0 9f 00 01 98 80 01 80"), events([text("😀")]));
    row_both(log, "WS-8.1-02", &hex!("01 01 f0 00 00 00 01 9f 00 00 00 01 98 80 01 80"), events([text("😀")]));
    row_both(log, "WS-8.1-02", &hex!("81 0b ce ba e1 bd b9 cf 83 ce bc ce"), nothing());
    row_both(log, "WS-8.1-02", &hex!("81 0b ce ba e1 bd b9 cf 83 ce bc ce b5"), events([text("κ\u{1f79}σμε")]));

    // REQ: WS-8.1-03
    for bytes in [&hex!("c3")[..], &hex!("e2 82"), &hex!("f0 9f 98"), &hex!("61 62 63 f0")] {
        let len = u8::try_from(bytes.len()).unwrap();
        row_both(log, "WS-8.1-03", &[&[0x81, len], bytes].concat(), invalid());
        row_both(log, "WS-8.1-03", &[&[0x01, len], bytes, &hex!("80 00")].concat(), invalid());
        row_both(log, "WS-8.1-03", &[&[0x01, len], bytes].concat(), nothing());
        row_both(log, "WS-8.1-03", &[&[0x01, len], bytes, &hex!("00 00")].concat(), nothing());
    }
    row(log, "WS-8.1-03", Role::Server, &hex!("81 81 00 00 00 00 c3"), invalid());

    // REQ: WS-8.1-04
    row(log, "WS-8.1-04", Role::Server, &hex!("01 82 00 00 00 00 ed a0"), invalid());
    row_both(log, "WS-8.1-04", &hex!("01 02 ed a0"), invalid()); // FIN is not there
    row_both(log, "WS-8.1-04", &hex!("01 01 ed 00 7e 01 00 a0"), invalid()); // nor the rest of the fragment
    // A bad byte at offset 10 of 1000: with 20 bytes there, with itself the last one, and not with one less.
    let twenty = [&hex!("81 7e 03 e8")[..], &[0x61; 10], &[0xff], &[0x61; 9]].concat();
    row_both(log, "WS-8.1-04", &twenty, invalid());
    row_both(log, "WS-8.1-04", &twenty[..15], invalid());
    row_both(log, "WS-8.1-04", &twenty[..14], nothing());
    // Autobahn 6.4.4: the second of two bytes decides.
    let long = [&hex!("81 7e 03 e8")[..], "κόσμε".as_bytes(), &hex!("f4 90")].concat();
    row_both(log, "WS-8.1-04", &long, invalid());
    row_both(log, "WS-8.1-04", &long[..long.len() - 1], nothing());

    // REQ: WS-8.1-05
    row_both(log, "WS-8.1-05", &hex!("82 01 ff"), events([binary(b"\xff")]));
    row_both(log, "WS-8.1-05", &hex!("02 01 c3 80 01 28"), events([binary(b"\xc3\x28")]));
    row_both(log, "WS-8.1-05", &hex!("89 01 ff"), events([ping(b"\xff")]) + sends(&hex!("8a 01 ff")));
    row_both(log, "WS-8.1-05", &hex!("8a 02 c3 28"), events([pong(b"\xc3\x28")]));
    let amid = events([ping(b"\xff"), text("é")]) + sends(&hex!("8a 01 ff"));
    row_both(log, "WS-8.1-05", &hex!("01 01 c3 89 01 ff 80 01 a9"), amid);

    // REQ: WS-8.1-07
    row_both(log, "WS-8.1-07", &hex!("88 04 03 e8 c3 28"), invalid());
    row_both(log, "WS-8.1-07", &hex!("88 03 03 e8 c3"), invalid());
    let mut request = BytesMut::from(
        &b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: \xff\r\n\r\n"[..],
    );
    let refused = ServerHandshake::new(Config::default().into(), Duration::ZERO).receive(&mut request).unwrap_err();
    assert_eq!(refused.status(), Some(400));
    let asked = ClientRequest::new("ws://h/".parse().unwrap()).subprotocol("chat").unwrap();
    let mut response = BytesMut::from(
        &b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: \xff\r\n\r\n"[..],
    );
    let (config, mut output) = (Config::default().into(), BytesMut::new());
    let mut handshake = ClientHandshake::start(&asked, *b"the sample nonce", config, Duration::ZERO, &mut output);
    assert_eq!(handshake.receive(&mut response), Err(HandshakeError::Response(ResponseError::Subprotocol)));

    // REQ: WS-8.1-08
    row_both(log, "WS-8.1-08", &hex!("81 01 00"), events([text("\0")]));
    row_both(log, "WS-8.1-08", &hex!("81 03 ef bb bf"), events([text("\u{feff}")]));
    row_both(log, "WS-8.1-08", &hex!("81 03 ef bf be"), events([text("\u{fffe}")]));
    row_both(log, "WS-8.1-08", &hex!("81 03 ef bf bf"), events([text("\u{ffff}")]));
    row_both(log, "WS-8.1-08", &hex!("81 04 f4 8f bf bf"), events([text("\u{10ffff}")]));
    row_both(log, "WS-8.1-08", &hex!("81 06 ed 9f bf ee 80 80"), events([text("\u{d7ff}\u{e000}")]));
}

fn sending(log: &mut Log) {
    // REQ: WS-8.1-06
    for role in ROLES {
        // Text is `&str`; only a raw frame could break the rule.
        let fragment = |opcode, fin, len| Header { fin, ..Header::new(opcode, len) };
        let mut end = Endpoint::new(role);
        let mut raw = |header, payload: &[u8]| end.connection.send(Outgoing::frame(header, payload), &mut end.output);
        assert_eq!(raw(fragment(OpCode::Text, true, 2), &hex!("c3 28")), Err(SendError::InvalidUtf8));
        assert_eq!(raw(fragment(OpCode::Text, true, 1), &hex!("c3")), Err(SendError::InvalidUtf8));
        assert_eq!(raw(fragment(OpCode::Text, false, 1), &hex!("c3")), Ok(()), "a fragment may end in a character");
        let chunk = Chunk { data: "a".into(), end: true };
        assert_eq!(
            end.connection.send(chunk, &mut end.output),
            Err(SendError::MessageInProgress),
            "inside a character"
        );
        let mut raw = |header, payload: &[u8]| end.connection.send(Outgoing::frame(header, payload), &mut end.output);
        assert_eq!(raw(fragment(OpCode::Continuation, true, 0), b""), Err(SendError::InvalidUtf8));
        assert_eq!(raw(fragment(OpCode::Continuation, true, 1), b"("), Err(SendError::InvalidUtf8));
        assert_eq!(raw(fragment(OpCode::Continuation, true, 1), &hex!("a9")), Ok(()));
        assert_eq!(raw(fragment(OpCode::Binary, true, 1), &hex!("ff")), Ok(()));
        assert_eq!(end.sent(), hex!("01 01 c3 80 01 a9 82 01 ff"), "what was refused left nothing behind");

        // Fragments of one byte cut characters; the message stays what it was.
        let peer = if role == Role::Client { Role::Server } else { Role::Client };
        let mut end = Endpoint::with(role, Config { fragment_size: Some(1), ..Config::default() });
        let mut peer = Endpoint::new(peer);
        end.connection.send("é😀", &mut end.output).unwrap();
        assert_eq!(talk(&mut end, &mut peer).1, [text("é😀")]);
        assert_eq!(peer.error, None);
        log.proved("WS-8.1-06", role);
    }
}
