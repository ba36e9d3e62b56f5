//! What goes over the wire, as the other end writes and reads it.

use bowsprit::{Config, Connection, Delivery, ProtocolError, Role};
use bytes::BytesMut;

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// The RFC's masking key.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The header of a frame as it is sent to an end of this role, with the length in its shortest form.
pub(crate) fn announce(receiver: Role, first: u8, len: u64) -> Vec<u8> {
    let mut wire = vec![first];
    match len {
        ..126 => wire.push(u8::try_from(len).expect("it is below 126")),
        126..0x1_0000 => wire.extend([126].into_iter().chain(u16::try_from(len).expect("16 bits").to_be_bytes())),
        _ => wire.extend([127].into_iter().chain(len.to_be_bytes())),
    }
    if receiver == Role::Server {
        wire[1] |= 0x80;
        wire.extend(KEY);
    }
    wire
}

/// A frame as it is sent to an end of this role; `first` is its first byte.
pub(crate) fn frame(receiver: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = announce(receiver, first, payload.len() as u64);
    wire.extend(masked(receiver, payload));
    wire
}

/// A payload as it is sent to an end of this role.
pub(crate) fn masked(receiver: Role, payload: &[u8]) -> Vec<u8> {
    let key = if receiver == Role::Server { KEY } else { [0; 4] };
    payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

/// A frame that an end of ours sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

/// The frames that an end of this role sent.
///
/// # Panics
///
/// When a frame is cut short, or masked where it should not be, or not where it should.
pub(crate) fn frames(sender: Role, mut wire: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = wire {
        assert_eq!(second & 0x80 != 0, sender == Role::Client, "a client masks every frame, a server none");
        let (len, rest) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(rest[..2].try_into().expect("two"))), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().expect("eight")), &rest[8..]),
            short => (u64::from(short), rest),
        };
        let (key, rest) = match sender {
            Role::Client => (Some(rest[..4].try_into().expect("four")), &rest[4..]),
            Role::Server => (None, rest),
        };
        let (payload, rest) = rest.split_at(usize::try_from(len).expect("it has arrived"));
        let payload = payload.iter().zip(key.unwrap_or([0; 4]).iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        frames.push(Frame { first: *first, key, payload });
        wire = rest;
    }
    assert!(wire.is_empty(), "a frame is cut short");
    frames
}

/// The code of the Close that is the last frame an end of this role sent; there is no other Close.
pub(crate) fn close_code(sender: Role, wire: &[u8]) -> Option<u16> {
    let frames = frames(sender, wire);
    assert!(frames.iter().filter(|frame| frame.first == 0x88).count() <= 1, "one Close at most");
    let close = frames.last().filter(|frame| frame.first == 0x88)?;
    Some(u16::from_be_bytes(close.payload.first_chunk().copied()?))
}

/// One end of a connection, and its buffers.
pub(crate) struct End<D = bowsprit::Messages> {
    pub(crate) connection: Connection<D>,
    pub(crate) input: BytesMut,
    pub(crate) output: BytesMut,
}

impl End {
    pub(crate) fn new(role: Role, config: Config) -> Self {
        Self::with(role, bowsprit::Messages, config)
    }
}

impl<D: Delivery> End<D> {
    pub(crate) fn with(role: Role, delivery: D, config: Config) -> Self {
        let connection = match role {
            Role::Client => Connection::client(delivery, config.into(), [7; 32]),
            Role::Server => Connection::server(delivery, config.into()),
        };
        Self { connection, input: BytesMut::new(), output: BytesMut::new() }
    }

    /// Takes these bytes in; how many events they gave.
    ///
    /// # Panics
    ///
    /// When it takes more calls than bytes: a call that gives an event consumes some, and the last gives none.
    pub(crate) fn reads(&mut self, wire: &[u8]) -> Result<usize, ProtocolError> {
        self.input.extend_from_slice(wire);
        let there = self.input.len();
        let mut batch = self.connection.receive(&mut self.input, &mut self.output);
        let mut events = 0;
        while batch.next()?.is_some() {
            events += 1;
            assert!(events <= there, "a call gave an event and consumed nothing");
        }
        Ok(events)
    }

    /// The transport takes up to `n` bytes, which are returned.
    pub(crate) fn writes(&mut self, n: usize) -> Vec<u8> {
        let written = self.output[..n.min(self.output.len())].to_vec();
        self.connection.wrote(written.len(), &mut self.output);
        written
    }

    /// The transport takes everything.
    pub(crate) fn writes_all(&mut self) -> Vec<u8> {
        let mut written = Vec::new();
        while !self.output.is_empty() {
            written.extend(self.writes(usize::MAX));
        }
        written
    }
}
