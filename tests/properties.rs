//! Properties: what holds for every input, whatever it is and however it is cut. A debug build takes some seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bowsprit::{
    Chunk, Chunks, Config, Connection, Delivery, End, Event, Header, Mask, Message, Messages, OpCode, Outgoing,
    ProtocolError, Role, Rsv, TransportState,
};
use bytes::BytesMut;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any cutting of any bytes gives the same events, errors and output, and the same end.
    #[test]
    fn the_cut_means_nothing(
        role in role(),
        config in small_config(),
        busy in any::<bool>(),
        recipe in wire_recipe(),
        cuts in btree_set(0..600_usize, 0..40),
        drains in btree_map(0..600_usize, 0..9_000_usize, 0..4),
    ) {
        let wire = recipe.wire(role);
        let every: BTreeSet<usize> = (0..wire.len()).collect();
        let whole = run(connection(role, Messages, &config), busy, &wire, &BTreeSet::new(), &drains);
        prop_assert_eq!(&run(connection(role, Messages, &config), busy, &wire, &cuts, &drains), &whole);
        prop_assert_eq!(&run(connection(role, Messages, &config), busy, &wire, &every, &drains), &whole);

        // Chunks are cut as the bytes are; joined, they are the same messages.
        let chunks = Chunks { max_message: config.max_message, max_fragments: config.max_fragments };
        for cuts in [&BTreeSet::new(), &cuts, &every] {
            let chunks = run(connection(role, chunks, &config), busy, &wire, cuts, &drains);
            prop_assert_eq!(&Told { events: joined(chunks.events), ..chunks }, &whole);
        }
    }

    /// What one end sends, the other receives: every message and control frame, in order.
    #[test]
    fn what_is_sent_arrives(
        role in role(),
        fragment_size in prop_oneof![Just(None), (0..300_usize).prop_map(Some)],
        steps in vec(step(), 0..12),
        cuts in btree_set(0..3_000_usize, 0..40),
    ) {
        // All of it waits in the output, with a header for every byte at worst.
        let config = Arc::new(Config { fragment_size, max_unsent: usize::MAX, ..Config::default() });
        let mut sender = connection(role, Messages, &config);
        let mut output = BytesMut::new();
        let mut expected = Vec::new();
        let mut pings = Vec::new();
        for step in &steps {
            step.send(&mut sender, &mut output);
            expected.extend(step.told());
        }
        for told in &expected {
            if told.kind == "ping" {
                pings.push(Kept { kind: "pong", ..told.clone() });
            }
        }

        let receiver = || connection(other(role), Messages, &config);
        let whole = run(receiver(), false, &output, &cuts, &BTreeMap::new());
        prop_assert_eq!(whole.error, None);
        prop_assert_eq!(&whole.events, &expected);
        let chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: u32::MAX };
        let chunks = run(connection(other(role), chunks, &config), false, &output, &cuts, &BTreeMap::new());
        prop_assert_eq!(chunks.error, None);
        prop_assert_eq!(joined(chunks.events), expected);

        // Every Ping comes back as a Pong, in order.
        let answers = run(sender, false, &whole.output, &cuts, &BTreeMap::new());
        prop_assert_eq!((answers.events, answers.error), (pings, None));
    }

    /// A header is what it was after encoding and decoding, and needs each of its bytes.
    #[test]
    fn headers_survive(header in header(), behind in vec(any::<u8>(), 0..20)) {
        let encoded = header.encode();
        prop_assert!((2..=Header::MAX_SIZE).contains(&encoded.len()));
        for size in 0..encoded.len() {
            prop_assert_eq!(Header::decode(&encoded[..size]), Ok(None));
        }
        let bytes = [&encoded[..], &behind].concat();
        prop_assert_eq!(Header::decode(&bytes), Ok(Some((header, encoded.len()))));
    }

    /// Whatever bytes decode to a header encode to the same bytes: there is one encoding of each.
    #[test]
    fn a_header_has_one_encoding(bytes in vec(any::<u8>(), 0..20)) {
        if let Ok(Some((header, size))) = Header::decode(&bytes) {
            prop_assert_eq!(&header.encode()[..], &bytes[..size]);
        }
    }
}

/// Every length at which the encoding changes, and those around it, with every flag.
#[test]
fn headers_survive_at_the_boundaries() {
    let lengths = [0, 1, 124, 125, 126, 127, 65_534, 65_535, 65_536, 65_537, 1 << 32, (1 << 63) - 1];
    let opcodes = [OpCode::Continuation, OpCode::Text, OpCode::Binary, OpCode::Close, OpCode::Ping, OpCode::Pong];
    for len in lengths {
        for opcode in opcodes {
            for flags in 0..32_u8 {
                let mask = (flags & 1 != 0).then_some(Mask([0x37, 0xfa, 0x21, 0x3d]));
                let header = Header { fin: flags & 2 != 0, rsv: Rsv::from_first_byte(flags << 2), opcode, mask, len };
                let encoded = header.encode();
                let size = match len {
                    ..=125 => 2,
                    126..=65_535 => 4,
                    _ => 10,
                };
                assert_eq!(encoded.len(), size + if mask.is_some() { 4 } else { 0 });
                let decoded = Header::decode(&encoded);
                match (opcode.is_control(), header.fin, len) {
                    (true, false, _) => assert_eq!(decoded, Err(ProtocolError::FragmentedControl)),
                    (true, true, 126..) => assert_eq!(decoded, Err(ProtocolError::ControlTooLong)),
                    _ => assert_eq!(decoded, Ok(Some((header, encoded.len())))),
                }
            }
        }
    }
}

/// An event, kept.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Kept {
    kind: &'static str,
    data: Vec<u8>,
    /// Of a chunk that does not end its message: false.
    end: bool,
}

impl Kept {
    fn new(kind: &'static str, data: &[u8]) -> Self {
        Self { kind, data: data.to_owned(), end: true }
    }

    fn message(message: Message<'_>) -> Self {
        Self::new(if matches!(message, Message::Text(_)) { "text" } else { "binary" }, message.as_bytes())
    }
}

impl<'a, T: Into<Chunk<'a>>> From<Event<'a, T>> for Kept {
    fn from(event: Event<'a, T>) -> Self {
        match event {
            Event::Data(data) => {
                let Chunk { data, end } = data.into();
                Self { end, ..Self::message(data) }
            }
            Event::Ping(payload) => Self::new("ping", payload),
            Event::Pong(payload) => Self::new("pong", payload),
            Event::Close(close) => Self::new("close", format!("{close:?}").as_bytes()),
        }
    }
}

/// Chunks become messages, where their last one is; a message without a last chunk is dropped.
fn joined(events: Vec<Kept>) -> Vec<Kept> {
    let mut message = Vec::new();
    let mut whole = Vec::new();
    for mut event in events {
        if matches!(event.kind, "text" | "binary") {
            message.append(&mut event.data);
            if event.end {
                whole.push(Kept { data: std::mem::take(&mut message), ..event });
            }
        } else {
            whole.push(event);
        }
    }
    whole
}

/// Everything that a connection told.
#[derive(PartialEq, Eq, Debug)]
struct Told {
    events: Vec<Kept>,
    error: Option<ProtocolError>,
    output: Vec<u8>,
    end: Option<End>,
    transport: TransportState,
}

/// Feeds `wire` in pieces that end at `cuts` and at the positions of `drains`, where the transport takes as many
/// bytes of the output as `drains` says. A busy connection has output waiting from the start.
fn run<D: Delivery>(
    mut connection: Connection<D>,
    busy: bool,
    wire: &[u8],
    cuts: &BTreeSet<usize>,
    drains: &BTreeMap<usize, usize>,
) -> Told {
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    if busy {
        connection.send(&[0; 17 << 10], &mut output).unwrap();
    }
    let (mut events, mut error, mut taken) = (Vec::new(), None, Vec::new());
    let mut start = 0;
    let ends = cuts.iter().chain(drains.keys()).copied().filter(|end| *end < wire.len());
    for end in ends.chain([wire.len()]).collect::<BTreeSet<_>>() {
        input.extend_from_slice(&wire[start..end]);
        start = end;
        let mut batch = connection.receive(&mut input, &mut output);
        loop {
            match batch.next() {
                Ok(Some((event, _))) => {
                    assert_eq!(error, None, "nothing follows a failure");
                    events.push(event.into());
                }
                Ok(None) => break,
                Err(again) => {
                    assert_eq!(*error.get_or_insert(again), again, "a failure stays the same");
                    break;
                }
            }
        }
        drop(batch);
        let n = drains.get(&end).map_or(0, |n| *n.min(&output.len()));
        taken.extend_from_slice(&output[..n]);
        connection.wrote(n, &mut output);
    }
    taken.extend_from_slice(&output);
    Told { events, error, output: taken, end: connection.end(), transport: connection.transport() }
}

fn connection<D: Delivery>(role: Role, delivery: D, config: &Arc<Config>) -> Connection<D> {
    match role {
        Role::Client => Connection::client(delivery, config.clone(), [7; 32]),
        Role::Server => Connection::server(delivery, config.clone()),
    }
}

fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

/// Bounds that small inputs reach.
fn small_config() -> impl Strategy<Value = Arc<Config>> {
    let small = (0..300_u64, prop::option::of(0..200_u64), 0..6_u32, 0..3_u16).prop_map(
        |(max_message, max_frame, max_fragments, max_empty_fragments)| {
            Arc::new(Config { max_message, max_frame, max_fragments, max_empty_fragments, ..Config::default() })
        },
    );
    prop_oneof![3 => Just(Arc::default()), 1 => small]
}

/// Frames of all kinds, good and bad, and what was changed in their bytes.
#[derive(Clone, Debug)]
struct WireRecipe {
    frames: Vec<(u8, Vec<u8>)>,
    key: [u8; 4],
    noise: Vec<(prop::sample::Index, u8)>,
}

impl WireRecipe {
    /// What the peer of `role` sends.
    fn wire(&self, role: Role) -> Vec<u8> {
        let mask = (role == Role::Server).then_some(Mask(self.key));
        let mut wire = Vec::new();
        for (first, payload) in &self.frames {
            let header = Header { mask, ..Header::new(OpCode::Binary, payload.len() as u64) };
            wire.push(*first);
            wire.extend_from_slice(&header.encode()[1..]);
            let start = wire.len();
            wire.extend_from_slice(payload);
            if let Some(mask) = mask {
                mask.apply(&mut wire[start..]);
            }
        }
        for (place, byte) in &self.noise {
            if !wire.is_empty() {
                let place = place.index(wire.len());
                wire[place] = *byte;
            }
        }
        wire
    }
}

fn wire_recipe() -> impl Strategy<Value = WireRecipe> {
    let frames = vec(prop_oneof![6 => fragmented(), 1 => vec((any::<u8>(), payload()), 1..3), 1 => close()], 0..6);
    let noise = prop_oneof![2 => Just(Vec::new()), 1 => vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)];
    let valid = (frames.prop_map(|frames| frames.concat()), any::<[u8; 4]>(), noise)
        .prop_map(|(frames, key, noise)| WireRecipe { frames, key, noise });
    let arbitrary = vec((any::<prop::sample::Index>(), any::<u8>()), 0..200).prop_map(|noise| WireRecipe {
        frames: vec![(0x82, vec![0; 190])],
        key: [0; 4],
        noise,
    });
    prop_oneof![5 => valid, 1 => arbitrary]
}

/// A message in fragments, with control frames between them.
fn fragmented() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let control = prop::option::of((prop_oneof![Just(0x89), Just(0x8a)], vec(any::<u8>(), 0..10)));
    (any::<bool>(), vec((payload(), control), 1..6)).prop_map(|(text, pieces)| {
        let last = pieces.len() - 1;
        let mut frames = Vec::new();
        for (i, (payload, control)) in pieces.into_iter().enumerate() {
            let opcode = match (i, text) {
                (0, true) => 0x1,
                (0, false) => 0x2,
                _ => 0x0,
            };
            let fin = if i == last { 0x80 } else { 0 };
            frames.push((fin | opcode, payload));
            frames.extend(control);
        }
        frames
    })
}

/// Text, whole or cut inside a character; or bytes.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    const TEXT: &str =
        "Grüße aus Łódź, 日本語 и 😀😀😀, once more: Grüße aus Łódź, 日本語 и 😀😀😀, and again: 日本語日本語日本語";
    prop_oneof![
        Just(Vec::new()),
        (0..20_usize).prop_map(|len| vec![b'a'; len]),
        (0..30_usize).prop_map(|chars| TEXT.chars().take(chars).collect::<String>().into_bytes()),
        // Mostly what one fragment leaves to the next.
        (0..TEXT.len(), 0..8_usize).prop_map(|(start, len)| TEXT.bytes().skip(start).take(len).collect()),
        (0..TEXT.len()).prop_map(|len| TEXT.as_bytes()[..len].to_owned()),
        vec(any::<u8>(), 0..160),
    ]
}

fn close() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let code = prop_oneof![3 => Just(1000_u16), 1 => any::<u16>()];
    let body = (code, payload()).prop_map(|(code, reason)| [&code.to_be_bytes(), &reason[..]].concat());
    prop_oneof![Just(Vec::new()), Just(vec![3]), body].prop_map(|body| vec![(0x88, body)])
}

fn header() -> impl Strategy<Value = Header> {
    let data = prop_oneof![Just(OpCode::Continuation), Just(OpCode::Text), Just(OpCode::Binary)];
    let control = prop_oneof![Just(OpCode::Close), Just(OpCode::Ping), Just(OpCode::Pong)];
    let len = prop_oneof![0..300_u64, 65_000..66_000_u64, 0..1_u64 << 63];
    let kind = prop_oneof![(data, any::<bool>(), len), (control, Just(true), 0..126_u64)];
    (kind, any::<u8>(), any::<Option<[u8; 4]>>()).prop_map(|((opcode, fin, len), rsv, key)| Header {
        fin,
        rsv: Rsv::from_first_byte(rsv),
        opcode,
        mask: key.map(Mask),
        len,
    })
}

/// Something to send.
#[derive(Clone, Debug)]
enum Step {
    Text(String),
    Binary(Vec<u8>),
    /// Pieces of a message, each followed by a Ping.
    Texts(Vec<(String, Vec<u8>)>),
    Binaries(Vec<(Vec<u8>, Vec<u8>)>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let control = || vec(any::<u8>(), 0..=125);
    let bytes = || prop_oneof![vec(any::<u8>(), 0..300), (65_500..65_600_usize).prop_map(|len| vec![0x5a; len])];
    prop_oneof![
        any::<String>().prop_map(Step::Text),
        bytes().prop_map(Step::Binary),
        vec((any::<String>(), control()), 1..5).prop_map(Step::Texts),
        vec((vec(any::<u8>(), 0..300), control()), 1..5).prop_map(Step::Binaries),
        control().prop_map(Step::Ping),
        control().prop_map(Step::Pong),
    ]
}

impl Step {
    fn send(&self, sender: &mut Connection, output: &mut BytesMut) {
        match self {
            Self::Text(text) => sender.send(Outgoing::text(text), output).unwrap(),
            Self::Binary(bytes) => sender.send(Outgoing::binary(bytes), output).unwrap(),
            Self::Ping(payload) => sender.send(Outgoing::ping(payload), output).unwrap(),
            Self::Pong(payload) => sender.send(Outgoing::pong(payload), output).unwrap(),
            Self::Texts(_) | Self::Binaries(_) => {
                let pieces = self.pieces();
                for (i, (data, ping)) in pieces.iter().enumerate() {
                    sender.send(Chunk { data: *data, end: i + 1 == pieces.len() }, output).unwrap();
                    sender.send(Outgoing::ping(ping), output).unwrap();
                }
            }
        }
    }

    fn pieces(&self) -> Vec<(Message<'_>, &[u8])> {
        match self {
            Self::Texts(pieces) => pieces.iter().map(|(text, ping)| (Message::Text(text), &ping[..])).collect(),
            Self::Binaries(pieces) => pieces.iter().map(|(data, ping)| (Message::Binary(data), &ping[..])).collect(),
            _ => Vec::new(),
        }
    }

    /// What the peer is told: a message in pieces arrives with its last one.
    fn told(&self) -> Vec<Kept> {
        match self {
            Self::Text(text) => vec![Kept::message(Message::Text(text))],
            Self::Binary(bytes) => vec![Kept::message(Message::Binary(bytes))],
            Self::Ping(payload) => vec![Kept::new("ping", payload)],
            Self::Pong(payload) => vec![Kept::new("pong", payload)],
            Self::Texts(_) | Self::Binaries(_) => {
                let pieces = self.pieces();
                let kind = Kept::message(pieces[0].0).kind;
                let data = pieces.iter().map(|(data, _)| data.as_bytes()).collect::<Vec<_>>().concat();
                let mut told: Vec<Kept> = pieces.iter().map(|(_, ping)| Kept::new("ping", ping)).collect();
                told.insert(told.len() - 1, Kept::new(kind, &data));
                told
            }
        }
    }
}
