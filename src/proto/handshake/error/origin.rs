//! [`OriginError`]: a page that may not connect.

use alloc::string::String;
use core::fmt;

use super::super::text::Excerpt;

/// The [`OriginPolicy`](super::super::OriginPolicy) refuses the `Origin` of a request (RFC 6455 section 10.2).
///
/// The message is for the server's log; the client gets 403 and neither of the two values.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OriginError {
    /// The `Origin`, as it was sent.
    pub origin: String,
    /// The host to which the request was sent: its `Host`.
    pub host: String,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origin, host) = (Excerpt(self.origin.as_bytes()), Excerpt(self.host.as_bytes()));
        write!(
            f,
            "pages of the origin {origin} may not connect to the host {host}: `OriginPolicy::allow` lists other origins"
        )
    }
}

impl core::error::Error for OriginError {}
