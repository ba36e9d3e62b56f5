//! The examples of RFC 7692 section 7.2.3, and what is no DEFLATE.

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Deflate, ProtocolError};
use hex_literal::hex;

use crate::support::{AGREED, pair, receive};

#[test]
fn the_vectors_of_the_rfc_inflate() {
    let hello = || Ok(vec![b"Hello".to_vec()]);
    for wire in [
        &hex!("c1 07 f2 48 cd c9 c9 07 00")[..],
        &hex!("41 03 f2 48 cd 80 04 c9 c9 07 00"),
        &hex!("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00"),
        &hex!("c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00"),
        &hex!("c1 08 f3 48 cd c9 c9 07 00 00"),
        &hex!("c1 0a f3 48 05 00 cb c9 c9 07 00 00"),
    ] {
        let (mut client, _) = pair(AGREED, Deflate::default());
        assert_eq!(receive(&mut client, wire), hello(), "{wire:02x?}");
        // The window is kept, also behind a final block.
        assert_eq!(receive(&mut client, &hex!("c1 05 f2 00 11 00 00")), hello(), "{wire:02x?}");
    }
    let (mut client, _) = pair(AGREED, Deflate::default());
    assert_eq!(receive(&mut client, &hex!("c1 00 c1 07 f2 48 cd c9 c9 07 00")), Ok(vec![vec![], b"Hello".to_vec()]));
}

/// RFC 7692 section 7.2.1: what ends a message is an empty stored block, final or not, and 4 of its bytes are cut off.
#[test]
fn a_final_block_may_be_the_one_that_was_cut_off() {
    for (wire, message) in [(&hex!("c1 01 01")[..], &b""[..]), (&hex!("c1 07 f2 48 cd c9 c9 07 04"), b"Hello")] {
        for server_no_context_takeover in [false, true] {
            let (mut client, _) = pair(Agreed { server_no_context_takeover, ..AGREED }, Deflate::default());
            assert_eq!(receive(&mut client, wire), Ok(vec![message.to_vec()]), "{wire:02x?}");
            // Behind it stands the beginning of the next message.
            let hello = Ok(vec![b"Hello".to_vec()]);
            assert_eq!(receive(&mut client, &hex!("c1 07 f2 48 cd c9 c9 07 00")), hello, "{wire:02x?}");
        }
        let (mut client, _) = pair(AGREED, Deflate::default());
        receive(&mut client, &hex!("c1 07 f2 48 cd c9 c9 07 00")).unwrap();
        receive(&mut client, wire).unwrap();
        // The window is kept.
        assert_eq!(receive(&mut client, &hex!("c1 05 f2 00 11 00 00")), Ok(vec![b"Hello".to_vec()]), "{wire:02x?}");
    }
}

#[test]
fn what_is_no_deflate_fails() {
    for wire in [
        &hex!("c1 01 06")[..],
        &hex!("c1 05 00 05 00 00 00"),
        &hex!("c1 05 f2 00 11 00 00"),
        &hex!("c1 03 f2 48 cd"),
        &hex!("c1 06 f2 48 cd c9 c9 07"),
        &hex!("c1 07 f3 48 cd c9 c9 07 00"),
    ] {
        let (mut client, _) = pair(AGREED, Deflate::default());
        assert_eq!(receive(&mut client, wire), Err(ProtocolError::InvalidDeflate), "{wire:02x?}");
    }
}
