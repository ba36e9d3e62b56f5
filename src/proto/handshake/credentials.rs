//! [`Credentials`]: a user name and a password, for Basic authentication (RFC 7617) and SOCKS5.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::key;
use super::percent::{is_pchar, percent_decode, percent_signs_are_valid};

/// A user name and a password. Neither is shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::proto) struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl Credentials {
    /// `None` when Basic authentication cannot express them.
    ///
    /// RFC 7617 section 2: no colon in the user name, no control characters in either.
    pub(in crate::proto) fn new(user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Option<Self> {
        let (user, password) = (user.into(), password.into());
        let valid = !user.contains(&b':') && !user.iter().chain(&password).any(u8::is_ascii_control);
        valid.then_some(Self { user, password })
    }

    /// The user information of a URI (RFC 3986 section 3.2.1), percent-decoded; nothing where both parts are empty.
    pub(in crate::proto) fn parse(user_info: &str) -> Result<Option<Self>, InvalidCredentials> {
        let legal = |byte: u8| byte == b'%' || byte != b'@' && is_pchar(byte);
        if !user_info.bytes().all(legal) || !percent_signs_are_valid(user_info) {
            return Err(InvalidCredentials);
        }
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        if user.is_empty() && password.is_empty() {
            return Ok(None);
        }
        Self::new(percent_decode(user), percent_decode(password)).map(Some).ok_or(InvalidCredentials)
    }

    pub(in crate::proto) fn user(&self) -> &[u8] {
        &self.user
    }

    pub(in crate::proto) fn password(&self) -> &[u8] {
        &self.password
    }

    /// The value of `Authorization` or `Proxy-Authorization` (RFC 7617 section 2).
    pub(in crate::proto) fn basic(&self) -> String {
        let pair = [&*self.user, b":", &*self.password].concat();
        format!("Basic {}", key::base64_text(&pair))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// User information that is no user name and password.
#[derive(Debug)]
pub(in crate::proto) struct InvalidCredentials;

/// Whether this is a token of the Bearer scheme (RFC 6750 section 2.1): `b64token`.
pub(super) fn is_bearer_token(token: &str) -> bool {
    let unpadded = token.trim_end_matches('=');
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !unpadded.is_empty() && unpadded.bytes().all(legal)
}
