//! A client and a server open a connection with whatever their callers chose: each head has exactly the lines that were
//! asked for, and the other side reads what was meant.

#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use bowsprit::Config;
use bowsprit::handshake::{
    AcceptOptions, BuildError, ClientHandshake, ClientRequest, OriginPolicy, ServerHandshake, Uri,
};
use bowsprit_fuzz::head;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    secure: bool,
    port: Option<u16>,
    nonce: [u8; 16],
    host: &'a str,
    path: &'a str,
    query: &'a str,
    origin: &'a str,
    subprotocols: [&'a str; 2],
    field: (&'a str, &'a str),
    answer: (&'a str, &'a str),
}

fuzz_target!(|input: Input<'_>| {
    let Ok(uri) = Uri::from_parts(input.secure, input.host, input.port, input.path, input.query) else { return };
    let resource = uri.resource_name().to_owned();
    let mut expected = vec![
        format!("GET {resource} HTTP/1.1"),
        format!("Host: {}", uri.host_field()),
        "Upgrade: websocket".into(),
        "Connection: Upgrade".into(),
    ];
    let mut request = ClientRequest::new(uri);
    let origin = changed(&mut request, |request| request.origin(input.origin)).then_some(input.origin);
    let mut offered = input.subprotocols.to_vec();
    offered.retain(|name| changed(&mut request, |request| request.subprotocol(name)));
    let field = changed(&mut request, |request| request.header(input.field.0, input.field.1)).then_some(input.field);

    let mut to_server = BytesMut::new();
    let config = Config::default();
    let mut client =
        ClientHandshake::start(&request, input.nonce, config.clone().into(), Duration::ZERO, &mut to_server);
    let lines = head::only(&to_server);
    assert!(lines[4].starts_with("Sec-WebSocket-Key: ") && lines[4].len() == 43, "{}", lines[4]);
    expected.extend([lines[4].into(), "Sec-WebSocket-Version: 13".into()]);
    expected.extend(origin.map(|origin| format!("Origin: {origin}")));
    expected.extend((!offered.is_empty()).then(|| format!("Sec-WebSocket-Protocol: {}", offered.join(", "))));
    expected.extend(field.map(line));
    assert_eq!(lines, expected);

    let mut server = ServerHandshake::new(config.into(), Duration::ZERO);
    let received = server.receive(&mut to_server).expect("it keeps the rules").expect("it is whole");
    assert_eq!((received.target(), received.origin()), (&*resource, origin));
    assert!(received.subprotocols().eq(offered.iter().copied()) && received.extensions().is_empty());
    assert_eq!(field.map(|(name, _)| received.headers().get(name)), field.map(|(_, value)| Some(trimmed(value))));

    let mut choices = AcceptOptions::new().origin(OriginPolicy::Any);
    choices = offered.last().map_or(choices.clone(), |name| choices.subprotocol(name));
    let answer =
        changed(&mut choices, |choices| choices.header(input.answer.0, input.answer.1)).then_some(input.answer);
    let mut to_client = BytesMut::new();
    received.accept(&choices, &mut to_client).expect("the choice was offered");
    let lines = head::only(&to_client);
    assert!(lines[3].starts_with("Sec-WebSocket-Accept: ") && lines[3].len() == 50, "{}", lines[3]);
    let mut expected = vec![
        "HTTP/1.1 101 Switching Protocols".to_owned(),
        "Upgrade: websocket".into(),
        "Connection: Upgrade".into(),
        lines[3].into(),
    ];
    expected.extend(offered.last().map(|name| format!("Sec-WebSocket-Protocol: {name}")));
    expected.extend(answer.map(line));
    assert_eq!(lines, expected);

    let response = client.receive(&mut to_client).expect("it keeps the rules").expect("it is whole");
    assert_eq!(response.subprotocol(), offered.last().copied());
    assert!(to_server.is_empty() && to_client.is_empty());
});

/// Makes a change where it is legal, and tells whether it was.
fn changed<T: Clone>(value: &mut T, change: impl Fn(T) -> Result<T, BuildError>) -> bool {
    change(value.clone()).map(|changed| *value = changed).is_ok()
}

fn line((name, value): (&str, &str)) -> String {
    format!("{name}: {}", trimmed(value))
}

fn trimmed(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}
