//! What the parameters of `deflate-frame` bind: the compressor of the end that receives them, and nothing else.

use std::sync::Arc;

use bowsprit::extension::Agreement;
use bowsprit::extension::legacy::DeflateFrame;
use bowsprit::extension::permessage_deflate::WindowBits;
use bowsprit::{Config, Messages, Outgoing, Role};
use bytes::BytesMut;
use hex_literal::hex;

use crate::decoder::Decoder;
use crate::support::{ROLES, agrees, answers, connection, from_peer, hear, heard, unmasked, with};
use crate::{NAMES, all};

/// What an end agrees to where its peer asks for this.
fn asked(role: Role, config: &Config, name: &str, parameters: &str) -> Agreement {
    let element = format!("{name}{parameters}");
    match role {
        Role::Client => agrees(config, &[&element]).unwrap(),
        Role::Server => answers(config, &element).1,
    }
}

fn sends(role: Role, config: &Config, agreement: &Agreement, messages: &[&[u8]]) -> Vec<u8> {
    let mut end = connection(role, Messages, config, agreement);
    let mut output = BytesMut::new();
    for message in messages {
        end.send(Outgoing::binary(message), &mut output).unwrap();
    }
    unmasked(role, &output)
}

const ALONE: [u8; 18] = hex!("c2 07 f2 48 cd c9 c9 07 00 c2 07 f2 48 cd c9 c9 07 00");
const TOGETHER: [u8; 16] = hex!("c2 07 f2 48 cd c9 c9 07 00 c2 05 f2 00 11 00 00");

#[test]
fn without_context_takeover_each_message_starts_from_an_empty_window() {
    for role in ROLES {
        for name in NAMES {
            let agreement = asked(role, &all(), name, "; no_context_takeover");
            assert_eq!(sends(role, &all(), &agreement, &[b"Hello", b"Hello"]), ALONE, "{role:?}");
            let agreement = asked(role, &all(), name, "");
            assert_eq!(sends(role, &all(), &agreement, &[b"Hello", b"Hello"]), TOGETHER, "{role:?}");
        }
    }
}

#[test]
fn what_this_end_asks_for_does_not_bind_it() {
    let eight = WindowBits::new(8).unwrap();
    let asks = with(vec![Arc::new(DeflateFrame::new().no_context_takeover().max_window_bits(eight))]);
    for role in ROLES {
        let agreement = asked(role, &asks, "deflate-frame", "");
        assert_eq!(sends(role, &asks, &agreement, &[b"Hello", b"Hello"]), TOGETHER, "{role:?}");
        // And a peer that does not keep to it is understood: 32 KiB back, into the message before.
        let far = noise(32_000);
        let peer = asked(role.peer(), &all(), "deflate-frame", "");
        let mut output = BytesMut::new();
        let mut end = connection(role.peer(), Messages, &all(), &peer);
        for message in [&far[..], &far] {
            end.send(Outgoing::binary(message), &mut output).unwrap();
        }
        assert!(output.len() < 33_000, "the second one refers to the first");
        let wire = from_peer(role, &unmasked(role.peer(), &output));
        assert_eq!(hear(connection(role, Messages, &asks, &agreement), &[&wire]), heard([&far[..], &far]));
    }
}

#[test]
fn no_match_reaches_further_than_the_window_that_was_asked_for() {
    // Repeated at two thirds of each window, and at what the smallest can reach.
    let distances = (8..16).map(|bits| (2 << bits) / 3).chain([240]);
    let messages: Vec<Vec<u8>> = distances.map(|distance| noise(distance).repeat(2)).collect();
    for bits in 8..=15 {
        for role in ROLES {
            for level in [1, 6, 9] {
                let config = with(vec![Arc::new(DeflateFrame::new().level(level))]);
                let agreement = asked(role, &config, "deflate-frame", &format!("; max_window_bits={bits}"));
                let mut end = connection(role, Messages, &config, &agreement);
                let mut decoder = Decoder::default();
                for message in &messages {
                    let mut output = BytesMut::new();
                    end.send(Outgoing::binary(message), &mut output).unwrap();
                    let frame = unmasked(role, &output);
                    let [0xc2, len, ..] = frame[..] else { panic!("it is compressed, and one frame") };
                    let payload = &frame[if len == 126 { 4 } else { 2 }..];
                    assert_eq!(decoder.message(payload).as_ref(), Some(message));
                }
                let farthest = decoder.farthest;
                assert!(farthest <= 1 << bits && 5 * farthest >= 2 << bits, "{bits} bits, {level}: {farthest}");
            }
        }
    }
}

/// Bytes that nothing repeats in.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    })
    .take(len)
    .collect()
}
