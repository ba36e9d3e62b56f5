//! Handshakes in memory, frames as literals, every cut.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::{Agreement, Extension};
use bowsprit::handshake::{AcceptOptions, ClientHandshake, ClientRequest, ServerHandshake};
use bowsprit::{Chunk, Chunks, Config, Connection, Delivery, Event, HandshakeError, Messages, ProtocolError, Role};
use bytes::BytesMut;

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A configuration with these extensions.
pub(crate) fn with(extensions: Vec<Arc<dyn Extension>>) -> Config {
    Config { extensions, ..Config::default() }
}

/// What a client with this configuration offers; empty: no field.
pub(crate) fn offers(config: &Config) -> String {
    let mut output = BytesMut::new();
    let _ = start(config, &mut output);
    field(&output)
}

/// What a server with this configuration answers to such a field, and what is agreed then.
pub(crate) fn answers(config: &Config, offered: &str) -> (String, Agreement) {
    answers_with(config, &AcceptOptions::new(), offered)
}

pub(crate) fn answers_with(config: &Config, choices: &AcceptOptions, offered: &str) -> (String, Agreement) {
    let mut input = BytesMut::from(
        &*[
            "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
            "Sec-WebSocket-Extensions: ",
            offered,
            "\r\n\r\n",
        ]
        .concat(),
    );
    let mut handshake = ServerHandshake::new(Arc::new(config.clone()), Duration::ZERO);
    let request = handshake.receive(&mut input).unwrap().expect("it came whole");
    let mut output = BytesMut::new();
    let accepted = request.accept(choices, &mut output).unwrap();
    (field(&output), accepted.extensions().clone())
}

/// What a client with this configuration makes of such an answer: one line of the field each.
pub(crate) fn agrees(config: &Config, answered: &[&str]) -> Result<Agreement, HandshakeError> {
    let mut handshake = start(config, &mut BytesMut::new());
    let lines: String = answered.iter().map(|line| format!("Sec-WebSocket-Extensions: {line}\r\n")).collect();
    let mut input = BytesMut::from(
        &*[
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
            &lines,
            "\r\n",
        ]
        .concat(),
    );
    let response = handshake.receive(&mut input)?.expect("it came whole");
    Ok(response.extensions().clone())
}

fn start(config: &Config, output: &mut BytesMut) -> ClientHandshake {
    let request = ClientRequest::new("ws://example.com/chat".parse().unwrap());
    ClientHandshake::start(&request, *b"the sample nonce", Arc::new(config.clone()), Duration::ZERO, output)
}

/// The value of `Sec-WebSocket-Extensions`, which stands in `head` once or not at all.
fn field(head: &[u8]) -> String {
    let head = str::from_utf8(head).unwrap();
    let mut values = head.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let value = values.next().unwrap_or_default().to_owned();
    assert_eq!(values.next(), None);
    value
}

/// What both roles agree on where the server answers this.
pub(crate) fn agreed(config: &Config, role: Role, answer: &str) -> Agreement {
    match role {
        Role::Client => agrees(config, &[answer]).unwrap(),
        Role::Server => {
            let (answered, agreement) = answers(config, answer);
            assert_eq!(answered, answer);
            agreement
        }
    }
}

pub(crate) fn connection<D: Delivery>(
    role: Role,
    delivery: D,
    config: &Config,
    agreement: &Agreement,
) -> Connection<D> {
    let config = Arc::new(config.clone());
    let connection = match role {
        Role::Client => Connection::client(delivery, config, [7; 32]),
        Role::Server => Connection::server(delivery, config),
    };
    connection.with_extensions(agreement)
}

/// Unmasked frames, as the peer of `role` sends them; the last one may be cut off.
pub(crate) fn from_peer(role: Role, frames: &[u8]) -> Vec<u8> {
    match role {
        Role::Client => frames.to_vec(),
        Role::Server if frames.len() == 1 => frames.to_vec(),
        Role::Server => each_frame(frames, 0).into_iter().fold(Vec::new(), |mut wire, (head, payload)| {
            let key = [0x37, 0xfa, 0x21, 0x3d];
            wire.extend([head[0], head[1] | 0x80]);
            wire.extend_from_slice(&head[2..]);
            wire.extend(key);
            wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
            wire
        }),
    }
}

/// What `role` sent, unmasked.
pub(crate) fn unmasked(role: Role, wire: &[u8]) -> Vec<u8> {
    let key = if role == Role::Client { 4 } else { 0 };
    each_frame(wire, key).into_iter().fold(Vec::new(), |mut frames, (head, payload)| {
        let (head, key) = head.split_at(head.len() - key);
        frames.extend([head[0], head[1] & 0x7f]);
        frames.extend_from_slice(&head[2..]);
        let cycle = if key.is_empty() { &[0][..] } else { key };
        frames.extend(payload.iter().zip(cycle.iter().cycle()).map(|(byte, key)| byte ^ key));
        frames
    })
}

/// Header and payload of each frame, with keys of so many bytes.
fn each_frame(mut wire: &[u8], key: usize) -> Vec<(&[u8], &[u8])> {
    let mut frames = Vec::new();
    while let [_, second, rest @ ..] = wire {
        let (len, size) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap())), 4),
            short => (usize::from(short), 2),
        };
        let (head, rest) = wire.split_at(size + key);
        let payload;
        (payload, wire) = rest.split_at(len.min(rest.len())); // the last one may be cut off
        frames.push((head, payload));
    }
    frames
}

/// What was heard: messages, pongs that were sent, and how it ended.
pub(crate) type Heard = (Vec<Vec<u8>>, Option<ProtocolError>);

/// What an end makes of these pieces.
pub(crate) fn hear<D: Delivery>(mut connection: Connection<D>, pieces: &[&[u8]]) -> Heard {
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let (mut messages, mut begun) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        let mut batch = connection.receive(&mut input, &mut output);
        loop {
            match batch.next() {
                Ok(Some((Event::Data(item), _))) => {
                    let chunk: Chunk<'_> = item.into();
                    begun.extend_from_slice(chunk.data.as_bytes());
                    if chunk.end {
                        messages.push(std::mem::take(&mut begun));
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

/// What both ends hear of these unmasked frames, where the server answered `answer`: the same in both deliveries, whole,
/// byte by byte, and cut in two anywhere.
#[track_caller]
pub(crate) fn hears(config: &Config, answer: &str, frames: &[u8]) -> Heard {
    let mut first = None;
    for role in ROLES {
        let agreement = agreed(config, role, answer);
        let wire = from_peer(role, frames);
        let halves = (1..wire.len()).map(|at| vec![&wire[..at], &wire[at..]]);
        for pieces in [vec![&wire[..]], wire.chunks(1).collect()].into_iter().chain(halves) {
            let heard = hear(connection(role, Messages, config, &agreement), &pieces);
            let first = first.get_or_insert_with(|| heard.clone());
            assert_eq!(heard, *first, "{role:?}, cut at {}", pieces[0].len());
            let chunks = Chunks { max_message: config.max_message, max_fragments: config.max_fragments };
            let heard = hear(connection(role, chunks, config, &agreement), &pieces);
            assert_eq!(heard, *first, "{role:?}, in chunks, cut at {}", pieces[0].len());
        }
    }
    first.expect("there is a first one")
}

/// These messages and nothing else.
pub(crate) fn heard<const N: usize>(messages: [&[u8]; N]) -> Heard {
    (messages.into_iter().map(<[u8]>::to_vec).collect(), None)
}

/// Nothing but this error.
pub(crate) fn fails(error: ProtocolError) -> Heard {
    (Vec::new(), Some(error))
}

/// The unmasked frames that each end sends, where the server answered `answer`; the same for both.
#[track_caller]
pub(crate) fn sends(
    config: &Config,
    answer: &str,
    send: impl Fn(&mut Connection, &mut BytesMut) -> Result<(), bowsprit::SendError>,
) -> Vec<u8> {
    let [client, server] = ROLES.map(|role| {
        let mut connection = connection(role, Messages, config, &agreed(config, role, answer));
        let mut output = BytesMut::new();
        send(&mut connection, &mut output).unwrap();
        unmasked(role, &output)
    });
    assert_eq!(client, server);
    client
}
