//! Groups A to F, and what group M says of handshakes: URIs, the opening handshake, header grammar.

mod client_request;
mod grammar;
mod reply;
mod request;
mod response;
mod uri;

use core::time::Duration;

use bowsprit::handshake::{
    AcceptOptions, ClientHandshake, ClientRequest, ClientResponse, ServerHandshake, ServerRequest,
};
use bowsprit::{Config, HandshakeError};
use bytes::BytesMut;

use crate::harness::{Log, cuts};

pub(crate) fn rows(log: &mut Log) {
    log.group(uri::rows);
    log.group(client_request::rows);
    log.group(response::rows);
    log.group(request::rows);
    log.group(reply::rows);
    log.group(grammar::rows);
}

/// The request of RFC 6455 section 1.3, without what is optional.
const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// Its answer.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";

/// The nonce behind the key of that request: `dGhlIHNhbXBsZSBub25jZQ==`.
const NONCE: [u8; 16] = *b"the sample nonce";

/// The head with this line instead of the one of the same name, or at its end.
fn with(head: &str, line: &str) -> String {
    let (name, _) = line.split_once(':').expect("name: value");
    let mut head = without(head, name);
    head.insert_str(head.len() - 2, &format!("{line}\r\n"));
    head
}

/// The head without the line of this name.
fn without(head: &str, name: &str) -> String {
    let stays = |line: &&str| !line.starts_with(&format!("{name}:"));
    head.split_inclusive("\r\n").filter(stays).collect()
}

/// What a server makes of this wire, and what it leaves: the same in whatever cut it arrives.
#[track_caller]
fn receive(wire: impl AsRef<[u8]>) -> (Result<Option<ServerRequest>, HandshakeError>, Vec<u8>) {
    same_in_every_cut(wire.as_ref(), || {
        let mut handshake = ServerHandshake::new(Config::default().into(), Duration::ZERO);
        move |input: &mut BytesMut| handshake.receive(input)
    })
}

/// The request that a server makes of this wire.
#[track_caller]
fn request(wire: impl AsRef<[u8]>) -> ServerRequest {
    receive(wire).0.expect("it keeps the rules").expect("the head is whole")
}

/// The answer of a server to this wire, by default choices.
#[track_caller]
fn answer(wire: impl AsRef<[u8]>) -> String {
    let mut output = BytesMut::new();
    let (received, _) = receive(wire);
    let request = received.map(|request| request.expect("the head is whole"));
    if let Err(error) = request.and_then(|request| request.accept(&AcceptOptions::new(), &mut output)) {
        assert!(output.is_empty(), "an error has written {output:?}");
        error.respond(&mut output);
    }
    String::from_utf8(output.into()).expect("the answers here are text")
}

/// Its status.
#[track_caller]
fn status(wire: impl AsRef<[u8]>) -> u16 {
    let answer = answer(wire);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.expect("a status line").parse().expect("a number")
}

/// What a client that asked for this makes of the wire, and what it leaves: the same in whatever cut it arrives.
#[track_caller]
fn response_to(
    request: &ClientRequest,
    wire: impl AsRef<[u8]>,
) -> (Result<Option<ClientResponse>, HandshakeError>, Vec<u8>) {
    same_in_every_cut(wire.as_ref(), || {
        let mut output = BytesMut::new();
        let config = Config::default().into();
        let mut handshake = ClientHandshake::start(request, NONCE, config, Duration::ZERO, &mut output);
        move |input: &mut BytesMut| handshake.receive(input)
    })
}

/// As [`response_to`], of a client that has offered nothing.
#[track_caller]
fn response(wire: impl AsRef<[u8]>) -> Result<ClientResponse, HandshakeError> {
    response_to(&plain_request(), wire).0.map(|response| response.expect("the head is whole"))
}

fn plain_request() -> ClientRequest {
    "ws://server.example.com/chat".try_into().expect("a URI")
}

#[track_caller]
fn same_in_every_cut<T, R>(wire: &[u8], start: impl Fn() -> R) -> (Result<Option<T>, HandshakeError>, Vec<u8>)
where
    T: PartialEq + core::fmt::Debug,
    R: FnMut(&mut BytesMut) -> Result<Option<T>, HandshakeError>,
{
    let run = |pieces: Vec<&[u8]>| {
        let mut receive = start();
        let mut input = BytesMut::new();
        let mut result = Ok(None);
        for piece in pieces {
            input.extend_from_slice(piece);
            if result == Ok(None) {
                result = receive(&mut input);
            }
        }
        // An error leaves whatever was there: nobody reads it.
        let rest = if result.is_ok() { input.to_vec() } else { Vec::new() };
        (result, rest)
    };
    let whole = run(vec![wire]);
    for pieces in cuts(wire) {
        let lens: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
        assert_eq!(run(pieces), whole, "{:?} cut as {lens:?}", String::from_utf8_lossy(wire));
    }
    whole
}
