//! `deflate-frame`, also called `x-webkit-deflate-frame`: each frame is compressed by itself (the expired draft
//! draft-tyoshino-hybi-websocket-perframe-deflate).

use alloc::string::ToString as _;
use alloc::vec::Vec;

use crate::proto::extension::permessage_deflate::{Deflate, Deflater, Inflater, WindowBits};
use crate::proto::extension::{Element, Encode, Extension, Negotiated, OutgoingUnit, Param};
use crate::proto::frame::{OpCode, Rsv};

/// `deflate-frame`: each frame with RSV1 is DEFLATE of its own; the window goes on over frames and messages.
///
/// Peers disagree about fragments: so a message goes out compressed where it is one frame, and uncompressed where it is
/// split or sent piece by piece; so does an empty one, and one that the caller wants [uncompressed](crate::Outgoing::uncompressed).
/// Fragments that arrive are taken compressed or not, each by itself.
///
/// Parameters bind the end that receives them: in an offer the server, in an answer the client. They are not repeated.
/// Nothing is made of whether the peer keeps to what it was asked for: a window of 15 bits, kept from message to message,
/// takes it in any case.
///
/// ```
/// use std::sync::Arc;
///
/// use bowsprit::Config;
/// use bowsprit::extension::legacy::DeflateFrame;
///
/// // A peer may know either name.
/// let both = [DeflateFrame::new(), DeflateFrame::webkit()].map(|frame| frame.level(1).no_context_takeover());
/// let config = Config { extensions: both.map(|one| Arc::new(one) as _).into(), ..Config::default() };
/// # let _ = config;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeflateFrame {
    name: &'static str,
    /// 0 to 9.
    level: u8,
    /// What is asked of the peer.
    asked: Parameters,
}

impl DeflateFrame {
    /// By the name of `deflate-frame`, at level 6, without a parameter.
    #[must_use]
    pub const fn new() -> Self {
        let asked = Parameters { max_window_bits: None, no_context_takeover: false };
        Self { name: "deflate-frame", level: 6, asked }
    }

    /// By the name of `x-webkit-deflate-frame`, which old browsers have for the same.
    #[must_use]
    pub const fn webkit() -> Self {
        Self { name: "x-webkit-deflate-frame", ..Self::new() }
    }

    /// How hard to try: 0 (store) to 9 (smallest). Default 6. A larger value means 9.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// Asks the peer to compress in a window of at most 2^`bits` bytes. Default: nothing is asked.
    #[must_use]
    pub const fn max_window_bits(mut self, bits: WindowBits) -> Self {
        self.asked.max_window_bits = Some(bits);
        self
    }

    /// Asks the peer to compress each frame from an empty window. Default: nothing is asked.
    #[must_use]
    pub const fn no_context_takeover(mut self) -> Self {
        self.asked.no_context_takeover = true;
        self
    }

    /// What this end does where the peer asks this of it.
    fn terms(self, bound: Parameters) -> Negotiated {
        let wishes = Deflate { level: self.level, ..Deflate::default() };
        let bits = bound.max_window_bits.unwrap_or(WindowBits::MAX).get();
        let coders = move || {
            let deflater = Deflater::new(&wishes, (bound.no_context_takeover, bits));
            (Compression { deflater }, Inflater::new(false, None))
        };
        Negotiated::frames(coders).rsv(Rsv::RSV1)
    }
}

impl Default for DeflateFrame {
    fn default() -> Self {
        Self::new()
    }
}

impl Extension for DeflateFrame {
    fn name(&self) -> &str {
        self.name
    }

    fn offers(&self) -> Vec<Vec<Param<'static>>> {
        Vec::from([self.asked.encode()])
    }

    fn accept(&self, offered: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        let bound = offered.iter().find_map(|offer| Parameters::decode(offer))?;
        Some((self.asked.encode(), self.terms(bound)))
    }

    fn agree(&self, answered: &[&Element<'_>]) -> Option<Negotiated> {
        let [answer] = answered else { return None };
        Parameters::decode(answer).map(|bound| self.terms(bound))
    }
}

/// The parameters of one element.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Parameters {
    max_window_bits: Option<WindowBits>,
    no_context_takeover: bool,
}

impl Parameters {
    /// `None` for a parameter that is undefined, has an illegal value, or stands there twice.
    fn decode(element: &Element<'_>) -> Option<Self> {
        let mut decoded = Self::default();
        for Param { name, value } in &element.params {
            match (*name, value) {
                ("max_window_bits", Some(value)) if decoded.max_window_bits.is_none() => {
                    decoded.max_window_bits = Some(WindowBits::decode(value)?);
                }
                ("no_context_takeover", None) if !decoded.no_context_takeover => decoded.no_context_takeover = true,
                _ => return None,
            }
        }
        Some(decoded)
    }

    fn encode(self) -> Vec<Param<'static>> {
        let bits = self.max_window_bits.map(|bits| Some(bits.to_string().into()));
        let bits = bits.map(|value| Param { name: "max_window_bits", value });
        let alone = self.no_context_takeover.then_some(Param { name: "no_context_takeover", value: None });
        bits.into_iter().chain(alone).collect()
    }
}

/// The sending side.
#[derive(Debug)]
struct Compression {
    deflater: Deflater,
}

impl Encode for Compression {
    fn begin(&mut self, frame: OutgoingUnit) -> Option<Rsv> {
        let whole = frame.fin && frame.opcode != OpCode::Continuation;
        (whole && !frame.uncompressed && frame.len != Some(0)).then_some(Rsv::RSV1)
    }

    fn encode(&mut self, piece: &[u8], end: bool, output: &mut Vec<u8>) {
        self.deflater.push(piece, end, output);
    }

    fn release(&mut self) {
        self.deflater.release();
    }
}
