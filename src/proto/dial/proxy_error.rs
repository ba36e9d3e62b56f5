//! [`ProxyError`] and [`SocksError`]: why a proxy opened no tunnel.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use crate::proto::driver::TransportError;
use crate::proto::handshake::error::fmt_refusal;
use crate::proto::handshake::{ClientResponse, HeadError};

/// Why a proxy opened no tunnel.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// An HTTP proxy answered with a status other than 2xx; its response: 407 when it requires a login.
    Refused(Box<ClientResponse>),
    /// The head of an HTTP proxy's response cannot be read.
    Head(HeadError),
    /// A SOCKS5 proxy refused, or broke the rules.
    Socks(SocksError),
    /// Bytes arrived together with the proxy's agreement, before anything was sent to the server.
    EarlyBytes,
    /// The transport failed, or ended before the handshake was complete.
    Transport(TransportError),
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout) expired, which was so long.
    Timeout(Duration),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(response) => fmt_refusal("the proxy", response, f),
            Self::Head(HeadError::Tls) => {
                f.write_str("the proxy speaks TLS on this port: the scheme of its address may be wrong (http:// instead of https://)")
            }
            Self::Head(error) => fmt::Display::fmt(error, f),
            Self::Socks(error) => fmt::Display::fmt(error, f),
            Self::EarlyBytes => f.write_str("bytes arrived before anything was sent to the server"),
            Self::Transport(TransportError::UnexpectedEof) => {
                f.write_str("the proxy ended the stream before its handshake was complete")
            }
            Self::Transport(error) => fmt::Display::fmt(error, f),
            Self::Timeout(limit) => write!(f, "not complete after {limit:?}"),
        }
    }
}

impl core::error::Error for ProxyError {}

/// A SOCKS5 proxy refused, or broke the rules of its protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SocksError {
    /// Another version of the protocol, or something else than SOCKS: the byte in place of the version.
    Version(u8),
    /// The proxy accepts no offered way to log in (RFC 1928 section 3).
    NoMethod {
        /// Whether user name and password were offered.
        offered_login: bool,
    },
    /// The proxy chose a way to log in that was not offered; its number.
    Method(u8),
    /// User name and password were refused (RFC 1929 section 2); the status.
    Login(u8),
    /// The request was refused; the code of the reply (RFC 1928 section 6).
    Reply(u8),
    /// The reply holds an address of an unknown type; its number.
    AddressType(u8),
}

impl SocksError {
    /// Whether another address of the same host may fare better: not reachable from there, or of the wrong family.
    pub(super) const fn is_of_address(self) -> bool {
        matches!(self, Self::Reply(3..=6 | 8))
    }
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(b'H') => f.write_str("it speaks HTTP and not SOCKS5: the scheme may be http://"),
            Self::Version(byte) => write!(f, "it does not speak SOCKS5: the first byte of its message is {byte:#04x}"),
            Self::NoMethod { offered_login: false } => f.write_str("it requires a user name and a password"),
            Self::NoMethod { offered_login: true } => {
                f.write_str("it accepts neither a login with a password nor none")
            }
            Self::Method(method) => write!(f, "it chose the login method {method:#04x}, which was not offered"),
            Self::Login(status) => write!(f, "it refused the user name or the password (status {status})"),
            Self::Reply(code) => write!(f, "{} (reply {code})", reply_text(*code)),
            Self::AddressType(number) => write!(f, "its reply holds an address of the unknown type {number}"),
        }
    }
}

impl core::error::Error for SocksError {}

/// RFC 1928 section 6.
const fn reply_text(code: u8) -> &'static str {
    match code {
        1 => "general failure of the SOCKS server",
        2 => "connection not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "failure without a registered meaning",
    }
}
