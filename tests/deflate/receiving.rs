//! What goes wrong in a message is told alike however its bytes were cut.

use std::sync::Arc;

use bowsprit::{Config, Connection, Exceeded, Messages, ProtocolError, Role};
use flate2::{Compress, Compression, FlushCompress};
use hex_literal::hex;

use crate::decoder::Decoder;
use crate::support::{AGREED, Random, bytes_of, frame, hear, hears, receive};

#[test]
fn text_before_the_limit_is_judged_before_the_limit() {
    // Stored: 61 ff 62 63 64 65.
    let payload = hex!("00 06 00 f9 ff 61 ff 62 63 64 65 00");
    let config = Config { max_message: 3, ..Config::default() };
    assert_eq!(hears(&config, AGREED, &[(0xc1, &payload)]), (vec![], Some(ProtocolError::InvalidUtf8)));
    assert_eq!(
        hears(&config, AGREED, &[(0xc2, &payload)]),
        (vec![], Some(ProtocolError::MessageTooLong(Exceeded::new(0, 0))))
    );
    // And what is behind the limit, not at all.
    let payload = hex!("00 06 00 f9 ff 61 62 63 ff ff ff 06");
    assert_eq!(
        hears(&config, AGREED, &[(0xc1, &payload)]),
        (vec![], Some(ProtocolError::MessageTooLong(Exceeded::new(0, 0))))
    );
}

#[test]
fn text_before_corrupt_data_is_judged_before_it() {
    // Stored: 61 ff, and then a block of a type that there is not.
    let payload = hex!("00 02 00 fd ff 61 ff 06");
    assert_eq!(hears(&Config::default(), AGREED, &[(0xc1, &payload)]), (vec![], Some(ProtocolError::InvalidUtf8)));
    assert_eq!(hears(&Config::default(), AGREED, &[(0xc2, &payload)]), (vec![], Some(ProtocolError::InvalidDeflate)));
}

#[test]
fn a_limit_is_kept_in_a_buffer_that_has_room_for_more() {
    // 200 bytes in a message and in the buffer; the limit is 200, then 1 byte more with corrupt data behind.
    let config = Config { max_message: 200, ..Config::default() };
    let stored =
        |len: u8, behind: &[u8]| [&[0x00, len, 0x00, !len, 0xff], &vec![0x61; len.into()][..], behind].concat();
    let (right, wrong) = (stored(200, &[0x00]), stored(201, &[0x06]));
    let small = hex!("00 01 00 fe ff 61 00");
    let heard = hears(&config, AGREED, &[(0xc1, &right), (0xc1, &small), (0xc1, &wrong)]);
    assert_eq!(heard, (vec![vec![0x61; 200], vec![0x61]], Some(ProtocolError::MessageTooLong(Exceeded::new(0, 0)))));
}

#[test]
fn a_message_that_ends_too_early_is_corrupt_whatever_its_rest_looks_like() {
    // The tail becomes the content of the stored block, or of the symbol, that is cut off: never part of the text.
    for payload in [&hex!("00 09 00 f6 ff 61")[..], &hex!("f2 48 cd"), &hex!("00 01 00 fe ff"), &hex!("00 ff ff 00 00")]
    {
        let heard = hears(&Config::default(), AGREED, &[(0xc1, payload)]);
        assert_eq!(heard, (vec![], Some(ProtocolError::InvalidDeflate)), "{payload:02x?}");
    }
}

/// What the tail ends, and what it only looks like ending: nothing is taken for a message that another decoder, bit by
/// bit, does not see end there; and of what is short, everything that it does.
#[test]
fn a_message_that_was_cut_off_anywhere_is_corrupt() {
    let config = Arc::new(Config::default());
    let (mut random, mut accepted, mut refused) = (Random::new(5), 0, 0);
    let mut check = |payload: &[u8]| {
        let (messages, error) = hear(Role::Client, Messages, &config, AGREED, &[&frame(Role::Client, 0xc2, payload)]);
        if error.is_none() || payload.len() <= 2 {
            assert_eq!(Decoder::default().message(payload).as_ref(), messages.first(), "{payload:02x?}");
        }
        *(if error.is_none() { &mut accepted } else { &mut refused }) += 1;
    };
    for byte in 0..=255 {
        check(&[byte]);
        (0..=255).step_by(7).for_each(|second| check(&[byte, second]));
    }
    for level in [1, 6, 9] {
        // Bytes of few and of many kinds: fixed and dynamic codes, short ones and long ones.
        for kinds in [2, 30, 100, 250] {
            let message: Vec<u8> = (0..400).map(|_| u8::try_from(random.below(kinds)).unwrap()).collect();
            let mut engine = Compress::new(Compression::new(level), false);
            let mut payload = Vec::with_capacity(1_000);
            engine.compress_vec(&message, &mut payload, FlushCompress::Sync).unwrap();
            let payload = payload.strip_suffix(&[0x00, 0x00, 0xff, 0xff]).unwrap();
            (1..=payload.len()).for_each(|len| check(&payload[..len]));
            for _ in 0..500 {
                let mut changed = payload[..1 + random.below(payload.len())].to_vec();
                let at = random.below(changed.len().min(20));
                changed[at] ^= 1 << random.below(8);
                check(&changed);
            }
        }
    }
    assert!(accepted > 50 && refused > 10_000, "{accepted} accepted, {refused} refused");
}

/// The tail completes the code lengths of a dynamic block, and the end of that block, with all of its bits but the last.
#[test]
fn a_block_that_ends_inside_the_tail_is_not_its_end() {
    let number = |value: u8, bits: u8| (0..bits).map(move |at| value >> at & 1);
    let mut bits: Vec<u8> = Vec::new();
    bits.extend([0, 0, 1]); // not final, dynamic codes
    bits.extend(number(0, 5).chain(number(0, 5)).chain(number(15, 4))); // 257 literals, 1 distance, 19 lengths
    // In the order of RFC 1951 section 3.2.7: 18 is 0, 1 is 1111111, 0 is 1111110.
    for len in [0, 0, 1, 7, 0, 0, 0, 6, 0, 5, 0, 4, 0, 3, 0, 2, 0, 7, 0] {
        bits.extend(number(len, 3));
    }
    bits.extend([1; 7]); // literal 0 has length 1
    bits.extend([1, 1, 1, 1, 1, 1, 0]); // literal 1 has none
    bits.extend([0].into_iter().chain(number(138 - 11, 7))); // nor have 138 more
    bits.extend([0].into_iter().chain(number(94 - 11, 7))); // and 94
    let payload = bytes_of(&bits);
    assert_eq!(bits.len(), 8 * payload.len());
    // The zeros of the tail are twice 11 literals without a code, its ones the end of the block with length 1, a distance
    // with length 1, and that end. One bit is left.
    let heard = hears(&Config::default(), AGREED, &[(0xc2, &payload), (0xc2, &hex!("00"))]);
    assert_eq!(heard, (vec![], Some(ProtocolError::InvalidDeflate)));
}

/// RFC 7692 has no limits of its own: the limit of a message is that of what comes out of it.
#[test]
fn a_frame_without_a_limit_of_its_own_may_be_longer_than_the_message_in_it() {
    let config = Config { max_message: 5, ..Config::default() };
    let receives = |config: Config, wire: &[u8]| {
        let mut client = Connection::client(Messages, Arc::new(config), [7; 32]).with_extensions(&AGREED.into());
        receive(&mut client, wire)
    };
    let stored = hex!("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00");
    assert_eq!(receives(config.clone(), &stored), Ok(vec![b"Hello".to_vec()]));
    // Up to twice the message and 64 bytes, at the header.
    assert_eq!(receives(config.clone(), &hex!("c1 4a")), Ok(vec![]));
    assert_eq!(receives(config.clone(), &hex!("c1 4b")), Err(ProtocolError::FrameTooLong(Exceeded::new(0, 0))));
    assert_eq!(
        receives(Config { max_frame: Some(5), ..config }, &stored),
        Err(ProtocolError::FrameTooLong(Exceeded::new(0, 0)))
    );
}
