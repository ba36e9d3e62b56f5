//! Responses other than 101 (RFC 9110 section 15): how a server refuses, or answers plain HTTP.

use alloc::format;

use bytes::{BufMut as _, BytesMut};

use super::error::HandshakeError;
use super::fields::{Fields, is_reserved};

/// Whether the body follows its head; to HEAD it does not (RFC 9110 section 9.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Body {
    Sent,
    LeftOut,
}

/// The fields of a response with this status: the caller's, checked, and those that go with it.
pub(super) fn check_fields(status: u16, headers: &[(&str, &str)]) -> Result<Fields, HandshakeError> {
    let mut fields = Fields::new();
    for &(name, value) in headers {
        push(&mut fields, name, value)?;
    }
    let needed = match status {
        // RFC 9110 sections 15.5.2 and 15.5.6: the server MUST send them.
        401 => Some("WWW-Authenticate"),
        405 => Some("Allow"),
        _ => None,
    };
    match needed {
        Some(name) if !fields.contains(name) => Err(HandshakeError::MissingField(name)),
        _ => Ok(complete(status, &fields)),
    }
}

/// Appends a field of the caller, which is none of the handshake's own.
pub(super) fn push(fields: &mut Fields, name: &str, value: &str) -> Result<(), HandshakeError> {
    if is_reserved(name) { Err(HandshakeError::ReservedField(name.into())) } else { fields.push(name, value) }
}

/// Appends a response with these fields, which say that it ends the connection.
pub(super) fn encode(status: u16, fields: &Fields, body: &[u8], send: Body, output: &mut BytesMut) {
    output.put_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    fields.encode(output);
    if has_body(status) {
        output.put_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    output.put_slice(b"\r\n");
    if send == Body::Sent {
        output.put_slice(body);
    }
}

/// These fields with those that such a response has, but for the length of its body.
pub(super) fn complete(status: u16, fields: &Fields) -> Fields {
    let mut all = Fields::new();
    if status == 426 {
        // RFC 9110 section 15.5.22: 426 MUST come with Upgrade, and that with its connection option (section 7.8).
        all.append("Connection", b"Upgrade, close");
        all.append("Upgrade", b"websocket");
        // RFC 6455 section 4.4: the versions that are supported.
        all.append("Sec-WebSocket-Version", b"13");
    } else {
        all.append("Connection", b"close");
    }
    all.extend(fields);
    all
}

/// RFC 9112 section 6.3: responses that end with their head.
pub(super) const fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// The reason phrase of a status; empty where none is registered or it is not likely here.
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
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
