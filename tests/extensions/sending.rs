//! What goes out, from both ends, by every verb.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bowsprit::extension::{Decode, Element, Encode, Extension, IncomingUnit, Negotiated, OutgoingUnit, Param};
use bowsprit::{
    Chunk, Config, Header, Message, Messages, OpCode, Outgoing, Prepared, ProtocolError, Role, Rsv, SendError,
};
use bytes::BytesMut;
use hex_literal::hex;

use crate::frames::{Split, Tag, Turn};
use crate::support::{ROLES, agreed, agrees, connection, heard, hears, sends, unmasked, with};
use crate::xor::Xor;

fn all() -> Config {
    with(vec![Arc::new(Xor(0x20)), Arc::new(Turn), Arc::new(Tag), Arc::new(Split)])
}

const XOR: &str = "x-xor; key=32";

#[track_caller]
fn hello(config: &Config, answer: &str) -> Vec<u8> {
    let wire = sends(config, answer, |end, output| end.send("Hello", output));
    assert_eq!(hears(config, answer, &wire), heard([b"Hello"]));
    wire
}

#[test]
fn messages_and_frames_are_encoded() {
    assert_eq!(hello(&all(), XOR), hex!("81 05 68 45 4c 4c 4f"));
    assert_eq!(hello(&all(), "x-turn"), hex!("a1 05 6f 6c 6c 65 48"));
    assert_eq!(hello(&all(), "x-tag"), hex!("91 06 48 65 6c 6c 6f 21"));
    assert_eq!(sends(&all(), "x-turn", |end, output| end.send("H", output)), hex!("81 01 48"));
    assert_eq!(sends(&all(), XOR, |end, output| end.send(b"", output)), hex!("82 00"));
}

#[test]
fn the_first_of_the_answer_is_the_first_to_encode() {
    assert_eq!(hello(&all(), "x-xor; key=32, x-turn"), hex!("a1 05 4f 4c 4c 45 68"));
    assert_eq!(hello(&all(), "x-turn, x-tag"), hex!("b1 06 6f 6c 6c 65 48 21"));
    assert_eq!(hello(&all(), "x-tag, x-turn"), hex!("b1 06 21 6f 6c 6c 65 48"));
    assert_eq!(hello(&all(), "x-xor; key=32, x-turn, x-tag"), hex!("b1 06 4f 4c 4c 45 68 21"));
}

#[test]
fn messages_are_split_behind_those_of_messages_and_before_those_of_frames() {
    assert_eq!(hello(&all(), "x-split; max=4"), hex!("01 04 48 65 6c 6c 80 01 6f"));
    assert_eq!(hello(&all(), "x-xor; key=32, x-split; max=4"), hex!("01 04 68 45 4c 4c 80 01 4f"));
    assert_eq!(hello(&all(), "x-split; max=3, x-turn"), hex!("21 03 6c 65 48 a0 02 6f 6c"));
    assert_eq!(hello(&all(), "x-split; max=0"), hex!("01 01 48 00 01 65 00 01 6c 00 01 6c 80 01 6f"));
    // The smaller one counts, of the peer's and our own.
    for (size, own) in [(3, "01 03 48 65 6c 80 02 6c 6f"), (9, "01 04 48 65 6c 6c 80 01 6f")] {
        let config = Config { fragment_size: Some(size), ..all() };
        let wire = hello(&config, "x-split; max=4");
        assert_eq!(wire.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "), own);
    }
    // Wherever another server puts it.
    let agreement = agrees(&all(), &["x-turn, x-split; max=3"]).unwrap();
    let mut client = connection(Role::Client, Messages, &all(), &agreement);
    let mut output = BytesMut::new();
    client.send("Hello", &mut output).unwrap();
    assert_eq!(unmasked(Role::Client, &output), hex!("21 03 6c 65 48 a0 02 6f 6c"));
    let config = Config { fragment_size: Some(3), ..all() };
    assert_eq!(hello(&config, "x-turn"), hex!("21 03 6c 65 48 a0 02 6f 6c"));
}

#[test]
fn control_frames_pass_as_they_are() {
    let sent = sends(&all(), "x-xor; key=32, x-split; max=1, x-turn, x-tag", |end, output| {
        end.send(Outgoing::ping(b"ping"), output)?;
        end.send(Outgoing::pong(b"pong"), output)?;
        end.close(Some(bowsprit::CloseCode::NORMAL.into()), output)
    });
    assert_eq!(sent, hex!("89 04 70 69 6e 67 8a 04 70 6f 6e 67 88 02 03 e8"));
}

#[test]
fn chunks_prepared_plain_and_raw_frames_are_encoded_too() {
    let text = |text| Chunk { data: Message::Text(text), end: false };
    let chunks = |answer| {
        sends(&all(), answer, |end, output| {
            end.send(text("He"), output)?;
            end.send(Outgoing::ping(b""), output)?;
            end.send(text("llo"), output)?;
            end.send(Chunk { data: Message::Text(""), end: true }, output)
        })
    };
    assert_eq!(chunks(XOR), hex!("01 02 68 45 89 00 00 03 4c 4c 4f 80 00"));
    assert_eq!(chunks("x-turn"), hex!("21 02 65 48 89 00 20 03 6f 6c 6c 80 00"));
    assert_eq!(chunks("x-split; max=2"), hex!("01 02 48 65 89 00 00 02 6c 6c 00 01 6f 80 00"));

    let news = Prepared::text("Hello");
    #[cfg(feature = "deflate")]
    let news = news.deflated(9);
    for answer in [XOR, "x-turn", "x-tag", "x-tag, x-turn"] {
        let wire = hello(&all(), answer);
        assert_eq!(sends(&all(), answer, |end, output| end.send(&news, output)), wire);
    }
    // They encode the payload, each for itself.
    assert_eq!(news.encodings(), 1);
    let plain = |answer| {
        let plain = sends(&all(), answer, |end, output| {
            end.send(Outgoing::message(Message::Text("Hello")).uncompressed(), output)
        });
        let header = Header::new(OpCode::Text, 5);
        assert_eq!(sends(&all(), answer, |end, output| end.send(Outgoing::frame(header, b"Hello"), output)), plain);
        plain
    };
    assert_eq!(plain(XOR), hello(&all(), XOR));
    assert_eq!(plain("x-turn"), hex!("81 05 48 65 6c 6c 6f"));
    assert_eq!(plain("x-tag, x-turn"), hello(&all(), "x-tag"));
    let raw = |answer| {
        sends(&all(), answer, |end, output| {
            end.send(Outgoing::frame(Header { fin: false, ..Header::new(OpCode::Text, 2) }, b"He"), output)?;
            end.send(Chunk { data: Message::Text("l"), end: false }, output)?;
            end.send(Outgoing::frame(Header::new(OpCode::Continuation, 2), b"lo"), output)
        })
    };
    assert_eq!(raw(XOR), hex!("01 02 68 45 00 01 4c 80 02 4c 4f"));
    assert_eq!(raw("x-turn"), hex!("01 02 48 65 00 01 6c 80 02 6c 6f"));
    assert_eq!(raw("x-tag"), hex!("11 03 48 65 21 10 02 6c 21 90 03 6c 6f 21"));
}

#[test]
fn nothing_goes_out_behind_the_back_of_an_extension() {
    let long = Prepared::binary(&[0; 1 << 16]);
    for answer in [XOR, "x-turn", "x-split; max=4"] {
        let mut server = connection(Role::Server, Messages, &all(), &agreed(&all(), Role::Server, answer));
        let output = BytesMut::new();
        assert!(server.begin(Message::Binary(long.payload()), &output).unwrap().is_none());
        assert!(
            server.begin(Outgoing::message(Message::Binary(long.payload())).uncompressed(), &output).unwrap().is_none()
        );
        assert!(server.begin(&long, &output).unwrap().is_none());
    }
}

#[test]
fn a_refused_message_leaves_the_extensions_as_they_were() {
    let agreement = agreed(&all(), Role::Server, XOR);
    let config = Config { max_unsent: 1, ..all() };
    let mut server = connection(Role::Server, Messages, &config, &agreement);
    let mut output = BytesMut::new();
    server.send("Hello", &mut output).unwrap();
    assert_eq!(server.send("Hello", &mut output), Err(SendError::Full));
    let wrong = Header { fin: false, ..Header::new(OpCode::Text, 1) };
    server.wrote(output.len(), &mut output);
    assert_eq!(server.send(Outgoing::frame(wrong, b"\xff"), &mut output), Err(SendError::InvalidUtf8));
    server.send("Hello", &mut output).unwrap();
    assert_eq!(output, hex!("81 05 68 45 4c 4c 4f")[..]);
}

/// Encodes nothing: it panics.
#[derive(Debug)]
struct Broken;

impl Extension for Broken {
    fn name(&self) -> &str {
        "x-broken"
    }

    fn accept(&self, _: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        Some((Vec::new(), Negotiated::messages(|| (Self, Self))))
    }

    fn agree(&self, _: &[&Element<'_>]) -> Option<Negotiated> {
        Some(Negotiated::messages(|| (Self, Self)))
    }
}

impl Decode for Broken {
    fn begin(&mut self, _: IncomingUnit) -> Result<bool, ProtocolError> {
        Ok(false)
    }

    fn decode(&mut self, _: &[u8], _: bool, _: u64, _: &mut Vec<u8>) -> Result<(), ProtocolError> {
        Ok(())
    }
}

impl Encode for Broken {
    fn begin(&mut self, _: OutgoingUnit) -> Option<Rsv> {
        Some(Rsv::NONE)
    }

    fn encode(&mut self, _: &[u8], _: bool, _: &mut Vec<u8>) {
        panic!("broken");
    }
}

#[test]
fn nothing_goes_past_an_extension_that_panicked() {
    let config = with(vec![Arc::new(Broken)]);
    for role in ROLES {
        let mut end = connection(role, Messages, &config, &agreed(&config, role, "x-broken"));
        for _ in 0..2 {
            let mut output = BytesMut::new();
            let sent = catch_unwind(AssertUnwindSafe(|| end.send("secret", &mut output)));
            assert!(sent.is_err() && output.is_empty(), "{role:?}");
        }
    }
}
