//! Responses other than 101 (RFC 9110 section 15): a server's refusals, and its answers to plain HTTP.

use alloc::format;

use bytes::{BufMut as _, BytesMut};

use super::error::BuildError;
use super::headers::{Headers, is_reserved};

/// Whether the body follows its head. The answer to HEAD has none (RFC 9110 section 9.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Body {
    Sent,
    LeftOut,
}

/// The headers of a response with this status: the caller's, checked, and those that belong to the status.
pub(super) fn check_headers(status: u16, headers: &[(&str, &str)]) -> Result<Headers, BuildError> {
    let mut checked = Headers::new();
    for &(name, value) in headers {
        push(&mut checked, name, value)?;
    }
    let needed = match status {
        // RFC 9110 sections 15.5.2 and 15.5.6: the server MUST send them.
        401 => Some("WWW-Authenticate"),
        405 => Some("Allow"),
        _ => None,
    };
    match needed {
        Some(name) if !checked.contains(name) => Err(BuildError::MissingHeader(name)),
        _ => Ok(complete(status, &checked)),
    }
}

/// Appends a header of the caller's, unless it is one that the handshake sets itself.
pub(super) fn push(headers: &mut Headers, name: &str, value: &str) -> Result<(), BuildError> {
    if is_reserved(name) { Err(BuildError::ReservedHeader(name.into())) } else { headers.push(name, value) }
}

/// Appends a response with these headers.
pub(super) fn encode(status: u16, headers: &Headers, body: &[u8], send: Body, output: &mut BytesMut) {
    output.put_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    headers.encode(output);
    if has_body(status) {
        output.put_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    output.put_slice(b"\r\n");
    if send == Body::Sent {
        output.put_slice(body);
    }
}

/// These headers with those that a response with this status has; without `Content-Length`.
///
/// The connection closes: the bytes after a refused handshake must not be read as another request.
pub(super) fn complete(status: u16, headers: &Headers) -> Headers {
    let mut all = Headers::new();
    if status == 426 {
        // RFC 9110 section 15.5.22: 426 MUST come with Upgrade, and that with its connection option (section 7.8).
        all.append("Connection", b"Upgrade, close");
        all.append("Upgrade", b"websocket");
        // RFC 6455 section 4.4: the versions that are supported.
        all.append("Sec-WebSocket-Version", b"13");
    } else {
        all.append("Connection", b"close");
    }
    all.extend(headers);
    all
}

/// RFC 9112 section 6.3: responses that end with their head.
pub(super) const fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// The reason phrase of a status; empty for a status that is not registered or unlikely here.
pub(super) const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
