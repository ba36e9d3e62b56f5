//! Wire rows: bytes go in, in every cut and in both deliveries, and everything that follows is compared.
//!
//! The bytes of a row are what the peer sends. Rows for both roles state them unmasked, as a server sends them;
//! [`masked`] makes a client's frames of them. What the connection sends is compared unmasked, once it is clear that
//! a client masked it and a server did not.

use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::Agreement;
#[cfg(feature = "deflate")]
use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{
    Chunk, Chunks, Close, CloseCode, Config, Connection, Delivery, Event, Message, Messages, ProtocolError, Role,
    SendError, Timeout, TransportState,
};
use bytes::BytesMut;

use crate::harness::{Log, ROLES, cuts};

/// An event, kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Text(String),
    Binary(Vec<u8>),
    TextChunk(String, bool),
    BinaryChunk(Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Message<'_>> for Told {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(data) => Self::Binary(data.to_owned()),
        }
    }
}

impl From<Chunk<'_>> for Told {
    fn from(Chunk { data, end }: Chunk<'_>) -> Self {
        match data {
            Message::Text(text) => Self::TextChunk(text.to_owned(), end),
            Message::Binary(data) => Self::BinaryChunk(data.to_owned(), end),
        }
    }
}

impl<T: Into<Self>> From<Event<'_, T>> for Told {
    fn from(event: Event<'_, T>) -> Self {
        match event {
            Event::Data(data) => data.into(),
            Event::Ping(payload) => Self::Ping(payload.to_owned()),
            Event::Pong(payload) => Self::Pong(payload.to_owned()),
            Event::Close(close) => Self::Close(close.map(|close| (close.code.0, close.reason.to_owned()))),
        }
    }
}

pub(crate) fn text(text: &str) -> Told {
    Told::Text(text.to_owned())
}

pub(crate) fn binary(data: &[u8]) -> Told {
    Told::Binary(data.to_owned())
}

pub(crate) fn ping(payload: &[u8]) -> Told {
    Told::Ping(payload.to_owned())
}

pub(crate) fn pong(payload: &[u8]) -> Told {
    Told::Pong(payload.to_owned())
}

/// What must follow from the bytes of a row. Two of them add up to the one and then the other.
#[derive(Clone, Default)]
pub(crate) struct Expected {
    events: Vec<Told>,
    /// What the connection sends, unmasked.
    output: Vec<u8>,
    end: Ending,
}

/// How the bytes of a row leave the connection.
#[derive(Clone, Copy, Default)]
enum Ending {
    #[default]
    Open,
    Closed,
    Failed(u16, Option<ProtocolError>),
}

/// The peer waits for more: nothing is delivered, nothing sent.
pub(crate) fn nothing() -> Expected {
    Expected::default()
}

/// Exactly these events, in this order.
pub(crate) fn events<const N: usize>(events: [Told; N]) -> Expected {
    Expected { events: events.into(), ..nothing() }
}

/// Exactly these bytes go out; stated unmasked.
pub(crate) fn sends(output: &[u8]) -> Expected {
    Expected { output: output.to_owned(), ..nothing() }
}

/// The peer's Close is delivered and its code, if there is one, echoed.
pub(crate) fn closes(close: Option<(u16, &str)>) -> Expected {
    let event = Told::Close(close.map(|(code, reason)| (code, reason.to_owned())));
    let output = match close {
        None => vec![0x88, 0x00],
        Some((code, _)) => [&[0x88, 0x02], &code.to_be_bytes()[..]].concat(),
    };
    Expected { events: vec![event], output, end: Ending::Closed }
}

/// The connection fails: a Close with this code goes out, and nothing that follows is processed.
pub(crate) fn fails(code: u16) -> Expected {
    let output = [&[0x88, 0x02], &code.to_be_bytes()[..]].concat();
    Expected { events: Vec::new(), output, end: Ending::Failed(code, None) }
}

impl Expected {
    /// The connection fails with this error and no other one.
    pub(crate) fn because(mut self, error: ProtocolError) -> Self {
        let Ending::Failed(_, because) = &mut self.end else { panic!("only a failure has a reason") };
        *because = Some(error);
        self
    }
}

impl Add for Expected {
    type Output = Self;

    fn add(mut self, then: Self) -> Self {
        assert!(matches!(self.end, Ending::Open), "nothing follows an end");
        self.events.extend(then.events);
        self.output.extend(then.output);
        Self { end: then.end, ..self }
    }
}

/// The row `id`: from `wire`, the bytes that the peer of `role` sends, follows `expected`.
#[track_caller]
pub(crate) fn row(log: &mut Log, id: &str, role: Role, wire: &[u8], expected: Expected) {
    row_with(log, id, role, Config::default(), wire, expected);
}

/// The row `id`, for both roles: a server gets `wire` [`masked`].
#[track_caller]
pub(crate) fn row_both(log: &mut Log, id: &str, wire: &[u8], expected: Expected) {
    row_both_with(log, id, Config::default(), wire, expected);
}

#[track_caller]
pub(crate) fn row_both_with(log: &mut Log, id: &str, config: Config, wire: &[u8], expected: Expected) {
    for role in ROLES {
        row_with(log, id, role, config.clone(), &from_peer(role, wire), expected.clone());
    }
}

#[track_caller]
pub(crate) fn row_with(log: &mut Log, id: &str, role: Role, config: Config, wire: &[u8], expected: Expected) {
    row_extended(log, id, role, config, &Agreement::default(), wire, expected);
}

/// The row `id`, with permessage-deflate: `frames` are stated unmasked.
#[cfg(feature = "deflate")]
#[track_caller]
pub(crate) fn row_agreed(log: &mut Log, id: &str, role: Role, agreed: Agreed, frames: &[u8], expected: Expected) {
    row_extended(log, id, role, Config::default(), &agreed.into(), &from_peer(role, frames), expected);
}

#[track_caller]
pub(crate) fn row_extended(
    log: &mut Log,
    id: &str,
    role: Role,
    config: Config,
    extensions: &Agreement,
    wire: &[u8],
    expected: Expected,
) {
    let config = Arc::new(config);
    let held = log.case(|| {
        for pieces in cuts(wire) {
            let what = format!("{id} as {role:?}, {} bytes cut at {}", wire.len(), pieces[0].len());
            let messages = connection(role, Messages, &config).with_extensions(extensions);
            Endpoint::of(messages, role).follows(&what, &pieces, &expected);
            let chunks = Chunks { max_message: config.max_message, max_fragments: config.max_fragments };
            let chunks = connection(role, chunks, &config).with_extensions(extensions);
            Endpoint::of(chunks, role).follows(&format!("{what}, chunks"), &pieces, &expected);
        }
    });
    if held {
        log.proved(id, role);
    }
}

fn connection<D: Delivery>(role: Role, delivery: D, config: &Arc<Config>) -> Connection<D> {
    match role {
        Role::Client => Connection::client(delivery, config.clone(), [7; 32]),
        Role::Server => Connection::server(delivery, config.clone()),
    }
}

/// A connection and its buffers, for tests that read like a script.
pub(crate) struct Endpoint<D: Delivery = Messages> {
    pub(crate) role: Role,
    pub(crate) connection: Connection<D>,
    /// Bytes from the peer that are not consumed.
    pub(crate) input: BytesMut,
    /// Bytes to the peer that the transport has not taken, as they go over the wire.
    pub(crate) output: BytesMut,
    /// The error that the connection failed with.
    pub(crate) error: Option<ProtocolError>,
}

impl Endpoint {
    pub(crate) fn new(role: Role) -> Self {
        Self::with(role, Config::default())
    }

    pub(crate) fn with(role: Role, config: Config) -> Self {
        Self::of(connection(role, Messages, &Arc::new(config)), role)
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn agreed(role: Role, config: Config, agreed: Agreed) -> Self {
        Self::with_agreement(role, config, &agreed.into())
    }

    pub(crate) fn with_agreement(role: Role, config: Config, agreement: &Agreement) -> Self {
        Self::of(connection(role, Messages, &Arc::new(config)).with_extensions(agreement), role)
    }
}

impl Endpoint<Chunks> {
    pub(crate) fn chunks(role: Role, chunks: Chunks) -> Self {
        Self::of(connection(role, chunks, &Arc::default()), role)
    }
}

impl<D: Delivery> Endpoint<D>
where
    for<'a> D::Item<'a>: Into<Told>,
{
    fn of(connection: Connection<D>, role: Role) -> Self {
        Self { role, connection, input: BytesMut::new(), output: BytesMut::new(), error: None }
    }

    /// The peer sends exactly these bytes; the events that follow.
    pub(crate) fn reads(&mut self, wire: &[u8]) -> Vec<Told> {
        self.input.extend_from_slice(wire);
        let mut told = Vec::new();
        let mut batch = self.connection.receive(&mut self.input, &mut self.output);
        loop {
            match batch.next() {
                Ok(Some((event, _))) => told.push(event.into()),
                Ok(None) => return told,
                Err(error) => {
                    assert!(self.error.is_none_or(|first| first == error), "one failure, one error");
                    self.error = Some(error);
                    return told;
                }
            }
        }
    }

    /// The peer sends these frames, which are stated unmasked.
    pub(crate) fn gets(&mut self, frames: &[u8]) -> Vec<Told> {
        self.reads(&from_peer(self.role, frames))
    }

    /// The transport takes all output; here it is, unmasked.
    pub(crate) fn sent(&mut self) -> Vec<u8> {
        unmasked(self.role, &self.transmits())
    }

    /// The transport takes all output; here it is as it goes over the wire.
    pub(crate) fn transmits(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while !self.output.is_empty() {
            wire.extend_from_slice(&self.output);
            self.connection.wrote(self.output.len(), &mut self.output);
        }
        wire
    }

    /// The transport ends, with whatever is left of the output.
    pub(crate) fn disconnected(&mut self) {
        self.connection.disconnected(&self.output);
        self.output.clear();
    }

    /// What an adapter does after each wake-up.
    pub(crate) fn arm(&mut self, now: Duration) {
        if self.connection.wants_time(&self.output) {
            self.connection.arm(now, &self.output);
        }
    }

    /// The clock moves on to the next deadline, which must be `at`.
    #[track_caller]
    pub(crate) fn expires(&mut self, at: Duration) -> Option<Timeout> {
        assert_eq!(self.connection.poll_timeout(), Some(at));
        let early = at - Duration::from_nanos(1);
        assert_eq!(self.connection.handle_timeout(early, &mut self.output), None, "nothing ends early");
        self.connection.handle_timeout(at, &mut self.output)
    }

    /// A Close with this code and reason; `None`: without.
    pub(crate) fn close(&mut self, close: Option<(u16, &str)>) -> Result<(), SendError> {
        let close = close.map(|(code, reason)| Close { code: CloseCode(code), reason });
        self.connection.close(close, &mut self.output)
    }

    #[track_caller]
    fn follows(mut self, what: &str, pieces: &[&[u8]], expected: &Expected) {
        let mut told = Vec::new();
        for piece in pieces {
            told.extend(self.reads(piece));
        }
        assert_eq!(joined(told), expected.events, "{what}: events");
        let error = self.error;
        match expected.end {
            Ending::Failed(code, because) => {
                assert_eq!(error.map(ProtocolError::close_code), Some(CloseCode(code)), "{what}: error");
                assert!(because.is_none() || error == because, "{what}: {error:?} instead of {because:?}");
                assert_eq!(self.connection.transport(), TransportState::Shutdown, "{what}");
            }
            Ending::Closed => {
                assert_eq!(error, None, "{what}: error");
                let then = if self.role == Role::Client { TransportState::AwaitEof } else { TransportState::Shutdown };
                assert_eq!(self.connection.transport(), then, "{what}");
            }
            Ending::Open => {
                assert_eq!(error, None, "{what}: error");
                assert_eq!(self.connection.transport(), TransportState::Open, "{what}");
            }
        }
        if !matches!(expected.end, Ending::Open) {
            // A text, a Ping, a Close: nothing is processed any more.
            let more = self.gets(b"\x81\x01x\x89\x01x\x88\x02\x03\xe9");
            assert_eq!(more, [], "{what}: events after the end");
            assert!(self.input.is_empty(), "{what}: what follows the end is discarded");
        }
        assert_eq!(unmasked(self.role, &self.output), expected.output, "{what}: output");
    }
}

/// Events with the chunks of each message joined where the message ends; a message without end is dropped.
pub(crate) fn joined(told: Vec<Told>) -> Vec<Told> {
    let mut message = Vec::new();
    let mut whole = Vec::new();
    for told in told {
        match told {
            Told::TextChunk(text, end) => {
                message.extend_from_slice(text.as_bytes());
                if end {
                    whole.push(Told::Text(String::from_utf8(std::mem::take(&mut message)).unwrap()));
                }
            }
            Told::BinaryChunk(data, end) => {
                message.extend_from_slice(&data);
                if end {
                    whole.push(Told::Binary(std::mem::take(&mut message)));
                }
            }
            told => whole.push(told),
        }
    }
    whole
}

/// Both ends take turns until neither has anything to say; the events of the first and of the second.
pub(crate) fn talk(one: &mut Endpoint, other: &mut Endpoint) -> (Vec<Told>, Vec<Told>) {
    let (mut to_one, mut to_other) = (Vec::new(), Vec::new());
    while !one.output.is_empty() || !other.output.is_empty() {
        to_other.extend(other.reads(&one.transmits()));
        to_one.extend(one.reads(&other.transmits()));
    }
    (to_one, to_other)
}

/// The frames as the peer of `role` sends them.
pub(crate) fn from_peer(role: Role, frames: &[u8]) -> Vec<u8> {
    if role == Role::Server { masked(frames) } else { frames.to_owned() }
}

/// Unmasked frames as a client sends them, with the RFC's key 37 fa 21 3d. The last frame may be cut short, and
/// the lengths need not be minimal.
pub(crate) fn masked(mut frames: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut wire = Vec::new();
    while let Some((first, rest)) = frames.split_first() {
        wire.push(*first);
        let Some((second, rest)) = rest.split_first() else { break };
        wire.push(second | 0x80);
        let size = match second {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((longer, rest)) = rest.split_at_checked(size) else {
            wire.extend_from_slice(rest);
            break;
        };
        wire.extend_from_slice(longer);
        wire.extend_from_slice(&KEY);
        let len =
            if size == 0 { u64::from(*second) } else { longer.iter().fold(0, |len, byte| len << 8 | u64::from(*byte)) };
        let (payload, rest) = rest.split_at(usize::try_from(len).unwrap().min(rest.len()));
        wire.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        frames = rest;
    }
    wire
}

/// Whole frames that an end of this role sent, without their masks.
///
/// # Panics
///
/// When a client did not mask a frame, when a server did, and when a frame is cut short.
#[track_caller]
pub(crate) fn unmasked(role: Role, wire: &[u8]) -> Vec<u8> {
    frames(role, wire).into_iter().flat_map(|frame| [frame.header, frame.payload].concat()).collect()
}

/// A frame as an end sent it.
pub(crate) struct Frame {
    /// Without the mask bit and the key.
    pub(crate) header: Vec<u8>,
    pub(crate) key: Option<[u8; 4]>,
    /// Unmasked.
    pub(crate) payload: Vec<u8>,
}

/// Whole frames that an end of this role sent; panics as [`unmasked`] does.
#[track_caller]
pub(crate) fn frames(role: Role, mut wire: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !wire.is_empty() {
        assert_eq!(wire[1] & 0x80 != 0, role == Role::Client, "a client masks every frame, a server none");
        let short = wire[1] & 0x7f;
        let (size, len) = match short {
            126 => (4, usize::from(u16::from_be_bytes([wire[2], wire[3]]))),
            127 => (10, usize::try_from(u64::from_be_bytes(wire[2..10].try_into().unwrap())).unwrap()),
            _ => (2, usize::from(short)),
        };
        let mut header = wire[..size].to_owned();
        header[1] = short;
        wire = &wire[size..];
        let key: Option<[u8; 4]> = (role == Role::Client).then(|| wire[..4].try_into().unwrap());
        wire = &wire[key.map_or(0, |_| 4)..];
        let mut payload = wire[..len].to_owned();
        wire = &wire[len..];
        for (i, byte) in payload.iter_mut().enumerate() {
            *byte ^= key.map_or(0, |key| key[i % 4]);
        }
        frames.push(Frame { header, key, payload });
    }
    frames
}
