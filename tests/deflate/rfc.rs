//! The examples of RFC 7692 section 7.2.3, and what is no DEFLATE.

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
