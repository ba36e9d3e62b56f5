//! `x-xor; key=32`: each byte of a message is combined with a key. It claims no bit: every message is encoded.

use bowsprit::extension::{Decode, Element, Encode, Extension, IncomingUnit, Negotiated, OutgoingUnit, Param};
use bowsprit::{ProtocolError, Rsv};

/// With the key that a client offers; a server takes any.
#[derive(Debug)]
pub(crate) struct Xor(pub(crate) u8);

impl Extension for Xor {
    fn name(&self) -> &str {
        "x-xor"
    }

    fn offers(&self) -> Vec<Vec<Param<'static>>> {
        vec![key(self.0)]
    }

    fn accept(&self, offered: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        let chosen = offered.iter().find_map(|offer| offer.value("key")?.parse().ok())?;
        Some((key(chosen), terms(chosen)))
    }

    fn agree(&self, answered: &[&Element<'_>]) -> Option<Negotiated> {
        let [answer] = answered else { return None };
        (answer.params == key(self.0)).then(|| terms(self.0))
    }
}

fn key(key: u8) -> Vec<Param<'static>> {
    vec![Param { name: "key", value: Some(key.to_string().into()) }]
}

fn terms(key: u8) -> Negotiated {
    Negotiated::messages(move || (Coder { key, within: false }, Coder { key, within: false }))
}

#[derive(Debug)]
struct Coder {
    key: u8,
    /// Whether a message is in progress.
    within: bool,
}

impl Coder {
    fn begin(&mut self) {
        assert!(!self.within, "a message begins inside another one");
        self.within = true;
    }

    fn code(&mut self, piece: &[u8], end: bool, output: &mut Vec<u8>) {
        assert!(self.within, "a message goes on behind its end");
        self.within = !end;
        output.extend(piece.iter().map(|byte| byte ^ self.key));
    }
}

impl Encode for Coder {
    fn begin(&mut self, _: OutgoingUnit) -> Option<Rsv> {
        self.begin();
        Some(Rsv::NONE)
    }

    fn encode(&mut self, piece: &[u8], end: bool, output: &mut Vec<u8>) {
        self.code(piece, end, output);
    }
}

impl Decode for Coder {
    fn begin(&mut self, unit: IncomingUnit) -> Result<bool, ProtocolError> {
        assert_eq!(unit.rsv, Rsv::NONE, "no bit is its own");
        self.begin();
        Ok(true)
    }

    fn decode(&mut self, piece: &[u8], end: bool, _limit: u64, output: &mut Vec<u8>) -> Result<(), ProtocolError> {
        self.code(piece, end, output);
        Ok(())
    }
}
