//! Host and port, as they stand in URIs, in the `Host` field and in origins (RFC 3986 section 3.2).

use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::String;
use core::net::Ipv6Addr;

use super::credentials::Credentials;
use super::percent::{is_pchar, percent_decode, percent_signs_are_valid};
use super::uri_error::UriError;

/// `host [":" port]`, as in a URI, in the `Host` field and in an origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'a> {
    /// Brackets kept.
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(authority: &'a str) -> Result<Self, UriError> {
        let (host, port) = split_port(authority)?;
        check_host(host)?;
        Ok(Self { host, port: parse_port(port)? })
    }
}

/// The authority of an address to dial: `[user-information "@"] host [":" port]`, where an IPv6 address may have a zone.
#[derive(Clone, Debug)]
pub(in crate::proto) struct DialAuthority {
    pub(in crate::proto) host: Host,
    pub(in crate::proto) port: Option<u16>,
    pub(in crate::proto) credentials: Option<Credentials>,
}

impl DialAuthority {
    pub(in crate::proto) fn parse(authority: &str) -> Result<Self, UriError> {
        // An earlier `@` is not legal in user information.
        let (user_info, rest) = authority.rsplit_once('@').unwrap_or(("", authority));
        let credentials = Credentials::parse(user_info).map_err(|_| UriError::UserInfo)?;
        let (host, port) = split_port(rest)?;
        Ok(Self { host: Host::parse(host)?, port: parse_port(port)?, credentials })
    }
}

/// A host to dial.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::proto) struct Host {
    /// A name or an address; that of IPv6 in brackets, without its zone.
    name: String,
    /// The zone of an IPv6 address: the interface (RFC 4007 section 11), percent-decoded.
    zone: Option<String>,
}

impl Host {
    /// As in a URI: an IPv6 address in brackets, its zone after `%25` (RFC 6874).
    pub(in crate::proto) fn parse(host: &str) -> Result<Self, UriError> {
        let literal = host.strip_prefix('[').and_then(|literal| literal.strip_suffix(']'));
        match literal.and_then(|literal| literal.split_once("%25")) {
            Some((address, zone)) if percent_signs_are_valid(zone) => {
                let zone = String::from_utf8(percent_decode(zone)).map_err(|_| UriError::Host)?;
                Self::v6(address, Some(&zone))
            }
            Some(_) => Err(UriError::Host),
            None => Self::name(host),
        }
    }

    /// Without any escaping: brackets are optional, a zone stands after `%`.
    pub(super) fn of_part(host: &str) -> Result<Self, UriError> {
        let unbracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match unbracketed.split_once('%') {
            Some((address, zone)) if address.parse::<Ipv6Addr>().is_ok() => Self::v6(address, Some(zone)),
            None if unbracketed.parse::<Ipv6Addr>().is_ok() => Self::v6(unbracketed, None),
            _ => Self::name(host),
        }
    }

    fn name(host: &str) -> Result<Self, UriError> {
        let host = &*to_ascii(host)?;
        check_host(host)?;
        // RFC 3986 section 3.2.2: no name is longer; SOCKS5 has no space for one that is.
        if host.len() > MAX_NAME { Err(UriError::Host) } else { Ok(Self { name: host.to_owned(), zone: None }) }
    }

    fn v6(address: &str, zone: Option<&str>) -> Result<Self, UriError> {
        let valid = |zone: &str| {
            let legal = |byte: u8| byte.is_ascii_graphic() && !b"%[]/?#@\\".contains(&byte);
            (1..=MAX_ZONE).contains(&zone.len()) && zone.bytes().all(legal)
        };
        if address.parse::<Ipv6Addr>().is_err() || !zone.is_none_or(valid) {
            return Err(UriError::Host);
        }
        Ok(Self { name: alloc::format!("[{address}]"), zone: zone.map(str::to_owned) })
    }

    /// As it stands in a URI and in `Host`: an IPv6 address in brackets. The zone is left out, which has a meaning on this
    /// machine alone (RFC 6874 section 1).
    pub(in crate::proto) fn bracketed(&self) -> &str {
        &self.name
    }

    /// Without brackets and zone.
    pub(in crate::proto) fn bare(&self) -> &str {
        self.name.trim_start_matches('[').trim_end_matches(']')
    }

    pub(in crate::proto) fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }
}

/// A name in ASCII: with the feature `idna`, one in Unicode becomes punycode, as in browsers (UTS #46).
#[cfg(feature = "idna")]
fn to_ascii(host: &str) -> Result<Cow<'_, str>, UriError> {
    if host.is_ascii() {
        return Ok(host.into());
    }
    // It maps characters: what comes out is judged like any other host.
    let ascii = idna::domain_to_ascii_cow(host.as_bytes(), idna::AsciiDenyList::URL);
    Ok(ascii.map_err(|_| UriError::Host)?.into_owned().into())
}

#[cfg(not(feature = "idna"))]
fn to_ascii(host: &str) -> Result<Cow<'_, str>, UriError> {
    if host.is_ascii() { Ok(host.into()) } else { Err(UriError::NonAsciiHost) }
}

/// The longest name of a host, in bytes.
const MAX_NAME: usize = 255;

/// The longest zone, in bytes.
const MAX_ZONE: usize = 64;

/// Host and port, neither of them judged. The last colon separates the port, unless it stands inside brackets.
fn split_port(authority: &str) -> Result<(&str, &str), UriError> {
    if authority.contains('@') {
        return Err(UriError::UserInfo);
    }
    Ok(match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    })
}

/// RFC 3986 section 3.2.3: port = *DIGIT; an empty one is the default.
fn parse_port(port: &str) -> Result<Option<u16>, UriError> {
    if port.is_empty() {
        return Ok(None);
    }
    let number = if port.bytes().all(|byte| byte.is_ascii_digit()) { port.parse().ok() } else { None };
    number.filter(|&port| port != 0).map(Some).ok_or(UriError::Port)
}

/// RFC 3986 section 3.2.2: an IPv6 address in brackets, or a reg-name (which an IPv4 address is too), not empty
/// (RFC 9110 section 4.2.1). Of the future address forms none exists.
fn check_host(host: &str) -> Result<(), UriError> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').ok_or(UriError::Host)?;
        return address.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| UriError::Host);
    }
    if !host.is_ascii() {
        return Err(UriError::NonAsciiHost);
    }
    let valid = !host.is_empty() && percent_signs_are_valid(host);
    let valid = valid && host.bytes().all(|byte| byte == b'%' || is_pchar(byte) && !matches!(byte, b':' | b'@'));
    if valid { Ok(()) } else { Err(UriError::Host) }
}
