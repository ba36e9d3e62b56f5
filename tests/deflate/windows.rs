//! No match reaches further back than the agreed window (RFC 7692 section 7.1.2).

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Connection, Deflate, Outgoing};
use bytes::BytesMut;
use flate2::{Compress, Compression, FlushCompress};
use hex_literal::hex;

use crate::decoder::Decoder;
use crate::support::{AGREED, messages, pair, payloads};

#[test]
fn the_decoder_inflates_and_sees_a_window_that_is_too_large() {
    for payload in [
        &hex!("f2 48 cd c9 c9 07 00")[..],
        &hex!("00 05 00 fa ff 48 65 6c 6c 6f 00"),
        &hex!("f2 48 05 00 00 00 ff ff ca c9 c9 07 00"),
        &hex!("f3 48 05 00 cb c9 c9 07 00 00"),
    ] {
        assert_eq!(Decoder::default().message(payload).as_deref(), Some(&b"Hello"[..]));
    }
    // The second Hello is a match of the first.
    let mut decoder = Decoder::default();
    assert_eq!(decoder.message(&hex!("f2 48 cd c9 c9 07 00")), Some(b"Hello".to_vec()));
    assert_eq!((decoder.message(&hex!("f2 00 11 00 00")), decoder.farthest), (Some(b"Hello".to_vec()), 5));

    // What an encoder of 15 bits makes of these messages reaches further than each smaller window.
    let messages = messages(30_000);
    for level in 1..=9 {
        let mut engine = Compress::new_with_window_bits(Compression::new(level), false, 15);
        let mut decoder = Decoder::default();
        for message in &messages {
            let mut payload = Vec::with_capacity(message.len() + 1_000);
            engine.compress_vec(message, &mut payload, FlushCompress::Sync).unwrap();
            assert_eq!(decoder.message(payload.strip_suffix(&[0, 0, 0xff, 0xff]).unwrap()).as_ref(), Some(message));
        }
        assert!(decoder.farthest > 1 << 14, "level {level}: {}", decoder.farthest);
    }
}

#[test]
fn no_match_reaches_further_than_the_agreed_window() {
    let messages = messages(40_000);
    for bits in 8..=15 {
        let mut farthest = 0;
        for level in 0..=9 {
            let agreed = Agreed { server_max_window_bits: bits, client_max_window_bits: bits, ..AGREED };
            let (client, server) = pair(agreed, Deflate { level, threshold: 0, ..Deflate::default() });
            for mut sender in [client, server] {
                let mut decoder = Decoder::default();
                for message in &messages {
                    assert_eq!(&inflated(&mut sender, message, &mut decoder), message, "{bits} bits, level {level}");
                }
                assert!(decoder.farthest <= 1 << bits, "{bits} bits, level {level}: {}", decoder.farthest);
                farthest = farthest.max(decoder.farthest);
            }
        }
        // And the window is used.
        assert!(5 * farthest >= 2 << bits, "{bits} bits: {farthest}");
    }
}

#[test]
fn each_direction_has_a_window_of_its_own() {
    let messages = messages(20_000);
    let agreed = Agreed { server_max_window_bits: 9, client_max_window_bits: 14, ..AGREED };
    let (client, server) = pair(agreed, Deflate { threshold: 0, ..Deflate::default() });
    let [client, server] = [client, server].map(|mut sender| {
        let mut decoder = Decoder::default();
        for message in &messages {
            assert_eq!(&inflated(&mut sender, message, &mut decoder), message);
        }
        decoder.farthest
    });
    assert!(server <= 1 << 9 && client > 1 << 9 && client <= 1 << 14, "{server}, {client}");
}

#[test]
fn without_takeover_no_match_leaves_its_message() {
    let agreed = Agreed { server_no_context_takeover: true, client_no_context_takeover: true, ..AGREED };
    let (client, server) = pair(agreed, Deflate { threshold: 0, ..Deflate::default() });
    for mut sender in [client, server] {
        let mut decoder = Decoder::default();
        for message in &messages(5_000) {
            decoder.forget();
            assert_eq!(&inflated(&mut sender, message, &mut decoder), message);
        }
    }
}

/// What the message goes out as, inflated. Some go plain, where those before them hardly shrank.
fn inflated(sender: &mut Connection, message: &[u8], decoder: &mut Decoder) -> Vec<u8> {
    let mut output = BytesMut::new();
    sender.send(Outgoing::binary(message), &mut output).unwrap();
    match &payloads(sender.role(), &output)[..] {
        [(0xc2, payload)] => decoder.message(payload).expect("DEFLATE in a window"),
        [(0x82, payload)] => payload.clone(),
        _ => panic!("one frame: {output:02x?}"),
    }
}
