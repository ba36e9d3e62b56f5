//! The server's side of the opening handshake: any request, in any cut, and what is answered.
//!
//! A seed is [`Setup`], 14 bytes, and behind it what the client sends.

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use bowsprit::handshake::{AcceptOptions, BuildError, OriginPolicy, RequestError, ServerHandshake, ServerRequest, key};
use bowsprit::{Config, HandshakeError};
use bowsprit_fuzz::cuts::Cuts;
use bowsprit_fuzz::head;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setup: Setup,
    wire: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Setup {
    max_head: u16,
    max_head_fields: u16,
    cuts: Cuts,
    /// With what the server answers where it does not accept.
    status: u16,
}

fuzz_target!(|input: Input<'_>| {
    let Input { setup, wire } = input;
    let config = Arc::new(Config {
        max_head: setup.max_head.into(),
        max_head_fields: setup.max_head_fields.into(),
        ..Config::default()
    });
    let (result, behind) = receive(&config, Cuts::NONE, wire);
    for cuts in [setup.cuts, Cuts::EVERYWHERE] {
        assert_eq!(receive(&config, cuts, wire), (result.clone(), behind), "{cuts:?}");
    }
    match result {
        Ok(Some(request)) => {
            let (head, _) = wire.split_at(wire.len() - behind);
            assert!(head.len() <= config.max_head && head.ends_with(b"\r\n\r\n"), "it is one head within the bound");
            assert!(request.headers().len() <= config.max_head_fields);
            check(&request);
            accept(&request);
            respond(&request, setup.status);
        }
        Ok(None) => {
            assert_eq!(behind, wire.len(), "what is there stays");
            assert!(wire.len() <= config.max_head && !head::is_whole(wire), "no answer is overdue");
        }
        Err(error) => {
            let mut output = BytesMut::new();
            error.respond(&mut output);
            let (lines, body) = head::response(&output, error.status().expect("a server has an answer"));
            let length = lines.iter().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.and_then(|length| length.parse().ok()).expect("it has a length");
            let to_head = matches!(error, HandshakeError::Request(RequestError::HeadMethod(_)));
            assert_eq!(body.len(), if to_head { 0 } else { length }, "the answer to HEAD has no body");
        }
    }
});

/// What the handshake makes of `wire`, and how many bytes of it stay.
fn receive(config: &Arc<Config>, cuts: Cuts, wire: &[u8]) -> (Result<Option<ServerRequest>, HandshakeError>, usize) {
    let mut handshake = ServerHandshake::new(config.clone(), Duration::ZERO);
    let (mut input, mut start) = (BytesMut::new(), 0);
    for end in cuts.ends(wire.len()) {
        input.extend_from_slice(&wire[start..end]);
        start = end;
        let arrived = input.len();
        let result = handshake.receive(&mut input);
        assert!(input.len() <= arrived, "the input never grows");
        if !matches!(result, Ok(None)) {
            return (result, input.len() + wire.len() - end);
        }
    }
    (Ok(None), input.len())
}

fn check(request: &ServerRequest) {
    let target = request.target();
    assert!(target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
    let query = request.query().map_or(String::new(), |query| format!("?{query}"));
    assert_eq!(target, format!("{}{query}", request.path()));
    for (name, value) in request.headers().iter() {
        assert!(!name.is_empty() && !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    let _ = request.extensions();
    let _ = OriginPolicy::SameOrigin.accepts(request.origin(), request.host());
}

/// The 101 has exactly the lines that belong there.
fn accept(request: &ServerRequest) {
    let mut output = BytesMut::new();
    let subprotocol = request.subprotocols().next();
    let choices = AcceptOptions::new().origin(OriginPolicy::Any);
    let choices = subprotocol.map_or(choices.clone(), |name| choices.subprotocol(name));
    let accepted = request.accept(&choices, &mut output);
    if !request.is_upgrade() {
        let error = accepted.expect_err("it asks for nothing");
        assert_eq!((error.status(), output.len()), (Some(426), 0));
        return;
    }
    assert_eq!(accepted.expect("the choice was offered").subprotocol(), subprotocol);
    let key = request.headers().get("Sec-WebSocket-Key").expect("it was checked");
    let accept = String::from_utf8(key::accept(key.as_bytes()).into()).expect("base64 is text");
    let mut expected = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"].join("\n");
    expected += &format!("\nSec-WebSocket-Accept: {accept}");
    if let Some(name) = subprotocol {
        expected += &format!("\nSec-WebSocket-Protocol: {name}");
    }
    assert_eq!(head::only(&output).join("\n"), expected);
}

/// Any other answer, too.
fn respond(request: &ServerRequest, status: u16) {
    let mut output = BytesMut::new();
    let needed = [("WWW-Authenticate", "Basic"), ("Allow", "GET")];
    let result = request.respond(status, &needed, b"why", &mut output);
    let lowest = if request.is_upgrade() { 300 } else { 200 };
    let possible = (lowest..=599).contains(&status) && status != 204 && status != 304;
    assert_eq!(result, if possible { Ok(()) } else { Err(BuildError::InvalidStatus(status)) });
    if !possible {
        assert!(output.is_empty(), "what is refused leaves nothing");
        return;
    }
    let (lines, body) = head::response(&output, status);
    assert_eq!(lines.len(), if status == 426 { 7 } else { 5 });
    assert!(lines.contains(&"Content-Length: 3"));
    assert_eq!(body, if request.method() == "HEAD" { &b""[..] } else { b"why" });
}
