//! `fragment`: what is split, and when, beside both kinds of compression.

use bowsprit::{Config, Message, Outgoing};
use hex_literal::hex;

use crate::support::{heard, hears, sends};
use crate::{all, with_permessage_deflate};

#[test]
fn data_goes_out_in_frames_of_at_most_so_many_bytes() {
    let sent = sends(&all(), "fragment; maxLength=4", |end, output| end.send("Echo: abcdef", output));
    assert_eq!(sent, [&[0x01, 4][..], b"Echo", &[0x00, 4], b": ab", &[0x80, 4], b"cdef"].concat());
    assert_eq!(hears(&all(), "fragment; maxLength=4", &sent), heard([b"Echo: abcdef"]));
    // No more than that is one frame.
    let short = sends(&all(), "fragment; maxLength=4", |end, output| {
        end.send("Echo", output)?;
        end.send(b"", output)?;
        end.send(Outgoing::ping(b"not split"), output)
    });
    assert_eq!(short, [&[0x81, 4][..], b"Echo", &[0x82, 0], &[0x89, 9], b"not split"].concat());
}

#[test]
fn what_is_received_may_be_longer() {
    let frames = [&[0x81, 12][..], b"Echo: abcdef"].concat();
    assert_eq!(hears(&all(), "fragment; maxLength=4", &frames), heard([b"Echo: abcdef"]));
}

#[test]
fn without_a_length_above_zero_nothing_is_split() {
    let whole = [&[0x81, 12][..], b"Echo: abcdef"].concat();
    for answer in ["fragment", "fragment; maxLength=0", "fragment; maxLength=-1", "fragment; maxLength=-99999999"] {
        assert_eq!(sends(&all(), answer, |end, output| end.send("Echo: abcdef", output)), whole, "{answer}");
    }
    let most = format!("fragment; maxLength={}", i64::MAX);
    assert_eq!(sends(&all(), &most, |end, output| end.send("Echo: abcdef", output)), whole);
}

#[test]
fn the_shorter_of_two_lengths_holds() {
    for (own, answer) in [(3, "fragment; maxLength=4"), (9, "fragment; maxLength=3")] {
        let config = Config { fragment_size: Some(own), ..all() };
        let sent = sends(&config, answer, |end, output| end.send("Hello", output));
        assert_eq!(sent, hex!("01 03 48 65 6c 80 02 6c 6f"));
    }
}

#[test]
fn permessage_deflate_compresses_and_then_splits() {
    for answer in [
        "permessage-deflate, fragment; maxLength=3",
        "fragment; maxLength=3, permessage-deflate",
        "identity, fragment; maxLength=3, permessage-deflate",
    ] {
        let sent = sends(&with_permessage_deflate(), answer, |end, output| end.send("Hello", output));
        assert_eq!(sent, hex!("41 03 f2 48 cd 00 03 c9 c9 07 80 01 00"), "{answer}");
        assert_eq!(hears(&with_permessage_deflate(), answer, &sent), heard([b"Hello"]), "{answer}");
        let plain = sends(&with_permessage_deflate(), answer, |end, output| {
            end.send(Outgoing::message(Message::Text("Hello")).uncompressed(), output)
        });
        assert_eq!(plain, hex!("01 03 48 65 6c 80 02 6c 6f"), "{answer}");
    }
}

#[test]
fn deflate_frame_splits_and_then_compresses() {
    for answer in ["fragment; maxLength=5, deflate-frame", "fragment; maxLength=5, identity, deflate-frame"] {
        let sent = sends(&all(), answer, |end, output| {
            end.send("Hello", output)?;
            end.send("Hello!", output)?;
            end.send("There", output)
        });
        // Peers disagree about fragments: what is split is not compressed.
        assert_eq!(
            sent,
            hex!("c1 07 f2 48 cd c9 c9 07 00 01 05 48 65 6c 6c 6f 80 01 21 c1 07 0a c9 48 2d 4a 05 00"),
            "{answer}"
        );
        assert_eq!(hears(&all(), answer, &sent), heard([&b"Hello"[..], b"Hello!", b"There"]), "{answer}");
    }
}
