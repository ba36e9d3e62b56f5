//! Two that work on frames. `x-turn`: data frames of more than one byte go backwards, and have
//! RSV2, unless the caller asks for none of it. `x-tag`: each data
//! frame ends with `!` and has RSV3, but for empty ones.

use bowsprit::extension::{Decode, Element, Encode, Extension, IncomingUnit, Negotiated, OutgoingUnit, Param};
use bowsprit::{Exceeded, ProtocolError, Rsv};

#[derive(Debug)]
pub(crate) struct Turn;

impl Extension for Turn {
    fn name(&self) -> &str {
        "x-turn"
    }

    fn accept(&self, offered: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        let agreed = offered.iter().any(|offer| offer.params.is_empty());
        agreed.then(|| (Vec::new(), Negotiated::frames(|| (Turner::default(), Turner::default())).rsv(Rsv::RSV2)))
    }

    fn agree(&self, answered: &[&Element<'_>]) -> Option<Negotiated> {
        Some(self.accept(answered)?.1)
    }
}

#[derive(Default, Debug)]
struct Turner {
    frame: Vec<u8>,
}

impl Encode for Turner {
    fn begin(&mut self, frame: OutgoingUnit) -> Option<Rsv> {
        (frame.len? > 1 && !frame.uncompressed).then_some(Rsv::RSV2)
    }

    fn encode(&mut self, piece: &[u8], end: bool, output: &mut Vec<u8>) {
        assert!(end, "a frame comes in one piece");
        output.extend(piece.iter().rev());
    }
}

impl Decode for Turner {
    fn begin(&mut self, frame: IncomingUnit) -> Result<bool, ProtocolError> {
        assert!(self.frame.is_empty(), "a frame begins inside another one");
        Ok(frame.rsv == Rsv::RSV2)
    }

    fn decode(&mut self, piece: &[u8], end: bool, limit: u64, output: &mut Vec<u8>) -> Result<(), ProtocolError> {
        self.frame.extend_from_slice(piece);
        if self.frame.len() as u64 > limit {
            return Err(ProtocolError::MessageTooLong(Exceeded::new(0, 0)));
        }
        if end {
            output.extend(self.frame.drain(..).rev());
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Tag;

impl Extension for Tag {
    fn name(&self) -> &str {
        "x-tag"
    }

    fn accept(&self, offered: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        let agreed = offered.iter().any(|offer| offer.params.is_empty());
        agreed.then(|| (Vec::new(), Negotiated::frames(|| (Tagger(None), Tagger(None))).rsv(Rsv::RSV3)))
    }

    fn agree(&self, answered: &[&Element<'_>]) -> Option<Negotiated> {
        Some(self.accept(answered)?.1)
    }
}

/// With the last byte that came, which may be the tag.
#[derive(Debug)]
struct Tagger(Option<u8>);

impl Encode for Tagger {
    fn begin(&mut self, frame: OutgoingUnit) -> Option<Rsv> {
        // It asks for more than it has claimed, which does not go out.
        (frame.len? > 0).then_some(Rsv::RSV3 | Rsv::RSV1)
    }

    fn encode(&mut self, piece: &[u8], _end: bool, output: &mut Vec<u8>) {
        output.extend_from_slice(piece);
        output.push(b'!');
    }
}

impl Decode for Tagger {
    fn begin(&mut self, frame: IncomingUnit) -> Result<bool, ProtocolError> {
        Ok(frame.rsv == Rsv::RSV3)
    }

    fn decode(&mut self, piece: &[u8], end: bool, _limit: u64, output: &mut Vec<u8>) -> Result<(), ProtocolError> {
        for byte in piece {
            output.extend(self.0.replace(*byte));
        }
        if end && self.0.take() != Some(b'!') {
            return Err(ProtocolError::InvalidExtensionData);
        }
        Ok(())
    }
}

/// `x-split; max=4`: changes nothing but the length of the frames that go out.
#[derive(Debug)]
pub(crate) struct Split;

impl Extension for Split {
    fn name(&self) -> &str {
        "x-split"
    }

    fn offers(&self) -> Vec<Vec<Param<'static>>> {
        ["4", "1"].map(|max| vec![Param { name: "max", value: Some(max.into()) }]).into()
    }

    fn accept(&self, offered: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        let max = offered.iter().find_map(|offer| offer.value("max")?.parse::<usize>().ok())?;
        let answer = Param { name: "max", value: Some(max.to_string().into()) };
        Some((vec![answer], Negotiated::identity().max_frame(max)))
    }

    fn agree(&self, answered: &[&Element<'_>]) -> Option<Negotiated> {
        Some(self.accept(answered)?.1)
    }
}

/// Whatever it is called, it claims these bits and changes nothing.
#[derive(Debug)]
pub(crate) struct Claims(pub(crate) &'static str, pub(crate) Rsv);

impl Extension for Claims {
    fn name(&self) -> &str {
        self.0
    }

    fn accept(&self, _: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        Some((Vec::new(), Negotiated::identity().rsv(self.1)))
    }

    fn agree(&self, _: &[&Element<'_>]) -> Option<Negotiated> {
        Some(Negotiated::identity().rsv(self.1))
    }
}
