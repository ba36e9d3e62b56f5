//! What comes in: in every cut, to both ends, in both deliveries.

use std::sync::Arc;

use bowsprit::{Config, Exceeded, ProtocolError};
use hex_literal::hex;

use crate::frames::{Split, Tag, Turn};
use crate::support::{fails, heard, hears, with};
use crate::xor::Xor;

fn all() -> Config {
    with(vec![Arc::new(Xor(0x20)), Arc::new(Turn), Arc::new(Tag), Arc::new(Split)])
}

const XOR: &str = "x-xor; key=32";

#[test]
fn messages_are_decoded_as_a_whole() {
    // "hELLO", whole, in fragments, in empty ones, around a Ping; an empty message.
    for frames in [
        &hex!("81 05 68 45 4c 4c 4f")[..],
        &hex!("01 02 68 45 80 03 4c 4c 4f"),
        &hex!("01 00 00 02 68 45 00 00 80 03 4c 4c 4f"),
        &hex!("01 02 68 45 89 01 70 00 03 4c 4c 4f 80 00"),
    ] {
        assert_eq!(hears(&all(), XOR, frames), heard([b"Hello"]));
    }
    let twice = hex!("82 05 68 45 4c 4c 4f 81 00 01 02 68 45 80 03 4c 4c 4f");
    assert_eq!(hears(&all(), XOR, &twice), heard([b"Hello", b"", b"Hello"]));
    let long = [&hex!("82 7e 01 2c")[..], &[0x41; 300]].concat();
    assert_eq!(hears(&all(), XOR, &long), heard([&[0x61; 300]]));
}

#[test]
fn frames_are_decoded_one_by_one() {
    for frames in [
        &hex!("a1 05 6f 6c 6c 65 48")[..],                        // "olleH"
        &hex!("21 03 6c 65 48 a0 02 6f 6c"),                      // "leH", "ol"
        &hex!("01 01 48 20 02 6c 65 89 01 70 20 02 6f 6c 80 00"), // "H", "le", "ol", ""
        &hex!("81 05 48 65 6c 6c 6f"),                            // without its bit: as it is
        &hex!("21 03 6c 65 48 80 02 6c 6f"),
    ] {
        assert_eq!(hears(&all(), "x-turn", frames), heard([b"Hello"]));
    }
    assert_eq!(hears(&all(), "x-tag", &hex!("91 06 48 65 6c 6c 6f 21")), heard([b"Hello"]));
    assert_eq!(hears(&all(), "x-tag", &hex!("11 04 48 65 6c 21 90 03 6c 6f 21")), heard([b"Hello"]));
}

#[test]
fn the_last_one_to_encode_is_the_first_to_decode() {
    // turn(xor("Hello")) = "OLLEh"
    assert_eq!(hears(&all(), "x-xor; key=32, x-turn", &hex!("a1 05 4f 4c 4c 45 68")), heard([b"Hello"]));
    // tag(turn("Hello")) and turn(tag("Hello"))
    assert_eq!(hears(&all(), "x-turn, x-tag", &hex!("b1 06 6f 6c 6c 65 48 21")), heard([b"Hello"]));
    assert_eq!(hears(&all(), "x-tag, x-turn", &hex!("b1 06 21 6f 6c 6c 65 48")), heard([b"Hello"]));
    let fragments = hex!("31 03 21 65 48 b0 04 21 6f 6c 6c");
    assert_eq!(hears(&all(), "x-tag, x-turn", &fragments), heard([b"Hello"]));
}

#[test]
fn a_bit_is_legal_where_it_is_claimed() {
    let illegal = || fails(ProtocolError::ReservedBits);
    for (answer, frames) in [
        (XOR, &hex!("c1 00")[..]),
        (XOR, &hex!("a1 00")),
        ("x-turn", &hex!("c1 00")),
        ("x-turn", &hex!("91 00")),
        ("x-turn", &hex!("a9 00")), // a Ping is no data
        ("x-turn", &hex!("a8 00")),
        ("x-turn", &hex!("01 00 a9 00")),
        ("x-turn, x-tag", &hex!("f1 00")),
        ("x-split; max=4", &hex!("c1 00")),
    ] {
        assert_eq!(hears(&all(), answer, frames), illegal(), "{answer}, {frames:02x?}");
    }
    // RFC 6455 section 5.2: at the first byte.
    assert_eq!(hears(&all(), "x-turn", &hex!("d1")), illegal());
}

#[test]
fn what_cannot_be_decoded_fails() {
    // "Hello?" and nothing, where a tag should be.
    assert_eq!(hears(&all(), "x-tag", &hex!("91 06 48 65 6c 6c 6f 3f")), fails(ProtocolError::InvalidExtensionData));
    assert_eq!(hears(&all(), "x-tag", &hex!("91 00")), fails(ProtocolError::InvalidExtensionData));
    assert_eq!(ProtocolError::InvalidExtensionData.close_code(), bowsprit::CloseCode::INVALID_PAYLOAD);
}

#[test]
fn text_is_utf8_once_it_is_decoded() {
    // "é" is c3 a9; with the key, e3 89.
    assert_eq!(hears(&all(), XOR, &hex!("81 02 e3 89")), heard(["é".as_bytes()]));
    assert_eq!(hears(&all(), XOR, &hex!("01 01 e3 80 01 89")), heard(["é".as_bytes()]));
    let invalid = || fails(ProtocolError::InvalidUtf8);
    assert_eq!(hears(&all(), XOR, &hex!("81 02 c3 a9")), invalid());
    assert_eq!(hears(&all(), XOR, &hex!("81 01 e3")), invalid());
    assert_eq!(hears(&all(), XOR, &hex!("01 05 df")), invalid(), "before its end");
    // It comes before the tag that is missing.
    assert_eq!(hears(&all(), "x-tag", &hex!("91 04 41 ff 42 3f")), invalid());
}

#[test]
fn the_limits_are_those_of_what_comes_out_and_of_the_frames() {
    let five = || Config { max_message: 5, ..all() };
    let too_long = || fails(ProtocolError::MessageTooLong(Exceeded::new(0, 0)));
    for answer in [XOR, "x-split; max=4"] {
        let frames = |len: u8| [&[0x82, len][..], &vec![0x41; len.into()]].concat();
        let byte = if answer == XOR { 0x61 } else { 0x41 };
        assert_eq!(hears(&five(), answer, &frames(5)), heard([&[byte; 5]]));
        assert_eq!(hears(&five(), answer, &frames(6)), too_long());
        assert_eq!(hears(&five(), answer, &hex!("02 05 41 41 41 41 41 80 01 41")), too_long());
    }
    // The tag does not count, what was turned does.
    assert_eq!(hears(&five(), "x-tag", &hex!("92 06 48 65 6c 6c 6f 21")), heard([b"Hello"]));
    assert_eq!(hears(&five(), "x-turn", &hex!("22 05 6f 6c 6c 65 48 a0 02 41 42")), too_long());
    // Frames are judged by their header: twice the message and 64 bytes.
    assert_eq!(hears(&five(), XOR, &hex!("82 4b")), fails(ProtocolError::FrameTooLong(Exceeded::new(0, 0))));
    let frame = Config { max_frame: Some(4), ..all() };
    assert_eq!(hears(&frame, XOR, &hex!("82 05")), fails(ProtocolError::FrameTooLong(Exceeded::new(0, 0))));
    let fragments = Config { max_fragments: 2, ..all() };
    assert_eq!(hears(&fragments, XOR, &hex!("02 01 41 00 01 41 80 01 41")), fails(ProtocolError::TooManyFragments));
}
