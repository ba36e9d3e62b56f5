//! Properties of the opening handshake: whatever a caller gives makes one head and nothing more, whatever a peer sends
//! is a value, and the two sides understand each other.

use core::time::Duration;

use bowsprit::extension::grammar;
use bowsprit::handshake::{
    AcceptOptions, BuildError, ClientHandshake, ClientRequest, ClientResponse, HeadError, Headers, Origin,
    OriginPolicy, RequestError, ResponseError, ServerHandshake, ServerRequest, Uri,
};
use bowsprit::{Config, HandshakeError};
use bytes::BytesMut;
use proptest::prelude::*;

/// Text with what is dangerous in a head.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,8}",
        "[a-zA-Z0-9-]{1,8}",
        "[a-z:#?%/@\\[\\]\\r\\n\\t\\x00 ]{0,12}",
        Just("\r\nEvil: 1".to_owned()),
        Just("\r\n\r\n".to_owned()),
    ]
}

/// A head of HTTP with what is expected somewhere in it, and something else somewhere.
fn head(first: &'static str) -> impl Strategy<Value = Vec<u8>> {
    const LINES: [&str; 12] = [
        "Host: h\r\n",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Extensions: a; b=\"c\"\r\n",
        "Sec-WebSocket-Protocol: a, b\r\n",
        "Origin: http://h\r\n",
        "Content-Length: 1\r\n",
        "X: y\r\n z\r\n",
        "\r\n",
    ];
    let line = prop_oneof![9 => proptest::sample::select(&LINES[..]).prop_map(|line| line.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8)];
    proptest::collection::vec(line, 0..16).prop_map(move |lines| [first.as_bytes(), &lines.concat(), b"\r\n"].concat())
}

fn start(request: &ClientRequest) -> (ClientHandshake, BytesMut) {
    let mut output = BytesMut::new();
    let config = Config::default().into();
    let handshake = ClientHandshake::start(request, *b"the sample nonce", config, Duration::ZERO, &mut output);
    (handshake, output)
}

fn receive(input: &mut BytesMut) -> Result<Option<ServerRequest>, HandshakeError> {
    ServerHandshake::new(Config::default().into(), Duration::ZERO).receive(input)
}

/// The lines of a head, which must be one head and nothing more.
fn lines(head: &[u8]) -> Vec<String> {
    let head = String::from_utf8_lossy(head);
    let lines = head.strip_suffix("\r\n\r\n").expect("a whole head");
    assert!(!lines.contains('\0') && !lines.replace("\r\n", "").contains(['\r', '\n']), "{head:?}");
    lines.split("\r\n").map(str::to_owned).collect()
}

proptest! {
    /// Whatever path, query, origin, subprotocol and header: a request has the lines that were asked for.
    #[test]
    fn a_request_has_exactly_its_lines(
        path in text(), query in text(), origin in text(), subprotocol in text(), name in text(), value in text(),
    ) {
        let uri = Uri::from_parts(false, "h", None, &path, &query).expect("the host is legal");
        prop_assert_eq!(uri.to_string().parse::<Uri>().expect("what was built is a URI"), uri.clone());
        let mut request = ClientRequest::new(uri);
        let mut expected = 6;
        for change in [
            |request: ClientRequest, [origin, ..]: [&str; 4]| request.origin(origin),
            |request: ClientRequest, [_, subprotocol, ..]: [&str; 4]| request.subprotocol(subprotocol),
            |request: ClientRequest, [_, _, name, value]: [&str; 4]| request.header(name, value),
        ] {
            if let Ok(changed) = change(request.clone(), [&origin, &subprotocol, &name, &value]) {
                request = changed;
                expected += 1;
            }
        }
        prop_assert_eq!(lines(&start(&request).1).len(), expected);
        // And a server reads what was meant.
        let received = receive(&mut start(&request).1).expect("it keeps the rules").expect("it is whole");
        prop_assert_eq!(received.target(), request.uri().resource_name());
    }

    /// The same of responses.
    #[test]
    fn a_response_has_exactly_its_lines(
        name in text(), value in text(), subprotocol in text(), status: u16, body in text(),
    ) {
        let (_, mut input) = start(&"ws://h".try_into().expect("a URI"));
        let request = receive(&mut input).expect("it keeps the rules").expect("it is whole");
        let mut output = BytesMut::new();
        prop_assert!(request.accept(&AcceptOptions::new().subprotocol(&subprotocol), &mut output).is_err());
        let _ = request.respond(status, &[], body.as_bytes(), &mut output);
        prop_assert_eq!(output.is_empty(), !(300..=599).contains(&status) || matches!(status, 304 | 401 | 405));
        output.clear();
        if let Ok(choices) = AcceptOptions::new().header(&name, &value) {
            request.accept(&choices, &mut output).expect("the choices are legal");
            prop_assert_eq!(lines(&output).len(), 5);
        }
        output.clear();
        if request.respond(403, &[(&name, &value)], body.as_bytes(), &mut output).is_ok() {
            let head = output.len() - body.len();
            prop_assert_eq!(&output[head..], body.as_bytes());
            prop_assert_eq!(lines(&output[..head]).len(), 4);
        }
    }

    /// Whatever arrives, the answer is a value.
    #[test]
    fn nothing_that_arrives_panics(
        request in head("GET / HTTP/1.1\r\n"), response in head("HTTP/1.1 101 x\r\n"), refusal in head("HTTP/1.1 400 x\r\n"),
        line in proptest::collection::vec(any::<u8>(), 0..32), text in text(),
    ) {
        let mut output = BytesMut::new();
        for wire in [&request, &line] {
            match receive(&mut BytesMut::from(&**wire)) {
                Ok(Some(request)) => drop(request.accept(&AcceptOptions::new(), &mut output)),
                Ok(None) => {}
                Err(error) => error.respond(&mut output),
            }
        }
        for wire in [&response, &refusal, &line] {
            let (mut handshake, _) = start(&"ws://h".try_into().expect("a URI"));
            let mut input = BytesMut::from(&**wire);
            if let Err(HandshakeError::Refused(mut refusal)) = handshake.receive(&mut input) {
                refusal.receive_body(&mut input, 16);
                prop_assert!(refusal.body().len() <= 16);
            }
        }
        let _ = grammar::parse([&*line]);
        let _ = text.parse::<Uri>();
        let _ = OriginPolicy::SameOrigin.accepts(Some(&text), &text);
    }
}

/// A larger limit on the number of fields is 1,024.
#[test]
fn the_number_of_fields_is_bounded_at_any_limit() {
    let config = Config { max_head: 1 << 20, max_head_fields: usize::MAX, ..Config::default() };
    let config = std::sync::Arc::new(config);
    for (fields, accepted) in [(1_024, true), (1_025, false)] {
        let wire = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
        let mut handshake = ServerHandshake::new(config.clone(), Duration::ZERO);
        let result = handshake.receive(&mut BytesMut::from(&*wire));
        match result {
            Ok(Some(request)) if accepted => assert_eq!(request.headers().len(), fields),
            Err(HandshakeError::Request(RequestError::Head(HeadError::TooManyFields { limit: 1_024 })))
                if !accepted => {}
            other => panic!("{fields} fields: {other:?}"),
        }
    }
}

/// Both sides with their defaults, one with all choices made.
#[test]
fn the_two_sides_understand_each_other() {
    let plain = ClientRequest::try_from("ws://h:9001/").expect("a URI");
    let full = plain.clone().origin("http://h:9001").and_then(|request| request.subprotocol("a")?.subprotocol("b"));
    let full = full.and_then(|request| request.header("Cookie", "x=y")).expect("legal choices");
    for (request, subprotocol) in [(plain, None), (full, Some("b"))] {
        let (mut client, mut to_server) = start(&request);
        let received = receive(&mut to_server).expect("it keeps the rules").expect("it is whole");
        assert_eq!(received.select_subprotocol(&["c", "b", "a"]), subprotocol);
        let choices = AcceptOptions::new().header("Set-Cookie", "a=b").expect("a legal field");
        let choices = subprotocol.map_or(choices.clone(), |name| choices.subprotocol(name));
        let mut to_client = BytesMut::new();
        let accepted = received.accept(&choices, &mut to_client).expect("a legal choice");
        let response = client.receive(&mut to_client).expect("it keeps the rules").expect("it is whole");
        assert_eq!((accepted.subprotocol(), response.subprotocol()), (subprotocol, subprotocol));
        assert_eq!(response.headers().get("set-cookie"), Some("a=b"));
        assert!(to_server.is_empty() && to_client.is_empty());
    }
}

/// A call without news changes nothing; input that was taken away is an error and no panic.
#[test]
fn the_input_stays_until_the_head_is_whole() {
    let (mut client, wire) = start(&"ws://h".try_into().expect("a URI"));
    let mut server = ServerHandshake::new(Config::default().into(), Duration::ZERO);
    let mut input = BytesMut::from(&wire[..40]);
    for _ in 0..3 {
        assert_eq!(server.receive(&mut input), Ok(None));
        assert_eq!(input, wire[..40]);
    }
    input.extend_from_slice(&wire[40..]);
    assert!(matches!(server.receive(&mut input), Ok(Some(_))));

    let mut input = BytesMut::from("HTTP/1.1 101");
    assert_eq!(client.receive(&mut input), Ok(None));
    input.truncate(4);
    assert_eq!(client.receive(&mut input), Err(HandshakeError::Response(ResponseError::Head(HeadError::Malformed))));
}

/// The response in this wire, opened or refused, and what stands behind its head.
fn response(wire: &[u8]) -> (ClientResponse, BytesMut) {
    let (mut handshake, _) = start(&"ws://h".try_into().expect("a URI"));
    let mut input = BytesMut::from(wire);
    match handshake.receive(&mut input) {
        Ok(Some(response)) => (response, input),
        Err(HandshakeError::Refused(response)) => (*response, input),
        other => panic!("{other:?}"),
    }
}

/// RFC 9112 section 6.3: each way to say how long a body is.
#[test]
fn a_body_ends_where_its_head_says_and_at_the_bound() {
    // A head, what comes behind it, the bound; then whether that was all, the body, and what is left.
    type Case = (&'static str, &'static [u8], usize, bool, &'static [u8], usize);
    let cases: [Case; 15] = [
        ("Content-Length: 3", b"why?", 16, true, b"why", 1),
        ("Content-Length: 3", b"wh", 16, false, b"wh", 0),
        ("Content-Length: 3", b"why?", 2, true, b"wh", 2),
        ("Content-Length: 0", b"why?", 16, true, b"", 4),
        ("Content-Length: x", b"why?", 16, false, b"why?", 0),
        ("Content-Length: 18446744073709551615", b"why?", 16, false, b"why?", 0),
        ("X: y", b"why?", 16, false, b"why?", 0),
        ("X: y", b"why?", 4, true, b"why?", 0),
        ("Transfer-Encoding: gzip", b"why?", 16, false, b"why?", 0),
        ("Transfer-Encoding: gzip, Chunked\r\nContent-Length: 1", b"3\r\nwhy\r\n0\r\n\r\n", 16, true, b"why", 5),
        ("Transfer-Encoding: chunked", b"3\r\nwhy\r", 16, false, b"why", 1),
        ("Transfer-Encoding: chunked", b"3\r\nwhy\r\n1", 16, false, b"why", 1),
        ("Transfer-Encoding: chunked", b"3\r\nwhy\r\n", 2, true, b"wh", 3),
        ("Transfer-Encoding: chunked", b"why?", 16, true, b"", 4),
        ("Transfer-Encoding: chunked", b"ffffffffffffffff\r\nwhy?", 16, false, b"why?", 0),
    ];
    for (field, wire, max, whole, body, left) in cases {
        let head = format!("HTTP/1.1 400 Bad Request\r\n{field}\r\n\r\n");
        let (mut refusal, mut input) = response(&[head.as_bytes(), wire].concat());
        assert_eq!(
            (refusal.receive_body(&mut input, max), refusal.body(), input.len()),
            (whole, body, left),
            "{field}"
        );
    }

    // A line that never ends is not waited for.
    let endless = [b"HTTP/1.1 400 x\r\nTransfer-Encoding: chunked\r\n\r\n1;".as_slice(), &[b'x'; 254]].concat();
    for (len, whole) in [(endless.len() - 1, false), (endless.len(), true)] {
        let (mut refusal, mut input) = response(&endless[..len]);
        assert_eq!(refusal.receive_body(&mut input, 16), whole);
    }

    // RFC 9110 section 15.2.2: what is behind a 101 is no body.
    let open = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x00";
    let (mut open, mut input) = response(open);
    assert!(open.receive_body(&mut input, 16));
    assert_eq!(input, b"\x81\x00"[..]);
}

#[test]
fn a_request_tells_its_method_and_its_fields() {
    for method in ["GET", "POST", "HEAD"] {
        let mut input = BytesMut::from(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        let request = receive(&mut input).unwrap().unwrap();
        assert_eq!((request.method(), request.headers().is_empty()), (method, false));
    }
    assert!(Headers::new().is_empty());
}

#[test]
fn an_origin_has_a_legal_scheme() {
    for origin in ["1http://h", "h_p://h", "-a://h", "://h", "+://h"] {
        assert!(origin.parse::<Origin>().is_err(), "{origin}");
    }
    for origin in ["a+b-c.1://h", "HTTP://h"] {
        assert!(origin.parse::<Origin>().is_ok(), "{origin}");
    }
}

/// What an error says: the values that somebody needs to act on it.
#[test]
fn errors_name_their_values() {
    fn says(error: impl Into<HandshakeError>, parts: &[&str]) {
        let text = error.into().to_string();
        for part in parts {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    }
    let refusal = |head: &str, body: &str| {
        let (mut refusal, mut input) = response(format!("HTTP/1.1 {head}\r\n\r\n{body}").as_bytes());
        refusal.receive_body(&mut input, 1 << 10);
        HandshakeError::Refused(Box::new(refusal))
    };
    says(
        refusal("302 Found\r\nLocation: https://login.example/?next=%2F", ""),
        &["302 Found", "Location: https://login.example/?next=%2F"],
    );
    says(
        refusal("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", "who are you?\n"),
        &["401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"", "; who are you?"],
    );
    says(refusal("403 Forbidden", "not\r\n\r\nfrom  here"), &["403 Forbidden; not from here"]);
    says(refusal("404 Not Found\r\nContent-Type: application/json", "{\"a\": 1}"), &["404 Not Found; {\"a\": 1}"]);
    // A body that is not text, and text that would change how a terminal or a log looks.
    for (head, body) in [
        ("403 No\r\nContent-Type: image/png", "text all the same"),
        ("403 No\r\nContent-Encoding: gzip", "text all the same"),
        ("403 No", "\x1b[31m"),
    ] {
        assert_eq!(refusal(head, body).to_string(), "the server refused: 403 Forbidden");
    }
    assert_eq!(refusal("403 No", "a\u{202e}b").to_string(), "the server refused: 403 Forbidden; ab");
    let long = refusal("403 No", &"x".repeat(1_000)).to_string();
    assert_eq!(long, format!("the server refused: 403 Forbidden; {}...", "x".repeat(200)));
    assert_eq!(refusal("299 Odd", "").to_string(), "the server refused with status 299");

    says(RequestError::Head(HeadError::TooLong { limit: 16 << 10 }), &["16384 bytes"]);
    says(RequestError::Head(HeadError::TooManyFields { limit: 100 }), &["100 header fields"]);
    says(RequestError::TargetTooLong { limit: 16 << 10 }, &["16384 bytes"]);
    says(HandshakeError::TimedOut(Duration::from_secs(10)), &["handshake", "10s"]);
    says(HandshakeError::TlsUnavailable, &["wss://", "`rustls`"]);
    says(RequestError::Head(HeadError::Tls), &["TLS", "scheme", "may be wrong"]);
    // The alert that a TLS server sends to a client that speaks plain text (RFC 8446 section 6).
    let (mut client, _) = start(&"ws://h".try_into().expect("a URI"));
    let alert = client.receive(&mut BytesMut::from(&b"\x15\x03\x03\x00\x02\x02\x32"[..])).expect_err("no head");
    says(alert, &["TLS", "scheme", "may be wrong", "ws:// instead of wss://"]);
    says(BuildError::InvalidOrigin("*".into()), &["\"*\"", "OriginPolicy::Any"]);
    says(BuildError::InvalidHeader("X Y".into()), &["\"X Y\""]);

    #[cfg(feature = "rustls")]
    {
        use bowsprit::tls::rustls::{CertificateError, Error, InvalidMessage};
        let issuer = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        says(HandshakeError::Tls(issuer), &["UnknownIssuer", "`Connector::tls`"]);
        let plain = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        says(HandshakeError::Tls(plain), &["scheme may be wrong", "ws:// instead of wss://"]);
    }
}

/// The error names what the policy compared; the client learns neither.
#[test]
fn a_refused_origin_is_named_to_the_server_alone() {
    let (_, mut wire) =
        start(&ClientRequest::try_from("ws://h:9001/").expect("a URI").origin("https://evil.example").expect("legal"));
    let request = receive(&mut wire).expect("it keeps the rules").expect("it is whole");
    let error = request.accept(&AcceptOptions::new(), &mut BytesMut::new()).expect_err("another origin");
    let text = error.to_string();
    for part in ["https://evil.example", "h:9001", "OriginPolicy::allow"] {
        assert!(text.contains(part), "{text}");
    }
    let mut output = BytesMut::new();
    error.respond(&mut output);
    assert_eq!(
        output,
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 37\r\n\r\n\
         pages of this origin may not connect\n"
    );
}

/// RFC 9110 section 9.3.2: the response to HEAD has the length of a body, and no body.
#[test]
fn a_refused_head_request_gets_no_body() {
    for (wire, status) in [
        ("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", 426),
        ("HEAD / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", 405),
        ("HEAD / HTTP/1.1\r\n\r\n", 400),
        ("HEAD /\" HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("HEAD / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
        ("HEAD / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        ("\r\nHEAD / HTTP/1.1\r\nX\r\n\r\n", 400),
    ] {
        let received = receive(&mut BytesMut::from(wire)).map(|request| request.expect("it is whole"));
        let error = received.and_then(|it| it.accept(&AcceptOptions::new(), &mut BytesMut::new())).expect_err(wire);
        assert_eq!(error.status(), Some(status), "{wire}");
        let mut output = BytesMut::new();
        error.respond(&mut output);
        assert!(output.ends_with(b"\r\n\r\n") && !output.ends_with(b"Content-Length: 0\r\n\r\n"), "{output:?}");
    }
}
