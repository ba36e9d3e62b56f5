//! What goes out, from both ends.

use bowsprit::{Chunk, Config, Header, Message, OpCode, Outgoing, Prepared};
use hex_literal::hex;

use crate::support::{heard, hears, sends};
use crate::{NAMES, all};

#[test]
fn a_message_is_one_compressed_frame_and_the_window_goes_on() {
    for name in NAMES {
        let sent = sends(&all(), name, |end, output| {
            end.send("Hello", output)?;
            end.send("There", output)
        });
        assert_eq!(sent, hex!("c1 07 f2 48 cd c9 c9 07 00 c1 07 0a c9 48 2d 4a 05 00"));
    }
    let prepared = sends(&all(), "deflate-frame", |end, output| end.send(&Prepared::binary(&b"Hello"[..]), output));
    assert_eq!(prepared, hex!("c2 07 f2 48 cd c9 c9 07 00"));
}

#[test]
fn an_empty_message_has_no_rsv1() {
    let sent = sends(&all(), "deflate-frame", |end, output| {
        end.send("", output)?;
        end.send(b"", output)?;
        end.send("Hello", output)
    });
    assert_eq!(sent, hex!("81 00 82 00 c1 07 f2 48 cd c9 c9 07 00"));
}

#[test]
fn a_message_in_several_frames_has_no_rsv1() {
    let plain = hex!("01 02 48 65 80 03 6c 6c 6f");
    let hello = hex!("c1 07 f2 48 cd c9 c9 07 00");
    let chunks = sends(&all(), "deflate-frame", |end, output| {
        end.send(Chunk { data: Message::Text("He"), end: false }, output)?;
        end.send(Chunk { data: Message::Text("llo"), end: true }, output)?;
        end.send("Hello", output)
    });
    assert_eq!(chunks, [&plain[..], &hello].concat());
    let split = Config { fragment_size: Some(3), ..all() };
    let split = sends(&split, "deflate-frame", |end, output| end.send("Hello", output));
    assert_eq!(split, hex!("01 03 48 65 6c 80 02 6c 6f"));
    // One chunk is one frame.
    let one = sends(&all(), "deflate-frame", |end, output| {
        end.send(Chunk { data: Message::Text("Hello"), end: true }, output)
    });
    assert_eq!(one, hello);
    assert_eq!(hears(&all(), "deflate-frame", &chunks), heard([b"Hello", b"Hello"]));
}

#[test]
fn who_asks_for_no_compression_gets_none() {
    let sent = sends(&all(), "deflate-frame", |end, output| {
        end.send(Outgoing::message(Message::Text("Hello")).uncompressed(), output)?;
        end.send(Outgoing::frame(Header::new(OpCode::Text, 5), b"Hello"), output)?;
        end.send("Hello", output)
    });
    assert_eq!(sent, hex!("81 05 48 65 6c 6c 6f 81 05 48 65 6c 6c 6f c1 07 f2 48 cd c9 c9 07 00"));
}

#[test]
fn control_frames_are_as_ever() {
    let sent = sends(&all(), "fragment; maxLength=4, deflate-frame", |end, output| {
        end.send(Outgoing::ping(b"longer than 4"), output)?;
        end.close(None, output)
    });
    assert_eq!(sent, [&[0x89, 13][..], b"longer than 4", &hex!("88 00")].concat());
}

#[test]
fn memory_may_be_given_back_between_two_messages() {
    let sent = sends(&all(), "deflate-frame", |end, output| {
        end.send("Hello", output)?;
        end.release_compression();
        end.send("Hello", output)
    });
    assert_eq!(sent, hex!("c1 07 f2 48 cd c9 c9 07 00 c1 07 f2 48 cd c9 c9 07 00"));
}
