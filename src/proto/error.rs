//! Errors, split by whose fault they are.
//!
//! [`ProtocolError`]: the peer broke the rules; it has the close code to send.
//! [`SendError`]: the caller tried to send something that may not be sent; nothing has changed.
//! [`HandshakeError`]: the connection did not open; on a server it has the HTTP status.

use core::fmt;

use crate::proto::close_code::CloseCode;
pub use crate::proto::handshake::HandshakeError;

/// The peer broke RFC 6455; the connection has failed (section 7.1.7).
///
/// Each error has one close code, with which the connection is closed.
///
/// `#[non_exhaustive]`: new limits and extensions bring new errors.
///
/// ```
/// use bowsprit::{CloseCode, ProtocolError};
///
/// assert_eq!(ProtocolError::InvalidUtf8.close_code(), CloseCode::INVALID_PAYLOAD);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit that no negotiated extension claims (section 5.2).
    ReservedBits,
    /// An opcode that RFC 6455 does not define: 0x3 to 0x7, 0xB to 0xF (section 5.2).
    UnknownOpCode(u8),
    /// A frame from a client without a mask (section 5.1).
    Unmasked,
    /// A frame from a server with a mask (section 5.1).
    Masked,
    /// A length that was not written in its shortest form (section 5.2).
    NonMinimalLength,
    /// A 64-bit length with its most significant bit set (section 5.2).
    LengthOverflow,
    /// A control frame without FIN (section 5.4).
    FragmentedControl,
    /// A control frame of more than 125 bytes (section 5.5).
    ControlTooLong,
    /// A continuation frame while no message is in progress (section 5.4).
    UnexpectedContinuation,
    /// A new message before the last fragment of the one in progress (section 5.4).
    ExpectedContinuation,
    /// A Close payload of one byte (section 5.5.1).
    InvalidClosePayload,
    /// A close code that may not be sent (section 7.4).
    InvalidCloseCode(CloseCode),
    /// Text, or the reason of a Close, that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// A compressed message that is not DEFLATE, or is cut off (RFC 7692 section 7.2.2).
    InvalidDeflate,
    /// A payload that a [custom extension](crate::extension::Extension) cannot decode.
    InvalidExtensionData,
    /// A frame longer than [`Config::max_frame`](crate::Config::max_frame) allows (section 10.4).
    FrameTooLong(Exceeded),
    /// A message longer than [`Config::max_message`](crate::Config::max_message) or
    /// [`Config::max_decoded_message`](crate::Config::max_decoded_message) allows (section 10.4).
    MessageTooLong(Exceeded),
    /// A message of more fragments, or more empty ones in a row, than
    /// [`Config`](crate::Config) allows.
    TooManyFragments,
    /// A compressed message with too many final DEFLATE blocks for its length (RFC 7692 section 7.2.3.4): each costs the
    /// receiver more than it costs the sender. Allowed are 8 and one more for every 8 bytes, and on a connection 64
    /// that later blocks refer to and one more for every 512 bytes.
    TooManyFinalBlocks,
}

impl ProtocolError {
    /// The close code with which the connection is closed.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::UnknownOpCode(_)
            | Self::Unmasked
            | Self::Masked
            | Self::NonMinimalLength
            | Self::LengthOverflow
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::InvalidClosePayload
            | Self::InvalidCloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::InvalidDeflate | Self::InvalidExtensionData => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooLong(_) | Self::MessageTooLong(_) => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyFragments | Self::TooManyFinalBlocks => CloseCode::POLICY_VIOLATION,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("the peer set a reserved bit that no extension claims"),
            Self::UnknownOpCode(opcode) => write!(f, "the peer sent the undefined opcode {opcode:#x}"),
            Self::Unmasked => f.write_str("the client sent a frame without a mask"),
            Self::Masked => f.write_str("the server sent a frame with a mask"),
            Self::NonMinimalLength => f.write_str("the peer wrote a frame length in too many bytes"),
            Self::LengthOverflow => f.write_str("the peer announced a frame of 2^63 bytes or more"),
            Self::FragmentedControl => f.write_str("the peer fragmented a control frame"),
            Self::ControlTooLong => f.write_str("the peer sent a control frame of more than 125 bytes"),
            Self::UnexpectedContinuation => f.write_str("the peer continued a message that it had not begun"),
            Self::ExpectedContinuation => f.write_str("the peer began a message inside another one"),
            Self::InvalidClosePayload => f.write_str("the peer sent a Close payload of one byte"),
            Self::InvalidCloseCode(code) => write!(f, "the peer sent the close code {code}, which may not be sent"),
            Self::InvalidUtf8 => f.write_str("the peer sent text that is not UTF-8"),
            Self::InvalidDeflate => f.write_str("the peer sent a compressed message that cannot be decompressed"),
            Self::InvalidExtensionData => f.write_str("the peer sent a payload that the extension cannot decode"),
            Self::FrameTooLong(exceeded) => write!(f, "the peer sent a frame of {exceeded}"),
            Self::MessageTooLong(exceeded) => write!(f, "the peer sent a message of {exceeded}"),
            Self::TooManyFragments => f.write_str(
                "the peer sent a message in more fragments, or more empty ones in a row, than the limits \
                 (`Config::max_fragments`, `Config::max_empty_fragments`)",
            ),
            Self::TooManyFinalBlocks => f.write_str("the peer sent a compressed message with too many final blocks"),
        }
    }
}

impl core::error::Error for ProtocolError {}

/// How long something is, and the limit that it exceeds.
///
/// Displayed as "at least 70000 bytes; the limit is 65536". Any two are equal, so that errors compare by their kind alone.
#[derive(Clone, Copy, Debug)]
pub struct Exceeded {
    /// In bytes, at most `u32::MAX`: a connection holds an error, and an idle one is to stay small.
    size: u32,
    /// Likewise.
    limit: u32,
}

impl Exceeded {
    /// At least `size` bytes, where `limit` are allowed. Both are kept up to `u32::MAX`.
    #[must_use]
    pub fn new(size: u64, limit: u64) -> Self {
        let [size, limit] = [size, limit].map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX));
        Self { size, limit }
    }

    /// The length in bytes, as far as it is known: what the frames so far announce; of a message that an extension has
    /// encoded, one more than the limit. `u32::MAX` stands for all larger ones.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size.into()
    }

    /// The limit in bytes. `u32::MAX` stands for all larger ones.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.into()
    }
}

impl PartialEq for Exceeded {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Exceeded {}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, limit } = self;
        let or_more = if *limit == u32::MAX { " or more" } else { "" };
        write!(f, "at least {size} bytes; the limit is {limit}{or_more}")
    }
}

/// The caller tried to send something that may not be sent. Nothing was sent and nothing has changed.
///
/// `#[non_exhaustive]`: new things to send bring new reasons not to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The unsent output has reached [`Config::max_unsent`](crate::Config::max_unsent): write some of it
    /// to the transport and try again.
    Full,
    /// A Close has been sent or received, or the connection has failed (section 6.1).
    Closing,
    /// A client that reconnects has no open connection at the moment.
    NotOpen,
    /// A Ping or Pong of more than 125 bytes (section 5.5).
    ControlTooLong,
    /// A close code that may not be sent, or not by this role (section 7.4).
    InvalidCloseCode(CloseCode),
    /// A close reason of more than 123 bytes (section 5.5.1), from the forms that check it:
    /// [`Close::encode`](crate::Close::encode) and a raw frame. [`Outgoing::close`](crate::Outgoing::close) cuts the reason
    /// instead.
    ReasonTooLong,
    /// A new message, or a chunk of the other kind, while a message is sent in chunks (section 5.4).
    MessageInProgress,
    /// A continuation frame while no message is in progress (section 5.4).
    NoMessageInProgress,
    /// A raw frame that RFC 6455 does not allow here: reserved bits, a mask of its own, a wrong length,
    /// a fragmented control frame.
    InvalidFrame,
    /// A raw text frame after which the message is not UTF-8 (section 8.1).
    InvalidUtf8,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str(
                "the unsent output has reached the limit (`Config::max_unsent`): write some of it, then try again",
            ),
            Self::Closing => f.write_str("the connection is closing: nothing may be sent after a Close"),
            Self::NotOpen => f.write_str("no connection is open at the moment"),
            Self::ControlTooLong => f.write_str("a Ping or Pong carries at most 125 bytes"),
            Self::InvalidCloseCode(code) => write!(f, "the close code {code} may not be sent"),
            Self::ReasonTooLong => f.write_str("a close reason has at most 123 bytes"),
            Self::MessageInProgress => {
                f.write_str("another message is being sent in chunks: send its last chunk first")
            }
            Self::NoMessageInProgress => f.write_str("a continuation frame, but no message is being sent in chunks"),
            Self::InvalidFrame => f.write_str(
                "the raw frame is not allowed: wrong length, a mask, a reserved bit, \
                 a fragmented control frame or an invalid Close",
            ),
            Self::InvalidUtf8 => f.write_str("the raw text frame is not UTF-8"),
        }
    }
}

impl core::error::Error for SendError {}
