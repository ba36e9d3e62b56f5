//! What is no DEFLATE.

use bowsprit::{CloseCode, ProtocolError};
use hex_literal::hex;

use crate::support::{fails, heard, hears};
use crate::{NAMES, all};

#[test]
fn it_fails_the_connection_with_1007() {
    assert_eq!(ProtocolError::InvalidDeflate.close_code(), CloseCode::INVALID_PAYLOAD);
    for frames in [
        &hex!("c1 01 06")[..],                           // a block of no kind
        &hex!("c2 05 f2 48 cd c9 c9"),                   // cut off inside a block
        &hex!("c2 03 00 05 00"),                         // cut off inside a length
        &hex!("c2 07 00 05 00 fa ff 48 65"),             // cut off inside a stored block
        &hex!("c2 05 00 05 00 fa fe"),                   // a length that is not its complement
        &hex!("c2 05 f2 00 11 00 00"),                   // a distance beyond all that was sent
        &hex!("c2 0b f2 48 cd c9 c9 07 00 00 00 ff ff"), // what is to be stripped stands there
        &hex!("42 03 f2 48 cd c0 05 c9 c9 07 00 00"),    // one stream over two frames
        &hex!("42 01 06 80 00"),
        &hex!("02 01 41 c0 01 06"),
    ] {
        for name in NAMES {
            assert_eq!(hears(&all(), name, frames), fails(ProtocolError::InvalidDeflate), "{frames:02x?}");
        }
    }
}

#[test]
fn what_came_before_has_been_heard() {
    let frames = hex!("c1 07 f2 48 cd c9 c9 07 00 c1 01 06");
    let (messages, error) = hears(&all(), "deflate-frame", &frames);
    assert_eq!((messages, None), heard([b"Hello"]));
    assert_eq!(error, Some(ProtocolError::InvalidDeflate));
    // A stored block with ff, and then a block of no kind.
    assert_eq!(hears(&all(), "deflate-frame", &hex!("c1 07 00 01 00 fe ff ff 06")), fails(ProtocolError::InvalidUtf8));
}
