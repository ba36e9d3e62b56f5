//! Attacks on the opening handshake: no socket, no clock.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::handshake::{
    AcceptOptions, BuildError, ClientHandshake, ClientRequest, HeadError, OriginPolicy, RequestError, ResponseError,
    ServerHandshake, Uri,
};
use bowsprit::{Config, Connection, Event, HandshakeError, Message, Messages};
use bytes::BytesMut;

use crate::heap;
use crate::wire::frame;

/// A request without its last line, so that more can stand behind it.
pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// The answer to it, likewise.
pub(crate) const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn server(config: &Config) -> impl FnMut(&mut BytesMut) -> Result<bool, HandshakeError> + use<> {
    let mut handshake = ServerHandshake::new(config.clone().into(), Duration::ZERO);
    move |input| Ok(handshake.receive(input)?.is_some())
}

fn client(config: &Config) -> impl FnMut(&mut BytesMut) -> Result<bool, HandshakeError> + use<> {
    let request = ClientRequest::new("ws://server.example.com/chat".parse().expect("an address"));
    let (nonce, mut output) = (*b"the sample nonce", BytesMut::new());
    let mut handshake = ClientHandshake::start(&request, nonce, config.clone().into(), Duration::ZERO, &mut output);
    move |input| Ok(handshake.receive(input)?.is_some())
}

// HOSTILE: 1
pub(crate) fn a_head_that_comes_byte_by_byte() {
    // What has been read is overwritten until the last byte is there: a reader that looked at it again would refuse
    // it. (The two bytes before a line feed are looked at together.) That each byte is looked at once is counted in
    // steps where the reader stands.
    fn drips(head: &[u8], mut receive: impl FnMut(&mut BytesMut) -> Result<bool, HandshakeError>) {
        let (last, all_but) = head.split_last().expect("it is long");
        let mut input = BytesMut::with_capacity(head.len());
        let ((), waiting) = heap::of(|| {
            for byte in all_but {
                input.extend_from_slice(&[*byte]);
                assert_eq!(receive(&mut input), Ok(false));
                if let [_, .., seen, _, _] = &mut input[..] {
                    *seen = b'\n';
                }
            }
        });
        assert_eq!(waiting.allocations, 0, "nothing is made of a head before it is whole");
        input[..all_but.len()].copy_from_slice(all_but);
        input.extend_from_slice(&[*last]);
        let (whole, heap) = heap::of(|| receive(&mut input));
        assert_eq!(whole, Ok(true));
        assert!(heap.total <= 8 * head.len() + (4 << 10), "{heap:?}");
        assert!(input.is_empty());
    }
    let config = Config { max_head: 128 << 10, max_head_fields: 1_024, ..Config::default() };
    let one_line = format!("X: {}\r\n\r\n", "x".repeat(64 << 10));
    let many_lines = format!("{}\r\n", format!("X: {}\r\n", "x".repeat(59)).repeat(1_000));
    for lines in [one_line, many_lines] {
        drips([REQUEST, &lines].concat().as_bytes(), server(&config));
        drips([RESPONSE, &lines].concat().as_bytes(), client(&config));
    }

    // With the defaults, the limit: this many bytes and no more.
    let too_long = HeadError::TooLong { limit: 16 << 10 };
    for (first, mut receive, expected, status) in [
        (
            REQUEST,
            Box::new(server(&Config::default())) as Box<dyn FnMut(&mut BytesMut) -> _>,
            HandshakeError::from(RequestError::Head(too_long)),
            Some(431),
        ),
        (RESPONSE, Box::new(client(&Config::default())), ResponseError::Head(too_long).into(), None),
    ] {
        let mut input = BytesMut::from(format!("{first}X: {}", "x".repeat((16 << 10) - first.len() - 3)).as_bytes());
        assert_eq!((input.len(), receive(&mut input)), (16 << 10, Ok(false)));
        input.extend_from_slice(b"x");
        let error = receive(&mut input).expect_err("one too much");
        assert_eq!((&error, error.status()), (&expected, status));
    }
    let whole = format!("{REQUEST}X: {}\r\n\r\n", "x".repeat((16 << 10) - REQUEST.len() - 7));
    assert_eq!(whole.len(), 16 << 10);
    assert_eq!(server(&Config::default())(&mut whole.as_bytes().into()), Ok(true));
}

// HOSTILE: 16
pub(crate) fn fields_of_blanks_commas_and_quotes() {
    // The steps are counted where the grammar stands. Here: whatever field it is in, twice as much makes at most twice
    // as many allocations and twice as much heap, and nothing panics.
    let config = Config { max_head: 256 << 10, ..Config::default() };
    let pieces = [" ", ",", "\"", "\t", ";", "a,", "a;", " ,", "=", "\\", "\\\"", "a=\"b\",", "a; b=\"\\c\"; "];
    for name in ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Connection", "Upgrade", "X", "Origin"] {
        for piece in pieces {
            for (before, behind) in [("", ""), ("b", "x"), ("a; b=\"", "\"")] {
                let [once, twice] = [64, 128].map(|size: usize| {
                    let value = format!("{before}{}{behind}", piece.repeat((size << 10) / piece.len()));
                    let fields = format!("{name}: {value}\r\n\r\n");
                    let [request, response] = [REQUEST, RESPONSE].map(|first| [first, &fields].concat());
                    assert!(request.len() < 256 << 10);
                    heap::of(|| {
                        // Refused or not: both are right, according to the field.
                        let _ = server(&config)(&mut request.as_bytes().into());
                        let _ = client(&config)(&mut response.as_bytes().into());
                    })
                    .1
                });
                let what = format!("{name}: {before}{piece}...{behind}");
                assert!(twice.total <= 2 * once.total + (4 << 10), "{what}: {once:?}, {twice:?}");
                assert!(twice.allocations <= 2 * once.allocations + 100, "{what}: {once:?}, {twice:?}");
                assert!(once.peak <= 64 * (64 << 10), "{what}: {once:?}");
            }
        }
    }
}

// HOSTILE: 17
pub(crate) fn too_many_header_fields() {
    fn fields(first: &str, count: usize) -> BytesMut {
        let present = first.matches("\r\n").count() - 1;
        let more: String = (present..count).map(|n| format!("X{n}: y\r\n")).collect();
        format!("{first}{more}\r\n").as_bytes().into()
    }
    for (limit, most) in [(100, 100), (7, 7), (1_024, 1_024), (usize::MAX, 1_024)] {
        let config = Config { max_head_fields: limit, max_head: 1 << 20, ..Config::default() };
        for count in [most, most + 1, 2 * most, 10_000] {
            let error = HeadError::TooManyFields { limit: most };
            let (request, response) = if count == most {
                (Ok(true), Ok(true))
            } else {
                (Err(RequestError::Head(error).into()), Err(ResponseError::Head(error).into()))
            };
            assert_eq!(server(&config)(&mut fields(REQUEST, count)), request, "{count} of {limit}");
            assert_eq!(client(&config)(&mut fields(RESPONSE, count)), response, "{count} of {limit}");
        }
    }
    assert_eq!(
        HandshakeError::Request(RequestError::Head(HeadError::TooManyFields { limit: 100 })).status(),
        Some(431)
    );
    let mut output = BytesMut::new();
    HandshakeError::Request(RequestError::Head(HeadError::TooManyFields { limit: 100 })).respond(&mut output);
    assert!(output.starts_with(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"));
}

/// Text that would end a line, a head or a value if it went out as it is.
const INJECTIONS: [&str; 14] = [
    "\r\nEvil: 1",
    "\nEvil: 1",
    "\rEvil: 1",
    "\r\n\r\nGET /evil HTTP/1.1",
    " HTTP/1.1\r\nEvil: 1",
    "x\0y",
    "x\u{b}y",
    "x\u{7f}y",
    "x\u{85}y",
    "x\u{2028}y",
    "č\u{10d}\u{10a}", // the low bytes of these are CR and LF
    "x: y",
    "x, y",
    "\r\n folded",
];

// HOSTILE: 23
pub(crate) fn header_injection() {
    /// The lines of a head and nothing behind it.
    fn lines(head: &[u8]) -> Vec<String> {
        let head = String::from_utf8_lossy(head).into_owned();
        let inner = head.strip_suffix("\r\n\r\n").expect("it ends once");
        assert!(!inner.contains("\r\n\r\n"));
        let lines: Vec<String> = inner.split("\r\n").map(str::to_owned).collect();
        assert!(lines.iter().all(|line| !line.contains(|char| char < ' ' || char == '\u{7f}')), "{lines:?}");
        lines
    }
    fn sent(request: &ClientRequest) -> Vec<String> {
        let mut output = BytesMut::new();
        let config = Arc::new(Config::default());
        let _ = ClientHandshake::start(request, [0; 16], config, Duration::ZERO, &mut output);
        lines(&output)
    }
    let plain = ClientRequest::new("ws://example.com/".parse().expect("an address"));
    let usual = sent(&plain);
    for evil in INJECTIONS {
        for place in ["/", "/?", "/a?b=", "#"] {
            for uri in [format!("ws://example.com{place}{evil}"), format!("ws://exam{evil}ple.com/"), evil.into()] {
                let Ok(uri) = uri.parse::<Uri>() else { continue };
                // A name in Unicode becomes another one, in ASCII.
                let host = uri.host_field();
                assert!(host == "example.com" || cfg!(feature = "idna") && host.starts_with("xn--"), "{host}");
                let head = sent(&ClientRequest::new(uri));
                assert_eq!(head.len(), usual.len());
                assert_eq!(head[1], format!("Host: {host}"));
                assert_eq!(head[2..], usual[2..], "the first line alone is another");
                let [method, target, version] = *head[0].split(' ').collect::<Vec<_>>() else { panic!("{head:?}") };
                assert_eq!((method, version), ("GET", "HTTP/1.1"));
                assert!(target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic()), "{target}");
            }
        }
        if let Ok(request) = plain.clone().header("X", evil) {
            let line = format!("X: {evil}");
            assert_eq!(sent(&request), [&usual[..], &[line]].concat(), "one line more, as it was given");
        }
        assert!(plain.clone().header(evil, "x").is_err(), "no token");
        assert!(plain.clone().subprotocol(evil).is_err(), "no token");
        if let Ok(request) = plain.clone().origin(evil) {
            let origin = format!("Origin: {evil}");
            assert_eq!(sent(&request), [&usual[..], &[origin]].concat());
        }
        // The fields of the handshake are not the caller's, whatever their case.
        for name in ["Host", "uPGRADE", "connection", "Sec-WebSocket-Key", "sec-websocket-anything", "Content-Length"] {
            assert!(plain.clone().header(name, "x").is_err());
            assert!(AcceptOptions::new().header(name, "x").is_err());
        }

        let received = |offered: &str| {
            let mut handshake = ServerHandshake::new(Config::default().into(), Duration::ZERO);
            let mut input = format!("{REQUEST}Sec-WebSocket-Protocol: {offered}\r\n\r\n").as_bytes().into();
            handshake.receive(&mut input)
        };
        let request = received("chat").expect("it is right").expect("it is whole");
        let accepted = |choices: &AcceptOptions| {
            let mut output = BytesMut::new();
            let accepted = request.accept(choices, &mut output);
            (accepted.is_ok() || {
                assert!(output.is_empty());
                false
            })
            .then(|| lines(&output))
        };
        let usual = accepted(&AcceptOptions::new()).expect("nothing is against it");
        assert_eq!(usual.len(), 4);
        if let Ok(choices) = AcceptOptions::new().header("X", evil) {
            assert_eq!(accepted(&choices), Some([&usual[..], &[format!("X: {evil}")]].concat()));
        }
        assert!(AcceptOptions::new().header(evil, "x").is_err());
        assert_eq!(accepted(&AcceptOptions::new().subprotocol(evil)), None, "not offered");
        // A peer that offers what would be an injection is refused, or named as it is.
        if let Ok(Some(request)) = received(evil.trim_start_matches(['\r', '\n'])) {
            for name in request.subprotocols().map(str::to_owned).collect::<Vec<_>>() {
                let mut output = BytesMut::new();
                request.accept(&AcceptOptions::new().subprotocol(&name), &mut output).expect("it is offered");
                assert_eq!(lines(&output).len(), 5);
            }
        }

        let mut refused = BytesMut::new();
        request.respond(403, &[("X", "x")], b"", &mut refused).expect("nothing is against it");
        let usual = lines(&refused);
        for (name, value) in [("X", evil), (evil, "x")] {
            let mut output = BytesMut::new();
            match request.respond(403, &[(name, value)], b"", &mut output) {
                Ok(()) => {
                    let expected: Vec<_> = usual
                        .iter()
                        .map(|line| if line == "X: x" { format!("X: {evil}") } else { line.clone() })
                        .collect();
                    assert_eq!(lines(&output), expected);
                }
                Err(_) => assert!(output.is_empty(), "nothing goes out"),
            }
        }
    }
    // What ends a line is refused everywhere, whatever else is allowed.
    for evil in INJECTIONS.iter().filter(|evil| evil.contains(['\r', '\n', '\0'])) {
        assert!(plain.clone().header("X", evil).is_err() && plain.clone().origin(evil).is_err());
        assert!(AcceptOptions::new().header("X", evil).is_err());
        assert!(format!("ws://example.com/{evil}").parse::<Uri>().is_err());
    }
}

// HOSTILE: 26
pub(crate) fn pages_of_other_origins() {
    fn answer(host: &str, origin: Option<&str>, policy: &OriginPolicy) -> Result<(), HandshakeError> {
        let origin = origin.map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
        let head = REQUEST.replace("server.example.com", host);
        let mut handshake = ServerHandshake::new(Config::default().into(), Duration::ZERO);
        let request = handshake.receive(&mut format!("{head}{origin}\r\n").as_bytes().into())?.expect("it is whole");
        let mut output = BytesMut::new();
        let accepted = request.accept(&AcceptOptions::new().origin(policy.clone()), &mut output).map(drop);
        assert_eq!(accepted.is_ok(), output.starts_with(b"HTTP/1.1 101 "));
        accepted
    }
    let same = OriginPolicy::default();
    assert_eq!(same, OriginPolicy::SameOrigin, "the default");
    let good = [
        ("example.com", "http://example.com"),
        ("example.com", "https://example.com"),
        ("example.com", "https://EXAMPLE.com"),
        ("EXAMPLE.COM", "https://example.com"),
        ("example.com:443", "https://example.com"),
        ("example.com", "http://example.com:80"),
        ("example.com:8080", "http://example.com:8080"),
        ("127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("[::1]:9001", "http://[::1]:9001"),
        ("localhost:9001", "http://localhost:9001"),
    ];
    for (host, origin) in good {
        assert_eq!(answer(host, Some(origin), &same), Ok(()), "{origin} to {host}");
    }
    let bad = [
        ("example.com", "null"),
        ("example.com", ""),
        ("example.com", "example.com"),
        ("example.com", "//example.com"),
        ("example.com", "https://evil.example"),
        ("example.com", "https://example.com.evil.example"), // prefix
        ("example.com", "https://example.comevil"),
        ("example.com", "https://evilexample.com"), // suffix
        ("example.com", "https://www.example.com"),
        ("www.example.com", "https://example.com"),
        ("example.com", "https://example.com."),
        ("example.com", "https://example.com@evil.example"), // user
        ("example.com", "https://evil.example@example.com"),
        ("example.com", "https://evil.example/example.com"),
        ("example.com", "https://evil.example#example.com"),
        ("example.com", "https://evil.example?example.com"),
        ("example.com", "https://example.com/"),
        ("example.com", "https://example.com\\.evil.example"),
        ("example.com", "https://evil.example\thttps://example.com"),
        ("example.com", "https://evil.example https://example.com"),
        ("example.com", "https://evil.example, https://example.com"),
        ("example.com", "https://example.com:8443"), // port
        ("example.com:8443", "https://example.com"),
        ("example.com:80", "https://example.com"),
        ("example.com:443", "http://example.com"),
        ("example.com", "https://example.com:65979"), // 443 in 16 bits
        ("example.com", "https://ex\u{e4}mple.com"),
        // Loopback by another name is another host.
        ("127.0.0.1:9001", "http://localhost:9001"),
        ("localhost:9001", "http://127.0.0.1:9001"),
        ("127.0.0.1:9001", "http://127.0.0.1:9002"),
        ("127.0.0.1:9001", "http://127.0.0.2:9001"),
        ("127.0.0.1", "http://2130706433"),
        ("127.0.0.1", "http://0x7f.0.0.1"),
        ("127.0.0.1", "http://127.1"),
        ("192.168.0.1", "http://192.168.0.10"),
        ("[::1]:9001", "http://localhost:9001"),
        ("[::1]", "http://[::ffff:127.0.0.1]"),
        ("[::1]", "http://::1"),
        ("localhost", "file://"),
        ("localhost", "chrome-extension://localhost.evil"),
        ("localhost:3000", "http://localhost:3001"),
        ("localhost", "http://localhost.evil.example"),
    ];
    for (host, origin) in bad {
        let refused = answer(host, Some(origin), &same).expect_err(origin);
        assert!(matches!(refused, HandshakeError::Origin(_)), "{origin} to {host}: {refused:?}");
        assert_eq!(refused.status(), Some(403));
    }
    assert_eq!(answer("example.com", None, &same), Ok(()), "not from a browser");

    let listed = OriginPolicy::allow(["https://app.example", "http://127.0.0.1:3000"]).expect("origins");
    for (origin, accepted) in [
        (None, true),
        (Some("https://app.example"), true),
        (Some("https://APP.example:443"), true),
        (Some("http://127.0.0.1:3000"), true),
        (Some("http://app.example"), false), // the scheme counts
        (Some("https://app.example:444"), false),
        (Some("https://app.example.evil"), false),
        (Some("https://evil-app.example"), false),
        (Some("https://sub.app.example"), false),
        (Some("http://localhost:3000"), false),
        (Some("https://example.com"), false), // the same origin is not listed
        (Some("null"), false),
        (Some("*"), false),
    ] {
        assert_eq!(answer("example.com", origin, &listed).is_ok(), accepted, "{origin:?}");
    }
    assert_eq!(answer("example.com", Some("null"), &OriginPolicy::Any), Ok(()), "explicit");
    // An asterisk stands for subdomains, or is refused where it is given.
    for bad in
        ["*", "https://*", "https://*.", "https://a.*.example", "https://*.*.example", "*://a.example", "https://*a"]
    {
        assert_eq!(OriginPolicy::allow([bad]), Err(BuildError::InvalidOrigin(bad.to_owned())));
    }
    let below = OriginPolicy::allow(["https://*.app.example", "http://*.dev.example:8080"]).expect("patterns");
    for (origin, accepted) in [
        ("https://a.app.example", true),
        ("https://b.a.APP.example:443", true),
        ("http://a.dev.example:8080", true),
        ("https://app.example", false),
        ("https://.app.example", false),
        ("https://evilapp.example", false),
        ("https://a.app.example.evil", false),
        ("http://a.app.example", false),
        ("https://a.app.example:8443", false),
        ("http://a.dev.example", false),
        ("https://*.app.example", false),
        ("null", false),
    ] {
        assert_eq!(answer("example.com", Some(origin), &below).is_ok(), accepted, "{origin}");
    }
    // Two of them are refused under each policy.
    let two = "https://example.com\r\nOrigin: https://evil.example";
    assert_eq!(
        answer("example.com", Some(two), &OriginPolicy::Any),
        Err(HandshakeError::Request(RequestError::RepeatedOrigin))
    );
}

// HOSTILE: 47
pub(crate) fn pages_of_apps_and_extensions() {
    let own = [
        "capacitor://localhost",
        "tauri://localhost",
        "ionic://localhost",
        "chrome-extension://localhost",
        "moz-extension://localhost",
        "ftp://localhost",
        "ws://localhost",
        "file://localhost",
    ];
    let accepts = |policy: &OriginPolicy, origin: &str| {
        let head = REQUEST.replace("server.example.com", "localhost");
        let mut handshake = ServerHandshake::new(Config::default().into(), Duration::ZERO);
        let request = handshake.receive(&mut format!("{head}Origin: {origin}\r\n\r\n").as_bytes().into());
        let request = request.expect("it keeps the rules").expect("it is whole");
        match request.accept(&AcceptOptions::new().origin(policy.clone()), &mut BytesMut::new()) {
            Ok(_) => true,
            Err(HandshakeError::Origin(error)) => {
                assert_eq!((&*error.origin, &*error.host), (origin, "localhost"));
                false
            }
            Err(error) => panic!("{origin}: {error}"),
        }
    };
    for origin in own.into_iter().chain(["file://", "null"]) {
        assert!(!accepts(&OriginPolicy::SameOrigin, origin), "{origin} is not the same origin");
        let listed = OriginPolicy::allow([origin]).expect(origin);
        assert!(accepts(&listed, origin), "{origin} is listed");
        assert!(!accepts(&listed, "http://localhost"), "{origin} alone is listed");
        let other = OriginPolicy::allow(["tauri://app", "https://localhost"]).expect("origins");
        assert!(!accepts(&other, origin), "{origin} is not listed");
        assert!(accepts(&OriginPolicy::from_fn(move |given, host| given == origin && host == "localhost"), origin));
        assert!(!accepts(&OriginPolicy::from_fn(|_, _| false), origin));
    }
    assert!(accepts(&OriginPolicy::SameOrigin, "http://localhost"));
    assert!(accepts(&OriginPolicy::SameOrigin, "https://localhost"));
}

// HOSTILE: 50
/// The bodies of refusals that do not end: at most 64 KiB are kept, and what has arrived can be read at any time.
pub(crate) fn refusals_without_an_end() {
    for (header, piece) in [
        ("", &b"no "[..]),
        ("Content-Length: 18446744073709551615\r\n", b"no "),
        ("Transfer-Encoding: chunked\r\n", b"3\r\nno \r\n"),
    ] {
        let mut input = BytesMut::from(format!("HTTP/1.1 403 Forbidden\r\n{header}\r\n").as_bytes());
        let uri = "ws://server.example.com/".parse().expect("an address");
        let mut handshake = ClientHandshake::start(
            &ClientRequest::new(uri),
            [0; 16],
            Config::default().into(),
            Duration::ZERO,
            &mut BytesMut::new(),
        );
        let Err(HandshakeError::Refused(mut refusal)) = handshake.receive(&mut input) else { panic!("{header}") };
        assert!(!refusal.receive_body(&mut input, usize::MAX), "it has not arrived");
        let mut pieces = 0;
        loop {
            input.extend_from_slice(piece);
            pieces += 1;
            if refusal.receive_body(&mut input, usize::MAX) {
                break;
            }
            assert!(input.len() <= piece.len() && refusal.body().len() == 3 * pieces);
        }
        assert_eq!((refusal.body().len(), pieces), (64 << 10, (64 << 10) / 3 + 1));
        let text = HandshakeError::Refused(refusal).to_string();
        assert!(text.len() < 300 && text.starts_with("the server refused: 403 Forbidden; no no no "), "{text}");
    }
    // A length that is shorter than what follows, or longer than what comes.
    for (length, whole) in [(2, true), (3, true), (9, false)] {
        let wire = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {length}\r\n\r\nno!");
        let mut input = BytesMut::from(wire.as_bytes());
        let request = ClientRequest::new("ws://server.example.com/".parse().expect("an address"));
        let config = Config::default().into();
        let mut handshake = ClientHandshake::start(&request, [0; 16], config, Duration::ZERO, &mut BytesMut::new());
        let Err(HandshakeError::Refused(mut refusal)) = handshake.receive(&mut input) else { panic!("{length}") };
        assert_eq!(refusal.receive_body(&mut input, 100), whole);
        assert_eq!(refusal.body_text(), &"no!"[..length.min(3)]);
    }
}

/// Answers that must not open a connection.
pub(crate) fn bad_responses() -> Vec<(String, Option<HandshakeError>)> {
    let changed = |from: &str, to: &str, error: Option<HandshakeError>| {
        assert!(RESPONSE.contains(from));
        (format!("{}\r\n", RESPONSE.replace(from, to)), error)
    };
    let status = "101 Switching Protocols";
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    vec![
        changed(status, "200 OK", None),
        changed(status, "200 Connection established", None), // what a proxy would say
        changed(status, "404 Not Found", None),
        changed(status, "302 Found", None),
        changed("HTTP/1.1", "HTTP/1.0", Some(HandshakeError::Response(ResponseError::Http10))),
        changed("Upgrade: websocket", "Upgrade: h2c", Some(HandshakeError::Response(ResponseError::Upgrade))),
        changed("Upgrade: websocket\r\n", "", Some(HandshakeError::Response(ResponseError::Upgrade))),
        changed(
            "Upgrade: websocket",
            "Upgrade: websocket, h2c",
            Some(HandshakeError::Response(ResponseError::Upgrade)),
        ),
        changed("Connection: Upgrade", "Connection: close", Some(HandshakeError::Response(ResponseError::Connection))),
        changed("Connection: Upgrade\r\n", "", Some(HandshakeError::Response(ResponseError::Connection))),
        changed(accept, "", Some(HandshakeError::Response(ResponseError::Accept))),
        changed("s3pP", "S3pP", Some(HandshakeError::Response(ResponseError::Accept))),
        changed(
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "dGhlIHNhbXBsZSBub25jZQ==",
            Some(HandshakeError::Response(ResponseError::Accept)),
        ), // the key
        changed(accept, &accept.repeat(2), Some(HandshakeError::Response(ResponseError::Accept))),
    ]
}

// HOSTILE: 27
pub(crate) fn what_a_proxy_might_misread() {
    // Wrong versions: 426, and which one is right.
    for (version, status) in [
        ("0", 426),
        ("7", 426),
        ("8", 426),
        ("12", 426),
        ("14", 426),
        ("255", 426),
        ("256", 400),
        ("x", 400),
        ("13, 8", 400),
    ] {
        let head = REQUEST.replace("Version: 13", &format!("Version: {version}"));
        let mut handshake = ServerHandshake::new(Config::default().into(), Duration::ZERO);
        let error = handshake.receive(&mut format!("{head}\r\n").as_bytes().into()).expect_err(version);
        let mut output = BytesMut::new();
        error.respond(&mut output);
        let answer = String::from_utf8(output.to_vec()).expect("text");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{version}: {answer}");
        assert_eq!(answer.matches("\r\nSec-WebSocket-Version: 13\r\n").count(), 1, "{answer}");
        assert!(answer.contains("close\r\n"), "no frame may follow: {answer}");
        assert_eq!(status == 426, answer.contains("\r\nUpgrade: websocket\r\n"));
    }
    // Requests of which two readers might see different ends.
    for more in ["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 0\r\nTransfer-Encoding: chunked"] {
        let smuggled = format!("{REQUEST}{more}\r\n\r\nhello");
        assert_eq!(
            server(&Config::default())(&mut smuggled.as_bytes().into()),
            Err(HandshakeError::Request(RequestError::Body))
        );
    }
    for folded in [format!("{REQUEST}X: y\r\n z\r\n\r\n"), format!("{}\n\n", REQUEST.trim_end())] {
        let refused = server(&Config::default())(&mut folded.as_bytes().into());
        assert_eq!(refused, Err(HandshakeError::Request(RequestError::Head(HeadError::Malformed))));
    }
    // A client has no connection before each check has passed, so nothing to send a frame with.
    for (response, expected) in bad_responses() {
        let error = client(&Config::default())(&mut response.as_bytes().into()).expect_err(&response);
        match expected {
            Some(expected) => assert_eq!(error, expected, "{response}"),
            None => assert!(matches!(error, HandshakeError::Refused(_)), "{response}"),
        }
    }
    assert_eq!(client(&Config::default())(&mut format!("{RESPONSE}\r\n").as_bytes().into()), Ok(true));
}

// HOSTILE: 32
pub(crate) fn frames_in_the_segment_of_the_head() {
    use bowsprit::Role::{Client, Server};
    type Receive = fn(&Config) -> Box<dyn FnMut(&mut BytesMut) -> Result<bool, HandshakeError>>;
    let roles: [(_, _, Receive); 2] =
        [(Server, REQUEST, |config| Box::new(server(config))), (Client, RESPONSE, |config| Box::new(client(config)))];
    for (role, head, receive) in roles {
        let behind = [frame(role, 0x81, b"first"), frame(role, 0x82, b"\r\n\r\n"), frame(role, 0x81, b"last")].concat();
        let wire = [head.as_bytes(), b"\r\n", &behind].concat();
        // The first read ends anywhere, the second brings the rest.
        for cut in 0..=wire.len() {
            let mut receive = receive(&Config::default());
            let mut input = BytesMut::from(&wire[..cut]);
            let done = receive(&mut input).expect("it is right");
            input.extend_from_slice(&wire[cut..]);
            assert!(done || receive(&mut input).expect("it is right"), "{cut}");
            assert_eq!(input, behind, "cut at {cut}");
        }
        let mut connection = match role {
            Server => Connection::server(Messages, Arc::default()),
            Client => Connection::client(Messages, Arc::default(), [7; 32]),
        };
        let (mut input, mut output) = (BytesMut::from(&behind[..]), BytesMut::new());
        let mut batch = connection.receive(&mut input, &mut output);
        for expected in [Message::Text("first"), Message::Binary(b"\r\n\r\n"), Message::Text("last")] {
            assert_eq!(batch.next().expect("it is right").map(|(event, _)| event), Some(Event::Data(expected)));
        }
    }
}
