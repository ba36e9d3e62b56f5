//! [`HeadError`]: a head that cannot be read.

use core::fmt;

/// The peer's head, a request's or a response's, cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HeadError {
    /// Not a head of HTTP/1.x (RFC 9112).
    Malformed,
    /// The peer speaks TLS, where plain text was expected.
    Tls,
    /// A version of HTTP other than 1.x.
    Version,
    /// A longer head than [`Config::max_head`](crate::Config::max_head) allows (RFC 6455 section 10.4).
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// More header fields than [`Config::max_head_fields`](crate::Config::max_head_fields) allows.
    TooManyFields {
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the peer does not speak HTTP/1.1"),
            Self::Tls => f.write_str("the peer speaks TLS, where plain text was expected"),
            Self::Version => f.write_str("the peer speaks another version of HTTP than 1.1"),
            Self::TooLong { limit } => write!(f, "the peer sent a head longer than {limit} bytes"),
            Self::TooManyFields { limit } => write!(f, "the peer sent more than {limit} header fields"),
        }
    }
}

impl core::error::Error for HeadError {}
