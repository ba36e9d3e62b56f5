//! Any extensions with any parameters at either end, any messages by any verb, any cut.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::legacy::{DeflateFrame, Fragment, Identity};
use bowsprit::extension::permessage_deflate::WindowBits;
use bowsprit::extension::{Agreement, Extension};
use bowsprit::handshake::{AcceptOptions, ClientHandshake, ClientRequest, ServerHandshake};
use bowsprit::{
    Chunk, Chunks, Config, Connection, Deflate, Header, Message, Messages, OpCode, Outgoing, Prepared, Role,
};
use bytes::BytesMut;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{connection, hear, unmasked};

#[derive(Clone, Copy, Debug)]
enum Verb {
    Message,
    Plain,
    Prepared,
    Chunks(usize),
    Frames(usize),
    Release,
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        3 => Just(Verb::Message),
        1 => Just(Verb::Plain),
        1 => Just(Verb::Prepared),
        1 => (1..400_usize).prop_map(Verb::Chunks),
        1 => (1..400_usize).prop_map(Verb::Frames),
        1 => Just(Verb::Release),
    ]
}

/// Text of characters of every width.
fn payload() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zà-ÿ\u{20ac}\u{1d11e}]{0,40}", "(abcdefgh|é\u{20ac}){0,200}", "(0123456789abcdef){0,4}"]
}

fn deflate_frame() -> impl Strategy<Value = DeflateFrame> {
    (any::<bool>(), 0..=9_u8, option::of(8..=15_u8), any::<bool>()).prop_map(|(webkit, level, bits, alone)| {
        let one = if webkit { DeflateFrame::webkit() } else { DeflateFrame::new() }.level(level);
        let one = bits.and_then(WindowBits::new).map_or(one, |bits| one.max_window_bits(bits));
        if alone { one.no_context_takeover() } else { one }
    })
}

/// What an end knows, in its order.
fn config() -> impl Strategy<Value = Config> {
    let extension = prop_oneof![
        3 => deflate_frame().prop_map(|one| Arc::new(one) as Arc<dyn Extension>),
        1 => option::of(0..300_usize).prop_map(|max_length| Arc::new(Fragment { max_length }) as Arc<dyn Extension>),
        1 => Just(Arc::new(Identity) as Arc<dyn Extension>),
    ];
    (vec(extension, 0..5), prop::bool::weighted(0.2)).prop_map(|(extensions, compressed)| Config {
        compression: compressed.then(|| Deflate { threshold: 20, ..Deflate::default() }),
        extensions,
        ..Config::default()
    })
}

/// A whole handshake: what the client and the server agree on.
fn shake_hands(client: &Config, server: &Config) -> [Agreement; 2] {
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let request = ClientRequest::new("ws://example.com/".parse().unwrap());
    let mut opening =
        ClientHandshake::start(&request, [1; 16], Arc::new(client.clone()), Duration::ZERO, &mut to_server);
    let mut handshake = ServerHandshake::new(Arc::new(server.clone()), Duration::ZERO);
    let request = handshake.receive(&mut to_server).unwrap().expect("it came whole");
    let accepted = request.accept(&AcceptOptions::new(), &mut to_client).unwrap();
    let response = opening.receive(&mut to_client).unwrap().expect("it came whole");
    [response.extensions().clone(), accepted.extensions().clone()]
}

fn send(connection: &mut Connection, text: &str, verb: Verb, output: &mut BytesMut) {
    let sent = match verb {
        Verb::Message => connection.send(Outgoing::text(text), output),
        Verb::Plain => connection.send(Outgoing::message(Message::Text(text)).uncompressed(), output),
        Verb::Prepared => connection.send(&Prepared::text(text), output),
        Verb::Release => {
            connection.release_compression();
            connection.send(Outgoing::text(text), output)
        }
        Verb::Chunks(len) => {
            let chars: Vec<char> = text.chars().collect();
            for piece in chars.chunks(len) {
                let piece: String = piece.iter().collect();
                connection.send(Chunk { data: Message::Text(&piece), end: false }, output).unwrap();
            }
            connection.send(Chunk { data: Message::Text(""), end: true }, output)
        }
        Verb::Frames(len) => {
            let mut opcode = OpCode::Text;
            for piece in text.as_bytes().chunks(len) {
                let header = Header { fin: false, ..Header::new(opcode, piece.len() as u64) };
                connection.send(Outgoing::frame(header, piece), output).unwrap();
                connection.send(Outgoing::ping(b"between"), output).unwrap();
                opcode = OpCode::Continuation;
            }
            connection.send(Outgoing::frame(Header::new(opcode, 0), b""), output)
        }
    };
    sent.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_arrives_and_the_cut_means_nothing(
        by_client in any::<bool>(),
        configs in (config(), config()),
        fragment_size in option::of(1..300_usize),
        messages in vec((payload(), verb()), 0..6),
        cuts in btree_set(0..5_000_usize, 0..20),
        damage in vec((any::<Index>(), 1..=255_u8), 1..3),
        limit in 0..2_000_u64,
    ) {
        let configs = [Config { fragment_size, ..configs.0 }, Config { fragment_size, ..configs.1 }];
        let agreements = shake_hands(&configs[0], &configs[1]);
        let [ours, theirs] = agreements.each_ref().map(|one| one.names().collect::<Vec<_>>());
        prop_assert_eq!(ours, theirs);
        let (sender, receiver) = if by_client { (0, 1) } else { (1, 0) };
        let role = |end| if end == 0 { Role::Client } else { Role::Server };
        let mut end = connection(role(sender), Messages, &configs[sender], &agreements[sender]);
        let mut wire = BytesMut::new();
        for (text, verb) in &messages {
            send(&mut end, text, *verb, &mut wire);
        }
        let sent: Vec<Vec<u8>> = messages.iter().map(|(text, _)| text.clone().into_bytes()).collect();

        let listen = |config: &Config, wire: &[u8]| {
            let mut ends: Vec<usize> = cuts.iter().map(|at: &usize| at % wire.len().max(1)).collect();
            ends.extend([0, wire.len()]);
            let ends: Vec<usize> = BTreeSet::from_iter(ends).into_iter().collect();
            let pieces: Vec<&[u8]> = ends.windows(2).map(|ends| &wire[ends[0]..ends[1]]).collect();
            let bytes: Vec<&[u8]> = wire.chunks(1).collect();
            let (role, agreement) = (role(receiver), &agreements[receiver]);
            let whole = hear(connection(role, Messages, config, agreement), &[wire]);
            let chunks = Chunks { max_message: config.max_message, max_fragments: config.max_fragments };
            for pieces in [&[wire][..], &pieces, &bytes] {
                prop_assert_eq!(&hear(connection(role, Messages, config, agreement), pieces), &whole);
                prop_assert_eq!(&hear(connection(role, chunks, config, agreement), pieces), &whole);
            }
            Ok(whole)
        };
        prop_assert_eq!(listen(&configs[receiver], &wire)?, (sent, None));

        // Compressed frames are whole messages, unless permessage-deflate makes them.
        if agreements[0].deflate().is_none() {
            let frames = unmasked(role(sender), &wire);
            let mut rest = &frames[..];
            while let [first, len, behind @ ..] = rest {
                prop_assert!(first & 0x40 == 0 || first & 0x8f == 0x81, "{:#x}", first);
                let (len, at) = match len {
                    126 => (usize::from(u16::from_be_bytes([behind[0], behind[1]])), 2),
                    short => (usize::from(*short), 0),
                };
                rest = &behind[at + len..];
            }
        }

        // Whatever is wrong with it, and however little may come out.
        let limited = Config { max_message: limit, ..configs[receiver].clone() };
        let (messages, _) = listen(&limited, &wire)?;
        prop_assert!(messages.iter().all(|message| message.len() as u64 <= limit));
        if !wire.is_empty() {
            for (at, change) in &damage {
                let at = at.index(wire.len());
                wire[at] ^= change;
            }
            let (messages, _) = listen(&limited, &wire)?;
            prop_assert!(messages.iter().all(|message| message.len() as u64 <= limit));
        }
    }
}
