//! What extensions do to messages, as the machines see it: nothing, permessage-deflate, or a chain.
//!
//! Enum arms, so that a connection without an extension pays one comparison. Behind one pointer, so that it holds no more
//! than that.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::chain::{DecoderChain, EncoderChain, Ends};
use super::negotiation::{AgreedExtension, Agreement};
use crate::proto::config::Config;
#[cfg(feature = "deflate")]
use crate::proto::error::Exceeded;
use crate::proto::error::ProtocolError;
use crate::proto::frame::{Header, Rsv};
use crate::proto::role::Role;

#[cfg(feature = "deflate")]
use super::custom::{Decode, Encode, IncomingUnit, OutgoingUnit, Unit};
#[cfg(feature = "deflate")]
use super::permessage_deflate::{Agreed, Deflater, InflateError, Inflater};

/// The receiving side, and what was agreed on.
#[derive(Debug, Default)]
pub(in crate::proto) struct Decoder(Option<Box<(Agreement, Decoding)>>);

#[derive(Debug)]
enum Decoding {
    #[cfg(feature = "deflate")]
    Deflate(Inflater),
    Chain(DecoderChain),
}

/// The sending side.
#[derive(Debug, Default)]
pub(in crate::proto) struct Encoder(Option<Box<Encoding>>);

#[derive(Debug)]
enum Encoding {
    #[cfg(feature = "deflate")]
    Deflate(Compression),
    Chain(EncoderChain),
}

/// Both sides of a connection, for the end that `role` names.
#[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "extensions of one's own know the rest"))]
pub(in crate::proto) fn coders(agreement: &Agreement, role: Role, config: &Config) -> (Encoder, Decoder) {
    let agreed = agreement.agreed();
    match agreed {
        [] => return (Encoder(None), Decoder(None)),
        #[cfg(feature = "deflate")]
        [AgreedExtension::Deflate(agreed)] => {
            let encoding = Encoding::Deflate(Compression::new(agreed, role, config));
            let decoding = Decoding::Deflate(inflater(agreed, role, config));
            return (Encoder(Some(Box::new(encoding))), Decoder(Some(Box::new((agreement.clone(), decoding)))));
        }
        _ => {}
    }
    let (mut encoders, mut decoders) = (EncoderChain::default(), DecoderChain::default());
    for one in agreed {
        match one {
            #[cfg(feature = "deflate")]
            AgreedExtension::Deflate(agreed) => {
                encoders.push(Unit::Message, Rsv::RSV1, Box::new(Compression::new(agreed, role, config)));
                decoders.push_front(Unit::Message, Rsv::RSV1, Box::new(inflater(agreed, role, config)));
            }
            AgreedExtension::Custom { terms, .. } => {
                encoders.limit_frames(terms.longest_frame());
                if let Some((unit, (encode, decode))) = terms.coders() {
                    encoders.push(unit, terms.claimed(), encode);
                    decoders.push_front(unit, terms.claimed(), decode);
                }
            }
        }
    }
    let (encoding, decoding) = (Encoding::Chain(encoders), Decoding::Chain(decoders));
    (Encoder(Some(Box::new(encoding))), Decoder(Some(Box::new((agreement.clone(), decoding)))))
}

impl Decoder {
    /// The extensions that both ends use.
    pub(in crate::proto) fn agreement(&self) -> &Agreement {
        static NONE: Agreement = Agreement::none();
        self.0.as_deref().map_or(&NONE, |(agreement, _)| agreement)
    }

    #[inline]
    fn decoding(&self) -> Option<&Decoding> {
        self.0.as_deref().map(|(_, decoding)| decoding)
    }

    #[inline]
    fn decoding_mut(&mut self) -> Option<&mut Decoding> {
        self.0.as_deref_mut().map(|(_, decoding)| decoding)
    }

    /// The reserved bits that a data frame may have, `first` of its message or not.
    #[inline]
    pub(in crate::proto) fn rsv(&self, first: bool) -> Rsv {
        match self.decoding() {
            None => Rsv::NONE,
            // RFC 7692 section 6: on the first frame of a message alone.
            #[cfg(feature = "deflate")]
            Some(Decoding::Deflate(_)) => {
                if first {
                    Rsv::RSV1
                } else {
                    Rsv::NONE
                }
            }
            Some(Decoding::Chain(chain)) => chain.rsv(first),
        }
    }

    /// Whether every message goes through it, whatever bits it has.
    #[inline]
    pub(in crate::proto) fn is_chain(&self) -> bool {
        matches!(self.decoding(), Some(Decoding::Chain(_)))
    }

    /// A data frame begins, and with it perhaps a message of at most `limit` bytes.
    #[inline]
    pub(in crate::proto) fn begin(&mut self, header: &Header, limit: u64) -> Result<(), ProtocolError> {
        match self.decoding_mut() {
            Some(Decoding::Chain(chain)) => chain.begin(header, limit),
            _ => Ok(()),
        }
    }

    /// Appends what a piece of a frame decodes to, at most `limit` bytes; also where it fails, what comes before.
    pub(in crate::proto) fn push(
        &mut self,
        piece: &[u8],
        ends: Ends,
        output: &mut Vec<u8>,
        limit: u64,
    ) -> Result<(), ProtocolError> {
        match self.decoding_mut() {
            None => {
                output.extend_from_slice(piece);
                Ok(())
            }
            #[cfg(feature = "deflate")]
            Some(Decoding::Deflate(inflater)) => inflater.decode(piece, ends.message, limit, output),
            Some(Decoding::Chain(chain)) => chain.decode(piece, ends, output, limit),
        }
    }

    /// Gives back what can be made again.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) fn release(&mut self) {
        match self.decoding_mut() {
            None => {}
            Some(Decoding::Deflate(inflater)) => inflater.release(),
            Some(Decoding::Chain(chain)) => chain.release(),
        }
    }
}

#[cfg(feature = "deflate")]
fn inflater(agreed: &Agreed, role: Role, config: &Config) -> Inflater {
    let pool = config.compression.as_ref().and_then(|wishes| wishes.pool.clone());
    Inflater::new(agreed.of(role.peer()).0, pool)
}

#[cfg(feature = "deflate")]
impl Decode for Inflater {
    fn begin(&mut self, unit: IncomingUnit) -> Result<bool, ProtocolError> {
        Ok(unit.rsv == Rsv::RSV1)
    }

    fn decode(&mut self, piece: &[u8], end: bool, limit: u64, output: &mut Vec<u8>) -> Result<(), ProtocolError> {
        self.push(piece, output, limit)?;
        if end {
            self.finish()?;
        }
        Ok(())
    }

    fn release(&mut self) {
        self.release();
    }
}

#[cfg(feature = "deflate")]
impl From<InflateError> for ProtocolError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Corrupt => Self::InvalidDeflate,
            // The connection replaces it with the message's own limit.
            InflateError::TooLong => Self::MessageTooLong(Exceeded::new(0, 0)),
            InflateError::TooManyFinalBlocks => Self::TooManyFinalBlocks,
        }
    }
}

/// permessage-deflate on the sending side: which messages, and the buffer they pass through.
#[cfg(feature = "deflate")]
#[derive(Debug)]
struct Compression {
    deflater: Deflater,
    threshold: usize,
    /// Messages in a row that hardly shrank.
    disappointments: u32,
    /// Messages that go uncompressed before the next attempt.
    pause: u32,
    scratch: Vec<u8>,
}

impl Encoder {
    /// Whether the next message, of `len` bytes, is to be encoded.
    #[inline]
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "a chain takes all"))]
    pub(in crate::proto) fn wants(&mut self, len: usize) -> bool {
        match self.0.as_deref_mut() {
            None => false,
            #[cfg(feature = "deflate")]
            Some(Encoding::Deflate(compression)) => compression.wants(len),
            Some(Encoding::Chain(_)) => true,
        }
    }

    /// The chain that every message goes through, where there is one.
    #[inline]
    pub(in crate::proto) fn chain(&mut self) -> Option<&mut EncoderChain> {
        match self.0.as_deref_mut() {
            Some(Encoding::Chain(chain)) => Some(chain),
            _ => None,
        }
    }

    /// The reserved bits of the first frame of an encoded message.
    pub(in crate::proto) fn rsv(&self) -> Rsv {
        match self.0.as_deref() {
            #[cfg(feature = "deflate")]
            Some(Encoding::Deflate(_)) => Rsv::RSV1,
            // It tells them message by message.
            None | Some(Encoding::Chain(_)) => Rsv::NONE,
        }
    }

    /// The window, in 9 to 15 bits, that a message which was compressed on its own has to keep to; `None` where no such
    /// message may go out.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) fn window_bits(&self) -> Option<u8> {
        match self.0.as_deref() {
            Some(Encoding::Deflate(compression)) => Some(compression.deflater.window_bits()),
            None | Some(Encoding::Chain(_)) => None,
        }
    }

    /// A message goes out that was compressed on its own, in this window. Those behind it must not refer to those before
    /// it: the peer's window moves on.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) fn passes_deflated(&mut self) {
        match self.0.as_deref_mut() {
            Some(Encoding::Deflate(compression)) => compression.deflater.passes_deflated(),
            None | Some(Encoding::Chain(_)) => {}
        }
    }

    /// A piece of a message, encoded; with `end` it is the last one. Give the buffer back with
    /// [`reuse`](Self::reuse).
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "there is nobody to hand it to"))]
    pub(in crate::proto) fn encode(&mut self, piece: &[u8], end: bool) -> Vec<u8> {
        match self.0.as_deref_mut() {
            #[cfg(feature = "deflate")]
            Some(Encoding::Deflate(compression)) => {
                let mut encoded = core::mem::take(&mut compression.scratch);
                compression.encode(piece, end, &mut encoded);
                encoded
            }
            None | Some(Encoding::Chain(_)) => piece.into(),
        }
    }

    pub(in crate::proto) fn reuse(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        match self.0.as_deref_mut() {
            #[cfg(feature = "deflate")]
            Some(Encoding::Deflate(compression)) => compression.scratch = buffer,
            None | Some(Encoding::Chain(_)) => {}
        }
    }

    /// Gives back what can be made again.
    #[cfg(feature = "deflate")]
    pub(in crate::proto) fn release(&mut self) {
        match self.0.as_deref_mut() {
            None => {}
            Some(Encoding::Deflate(compression)) => compression.release(),
            Some(Encoding::Chain(chain)) => chain.release(),
        }
    }

    /// Gives back the buffer.
    pub(in crate::proto) fn shrink(&mut self) {
        match self.0.as_deref_mut() {
            #[cfg(feature = "deflate")]
            Some(Encoding::Deflate(compression)) => compression.scratch = Vec::new(),
            None | Some(Encoding::Chain(_)) => {}
        }
    }
}

#[cfg(feature = "deflate")]
impl Compression {
    /// From this length on, a message tells whether compressing is worth it.
    const TELLING: usize = 64;
    /// After so many, and all that follow, 63 messages are passed over.
    const MAX_DISAPPOINTMENTS: u32 = 6;

    fn new(agreed: &Agreed, sender: Role, config: &Config) -> Self {
        let wishes = config.compression.clone().unwrap_or_default();
        Self {
            deflater: Deflater::new(&wishes, agreed.of(sender)),
            threshold: wishes.threshold,
            disappointments: 0,
            pause: 0,
            scratch: Vec::new(),
        }
    }

    fn wants(&mut self, len: usize) -> bool {
        len >= self.threshold && !self.pauses()
    }

    fn pauses(&mut self) -> bool {
        let pauses = self.pause > 0;
        self.pause = self.pause.saturating_sub(1);
        pauses
    }
}

#[cfg(feature = "deflate")]
impl Encode for Compression {
    fn begin(&mut self, unit: OutgoingUnit) -> Option<Rsv> {
        // How long the message becomes, nobody knows yet.
        (!unit.uncompressed && self.wants(unit.len.unwrap_or(usize::MAX))).then_some(Rsv::RSV1)
    }

    fn encode(&mut self, piece: &[u8], end: bool, output: &mut Vec<u8>) {
        let start = output.len();
        self.deflater.push(piece, end, output);
        // Compressing costs a hundred times what masking does: pause where it gains less than a sixteenth.
        if piece.len() >= Self::TELLING {
            let gained = output.len() - start <= piece.len() - piece.len() / 16;
            self.disappointments = if gained { 0 } else { (self.disappointments + 1).min(Self::MAX_DISAPPOINTMENTS) };
            self.pause = (1 << self.disappointments) - 1;
        }
    }

    fn release(&mut self) {
        self.deflater.release();
        self.scratch = Vec::new();
    }
}
