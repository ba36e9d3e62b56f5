//! Extensions of one's own: what they negotiate, and what they do to messages or frames.
//!
//! ```text
//!   Config ── Extension (one value, shared) ── accept, agree ──> Negotiated (of one connection)
//!                                                                  ├── Encode: what goes out
//!                                                                  └── Decode: what comes in
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::grammar::{Element, Param};
use crate::proto::error::ProtocolError;
use crate::proto::frame::{OpCode, Rsv};

/// An extension of one's own (RFC 6455 section 9), as both ends negotiate it. It stands in
/// [`Config::extensions`](crate::Config::extensions), one value for all connections.
///
/// Here every byte of a message is combined with a key that the client chooses:
///
/// ```
/// use std::sync::Arc;
/// use bowsprit::extension::{Decode, Element, Encode, Extension, IncomingUnit, OutgoingUnit, Param, Negotiated};
/// use bowsprit::{Config, ProtocolError, Rsv};
///
/// #[derive(Debug)]
/// struct Xor(u8);
///
/// impl Extension for Xor {
///     fn name(&self) -> &str {
///         "x-xor"
///     }
///
///     fn offers(&self) -> Vec<Vec<Param<'static>>> {
///         vec![vec![Param { name: "key", value: Some(self.0.to_string().into()) }]]
///     }
///
///     fn accept(&self, offered: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
///         let key = offered.iter().find_map(|offer| offer.value("key")?.parse().ok())?;
///         Some((Vec::new(), terms(key)))
///     }
///
///     fn agree(&self, answered: &[&Element<'_>]) -> Option<Negotiated> {
///         let [answer] = answered else { return None };
///         answer.params.is_empty().then(|| terms(self.0))
///     }
/// }
///
/// fn terms(key: u8) -> Negotiated {
///     Negotiated::messages(move || (Coder(key), Coder(key)))
/// }
///
/// #[derive(Debug)]
/// struct Coder(u8);
///
/// impl Encode for Coder {
///     fn begin(&mut self, _: OutgoingUnit) -> Option<Rsv> {
///         Some(Rsv::NONE)
///     }
///
///     fn encode(&mut self, piece: &[u8], _end: bool, output: &mut Vec<u8>) {
///         output.extend(piece.iter().map(|byte| byte ^ self.0));
///     }
/// }
///
/// impl Decode for Coder {
///     fn begin(&mut self, _: IncomingUnit) -> Result<bool, ProtocolError> {
///         Ok(true)
///     }
///
///     fn decode(&mut self, piece: &[u8], _end: bool, _limit: u64, output: &mut Vec<u8>) -> Result<(), ProtocolError> {
///         output.extend(piece.iter().map(|byte| byte ^ self.0));
///         Ok(())
///     }
/// }
///
/// let config = Config { extensions: vec![Arc::new(Xor(42))], ..Config::default() };
/// # let _ = config;
/// ```
pub trait Extension: fmt::Debug + Send + Sync {
    /// The name in `Sec-WebSocket-Extensions`, a token. Of several extensions of one name in a
    /// [`Config`](crate::Config), the first counts.
    fn name(&self) -> &str;

    /// What a client offers: the parameters of each offer, in order of preference. By default one offer without
    /// parameters; without an offer, the extension is not named. An offer with a name or a value that is no token is
    /// left out.
    fn offers(&self) -> Vec<Vec<Param<'static>>> {
        Vec::from([Vec::new()])
    }

    /// A server's answer to these offers of a client, the preferred one first: the parameters, and what follows from
    /// them. `None` declines them all, which is no error; so do parameters that are no tokens.
    fn accept(&self, offered: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)>;

    /// What follows for a client from the server's answer: as a rule a single element. `None` where it is not legal for
    /// any of the offers: the handshake fails.
    fn agree(&self, answered: &[&Element<'_>]) -> Option<Negotiated>;
}

/// Two are equal if they are one and the same.
impl PartialEq for dyn Extension {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::addr_eq(self, other)
    }
}

impl Eq for dyn Extension {}

/// What both ends agreed that an extension does on one connection.
#[derive(Clone)]
pub struct Negotiated {
    transform: Option<(Unit, Arc<Coders>)>,
    rsv: Rsv,
    max_frame: Option<usize>,
}

/// Makes both coders of a connection.
type Coders = dyn Fn() -> Pair + Send + Sync;

/// Both coders of a connection.
type Pair = (Box<dyn Encode>, Box<dyn Decode>);

/// What a coder is given as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto) enum Unit {
    Message,
    Frame,
}

impl Negotiated {
    /// The payload passes as it is.
    #[must_use]
    pub const fn identity() -> Self {
        Self { transform: None, rsv: Rsv::NONE, max_frame: None }
    }

    /// Each message is encoded as a whole, before it is split into frames. The bits that are [claimed](Self::rsv) stand
    /// on its first frame.
    #[must_use]
    pub fn messages<E: Encode + 'static, D: Decode + 'static>(
        coders: impl Fn() -> (E, D) + Send + Sync + 'static,
    ) -> Self {
        Self::transform(Unit::Message, coders)
    }

    /// Each data frame is encoded by itself, and may have the [claimed](Self::rsv) bits.
    #[must_use]
    pub fn frames<E: Encode + 'static, D: Decode + 'static>(
        coders: impl Fn() -> (E, D) + Send + Sync + 'static,
    ) -> Self {
        Self::transform(Unit::Frame, coders)
    }

    /// Claims reserved bits. No two extensions of a connection claim the same; without a claim a bit is illegal.
    #[must_use]
    pub const fn rsv(mut self, claimed: Rsv) -> Self {
        self.rsv = claimed;
        self
    }

    /// Data goes out in frames of at most this many bytes, before each is encoded by itself. Zero means one.
    #[must_use]
    pub const fn max_frame(mut self, len: usize) -> Self {
        self.max_frame = Some(len);
        self
    }

    fn transform<E: Encode + 'static, D: Decode + 'static>(
        unit: Unit,
        coders: impl Fn() -> (E, D) + Send + Sync + 'static,
    ) -> Self {
        let coders: Arc<Coders> = Arc::new(move || {
            let (encode, decode) = coders();
            (Box::new(encode), Box::new(decode))
        });
        Self { transform: Some((unit, coders)), ..Self::identity() }
    }

    pub(in crate::proto) fn unit(&self) -> Option<Unit> {
        self.transform.as_ref().map(|(unit, _)| *unit)
    }

    pub(in crate::proto) const fn claimed(&self) -> Rsv {
        self.rsv
    }

    pub(in crate::proto) const fn longest_frame(&self) -> Option<usize> {
        self.max_frame
    }

    pub(in crate::proto) fn coders(&self) -> Option<(Unit, Pair)> {
        self.transform.as_ref().map(|(unit, coders)| (*unit, coders()))
    }
}

impl fmt::Debug for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rsv, max_frame, .. } = self;
        f.debug_struct("Negotiated")
            .field("unit", &self.unit())
            .field("rsv", rsv)
            .field("max_frame", max_frame)
            .finish_non_exhaustive()
    }
}

/// Two are equal if one is a clone of the other.
impl PartialEq for Negotiated {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.transform, &other.transform) {
            (Some((_, one)), Some((_, other))) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        same && (self.rsv, self.max_frame) == (other.rsv, other.max_frame)
    }
}

impl Eq for Negotiated {}

/// The sending side of an extension on one connection. What is one unit, a message or a frame, say its
/// [`Negotiated`].
pub trait Encode: fmt::Debug + Send + Sync {
    /// A unit begins: the bits that it has, of those that are claimed. `None`: it passes as it is, with none of them.
    fn begin(&mut self, unit: OutgoingUnit) -> Option<Rsv>;

    /// Appends what a piece of the unit becomes; with `end` it is the last one. A frame comes in one piece.
    fn encode(&mut self, piece: &[u8], end: bool, output: &mut Vec<u8>);

    /// Gives back the memory that can be made again, between two messages: `Connection::release_compression` asks for it.
    fn release(&mut self) {}
}

/// What is about to be encoded: a message, or a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OutgoingUnit {
    /// Text or binary; of a frame, continuation too.
    pub opcode: OpCode,
    /// Of a frame, whether it is the last of its message.
    pub fin: bool,
    /// The length in bytes of the frame, or of the message as the caller gave it; `None` for one that is sent piece by
    /// piece.
    pub len: Option<usize>,
    /// Whether the caller asked for no encoding, by [`Outgoing::uncompressed`](crate::Outgoing::uncompressed) or a raw frame. Heed it
    /// where the receiver can tell.
    pub uncompressed: bool,
}

/// The receiving side of an extension on one connection. What is one unit, a message or a frame, say its
/// [`Negotiated`].
///
/// Pieces come as they arrive, cut anywhere; what is decoded, and the error, must not depend on the cuts.
pub trait Decode: fmt::Debug + Send + Sync {
    /// A unit begins; whether it is to be decoded. If not, it passes as it is.
    ///
    /// # Errors
    ///
    /// The rule that it breaks: [`ProtocolError::ReservedBits`] for bits that make no sense here.
    fn begin(&mut self, unit: IncomingUnit) -> Result<bool, ProtocolError>;

    /// Appends what a piece of the unit decodes to, at most `limit` bytes; with `end` it is the last one, and perhaps
    /// empty. What `output` holds already, earlier pieces or nothing, is to be left as it is.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::MessageTooLong`] where that is more than `limit` bytes (with any [`Exceeded`](crate::Exceeded): the
    /// connection replaces it with the message's own limit),
    /// [`ProtocolError::InvalidExtensionData`] where it cannot be decoded. What comes before is appended.
    fn decode(&mut self, piece: &[u8], end: bool, limit: u64, output: &mut Vec<u8>) -> Result<(), ProtocolError>;

    /// Gives back the memory that can be made again, between two messages: `Connection::release_compression` asks for it.
    fn release(&mut self) {}
}

/// What is about to be decoded: a message, or a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct IncomingUnit {
    /// Text or binary; of a frame, continuation too.
    pub opcode: OpCode,
    /// Whether the frame, or the first of the message, is the last of its message.
    pub fin: bool,
    /// The claimed bits that the frame has, or the first of the message.
    pub rsv: Rsv,
}
