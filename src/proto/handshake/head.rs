//! HTTP/1.1 heads (RFC 9112): found in bytes that arrive in pieces of any size, bounded, and parsed once.
//!
//! httparse does the parsing. It accepts a bare LF for CRLF, which is refused here (RFC 9112 section 2.2 leaves the
//! choice; two readers of one head must not disagree about its lines), and empty lines before the first one, which a
//! server skips (the same section) and a client refuses. A folded line is refused in a request and becomes spaces in
//! a response (section 5.2).
//!
//! HTTP/1.2 to 1.9 are read as HTTP/1.1: RFC 6455 section 4.2.1 says "1.1 or higher", and RFC 9110 section 2.5 has a
//! recipient read a higher minor version as the highest that it knows.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Buf as _, BytesMut};
use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use super::error::{HandshakeError, HeadError, RequestError};
use super::headers::{Headers, trim};
use crate::proto::config::Config;
use crate::proto::steps;

/// Finds the end of each head in the bytes that have arrived, and holds the deadline of the handshake.
#[derive(Debug)]
pub(in crate::proto) struct HeadReader {
    config: Arc<Config>,
    deadline: Option<Duration>,
    /// Bytes of the heads before this one: the bound is on all of them together.
    earlier: usize,
    //  input: G E T ␍ ␊ H o s t : …
    //                   ^line     ^searched
    /// Where the line begins that is being searched for its end.
    line: usize,
    /// The end of the part of that line that was searched. It only grows, so that each byte is searched once.
    searched: usize,
    /// Lines of this head so far; empty ones before the first do not count.
    lines: usize,
}

impl HeadReader {
    pub(in crate::proto) fn new(config: Arc<Config>, now: Duration) -> Self {
        let deadline = config.handshake_timeout.and_then(|timeout| now.checked_add(timeout));
        Self { config, deadline, earlier: 0, line: 0, searched: 0, lines: 0 }
    }

    /// Takes a request out of `input`, its empty line included. `None`: it is not complete.
    pub(super) fn request(&mut self, input: &mut BytesMut) -> Result<Option<RequestHead>, RequestError> {
        let taken = self.take(input, parse_request);
        taken.map_err(|error| {
            // Only bytes within the bound count, so that the answer does not depend on how the head was cut.
            let mut head = &input[..input.len().min(self.config.max_head)];
            while let [b'\r', b'\n', rest @ ..] = head {
                head = rest;
            }
            let error = match error {
                // RFC 9112 section 3: 414 for a request-target that is too long; 431 is for the header section.
                HeadError::TooLong { limit } if self.lines == 0 && head.contains(&b' ') => {
                    RequestError::TargetTooLong { limit }
                }
                error => RequestError::Head(error),
            };
            error.of_method(if head.starts_with(b"HEAD ") { b"HEAD" } else { b"" })
        })
    }

    /// Takes a response likewise.
    pub(in crate::proto) fn response(&mut self, input: &mut BytesMut) -> Result<Option<ResponseHead>, HeadError> {
        self.take(input, parse_response)
    }

    fn take<T>(&mut self, input: &mut BytesMut, parse: Parse<T>) -> Result<Option<T>, HeadError> {
        let Some(len) = self.find_end(input)? else { return Ok(None) };
        let head = parse(&mut input[..len], self.lines)?;
        input.advance(len);
        self.earlier += len;
        (self.line, self.searched, self.lines) = (0, 0, 0);
        Ok(Some(head))
    }

    /// The length of the head, once it is complete.
    fn find_end(&mut self, input: &[u8]) -> Result<Option<usize>, HeadError> {
        let max_len = self.config.max_head.saturating_sub(self.earlier);
        let allowed = &input[..input.len().min(max_len)];
        if allowed.len() < self.searched {
            // The caller has removed bytes that had to stay.
            return Err(HeadError::Malformed);
        }
        match input.first() {
            // RFC 8446 section 5.1: a record of TLS, with an alert or a handshake message.
            Some(0x15 | 0x16) => return Err(HeadError::Tls),
            // No head begins like this; its sender need not wait for the deadline.
            Some(byte) if !byte.is_ascii_graphic() && *byte != b'\r' => return Err(HeadError::Malformed),
            _ => {}
        }
        let max_fields = self.config.max_head_fields.min(Config::MAX_HEAD_FIELDS);
        while let Some(lf) = find_lf(&allowed[self.searched..]) {
            let end = self.searched + lf + 1;
            let line = allowed[self.line..end].strip_suffix(b"\r\n").ok_or(HeadError::Malformed)?;
            (self.line, self.searched) = (end, end);
            if !line.is_empty() {
                self.lines += 1;
            } else if self.lines > 0 {
                return Ok(Some(end));
            }
            // The first line is no field.
            if self.lines > 1 + max_fields {
                return Err(HeadError::TooManyFields { limit: max_fields });
            }
        }
        self.searched = allowed.len();
        if input.len() > max_len { Err(HeadError::TooLong { limit: self.config.max_head }) } else { Ok(None) }
    }

    pub(super) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(super) const fn poll_timeout(&self) -> Option<Duration> {
        self.deadline
    }

    pub(in crate::proto) fn handle_timeout(&self, now: Duration) -> Result<(), HandshakeError> {
        match self.deadline {
            Some(deadline) if now >= deadline => {
                Err(HandshakeError::TimedOut(self.config.handshake_timeout.unwrap_or_default()))
            }
            _ => Ok(()),
        }
    }
}

/// The version of HTTP/1 that a head names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.0, which has no upgrade.
    Http10,
    /// HTTP/1.1, or a higher minor version, which is read as HTTP/1.1.
    Http11,
}

/// The first line of a request, and its header fields.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) version: HttpVersion,
    pub(super) headers: Headers,
}

/// The first line of a response, and its header fields.
#[derive(Debug)]
pub(in crate::proto) struct ResponseHead {
    pub(in crate::proto) status: u16,
    pub(in crate::proto) version: HttpVersion,
    pub(super) headers: Headers,
}

/// Parses a complete head of this many lines: at least as many as it has fields.
type Parse<T> = fn(&mut [u8], usize) -> Result<T, HeadError>;

fn parse_request(head: &mut [u8], lines: usize) -> Result<RequestHead, HeadError> {
    let first = head.trim_ascii_start();
    let start = head.len() - first.len();
    let end = start + find_lf_of_first_line(first);
    let version = start + head[start..end].iter().rposition(|&byte| byte == b' ').map_or(0, |space| space + 1);
    read_version(&mut head[version..end])?;
    let mut headers = vec![EMPTY_HEADER; lines];
    let mut request = httparse::Request::new(&mut headers);
    check(request.parse(head), head)?;
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(HeadError::Malformed);
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(RequestHead { method, target, version: http_version(version), headers: own(request.headers) })
}

fn parse_response(head: &mut [u8], lines: usize) -> Result<ResponseHead, HeadError> {
    // Nothing stands before the status line.
    let end = head.iter().position(|&byte| byte == b' ').ok_or(HeadError::Malformed)?;
    read_version(&mut head[..end])?;
    let mut headers = vec![EMPTY_HEADER; lines];
    let mut response = httparse::Response::new(&mut headers);
    let mut parser = ParserConfig::default();
    parser.allow_obsolete_multiline_headers_in_responses(true);
    check(parser.parse_response(&mut response, head), head)?;
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(HeadError::Malformed);
    };
    // A status has its class (RFC 9110 section 15).
    if status < 100 {
        return Err(HeadError::Malformed);
    }
    Ok(ResponseHead { status, version: http_version(version), headers: own(response.headers) })
}

/// Where the first line ends, without its CRLF.
fn find_lf_of_first_line(head: &[u8]) -> usize {
    head.windows(2).position(|bytes| bytes == b"\r\n").unwrap_or(head.len())
}

/// Checks `HTTP-version` (RFC 9112 section 2.3), and writes a higher minor version than 1 as 1: httparse knows no other.
fn read_version(version: &mut [u8]) -> Result<(), HeadError> {
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => *minor = (*minor).min(b'1'),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(HeadError::Version),
        _ => return Err(HeadError::Malformed),
    }
    Ok(())
}

const fn http_version(minor: u8) -> HttpVersion {
    if minor == 0 { HttpVersion::Http10 } else { HttpVersion::Http11 }
}

/// The parser must have seen the same head that was found.
fn check(parsed: httparse::Result<usize>, head: &[u8]) -> Result<(), HeadError> {
    match parsed {
        Ok(Status::Complete(len)) if len == head.len() => Ok(()),
        _ => Err(HeadError::Malformed),
    }
}

fn own(parsed: &[Header<'_>]) -> Headers {
    let mut headers = Headers::new();
    for header in parsed {
        if header.value.contains(&b'\n') {
            // RFC 9112 section 5.2: each fold of a line is replaced by spaces.
            let unfold = |&byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
            let unfolded: Vec<u8> = header.value.iter().map(unfold).collect();
            headers.append(header.name, trim(&unfolded));
        } else {
            headers.append(header.name, header.value);
        }
    }
    headers
}

fn find_lf(bytes: &[u8]) -> Option<usize> {
    let lf = bytes.iter().position(|&byte| byte == b'\n');
    steps::count(lf.map_or(bytes.len(), |lf| lf + 1));
    lf
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    // HOSTILE: 1
    // HOSTILE: 16
    /// Heads of 64 KiB in one line, and in as many lines as may be, byte by byte.
    #[test]
    fn work_is_linear_in_the_length() {
        let config =
            Arc::new(Config { max_head: 128 << 10, max_head_fields: Config::MAX_HEAD_FIELDS, ..Config::default() });
        let one_line = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 64 << 10], b"\r\n\r\n"].concat();
        let line = [b"X: ".as_slice(), &[b'x'; 59], b"\r\n"].concat();
        let many_lines = [b"GET / HTTP/1.1\r\n".as_slice(), &line.repeat(Config::MAX_HEAD_FIELDS), b"\r\n"].concat();
        for head in [one_line, many_lines] {
            let mut reader = HeadReader::new(Arc::clone(&config), Duration::ZERO);
            let mut input = BytesMut::new();
            let mut requests = 0;
            let steps = steps::of(|| {
                for &byte in &head {
                    input.extend_from_slice(&[byte]);
                    requests += usize::from(reader.request(&mut input).expect("within the bounds").is_some());
                }
            });
            assert_eq!(requests, 1, "parsed once, at its end");
            assert_eq!(steps, head.len(), "each byte searched once");
        }
    }
}
