//! Several extensions at once: what groups E, F and N say of their order, and of what does not go together.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::{Agreement, Extension};
#[cfg(feature = "deflate")]
use bowsprit::handshake::ResponseError;
use bowsprit::handshake::{AcceptOptions, ClientHandshake, ClientRequest, ServerHandshake};
use bowsprit::{Config, HandshakeError, Role, Rsv};
use bytes::BytesMut;
use hex_literal::hex;

use crate::frames::{Claims, Split, Tag, Turn};
use crate::harness::{Log, ROLES};
use crate::wire::{Endpoint, events, from_peer, row_extended, text};
use crate::xor::Xor;

pub(crate) fn rows(log: &mut Log) {
    log.group(layouts);
    log.group(order);
    #[cfg(feature = "deflate")]
    log.group(conflicts);
}

fn all() -> Config {
    let claims = Arc::new(Claims("x-claims-rsv1", Rsv::RSV1));
    let extensions: [Arc<dyn Extension>; 5] =
        [Arc::new(Xor(0x20)), Arc::new(Turn), Arc::new(Tag), Arc::new(Split), claims];
    Config { extensions: extensions.into(), ..Config::default() }
}

/// What a server answers to these offers, and what is agreed on then.
fn answered(config: &Config, offers: &str) -> (Option<String>, Agreement) {
    let head = format!(
        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: {offers}\r\n\r\n"
    );
    let mut handshake = ServerHandshake::new(config.clone().into(), Duration::ZERO);
    let request = handshake.receive(&mut BytesMut::from(&*head)).unwrap().expect("it is whole");
    let mut output = BytesMut::new();
    let accepted = request.accept(&AcceptOptions::new(), &mut output).unwrap();
    let mut lines = str::from_utf8(&output).unwrap().lines();
    let line = lines.find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    (line.map(str::to_owned), accepted.extensions().clone())
}

/// What a client agrees to when a server answers with these lines.
fn agreed(config: &Config, lines: &[&str]) -> Result<Agreement, HandshakeError> {
    let request: ClientRequest = "ws://server.example.com/chat".try_into().unwrap();
    let (config, mut output) = (Arc::new(config.clone()), BytesMut::new());
    let mut handshake = ClientHandshake::start(&request, *b"the sample nonce", config, Duration::ZERO, &mut output);
    let lines: String = lines.iter().map(|line| format!("Sec-WebSocket-Extensions: {line}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{lines}\r\n"
    );
    let response = handshake.receive(&mut BytesMut::from(&*head))?.expect("it is whole");
    Ok(response.extensions().clone())
}

fn layouts(log: &mut Log) {
    // REQ: WS-4.2.2-07
    let line = "x-split; max=4, x-xor; key=32, x-turn";
    let (answer, agreement) = answered(&all(), line);
    assert_eq!(answer.as_deref(), Some(line), "one line");
    assert!(agreement.names().eq(["x-split", "x-xor", "x-turn"]));
    log.proved("WS-4.2.2-07", Role::Server);
    for lines in
        [&[line][..], &["x-split; max=4", "x-xor; key=32, x-turn"], &["x-split; max=4", "x-xor; key=32", "x-turn"]]
    {
        assert!(agreed(&all(), lines).unwrap().names().eq(["x-split", "x-xor", "x-turn"]));
    }
    log.proved("WS-4.2.2-07", Role::Client);
}

fn order(log: &mut Log) {
    // REQ: WS-9.1-08
    for (line, wire) in [
        ("x-xor; key=32, x-turn", &hex!("a1 05 4f 4c 4c 45 68")[..]),
        ("x-turn, x-tag", &hex!("b1 06 6f 6c 6c 65 48 21")),
        ("x-tag, x-turn", &hex!("b1 06 21 6f 6c 6c 65 48")),
        ("x-split; max=3, x-xor; key=32, x-tag, x-turn", &hex!("31 04 21 4c 45 68 b0 03 21 4f 4c")),
    ] {
        for role in ROLES {
            let agreement = match role {
                Role::Client => agreed(&all(), &[line]).unwrap(),
                Role::Server => {
                    let (answer, agreement) = answered(&all(), line);
                    assert_eq!(answer.as_deref(), Some(line));
                    agreement
                }
            };
            let mut end = Endpoint::with_agreement(role, all(), &agreement);
            end.connection.send("Hello", &mut end.output).unwrap();
            assert_eq!(end.sent(), wire, "{line}");
            row_extended(log, "WS-9.1-08", role, all(), &agreement, &from_peer(role, wire), events([text("Hello")]));
        }
    }
}

#[cfg(feature = "deflate")]
fn conflicts(log: &mut Log) {
    // REQ: PMD-5-07
    let config = Config { compression: Some(bowsprit::Deflate::default()), ..all() };
    for (offers, answer) in [
        ("x-claims-rsv1, permessage-deflate", "x-claims-rsv1"),
        ("permessage-deflate, x-claims-rsv1", "permessage-deflate"),
        ("permessage-deflate; wrong, x-claims-rsv1", "x-claims-rsv1"),
        // Behind one that works on frames it would not be legal: it comes before.
        ("x-turn, permessage-deflate", "permessage-deflate, x-turn"),
    ] {
        assert_eq!(answered(&config, offers).0.as_deref(), Some(answer), "{offers}");
    }
    log.proved("PMD-5-07", Role::Server);
    for answer in [
        "x-claims-rsv1, permessage-deflate",
        "permessage-deflate, x-claims-rsv1",
        "x-turn, permessage-deflate",
        "x-unknown, permessage-deflate",
    ] {
        assert_eq!(
            agreed(&config, &[answer]).unwrap_err(),
            HandshakeError::Response(ResponseError::Extensions),
            "{answer}"
        );
    }
    assert!(agreed(&config, &["permessage-deflate, x-turn"]).unwrap().names().eq(["permessage-deflate", "x-turn"]));
    log.proved("PMD-5-07", Role::Client);
}
