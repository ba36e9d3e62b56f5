//! What passes between two extensions, and which error counts where both find one.

use std::sync::Arc;

use bowsprit::extension::{Decode, Element, Encode, Extension, IncomingUnit, Negotiated, OutgoingUnit, Param};
use bowsprit::{Config, Deflate, Exceeded, ProtocolError, Rsv};
use hex_literal::hex;

use crate::frames::Tag;
use crate::support::{fails, heard, hears, sends, with};

/// Of each message, the last byte alone comes out.
#[derive(Debug)]
struct Last;

impl Extension for Last {
    fn name(&self) -> &str {
        "x-last"
    }

    fn accept(&self, _: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        Some((Vec::new(), Negotiated::messages(|| (Coder(None), Coder(None)))))
    }

    fn agree(&self, answered: &[&Element<'_>]) -> Option<Negotiated> {
        Some(self.accept(answered)?.1)
    }
}

#[derive(Debug)]
struct Coder(Option<u8>);

impl Encode for Coder {
    fn begin(&mut self, _: OutgoingUnit) -> Option<Rsv> {
        None
    }

    fn encode(&mut self, _: &[u8], _: bool, _: &mut Vec<u8>) {
        panic!("nothing is to be encoded");
    }
}

impl Decode for Coder {
    fn begin(&mut self, _: IncomingUnit) -> Result<bool, ProtocolError> {
        Ok(true)
    }

    fn decode(&mut self, piece: &[u8], end: bool, _limit: u64, output: &mut Vec<u8>) -> Result<(), ProtocolError> {
        self.0 = piece.last().copied().or(self.0);
        output.extend(self.0.take_if(|_| end));
        Ok(())
    }
}

fn config() -> Config {
    let compression = Some(Deflate { threshold: 0, ..Deflate::default() });
    Config { compression, ..with(vec![Arc::new(Last), Arc::new(Tag)]) }
}

#[test]
fn what_passes_between_two_is_twice_the_message_and_64_bytes() {
    let answer = "x-last, permessage-deflate";
    let limited = Config { max_message: 1_000, ..config() };
    let twice = |len| {
        sends(&config(), answer, |end, output| {
            end.send(&vec![7; len], output)?;
            end.send(&vec![8; len], output)
        })
    };
    assert_eq!(hears(&limited, answer, &twice(2_064)), heard([&[7], &[8]]));
    assert_eq!(hears(&limited, answer, &twice(2_065)), fails(ProtocolError::MessageTooLong(Exceeded::new(0, 0))));
    // Of the last one, the message counts.
    assert_eq!(hears(&Config { max_message: 0, ..config() }, "x-last", &hex!("82 01 41")), {
        fails(ProtocolError::MessageTooLong(Exceeded::new(0, 0)))
    });
}

#[test]
fn the_error_that_comes_first_in_the_message_counts() {
    let answer = "permessage-deflate, x-tag";
    // No kind of block, and then no tag.
    assert_eq!(hears(&config(), answer, &hex!("d1 02 06 3f")), fails(ProtocolError::InvalidDeflate));
    // Cut off, too; but that shows at the end alone, which never comes.
    let no_tag = hex!("d1 04 f2 48 cd 3f");
    assert_eq!(hears(&config(), answer, &no_tag), fails(ProtocolError::InvalidExtensionData));
    assert_eq!(hears(&config(), answer, &hex!("d1 04 f2 48 cd 21")), fails(ProtocolError::InvalidDeflate));
}
