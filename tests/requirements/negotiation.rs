//! Group N: what permessage-deflate is offered, answered and agreed on (RFC 7692 sections 5 and 7.1).

use core::time::Duration;

use bowsprit::extension::permessage_deflate::{Agreed, Parameters, WindowBits};
use bowsprit::handshake::{AcceptOptions, ClientHandshake, ClientRequest, ResponseError, ServerHandshake};
use bowsprit::{Config, Deflate, HandshakeError, ProtocolError, Role};
use bytes::BytesMut;
use hex_literal::hex;

use crate::decoder::Decoder;
use crate::harness::{Log, ROLES};
use crate::wire::{Endpoint, binary, events, fails, row_agreed, row_both, text};

pub(crate) fn rows(log: &mut Log) {
    log.group(offers);
    log.group(answers);
    log.group(declined);
    log.group(responses);
    log.group(context_takeover);
    log.group(window_bits);
    log.group(windows);
}

/// Nothing but the name was agreed on.
pub(crate) const AGREED: Agreed = Agreed {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

/// An offer that says nothing: not even that it would take a limit.
const BARE: Parameters = Parameters {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: WindowBits::MAX,
    client_max_window_bits: None,
};

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).expect("8 to 15")
}

pub(crate) fn config(parameters: Parameters, fallbacks: &[Parameters]) -> Config {
    let deflate = Deflate { parameters, fallbacks: fallbacks.to_vec(), ..Deflate::default() };
    Config { compression: Some(deflate), ..Config::default() }
}

/// What a client of this configuration offers.
fn offered(config: &Config) -> Option<String> {
    let mut output = BytesMut::new();
    let request: ClientRequest = "ws://server.example.com/chat".try_into().unwrap();
    let _ = ClientHandshake::start(&request, *b"the sample nonce", config.clone().into(), Duration::ZERO, &mut output);
    field(&output)
}

/// What a server of this configuration answers to the value, and what is agreed on then; `Err`: the status.
fn answered(config: &Config, offer: &str) -> Result<(Option<String>, Option<Agreed>), u16> {
    let wire = format!(
        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: {offer}\r\n\r\n"
    );
    let mut handshake = ServerHandshake::new(config.clone().into(), Duration::ZERO);
    let mut output = BytesMut::new();
    match handshake.receive(&mut BytesMut::from(&wire[..])) {
        Ok(request) => {
            let accepted = request.expect("it is whole").accept(&AcceptOptions::new(), &mut output).unwrap();
            assert!(output.starts_with(b"HTTP/1.1 101 "));
            Ok((field(&output), accepted.extensions().deflate()))
        }
        Err(error) => {
            error.respond(&mut output);
            Err(str::from_utf8(&output[9..12]).unwrap().parse().unwrap())
        }
    }
}

/// What a server answers that has no wishes.
fn answer(offer: &str) -> Option<String> {
    answered(&config(Parameters::default(), &[]), offer).expect("the grammar is kept").0
}

/// What a client of this configuration agrees to when a server answers so.
fn agreed(config: &Config, answer: &str) -> Result<Option<Agreed>, HandshakeError> {
    let mut output = BytesMut::new();
    let request: ClientRequest = "ws://server.example.com/chat".try_into().unwrap();
    let mut handshake =
        ClientHandshake::start(&request, *b"the sample nonce", config.clone().into(), Duration::ZERO, &mut output);
    let wire = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{answer}\r\n"
    );
    let mut input = BytesMut::new();
    for byte in wire.bytes() {
        input.extend_from_slice(&[byte]);
        if let Some(response) = handshake.receive(&mut input)? {
            return Ok(response.extensions().deflate());
        }
    }
    panic!("the head is whole");
}

/// Likewise where the answer is this one line.
fn agrees(parameters: Parameters, answer: &str) -> Result<Agreed, HandshakeError> {
    let agreed = agreed(&config(parameters, &[]), &format!("Sec-WebSocket-Extensions: {answer}\r\n"));
    agreed.map(|agreed| agreed.expect("an answer agrees to something or is wrong"))
}

/// The value of the one `Sec-WebSocket-Extensions` in a head.
fn field(head: &[u8]) -> Option<String> {
    let head = str::from_utf8(head).unwrap();
    let mut lines = head.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let value = lines.next().map(str::to_owned);
    assert_eq!(lines.next(), None, "one line at most");
    value
}

fn offers(log: &mut Log) {
    // REQ: PMD-5-01
    let small = Parameters { server_max_window_bits: bits(10), ..Parameters::default() };
    assert_eq!(
        offered(&config(small, &[Parameters::default()])).unwrap(),
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits, \
         permessage-deflate; client_max_window_bits"
    );
    assert_eq!(offered(&config(BARE, &[])).unwrap(), "permessage-deflate");
    assert_eq!(offered(&Config::default()), None);
    log.proved("PMD-5-01", Role::Client);

    // REQ: PMD-7.1.2-01
    for (bits, offer) in [
        (8, "permessage-deflate; server_max_window_bits=8"),
        (9, "permessage-deflate; server_max_window_bits=9"),
        (10, "permessage-deflate; server_max_window_bits=10"),
        (15, "permessage-deflate"),
    ] {
        let parameters = Parameters { server_max_window_bits: WindowBits::new(bits).unwrap(), ..BARE };
        assert_eq!(offered(&config(parameters, &[])).unwrap(), offer);
    }
    // What is no window cannot be asked for.
    for none in [0, 7, 16, 255] {
        assert_eq!(WindowBits::new(none), None);
    }
    log.proved("PMD-7.1.2-01", Role::Client);
}

fn answers(log: &mut Log) {
    // REQ: PMD-5-02
    assert_eq!(
        answer("permessage-deflate; server_max_window_bits=7, permessage-deflate").unwrap(),
        "permessage-deflate"
    );
    assert_eq!(
        answer("x, permessage-deflate; y, permessage-deflate; server_max_window_bits=9, permessage-deflate").unwrap(),
        "permessage-deflate; server_max_window_bits=9"
    );
    log.proved("PMD-5-02", Role::Server);

    // REQ: PMD-5-03
    assert_eq!(answer("permessage-deflate; client_max_window_bits").unwrap(), "permessage-deflate");
    for offer in ["permessage-deflate, permessage-deflate", "permessage-deflate, permessage-deflate; foo"] {
        assert_eq!(answer(offer).unwrap(), "permessage-deflate");
    }
    log.proved("PMD-5-03", Role::Server);

    // REQ: PMD-5-04
    for offer in ["permessage-deflate; foo", "Permessage-Deflate", "x-webkit-deflate-frame", "permessage-deflate; a, b"]
    {
        let declined = Ok((None, None));
        assert_eq!(answered(&config(Parameters::default(), &[]), offer), declined, "{offer}");
        assert_eq!(answered(&Config::default(), offer), declined, "{offer}");
    }
    assert_eq!(answered(&Config::default(), "permessage-deflate"), Ok((None, None)));
    // Grammar is another matter.
    for offer in ["permessage-deflate;", "permessage-deflate; =", "", "permessage-deflate; a=\""] {
        assert_eq!(answered(&config(Parameters::default(), &[]), offer), Err(400), "{offer}");
    }
    log.proved("PMD-5-04", Role::Server);

    // REQ: PMD-5-08
    for role in ROLES {
        row_agreed(log, "PMD-5-08", role, AGREED, &hex!("c1 07 f2 48 cd c9 c9 07 00"), events([text("Hello")]));
    }
    let reserved = || fails(1002).because(ProtocolError::ReservedBits);
    row_both(log, "PMD-5-08", &hex!("c1 07 f2 48 cd c9 c9 07 00"), reserved());
    for role in ROLES {
        let mut plain = Endpoint::with(role, config(Parameters::default(), &[]));
        plain.connection.send(&"a".repeat(200), &mut plain.output).unwrap();
        assert_eq!(plain.sent()[0], 0x81, "what is not agreed on is not used");
        let mut end = Endpoint::agreed(role, Config::default(), AGREED);
        end.connection.send(&"a".repeat(200), &mut end.output).unwrap();
        assert_eq!(end.sent()[0], 0xc1);
        log.proved("PMD-5-08", role);
    }
}

fn declined(log: &mut Log) {
    #[track_caller]
    fn declines(offer: &str) {
        assert_eq!(answer(&format!("permessage-deflate; {offer}")), None, "{offer}");
        // The next one is tried.
        let next = format!("permessage-deflate; {offer}, permessage-deflate; client_no_context_takeover");
        assert_eq!(answer(&next).unwrap(), "permessage-deflate; client_no_context_takeover", "{offer}");
    }
    // REQ: PMD-7-01
    for offer in ["x=1", "x", "server_max_window_bits=10; x", "Server_No_Context_Takeover", "max_window_bits=10"] {
        declines(offer);
    }
    log.proved("PMD-7-01", Role::Server);

    // REQ: PMD-7-02
    for value in ["7", "16", "0", "08", "010", "+10", "0x9", "10.0", "-9", "99999999999", "256", "264", "1"] {
        declines(&format!("server_max_window_bits={value}"));
        declines(&format!("client_max_window_bits={value}"));
    }
    for offer in [
        "server_max_window_bits",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover=15",
    ] {
        declines(offer);
    }
    // An empty value is no token at all.
    let config = config(Parameters::default(), &[]);
    assert_eq!(answered(&config, "permessage-deflate; server_max_window_bits=\"\""), Err(400));
    log.proved("PMD-7-02", Role::Server);

    // REQ: PMD-7-03
    for offer in [
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits",
        "server_max_window_bits=10; server_max_window_bits=10",
    ] {
        declines(offer);
    }
    log.proved("PMD-7-03", Role::Server);

    // REQ: PMD-7-04
    // There is none that is not supported: each window, 8 included, is answered, and what goes out keeps to it.
    for bits in 8..=15_u8 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let (answer, agreed) = answered(&config, &offer).unwrap();
        assert_eq!(answer.unwrap(), offer);
        let agreed = agreed.unwrap();
        assert_eq!(agreed, Agreed { server_max_window_bits: bits, ..AGREED });
        assert!(farthest(Role::Server, agreed) <= 1 << bits);
    }
    log.proved("PMD-7-04", Role::Server);
}

fn responses(log: &mut Log) {
    const WRONG: [&str; 27] = [
        "permessage-deflate; x",
        "permessage-deflate; x=1",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=99999999999",
        "permessage-deflate; client_max_window_bits=\"08\"",
        "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=256",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "Permessage-Deflate",
        "x-webkit-deflate-frame",
        "permessage-bzip2",
        "permessage-deflate;",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, permessage-deflate; server_no_context_takeover",
    ];
    // REQ: PMD-5-05, PMD-7-05, PMD-5-06
    for answer in WRONG {
        assert_eq!(
            agrees(Parameters::default(), answer),
            Err(HandshakeError::Response(ResponseError::Extensions)),
            "{answer}"
        );
    }
    let lines = "Sec-WebSocket-Extensions: permessage-deflate\r\n".repeat(2);
    assert_eq!(
        agreed(&config(Parameters::default(), &[]), &lines),
        Err(HandshakeError::Response(ResponseError::Extensions))
    );
    // Nothing was offered.
    let line = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    assert_eq!(agreed(&Config::default(), line), Err(HandshakeError::Response(ResponseError::Extensions)));
    // No answer is a right one.
    assert_eq!(agreed(&config(Parameters::default(), &[]), ""), Ok(None));
    for id in ["PMD-5-05", "PMD-7-05", "PMD-5-06"] {
        log.proved(id, Role::Client);
    }
}

fn context_takeover(log: &mut Log) {
    let hello = hex!("f2 48 cd c9 c9 07 00");
    let asks = Parameters { server_no_context_takeover: true, ..Parameters::default() };

    // REQ: PMD-7.1.1-01
    let (value, agreed_on) =
        answered(&config(Parameters::default(), &[]), "permessage-deflate; server_no_context_takeover").unwrap();
    assert_eq!(value.unwrap(), "permessage-deflate; server_no_context_takeover");
    let agreed_on = agreed_on.unwrap();
    assert_eq!(agreed_on, Agreed { server_no_context_takeover: true, ..AGREED });
    assert_eq!(hellos(Role::Server, agreed_on), [hello, hello]);
    log.proved("PMD-7.1.1-01", Role::Server);

    // REQ: PMD-7.1.1-02
    assert_eq!(agrees(asks, "permessage-deflate"), Err(HandshakeError::Response(ResponseError::Extensions)));
    assert_eq!(
        agrees(asks, "permessage-deflate; client_no_context_takeover"),
        Err(HandshakeError::Response(ResponseError::Extensions))
    );
    let line = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    assert_eq!(agreed(&config(asks, &[Parameters::default()]), line), Ok(Some(AGREED)), "the other offer");
    log.proved("PMD-7.1.1-02", Role::Client);

    // REQ: PMD-7.1.1-03
    let agreed_on = agrees(BARE, "permessage-deflate; server_no_context_takeover").unwrap();
    assert_eq!(agreed_on, Agreed { server_no_context_takeover: true, ..AGREED });
    let twice = hex!("c1 07 f2 48 cd c9 c9 07 00 c1 07 f2 48 cd c9 c9 07 00");
    row_agreed(log, "PMD-7.1.1-03", Role::Client, agreed_on, &twice, events([text("Hello"), text("Hello")]));
    let (value, agreed_on) = answered(&config(asks, &[]), "permessage-deflate").unwrap();
    assert_eq!(value.unwrap(), "permessage-deflate; server_no_context_takeover");
    assert_eq!(hellos(Role::Server, agreed_on.unwrap()), [hello, hello]);
    log.proved("PMD-7.1.1-03", Role::Server);

    // REQ: PMD-7.1.1-04
    let hints = Parameters { client_no_context_takeover: true, ..Parameters::default() };
    let agreed_on = agrees(hints, "permessage-deflate").unwrap();
    assert_eq!(hellos(Role::Client, agreed_on), [hello, hello], "who hints keeps to it");
    row_agreed(log, "PMD-7.1.1-04", Role::Server, AGREED, &twice, events([text("Hello"), text("Hello")]));
    let (value, agreed_on) =
        answered(&config(Parameters::default(), &[]), "permessage-deflate; client_no_context_takeover").unwrap();
    assert_eq!(value.unwrap(), "permessage-deflate; client_no_context_takeover", "it is echoed");
    assert!(agreed_on.unwrap().client_no_context_takeover);
    log.proved("PMD-7.1.1-04", Role::Client);

    // REQ: PMD-7.1.1-05
    let agreed_on = agrees(BARE, "permessage-deflate; client_no_context_takeover").unwrap();
    assert_eq!(agreed_on, Agreed { client_no_context_takeover: true, ..AGREED });
    assert_eq!(hellos(Role::Client, agreed_on), [hello, hello]);
    log.proved("PMD-7.1.1-05", Role::Client);
}

fn window_bits(log: &mut Log) {
    // REQ: PMD-7.1.2-02
    let own = |own| config(Parameters { server_max_window_bits: bits(own), ..Parameters::default() }, &[]);
    for (own_bits, offer, expected) in [
        (15, "permessage-deflate; server_max_window_bits=12", "permessage-deflate; server_max_window_bits=12"),
        (15, "permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        (10, "permessage-deflate; server_max_window_bits=12", "permessage-deflate; server_max_window_bits=10"),
        (12, "permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"),
        (10, "permessage-deflate", "permessage-deflate; server_max_window_bits=10"),
    ] {
        let (value, agreed_on) = answered(&own(own_bits), offer).unwrap();
        assert_eq!(value.unwrap(), expected);
        let agreed_on = agreed_on.unwrap();
        assert!(farthest(Role::Server, agreed_on) <= 1 << agreed_on.server_max_window_bits);
        assert!(expected.ends_with(&agreed_on.server_max_window_bits.to_string()));
    }
    log.proved("PMD-7.1.2-02", Role::Server);

    // REQ: PMD-7.1.2-03
    let asks = Parameters { server_max_window_bits: bits(10), ..Parameters::default() };
    for answer in ["permessage-deflate; server_max_window_bits=11", "permessage-deflate"] {
        assert_eq!(agrees(asks, answer), Err(HandshakeError::Response(ResponseError::Extensions)), "{answer}");
    }
    for bits in [8, 9, 10] {
        let agreed_on = agrees(asks, &format!("permessage-deflate; server_max_window_bits={bits}"));
        assert_eq!(agreed_on, Ok(Agreed { server_max_window_bits: bits, ..AGREED }));
    }
    let line = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    assert_eq!(agreed(&config(asks, &[Parameters::default()]), line), Ok(Some(AGREED)), "the other offer");
    log.proved("PMD-7.1.2-03", Role::Client);

    // REQ: PMD-7.1.2-04
    let hint =
        |hint: Option<u8>| config(Parameters { client_max_window_bits: hint.map(bits), ..Parameters::default() }, &[]);
    assert_eq!(offered(&hint(Some(15))).unwrap(), "permessage-deflate; client_max_window_bits");
    assert_eq!(offered(&hint(Some(12))).unwrap(), "permessage-deflate; client_max_window_bits=12");
    assert_eq!(offered(&hint(None)).unwrap(), "permessage-deflate");
    log.proved("PMD-7.1.2-04", Role::Client);
    assert_eq!(answer("permessage-deflate; client_max_window_bits").unwrap(), "permessage-deflate");
    assert_eq!(
        answer("permessage-deflate; client_max_window_bits=12").unwrap(),
        "permessage-deflate; client_max_window_bits=12"
    );

    // REQ: PMD-7.1.2-05
    let limits = hint(Some(10));
    assert_eq!(answered(&limits, "permessage-deflate"), Ok((Some("permessage-deflate".to_owned()), Some(AGREED))));
    log.proved("PMD-7.1.2-05", Role::Server);
    let answer_10 = "permessage-deflate; client_max_window_bits=10";
    assert_eq!(agrees(BARE, answer_10), Err(HandshakeError::Response(ResponseError::Extensions)));

    // REQ: PMD-7.1.2-06
    for offer in ["permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=15"] {
        assert_eq!(answered(&limits, offer).unwrap().0.unwrap(), answer_10);
    }
    for bits in 8..=14 {
        let (value, agreed_on) = answered(&hint(Some(bits)), "permessage-deflate; client_max_window_bits").unwrap();
        assert_eq!(value.unwrap(), format!("permessage-deflate; client_max_window_bits={bits}"));
        assert_eq!(agreed_on, Some(Agreed { client_max_window_bits: bits, ..AGREED }));
    }
    log.proved("PMD-7.1.2-06", Role::Server);

    // REQ: PMD-7.1.2-07
    let hints = Parameters { client_max_window_bits: Some(bits(10)), ..Parameters::default() };
    for answer in ["permessage-deflate; client_max_window_bits=12", "permessage-deflate"] {
        let agreed_on = agrees(hints, answer).unwrap();
        assert!(farthest(Role::Client, agreed_on) <= 1 << 10, "{answer}");
    }
    log.proved("PMD-7.1.2-07", Role::Client);

    // REQ: PMD-7.1.2-08
    let agreed_on = agrees(Parameters::default(), "permessage-deflate; client_max_window_bits=8").unwrap();
    assert!(farthest(Role::Client, agreed_on) <= 1 << 8);
    log.proved("PMD-7.1.2-08", Role::Client);

    // REQ: PMD-7.1.2-10
    for value in ["\"10\"", "\"1\\0\"", "10", " 10 "] {
        let offer = format!("permessage-deflate; server_max_window_bits={value}");
        assert_eq!(answer(&offer).unwrap(), "permessage-deflate; server_max_window_bits=10");
        let agreed_on = agrees(Parameters::default(), &offer);
        assert_eq!(agreed_on, Ok(Agreed { server_max_window_bits: 10, ..AGREED }));
    }
    log.proved("PMD-7.1.2-10", Role::Server);
    log.proved("PMD-7.1.2-10", Role::Client);
}

fn windows(log: &mut Log) {
    // REQ: PMD-7.1.2-09
    // 32,768 stored bytes, and then a message that is one match of 4 bytes at the distance 32,768.
    let bytes: Vec<u8> = (0_u16..16_384).flat_map(|n| n.wrapping_mul(40_503).to_be_bytes()).collect();
    let stored = [&hex!("c2 7e 80 06 00 00 80 ff 7f")[..], &bytes, &hex!("00")].concat();
    // BFINAL 0, BTYPE 01, length 4 (0000010), distance 29 (11101) and 13 bits of 1, end (0000000), header 000.
    let far = hex!("c2 05 02 dd ff 0f 00");
    let farthest_match = [&stored[..], &far].concat();
    for role in ROLES {
        let expected = events([binary(&bytes), binary(&bytes[..4])]);
        row_agreed(log, "PMD-7.1.2-09", role, AGREED, &farthest_match, expected);
    }
}

/// The payloads of `Hello`, sent twice.
pub(crate) fn hellos(role: Role, agreed: Agreed) -> [[u8; 7]; 2] {
    let deflate = Deflate { threshold: 0, ..Deflate::default() };
    let mut end = Endpoint::agreed(role, Config { compression: Some(deflate), ..Config::default() }, agreed);
    [(); 2].map(|()| {
        end.connection.send("Hello", &mut end.output).unwrap();
        let sent = end.sent();
        assert_eq!(sent[..2], hex!("c1 07"));
        sent[2..].try_into().unwrap()
    })
}

/// The largest distance in messages that repeat themselves at many.
pub(crate) fn farthest(role: Role, agreed: Agreed) -> usize {
    let mut end = Endpoint::agreed(role, Config::default(), agreed);
    let mut decoder = Decoder::default();
    for every in [30, 100, 200, 240, 250, 260, 270, 300, 500, 600, 2_000, 20_000, 33_000] {
        let run: Vec<u8> =
            (0..every).map(|at: u32| (at * 40_503 + every).wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
        let message = run.repeat(2);
        end.connection.send(&message, &mut end.output).unwrap();
        let wire = end.transmits();
        for frame in crate::wire::frames(role, &wire) {
            if frame.header[0] == 0xc2 {
                assert_eq!(decoder.message(&frame.payload), Some(message.clone()));
            }
        }
    }
    assert!(decoder.farthest > 100, "the messages have matches");
    decoder.farthest
}
