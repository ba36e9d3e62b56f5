//! Together with permessage-deflate, in both orders.

use std::sync::Arc;

use bowsprit::extension::Extension;
use bowsprit::handshake::{AcceptOptions, ResponseError};
use bowsprit::{Chunk, Config, Deflate, Exceeded, HandshakeError, Message, Outgoing, ProtocolError, Rsv};
use hex_literal::hex;

use crate::frames::{Claims, Split, Tag, Turn};
use crate::support::{agrees, answers, answers_with, fails, heard, hears, offers, sends, with};
use crate::xor::Xor;

fn deflating(extensions: Vec<Arc<dyn Extension>>) -> Config {
    let compression = Some(Deflate { threshold: 0, ..Deflate::default() });
    Config { compression, ..with(extensions) }
}

fn all() -> Config {
    deflating(vec![Arc::new(Xor(0x20)), Arc::new(Turn), Arc::new(Tag), Arc::new(Split)])
}

#[test]
fn it_is_offered_first_and_answered_in_the_order_of_the_offers() {
    assert_eq!(
        offers(&deflating(vec![Arc::new(Xor(32)), Arc::new(Turn)])),
        "permessage-deflate; client_max_window_bits, x-xor; key=32, x-turn"
    );
    for (offered, answered) in [
        ("permessage-deflate, x-xor; key=1", "permessage-deflate, x-xor; key=1"),
        ("x-xor; key=1, permessage-deflate", "x-xor; key=1, permessage-deflate"),
        ("x-turn, permessage-deflate", "permessage-deflate, x-turn"),
        ("x-turn, permessage-deflate; wrong, permessage-deflate", "permessage-deflate, x-turn"),
    ] {
        assert_eq!(answers(&all(), offered).0, answered, "{offered}");
    }
    assert_eq!(
        agrees(&all(), &["x-turn, permessage-deflate"]),
        Err(HandshakeError::Response(ResponseError::Extensions))
    );
    let agreement = agrees(&all(), &["x-xor; key=32, permessage-deflate; server_max_window_bits=9"]).unwrap();
    assert_eq!(agreement.deflate().map(|agreed| agreed.server_max_window_bits), Some(9));
}

#[test]
fn a_server_chooses_among_the_offers() {
    let choices = AcceptOptions::new().extensions(|_, offer| offer.value("server_max_window_bits").is_none());
    let answer = |offered| answers_with(&all(), &choices, offered).0;
    assert_eq!(
        answer("permessage-deflate; server_max_window_bits=9, permessage-deflate; server_no_context_takeover"),
        "permessage-deflate; server_no_context_takeover"
    );
    assert_eq!(answer("permessage-deflate; server_max_window_bits=9"), "");
}

#[test]
fn nothing_that_claims_rsv1_goes_together_with_it() {
    let config = deflating(vec![Arc::new(Claims("x-one", Rsv::RSV1)), Arc::new(Turn)]);
    assert_eq!(answers(&config, "x-one, permessage-deflate, x-turn").0, "x-one, x-turn");
    assert_eq!(answers(&config, "permessage-deflate, x-one, x-turn").0, "permessage-deflate, x-turn");
    for answered in ["permessage-deflate, x-one", "x-one, permessage-deflate"] {
        assert_eq!(agrees(&config, &[answered]), Err(HandshakeError::Response(ResponseError::Extensions)));
    }
}

#[test]
fn what_is_compressed_is_encoded_and_the_other_way_round() {
    // "Hello" is f2 48 cd c9 c9 07 00, "hELLO" is ca 70 f5 f1 f1 07 00.
    for (answer, whole, fragments) in [
        (
            "permessage-deflate, x-xor; key=32",
            &hex!("c1 07 d2 68 ed e9 e9 27 20")[..],
            &hex!("41 02 d2 68 89 00 80 05 ed e9 e9 27 20")[..],
        ),
        (
            "x-xor; key=32, permessage-deflate",
            &hex!("c1 07 ca 70 f5 f1 f1 07 00"),
            &hex!("41 02 ca 70 89 00 80 05 f5 f1 f1 07 00"),
        ),
        (
            "permessage-deflate, x-turn",
            &hex!("e1 07 00 07 c9 c9 cd 48 f2"),
            &hex!("61 02 48 f2 89 00 a0 05 00 07 c9 c9 cd"),
        ),
        (
            "x-xor; key=32, permessage-deflate, x-tag, x-turn",
            &hex!("f1 08 21 00 07 f1 f1 f5 70 ca"),
            &hex!("71 03 21 70 ca 89 00 b0 06 21 00 07 f1 f1 f5"),
        ),
    ] {
        assert_eq!(sends(&all(), answer, |end, output| end.send("Hello", output)), whole, "{answer}");
        assert_eq!(hears(&all(), answer, whole), heard([b"Hello"]), "{answer}");
        assert_eq!(hears(&all(), answer, fragments), heard([b"Hello"]), "{answer}");
        // The window is kept.
        let twice = sends(&all(), answer, |end, output| {
            end.send("Hello", output)?;
            end.send("Hello", output)
        });
        assert_eq!(hears(&all(), answer, &twice), heard([b"Hello", b"Hello"]), "{answer}");
        assert!(twice.len() < 2 * whole.len(), "{answer}");
    }
}

#[test]
fn a_message_is_compressed_and_then_split() {
    let answer = "permessage-deflate, x-split; max=3";
    let sent = sends(&all(), answer, |end, output| end.send("Hello", output));
    assert_eq!(sent, hex!("41 03 f2 48 cd 00 03 c9 c9 07 80 01 00"));
    assert_eq!(hears(&all(), answer, &sent), heard([b"Hello"]));
}

#[test]
fn an_uncompressed_message_goes_through_the_others() {
    let answer = "x-xor; key=32, permessage-deflate, x-tag";
    let plain = hex!("91 06 68 45 4c 4c 4f 21");
    assert_eq!(
        sends(&all(), answer, |end, output| end.send(Outgoing::message(Message::Text("Hello")).uncompressed(), output)),
        plain
    );
    let longer = Config { compression: Some(Deflate { threshold: 6, ..Deflate::default() }), ..all() };
    assert_eq!(sends(&longer, answer, |end, output| end.send("Hello", output)), plain);
    assert_eq!(hears(&all(), answer, &plain), heard([b"Hello"]));
}

#[test]
fn chunks_are_compressed_piece_by_piece() {
    for answer in ["permessage-deflate, x-xor; key=32", "x-xor; key=32, permessage-deflate, x-turn"] {
        let sent = sends(&all(), answer, |end, output| {
            end.send(Chunk { data: Message::Text("He"), end: false }, output)?;
            end.send(Chunk { data: Message::Text("llo"), end: true }, output)?;
            end.send("Hello", output)
        });
        assert_eq!(hears(&all(), answer, &sent), heard([b"Hello", b"Hello"]), "{answer}");
    }
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let config = Config { max_message: 1_000, ..all() };
    let zeros = vec![0; 100_000];
    for answer in [
        "permessage-deflate, x-xor; key=32",
        "x-xor; key=32, permessage-deflate",
        "x-xor; key=32, permessage-deflate, x-tag, x-turn",
    ] {
        let bomb = sends(&all(), answer, |end, output| end.send(&zeros, output));
        assert!(bomb.len() < 200);
        assert_eq!(
            hears(&config, answer, &bomb),
            fails(ProtocolError::MessageTooLong(Exceeded::new(0, 0))),
            "{answer}"
        );
        let right = sends(&all(), answer, |end, output| end.send(&zeros[..1_000], output));
        assert_eq!(hears(&config, answer, &right), heard([&zeros[..1_000]]), "{answer}");
    }
}

#[test]
fn what_is_no_deflate_fails_behind_the_text_before_it() {
    let answer = "x-xor; key=32, permessage-deflate";
    let xored = |frames: &[u8]| hears(&all(), answer, frames);
    assert_eq!(xored(&hex!("c1 03 ca 70 f5")), fails(ProtocolError::InvalidDeflate));
    // A stored block with df, which becomes ff, and then a block of no kind.
    assert_eq!(xored(&hex!("c1 07 00 01 00 fe ff df 06")), fails(ProtocolError::InvalidUtf8));
    assert_eq!(xored(&hex!("c2 07 00 01 00 fe ff df 06")), fails(ProtocolError::InvalidDeflate));
}

#[test]
fn memory_may_be_given_back_between_two_messages() {
    let answer = "permessage-deflate, x-xor; key=32";
    let sent = sends(&all(), answer, |end, output| {
        end.send("Hello", output)?;
        end.release_compression();
        end.send("Hello", output)
    });
    assert_eq!(sent, hex!("c1 07 d2 68 ed e9 e9 27 20 c1 07 d2 68 ed e9 e9 27 20"));
}
