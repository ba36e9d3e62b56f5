//! What comes in: in every cut, to both ends, in both deliveries.

use bowsprit::{CloseCode, Messages, ProtocolError, Role};
use hex_literal::hex;

use crate::support::{agrees, connection, fails, hear, heard, hears};
use crate::{NAMES, all};

#[test]
fn the_window_goes_on_from_message_to_message() {
    let frames = hex!("c1 07 f2 48 cd c9 c9 07 00 c1 07 0a c9 48 2d 4a 05 00");
    for name in NAMES {
        assert_eq!(hears(&all(), name, &frames), heard([b"Hello", b"There"]));
    }
}

#[test]
fn each_fragment_is_compressed_by_itself_or_not() {
    for frames in [
        &hex!("41 05 f2 48 cd 01 00 c0 04 ca c9 07 00")[..], // "Hel", "lo"
        &hex!("41 05 f2 48 cd 01 00 89 01 70 c0 04 ca c9 07 00"), // around a Ping
        &hex!("41 05 f2 48 cd 01 00 80 02 6c 6f"),           // "lo" as it is
        &hex!("01 03 48 65 6c c0 04 ca c9 07 00"),           // "Hel" as it is
        &hex!("01 00 40 05 f2 48 cd 01 00 00 00 40 04 ca c9 07 00 80 00"), // empty ones between
        &hex!("41 05 f2 48 cd 01 00 40 00 40 04 ca c9 07 00 c0 00"), // empty ones with RSV1
    ] {
        for name in NAMES {
            assert_eq!(hears(&all(), name, frames), heard([b"Hello"]));
        }
    }
}

#[test]
fn without_rsv1_a_frame_passes_the_window_by() {
    let frames = hex!("c1 07 f2 48 cd c9 c9 07 00 81 05 54 68 65 72 65 c1 07 0a c9 48 2d 4a 05 00");
    assert_eq!(hears(&all(), "deflate-frame", &frames), heard([b"Hello", b"There", b"There"]));
}

#[test]
fn an_empty_frame_is_empty_with_and_without_rsv1() {
    let frames = hex!("c1 00 81 00 c1 07 f2 48 cd c9 c9 07 00 c2 00 c1 07 0a c9 48 2d 4a 05 00 41 00 c0 00");
    assert_eq!(hears(&all(), "deflate-frame", &frames), heard([b"", b"", b"Hello", b"", b"There", b""]));
    // An empty block is empty, too.
    assert_eq!(hears(&all(), "deflate-frame", &hex!("c1 01 00")), heard([b""]));
    assert_eq!(hears(&all(), "deflate-frame", &hex!("c1 03 03 00 00")), heard([b""]));
}

#[test]
fn a_final_block_ends_nothing_but_itself() {
    // A final block and an empty one behind it; the next message refers to the one before.
    let frames = hex!("c1 08 f3 48 cd c9 c9 07 00 00 c1 07 0a c9 48 2d 4a 05 00 c1 05 f2 00 11 00 00");
    assert_eq!(hears(&all(), "deflate-frame", &frames), heard([b"Hello", b"There", b"Hhere"]));
    // In a fragment.
    let frames = hex!("41 06 f3 48 cd 01 00 00 c0 04 ca c9 07 00 c1 07 0a c9 48 2d 4a 05 00");
    assert_eq!(hears(&all(), "deflate-frame", &frames), heard([b"Hello", b"There"]));
}

#[test]
fn several_blocks_and_stored_ones_make_a_frame() {
    let two = hex!("c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00");
    assert_eq!(hears(&all(), "deflate-frame", &two), heard([b"Hello"]));
    let stored = hex!("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00");
    assert_eq!(hears(&all(), "deflate-frame", &stored), heard([b"Hello"]));
}

#[test]
fn a_character_may_be_cut_between_two_frames() {
    // U+20AC in stored blocks: e2 82 | ac.
    let frames = hex!("41 08 00 02 00 fd ff e2 82 00 c0 07 00 01 00 fe ff ac 00");
    assert_eq!(hears(&all(), "deflate-frame", &frames), heard(["\u{20ac}".as_bytes()]));
    let frames = hex!("41 08 00 02 00 fd ff e2 82 00 80 01 ac");
    assert_eq!(hears(&all(), "deflate-frame", &frames), heard(["\u{20ac}".as_bytes()]));
    let cut_off = hex!("c1 08 00 02 00 fd ff e2 82 00");
    assert_eq!(hears(&all(), "deflate-frame", &cut_off), fails(ProtocolError::InvalidUtf8));
}

#[test]
fn no_control_frame_has_rsv1() {
    assert_eq!(ProtocolError::ReservedBits.close_code(), CloseCode::PROTOCOL_ERROR);
    for name in NAMES {
        for frames in [
            &hex!("c8 00")[..],
            &hex!("c8 02 03 e8"),
            &hex!("c9 00"),
            &hex!("ca 00"),
            &hex!("c9 07 f2 48 cd c9 c9 07 00"),
            &hex!("41 05 f2 48 cd 01 00 c9 00"),
        ] {
            assert_eq!(hears(&all(), name, frames), fails(ProtocolError::ReservedBits));
        }
    }
}

#[test]
fn no_other_bit_is_claimed_and_nobody_else_claims_rsv1() {
    for frames in [&hex!("a1 00")[..], &hex!("91 00"), &hex!("e1 00"), &hex!("01 00 a0 00"), &hex!("01 00 d0 00")] {
        assert_eq!(hears(&all(), "deflate-frame", frames), fails(ProtocolError::ReservedBits));
    }
    for answer in ["identity", "fragment; maxLength=4", "fragment, identity"] {
        for frames in [&hex!("c1 07 f2 48 cd c9 c9 07 00")[..], &hex!("01 00 c0 00")] {
            assert_eq!(hears(&all(), answer, frames), fails(ProtocolError::ReservedBits));
        }
    }
}

#[test]
fn other_extensions_change_nothing_in_what_is_received() {
    let hello = hex!("c1 07 f2 48 cd c9 c9 07 00 41 05 f2 48 cd 01 00 80 02 6c 6f");
    for answer in [
        "deflate-frame, fragment; maxLength=4",
        "fragment; maxLength=4, deflate-frame",
        "identity, deflate-frame",
        "fragment, identity, x-webkit-deflate-frame",
        "x-webkit-deflate-frame, identity, fragment; maxLength=1",
    ] {
        // A server of this crate would answer some of them in another order.
        let agreement = agrees(&all(), &[answer]).unwrap();
        let client = connection(Role::Client, Messages, &all(), &agreement);
        assert_eq!(hear(client, &[&hello]), heard([b"Hello", b"Hello"]), "{answer}");
    }
}
