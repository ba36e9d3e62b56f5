//! Messages as the peer sends them, in frames, in pieces, to both deliveries.

use std::sync::Arc;

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Chunks, Config, Connection, Delivery, Event, Messages, ProtocolError, Role};
use bytes::BytesMut;

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// What was heard, and how it ended.
pub(crate) type Heard = (Vec<Vec<u8>>, Option<ProtocolError>);

/// A frame as it is sent to an end of this role; `first` is its first byte.
pub(crate) fn frame(receiver: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![first];
    match payload.len() {
        len @ ..126 => wire.push(u8::try_from(len).unwrap()),
        len @ 126..0x1_0000 => wire.extend([&[126][..], &u16::try_from(len).unwrap().to_be_bytes()].concat()),
        len => wire.extend([&[127][..], &(len as u64).to_be_bytes()].concat()),
    }
    let key = match receiver {
        Role::Client => [0; 4],
        Role::Server => {
            wire[1] |= 0x80;
            wire.extend([0x37, 0xfa, 0x21, 0x3d]);
            [0x37, 0xfa, 0x21, 0x3d]
        }
    };
    wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    wire
}

/// What an end makes of the pieces.
pub(crate) fn hear<D: Delivery>(
    role: Role,
    delivery: D,
    config: &Arc<Config>,
    agreed: Agreed,
    pieces: &[&[u8]],
) -> Heard {
    let connection = match role {
        Role::Client => Connection::client(delivery, config.clone(), [7; 32]),
        Role::Server => Connection::server(delivery, config.clone()),
    };
    let mut connection = connection.with_extensions(&agreed.into());
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let (mut messages, mut begun) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        let mut batch = connection.receive(&mut input, &mut output);
        loop {
            match batch.next() {
                Ok(Some((Event::Text(text), _))) => messages.push(text.as_bytes().to_vec()),
                Ok(Some((Event::Binary(bytes), _))) => messages.push(bytes.to_vec()),
                Ok(Some((Event::Chunk(chunk), _))) => {
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

/// What both ends make of these frames, `(first byte, payload)`: the same in both deliveries, whole, byte by byte,
/// and cut in two anywhere.
#[track_caller]
pub(crate) fn hears(config: &Config, agreed: Agreed, frames: &[(u8, &[u8])]) -> Heard {
    let config = Arc::new(config.clone());
    let chunks = Chunks { max_message: config.max_message, max_fragments: config.max_fragments };
    let mut first = None;
    for role in ROLES {
        let wire: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(role, *first, payload)).collect();
        let halves = (1..wire.len()).map(|at| vec![&wire[..at], &wire[at..]]);
        for pieces in [vec![&wire[..]], wire.chunks(1).collect()].into_iter().chain(halves) {
            let heard = hear(role, Messages, &config, agreed, &pieces);
            let first = first.get_or_insert_with(|| heard.clone());
            assert_eq!(heard, *first, "{role:?}, cut at {}", pieces[0].len());
            let heard = hear(role, chunks, &config, agreed, &pieces);
            assert_eq!(heard, *first, "{role:?}, in chunks, cut at {}", pieces[0].len());
        }
    }
    first.expect("there is a first one")
}
