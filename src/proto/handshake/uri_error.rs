//! [`UriError`]: why a text is no WebSocket URI.

use core::fmt;

/// Why a text is no WebSocket URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UriError {
    /// Not `ws://` or `wss://`.
    Scheme,
    /// A fragment: `#` (write `%23` when it is part of a name).
    Fragment,
    /// User information (`user:password@`) that is no user name and password, or stands where there is none.
    UserInfo,
    /// A host that is empty or holds characters that may not stand there.
    Host,
    /// A host with characters outside ASCII, without the feature `idna`: write it as punycode (`xn--...`).
    NonAsciiHost,
    /// A port that is no number from 1 to 65535.
    Port,
    /// A character, or a `%` without two hexadecimal digits, that may not stand in path or query.
    Resource,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the address does not begin with ws:// or wss://",
            Self::Fragment => {
                "the address holds a fragment (#), which WebSocket has no use for; write %23 for a plain #"
            }
            Self::UserInfo => {
                "the user name or the password of the address holds a character that has to be percent-encoded, a control \
                 character, or (in the name) a colon"
            }
            Self::Host => "the address has no valid host",
            Self::NonAsciiHost => "the host has characters outside ASCII; write it as punycode (xn--...), or enable the feature `idna`",
            Self::Port => "the port of the address is not a number from 1 to 65535",
            Self::Resource => "the path or query of the address holds a character that has to be percent-encoded",
        })
    }
}

impl core::error::Error for UriError {}
