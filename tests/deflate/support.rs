//! Messages as the peer sends them, in frames, in pieces, to both deliveries.

use std::sync::Arc;

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Chunks, Config, Connection, Deflate, Delivery, Messages, ProtocolError, Role};

use crate::heard::{Heard, heard};

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

pub(crate) const AGREED: Agreed = Agreed {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

/// A client and a server that agreed.
pub(crate) fn pair(agreed: Agreed, deflate: Deflate) -> (Connection, Connection) {
    let config = Arc::new(Config { compression: Some(deflate), ..Config::default() });
    let agreement = agreed.into();
    let client = Connection::client(Messages, config.clone(), [7; 32]).with_extensions(&agreement);
    (client, Connection::server(Messages, config).with_extensions(&agreement))
}

/// The messages in what arrives, or what is wrong with it.
pub(crate) fn receive(connection: &mut Connection, wire: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    match heard(connection, &[wire]) {
        (messages, None) => Ok(messages),
        (_, Some(error)) => Err(error),
    }
}

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
    heard(&mut connection.with_extensions(&agreed.into()), pieces)
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

/// The frames that an end of this role sent: first byte and unmasked payload.
pub(crate) fn payloads(sender: Role, mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = wire {
        let (len, rest) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap())), &rest[2..]),
            127 => (usize::try_from(u64::from_be_bytes(rest[..8].try_into().unwrap())).unwrap(), &rest[8..]),
            short => (usize::from(short), rest),
        };
        let (key, rest) = if sender == Role::Client { rest.split_at(4) } else { (&[0; 4][..], rest) };
        let (payload, rest) = rest.split_at(len);
        frames.push((*first, payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()));
        wire = rest;
    }
    frames
}

/// Random runs, each of which comes again at distances of all sizes, in messages of all sizes; about `len` bytes.
pub(crate) fn messages(len: usize) -> Vec<Vec<u8>> {
    let mut random = Random::new(3);
    let mut stream: Vec<u8> = Vec::new();
    while stream.len() < len {
        let run = random.below(40) + 3;
        let distance = 1_usize << random.below(16);
        match stream.len().checked_sub(distance + random.below(distance)) {
            Some(from) if random.below(3) > 0 => (0..run).for_each(|at| stream.push(stream[from + at])),
            _ => stream.extend((0..run).map(|_| random.byte())),
        }
    }
    let mut messages = Vec::new();
    while !stream.is_empty() {
        let rest = stream.split_off((1_usize << random.below(13)).min(stream.len()));
        messages.push(std::mem::replace(&mut stream, rest));
    }
    messages
}

/// Bits, the first one lowest in the first byte (RFC 1951 section 3.1.1).
pub(crate) fn bytes_of(bits: &[u8]) -> Vec<u8> {
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | bit)).collect()
}

/// Numbers that look random and are the same each time (xorshift64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[2]
    }

    /// Less than `end`, which is 65,536 at most.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % end
    }
}
