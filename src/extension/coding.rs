//! What an extension does to messages, as the machines see it: nothing, or permessage-deflate.
//!
//! Enum arms, so that a connection without an extension pays one comparison.

#![cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "there is no extension to hand them to"))]

#[cfg(feature = "deflate")]
use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::error::ProtocolError;
use crate::frame::Rsv;

#[cfg(feature = "deflate")]
use crate::config::Config;
#[cfg(feature = "deflate")]
use crate::extension::permessage_deflate::{Agreed, Deflater, InflateError, Inflater};
#[cfg(feature = "deflate")]
use crate::role::Role;

/// The receiving side.
#[derive(Debug, Default)]
pub(crate) enum Decoder {
    #[default]
    None,
    #[cfg(feature = "deflate")]
    Deflate(Box<Inflater>),
}

impl Decoder {
    /// For the messages of `sender`.
    #[cfg(feature = "deflate")]
    pub(crate) fn deflate(agreed: &Agreed, sender: Role, config: &Config) -> Self {
        let pool = config.compression.as_ref().and_then(|wishes| wishes.pool.clone());
        Self::Deflate(Box::new(Inflater::new(agreed.of(sender).0, pool)))
    }

    /// The reserved bits that the first frame of a message may have.
    pub(crate) const fn rsv(&self) -> Rsv {
        match self {
            Self::None => Rsv::NONE,
            #[cfg(feature = "deflate")]
            Self::Deflate(_) => Rsv::RSV1,
        }
    }

    /// Appends what a piece of a message decodes to, at most `limit` bytes; with `end` it is the last piece.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        end: bool,
        output: &mut Vec<u8>,
        limit: u64,
    ) -> Result<(), ProtocolError> {
        match self {
            Self::None => {
                output.extend_from_slice(piece);
                Ok(())
            }
            #[cfg(feature = "deflate")]
            Self::Deflate(inflater) => {
                let start = output.len();
                inflater.push(piece, output, limit)?;
                if end {
                    inflater.finish(output, limit - (output.len() - start) as u64)?;
                }
                Ok(())
            }
        }
    }

    /// Gives back what can be made again.
    #[cfg(feature = "deflate")]
    pub(crate) fn release(&mut self) {
        match self {
            Self::None => {}
            #[cfg(feature = "deflate")]
            Self::Deflate(inflater) => inflater.release(),
        }
    }
}

#[cfg(feature = "deflate")]
impl From<InflateError> for ProtocolError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Corrupt => Self::InvalidDeflate,
            InflateError::TooLong => Self::MessageTooLong,
        }
    }
}

/// The sending side.
#[derive(Debug, Default)]
pub(crate) enum Encoder {
    #[default]
    None,
    #[cfg(feature = "deflate")]
    Deflate(Box<Compression>),
}

/// permessage-deflate on the sending side: which messages, and the buffer they pass through.
#[cfg(feature = "deflate")]
#[derive(Debug)]
pub(crate) struct Compression {
    deflater: Deflater,
    threshold: usize,
    /// Messages in a row that hardly shrank.
    disappointments: u32,
    /// Messages that go uncompressed before the next attempt.
    pause: u32,
    scratch: Vec<u8>,
}

impl Encoder {
    #[cfg(feature = "deflate")]
    pub(crate) fn deflate(agreed: &Agreed, sender: Role, config: &Config) -> Self {
        let wishes = config.compression.clone().unwrap_or_default();
        Self::Deflate(Box::new(Compression {
            deflater: Deflater::new(&wishes, agreed.of(sender)),
            threshold: wishes.threshold,
            disappointments: 0,
            pause: 0,
            scratch: Vec::new(),
        }))
    }

    /// Whether the next message, of `len` bytes, is to be encoded.
    #[inline]
    pub(crate) fn wants(&mut self, len: usize) -> bool {
        match self {
            Self::None => false,
            #[cfg(feature = "deflate")]
            Self::Deflate(compression) => len >= compression.threshold && !compression.pauses(),
        }
    }

    /// The reserved bits of the first frame of an encoded message.
    pub(crate) const fn rsv(&self) -> Rsv {
        match self {
            Self::None => Rsv::NONE,
            #[cfg(feature = "deflate")]
            Self::Deflate(_) => Rsv::RSV1,
        }
    }

    /// Whether a message goes out that was compressed on its own, with a window of 15 bits. The messages behind it must
    /// not refer to those before it then: the peer's window has moved on.
    #[cfg(feature = "deflate")]
    pub(crate) fn passes_deflated(&mut self) -> bool {
        match self {
            Self::None => false,
            Self::Deflate(compression) => compression.deflater.passes_deflated(),
        }
    }

    /// A piece of a message, encoded; with `end` it is the last one. Give the buffer back with
    /// [`reuse`](Self::reuse).
    pub(crate) fn encode(&mut self, piece: &[u8], end: bool) -> Vec<u8> {
        match self {
            Self::None => piece.into(),
            #[cfg(feature = "deflate")]
            Self::Deflate(compression) => compression.encode(piece, end),
        }
    }

    pub(crate) fn reuse(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        match self {
            Self::None => {}
            #[cfg(feature = "deflate")]
            Self::Deflate(compression) => compression.scratch = buffer,
        }
    }

    /// Gives back what can be made again.
    #[cfg(feature = "deflate")]
    pub(crate) fn release(&mut self) {
        match self {
            Self::None => {}
            #[cfg(feature = "deflate")]
            Self::Deflate(compression) => compression.deflater.release(),
        }
        self.shrink();
    }

    /// Gives back the buffer.
    pub(crate) fn shrink(&mut self) {
        match self {
            Self::None => {}
            #[cfg(feature = "deflate")]
            Self::Deflate(compression) => compression.scratch = Vec::new(),
        }
    }
}

#[cfg(feature = "deflate")]
impl Compression {
    /// From this length on, a message tells whether compressing is worth it.
    const TELLING: usize = 64;
    /// After so many, and all that follow, 63 messages are passed over.
    const MAX_DISAPPOINTMENTS: u32 = 6;

    fn pauses(&mut self) -> bool {
        let pauses = self.pause > 0;
        self.pause = self.pause.saturating_sub(1);
        pauses
    }

    fn encode(&mut self, piece: &[u8], end: bool) -> Vec<u8> {
        let mut encoded = core::mem::take(&mut self.scratch);
        self.deflater.push(piece, end, &mut encoded);
        // Compressing costs a hundred times what masking does: pause where it gains less than a sixteenth.
        if piece.len() >= Self::TELLING {
            let gained = encoded.len() <= piece.len() - piece.len() / 16;
            self.disappointments = if gained { 0 } else { (self.disappointments + 1).min(Self::MAX_DISAPPOINTMENTS) };
            self.pause = (1 << self.disappointments) - 1;
        }
        encoded
    }
}
