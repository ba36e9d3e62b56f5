//! The Close frame's payload: a code and a reason (RFC 6455 sections 5.5.1 and 7.4).
//!
//! Functions on bytes without state: `link` defines when a Close is sent and what follows from it.

use alloc::string::String;
use core::fmt::{self, Write};

use crate::proto::error::{ProtocolError, SendError};
use crate::proto::role::Role;
use crate::proto::utf8;

/// A close code (RFC 6455 section 7.4 and the IANA registry). `Display` shows its number and its registered name.
///
/// ```
/// use bowsprit::CloseCode;
///
/// assert!(CloseCode::NORMAL.is_allowed_on_the_wire());
/// assert!(!CloseCode::ABNORMAL.is_allowed_on_the_wire());
/// assert_eq!(CloseCode::SERVICE_RESTART.to_string(), "1012 (service restart)");
/// assert_eq!(CloseCode(4321).to_string(), "4321");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away, such as a server that shuts down or a page that is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that this endpoint does not accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the Close frame held no code. Reported to the application, never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close frame. Reported to the application, never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: a payload that does not match its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message that violates a policy of this endpoint.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message that is too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client needs. Only a client sends it.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition; erratum 3227 lets either side send it.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got a bad answer from upstream.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Reported to the application, never sent.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Whether a Close frame may hold this code: 1000 to 1003, 1007 to 1014, 3000 to 4999.
    #[must_use]
    pub const fn is_allowed_on_the_wire(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// The name in the IANA registry, in lower case; `None` for a code that is not registered.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1004 => "reserved",
            1005 => "no status received",
            1006 => "abnormal closure",
            1007 => "invalid payload data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "mandatory extension",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            1015 => "TLS handshake",
            3000 => "unauthorized",
            3003 => "forbidden",
            3008 => "timeout",
            _ => return None,
        })
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

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
