//! What goes wrong in a message is told alike however its bytes were cut.

use bowsprit::{Config, ProtocolError};
use hex_literal::hex;

use crate::AGREED;
use crate::support::hears;

#[test]
fn text_before_the_limit_is_judged_before_the_limit() {
    // Stored: 61 ff 62 63 64 65.
    let payload = hex!("00 06 00 f9 ff 61 ff 62 63 64 65 00");
    let config = Config { max_message: 3, ..Config::default() };
    assert_eq!(hears(&config, AGREED, &[(0xc1, &payload)]), (vec![], Some(ProtocolError::InvalidUtf8)));
    assert_eq!(hears(&config, AGREED, &[(0xc2, &payload)]), (vec![], Some(ProtocolError::MessageTooLong)));
    // And what is behind the limit, not at all.
    let payload = hex!("00 06 00 f9 ff 61 62 63 ff ff ff 06");
    assert_eq!(hears(&config, AGREED, &[(0xc1, &payload)]), (vec![], Some(ProtocolError::MessageTooLong)));
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
    assert_eq!(heard, (vec![vec![0x61; 200], vec![0x61]], Some(ProtocolError::MessageTooLong)));
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
