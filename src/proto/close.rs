//! The Close frame's payload: a code and a reason (RFC 6455 sections 5.5.1 and 7.4).
//!
//! Functions on bytes without state: `link` defines when a Close is sent and what follows from it.

use alloc::string::String;
use core::fmt::{self, Write};

use crate::proto::close_code::CloseCode;
use crate::proto::error::{ProtocolError, SendError};
use crate::proto::role::Role;
use crate::proto::utf8;

/// The content of a Close frame that is not empty: a code and a reason.
///
/// A received reason is the peer's text: do not show it to end users (RFC 6455 section 5.5.1). `Display` and `Debug` escape
/// its control characters.
///
/// ```
/// use bowsprit::{Close, CloseCode};
///
/// let close = Close::decode(b"\x03\xe8bye")?.unwrap();
/// assert_eq!((close.code, close.reason), (CloseCode::NORMAL, "bye"));
/// assert_eq!(Close::decode(b"")?, None); // a Close frame may be empty
/// # Ok::<(), bowsprit::ProtocolError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Close<'a> {
    /// Why the connection closes.
    pub code: CloseCode,
    /// Text for people who read logs. A Close that is sent has at most 123 bytes of it; see [`truncated`](Self::truncated).
    pub reason: &'a str,
}

impl<'a> Close<'a> {
    /// The longest reason in bytes: a control frame carries 125, the code takes two.
    pub const MAX_REASON: usize = 123;

    /// The same Close with at most [`MAX_REASON`](Self::MAX_REASON) bytes of its reason, cut at a character boundary.
    ///
    /// Everything that sends a Close on a connection does this, because a Close that is refused for its reason would leave
    /// the peer without one. [`encode`](Self::encode) reports the reason that is too long instead.
    ///
    /// ```
    /// use bowsprit::{Close, CloseCode};
    ///
    /// let reason = "é".repeat(62); // 124 bytes
    /// let close = Close { code: CloseCode::NORMAL, reason: &reason };
    /// assert_eq!(close.truncated().reason, "é".repeat(61));
    /// ```
    #[must_use]
    #[inline]
    pub fn truncated(self) -> Self {
        Self { reason: &self.reason[..reason_end(self.reason)], ..self }
    }

    /// Reads the payload of a Close frame; `None` when it is empty.
    ///
    /// # Errors
    ///
    /// [`InvalidClosePayload`](ProtocolError::InvalidClosePayload) for a single byte,
    /// [`InvalidCloseCode`](ProtocolError::InvalidCloseCode) for a code that may not be sent,
    /// [`InvalidUtf8`](ProtocolError::InvalidUtf8) for a reason that is not UTF-8.
    pub fn decode(payload: &'a [u8]) -> Result<Option<Self>, ProtocolError> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(ProtocolError::InvalidClosePayload),
            [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
        };
        if !code.is_allowed_on_the_wire() {
            return Err(ProtocolError::InvalidCloseCode(code));
        }
        let reason = utf8::check(reason).ok_or(ProtocolError::InvalidUtf8)?;
        Ok(Some(Self { code, reason }))
    }

    /// Writes the payload of a Close frame.
    ///
    /// # Errors
    ///
    /// [`InvalidCloseCode`](SendError::InvalidCloseCode) for a code that may not be sent,
    /// [`ReasonTooLong`](SendError::ReasonTooLong) for a reason of more than 123 bytes.
    pub fn encode(&self) -> Result<ClosePayload, SendError> {
        if !self.code.is_allowed_on_the_wire() {
            return Err(SendError::InvalidCloseCode(self.code));
        }
        if self.reason.len() > Self::MAX_REASON {
            return Err(SendError::ReasonTooLong);
        }
        let mut payload = ClosePayload { bytes: [0; 125], len: 2 + self.reason.len() };
        payload.bytes[..2].copy_from_slice(&self.code.0.to_be_bytes());
        payload.bytes[2..payload.len].copy_from_slice(self.reason.as_bytes());
        Ok(payload)
    }
}

impl Close<'_> {
    /// As [`encode`](Self::encode), for the endpoint of this role.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidCloseCode`] for a code that may not be sent, which from a server includes 1010 (RFC 6455 section
    /// 7.4.1); [`SendError::ReasonTooLong`] for a reason of more than 123 bytes.
    pub fn encode_as(&self, role: Role) -> Result<ClosePayload, SendError> {
        // RFC 6455 section 7.4.1: 1010 "is not used by the server".
        if self.code == CloseCode::MANDATORY_EXTENSION && role == Role::Server {
            return Err(SendError::InvalidCloseCode(self.code));
        }
        self.encode()
    }
}

impl fmt::Display for Close<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.code, Reason(self.reason))
    }
}

/// A reason after what it is the reason of: nothing where it is empty. It comes from the peer: control characters are
/// escaped.
pub(in crate::proto) struct Reason<'a>(pub(in crate::proto) &'a str);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(reason) = self;
        if reason.is_empty() {
            return Ok(());
        }
        f.write_str(": ")?;
        for character in reason.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

impl From<CloseCode> for Close<'_> {
    fn from(code: CloseCode) -> Self {
        Self { code, reason: "" }
    }
}

/// An error that closes the connection with a code and a reason, such as the one for a message of the wrong type.
///
/// A callback of `session::Handler` that returns it closes the connection so.
///
/// ```
/// use bowsprit::{CloseCode, CloseError, Message};
///
/// let wrong: Result<&str, CloseError> = Message::Binary(b"\x00").try_into();
/// assert_eq!(wrong.unwrap_err().code(), CloseCode::UNSUPPORTED_DATA);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloseError {
    code: CloseCode,
    reason: String,
}

impl CloseError {
    /// An error with this code and reason. The reason, for people who read logs, is cut at a character boundary after at
    /// most 123 bytes. A code that may not be sent becomes [`CloseCode::INTERNAL_ERROR`].
    #[must_use]
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        let code = if code.is_allowed_on_the_wire() { code } else { CloseCode::INTERNAL_ERROR };
        let mut reason = reason.into();
        reason.truncate(reason_end(&reason));
        Self { code, reason }
    }

    /// The close code to send.
    #[must_use]
    pub const fn code(&self) -> CloseCode {
        self.code
    }

    /// The reason to send, at most 123 bytes.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The Close to send.
    #[must_use]
    pub fn close(&self) -> Close<'_> {
        Close { code: self.code, reason: &self.reason }
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl core::error::Error for CloseError {}

/// Where a reason is cut: the last character boundary within the first 123 bytes.
fn reason_end(reason: &str) -> usize {
    let mut end = reason.len().min(Close::MAX_REASON);
    // At most three steps; 0 is a boundary.
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// The encoded payload of a Close frame, on the stack; derefs to its 2 to 125 bytes.
#[derive(Clone, Copy, Debug)]
pub struct ClosePayload {
    bytes: [u8; 125],
    /// At most 125.
    len: usize,
}

impl core::ops::Deref for ClosePayload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
