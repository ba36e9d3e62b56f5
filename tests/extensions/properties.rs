//! Any chain, any messages by any verb, any cut.

use std::collections::BTreeSet;
use std::sync::Arc;

use bowsprit::{Chunk, Chunks, Config, Connection, Header, Message, Messages, OpCode, Outgoing, Prepared, Role};
use bytes::BytesMut;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use crate::frames::{Split, Tag, Turn};
use crate::support::{Heard, agreed, connection, from_peer, hear, unmasked};
use crate::xor::Xor;

/// In an order that a server answers.
#[cfg(feature = "deflate")]
const LINES: [&str; 3] = [
    "x-xor; key=32, permessage-deflate, x-split; max=7, x-tag, x-turn",
    "x-split; max=1, permessage-deflate, x-xor; key=32, x-turn, x-tag",
    "permessage-deflate; server_no_context_takeover, x-xor; key=32, x-split; max=300, x-turn",
];
#[cfg(not(feature = "deflate"))]
const LINES: [&str; 2] =
    ["x-xor; key=32, x-split; max=7, x-tag, x-turn", "x-split; max=1, x-xor; key=32, x-turn, x-tag"];

#[derive(Clone, Copy, Debug)]
enum Verb {
    Message,
    Plain,
    Prepared,
    Chunks(usize),
    Frames(usize),
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        Just(Verb::Message),
        Just(Verb::Plain),
        Just(Verb::Prepared),
        (1..400_usize).prop_map(Verb::Chunks),
        (1..400_usize).prop_map(Verb::Frames),
    ]
}

/// Text of characters of every width.
fn payload() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zà-ÿ\u{20ac}\u{1d11e}]{0,40}", "(abcdefgh|é\u{20ac}){0,200}"]
}

fn chain() -> impl Strategy<Value = String> {
    (0..LINES.len()).prop_flat_map(|line| {
        let elements: Vec<&str> = LINES[line].split(", ").collect();
        let len = elements.len();
        subsequence(elements, 1..=len).prop_map(|chosen| chosen.join(", "))
    })
}

fn config() -> Config {
    Config {
        #[cfg(feature = "deflate")]
        compression: Some(bowsprit::Deflate { threshold: 20, ..bowsprit::Deflate::default() }),
        extensions: vec![Arc::new(Xor(32)), Arc::new(Turn), Arc::new(Tag), Arc::new(Split)],
        ..Config::default()
    }
}

fn send(connection: &mut Connection, text: &str, verb: Verb, output: &mut BytesMut) {
    let sent = match verb {
        Verb::Message => connection.send(Outgoing::text(text), output),
        Verb::Plain => connection.send(Outgoing::message(Message::Text(text)).uncompressed(), output),
        Verb::Prepared => connection.send(&Prepared::text(text), output),
        Verb::Chunks(len) => {
            let chars: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = chars.chunks(len).map(|piece| piece.iter().collect()).collect();
            for piece in &pieces {
                connection.send(Chunk { data: Message::Text(piece), end: false }, output).unwrap();
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

/// The same bytes in every cut and both deliveries.
fn heard(
    role: Role,
    config: &Config,
    chain: &str,
    wire: &[u8],
    cuts: &BTreeSet<usize>,
) -> Result<Heard, TestCaseError> {
    let agreement = agreed(config, role, chain);
    let mut ends: Vec<usize> = cuts.iter().map(|at| at % wire.len().max(1)).collect();
    ends.extend([0, wire.len()]);
    ends.sort_unstable();
    let pieces: Vec<&[u8]> = ends.windows(2).map(|ends| &wire[ends[0]..ends[1]]).collect();
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    let whole = hear(connection(role, Messages, config, &agreement), &[wire]);
    let chunks = Chunks { max_message: config.max_message, max_fragments: config.max_fragments };
    for pieces in [&[wire][..], &pieces, &bytes] {
        prop_assert_eq!(&hear(connection(role, Messages, config, &agreement), pieces), &whole);
        prop_assert_eq!(&hear(connection(role, chunks, config, &agreement), pieces), &whole);
    }
    Ok(whole)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_arrives_and_the_cut_means_nothing(
        by_client in any::<bool>(),
        chain in chain(),
        fragment_size in proptest::option::of(1..300_usize),
        messages in vec((payload(), verb()), 0..6),
        cuts in btree_set(0..5_000_usize, 0..20),
        damage in vec((any::<Index>(), any::<u8>()), 0..3),
        limit in 0..2_000_u64,
    ) {
        let (sender, receiver) = if by_client { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
        let config = Config { fragment_size, ..config() };
        let mut end = connection(sender, Messages, &config, &agreed(&config, sender, &chain));
        let mut output = BytesMut::new();
        for (text, verb) in &messages {
            send(&mut end, text, *verb, &mut output);
        }
        let told = heard(receiver, &config, &chain, &output, &cuts)?;
        let sent: Vec<Vec<u8>> = messages.iter().map(|(text, _)| text.clone().into_bytes()).collect();
        prop_assert_eq!(told, (sent, None));

        // Whatever is wrong with it, and however little may come out.
        let mut frames = unmasked(sender, &output);
        if !frames.is_empty() {
            for (at, change) in &damage {
                let at = at.index(frames.len());
                frames[at] ^= change;
            }
        }
        let limited = Config { max_message: limit, ..config };
        let (messages, _) = heard(Role::Client, &limited, &chain, &frames, &cuts)?;
        prop_assert!(messages.iter().all(|message| message.len() as u64 <= limit));
        if damage.is_empty() {
            let _ = heard(receiver, &limited, &chain, &from_peer(receiver, &frames), &cuts)?;
        }
    }
}
