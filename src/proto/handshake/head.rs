//! HTTP/1.1 heads (RFC 9112): found in bytes that arrive in any cut, bounded, and parsed once.
//!
//! httparse does the parsing. It tolerates a bare LF for CRLF, which is refused here (RFC 9112 section 2.2 leaves the
//! choice; two readers of one head must not disagree about its lines), and empty lines before the first one, which a
//! server skips (the same section) and a client refuses. A folded line is refused in a request and becomes spaces in
//! a response (section 5.2).

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Buf as _, BytesMut};
use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use super::error::HandshakeError;
use super::fields::{Fields, trim};
use crate::proto::config::Config;
use crate::proto::steps;

/// Finds the end of each head in the bytes that have arrived, and knows until when it has to arrive.
#[derive(Debug)]
pub(super) struct HeadReader {
    config: Arc<Config>,
    deadline: Option<Duration>,
    /// Bytes of the heads before this one: the bound is on all of them together.
    earlier: usize,
    //  input: G E T ␍ ␊ H o s t : …
    //                   ^line     ^searched
    /// Where the line begins that is being searched for its end.
    line: usize,
    /// Up to where there is no LF in that line. Never goes back, so that each byte is searched once.
    searched: usize,
    /// Lines of this head so far; empty ones before the first do not count.
    lines: usize,
}

impl HeadReader {
    pub(super) fn new(config: Arc<Config>, now: Duration) -> Self {
        let deadline = config.handshake_timeout.and_then(|timeout| now.checked_add(timeout));
        Self { config, deadline, earlier: 0, line: 0, searched: 0, lines: 0 }
    }

    /// Takes a request out of `input`, its empty line included, and nothing behind it. `None`: it has not arrived
    /// whole.
    pub(super) fn request(&mut self, input: &mut BytesMut) -> Result<Option<RequestHead>, HandshakeError> {
        self.take(input, parse_request)
    }

    /// Takes a response likewise.
    pub(super) fn response(&mut self, input: &mut BytesMut) -> Result<Option<ResponseHead>, HandshakeError> {
        self.take(input, parse_response)
    }

    fn take<T>(&mut self, input: &mut BytesMut, parse: Parse<T>) -> Result<Option<T>, HandshakeError> {
        let Some(len) = self.find_end(input)? else { return Ok(None) };
        let head = parse(&input[..len], self.lines)?;
        input.advance(len);
        self.earlier += len;
        (self.line, self.searched, self.lines) = (0, 0, 0);
        Ok(Some(head))
    }

    /// The length of the head, once it is whole.
    fn find_end(&mut self, input: &[u8]) -> Result<Option<usize>, HandshakeError> {
        let max_len = self.config.max_head.saturating_sub(self.earlier);
        let allowed = &input[..input.len().min(max_len)];
        if allowed.len() < self.searched {
            // The caller has taken away what he was told to keep.
            return Err(HandshakeError::InvalidHead);
        }
        // No head begins so: a TLS handshake does. Its sender need not wait for the deadline.
        if input.first().is_some_and(|&byte| !byte.is_ascii_graphic() && byte != b'\r') {
            return Err(HandshakeError::InvalidHead);
        }
        while let Some(lf) = find_lf(&allowed[self.searched..]) {
            let end = self.searched + lf + 1;
            let line = allowed[self.line..end].strip_suffix(b"\r\n").ok_or(HandshakeError::InvalidHead)?;
            (self.line, self.searched) = (end, end);
            if !line.is_empty() {
                self.lines += 1;
            } else if self.lines > 0 {
                return Ok(Some(end));
            }
            // The first line is no field.
            if self.lines > 1 + self.config.max_head_fields.min(MAX_FIELDS) {
                return Err(HandshakeError::HeadTooLarge);
            }
        }
        self.searched = allowed.len();
        if input.len() > max_len { Err(HandshakeError::HeadTooLarge) } else { Ok(None) }
    }

    pub(super) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(super) const fn poll_timeout(&self) -> Option<Duration> {
        self.deadline
    }

    pub(super) fn handle_timeout(&self, now: Duration) -> Result<(), HandshakeError> {
        if self.deadline.is_some_and(|deadline| now >= deadline) { Err(HandshakeError::TimedOut) } else { Ok(()) }
    }
}

/// The first line of a request, and its fields.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Whether it is HTTP/1.0.
    pub(crate) is_old: bool,
    pub(crate) fields: Fields,
}

/// The first line of a response, and its fields.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    /// Whether it is HTTP/1.0.
    pub(crate) is_old: bool,
    pub(crate) fields: Fields,
}

/// Parses a whole head that has so many lines: at least as many as fields.
type Parse<T> = fn(&[u8], usize) -> Result<T, HandshakeError>;

fn parse_request(head: &[u8], lines: usize) -> Result<RequestHead, HandshakeError> {
    let mut headers = vec![EMPTY_HEADER; lines];
    let mut request = httparse::Request::new(&mut headers);
    check(request.parse(head), head)?;
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(HandshakeError::InvalidHead);
    };
    let fields = own(request.headers);
    Ok(RequestHead { method: method.to_owned(), target: target.to_owned(), is_old: version == 0, fields })
}

fn parse_response(head: &[u8], lines: usize) -> Result<ResponseHead, HandshakeError> {
    let mut headers = vec![EMPTY_HEADER; lines];
    let mut response = httparse::Response::new(&mut headers);
    let mut parser = ParserConfig::default();
    parser.allow_obsolete_multiline_headers_in_responses(true);
    check(parser.parse_response(&mut response, head), head)?;
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(HandshakeError::InvalidHead);
    };
    // Nothing stands before the status line, and a status has its class (RFC 9110 section 15).
    if !head.starts_with(b"HTTP/") || status < 100 {
        return Err(HandshakeError::InvalidHead);
    }
    Ok(ResponseHead { status, is_old: version == 0, fields: own(response.headers) })
}

/// The parser must have seen the same head that was found.
fn check(parsed: httparse::Result<usize>, head: &[u8]) -> Result<(), HandshakeError> {
    match parsed {
        Ok(Status::Complete(len)) if len == head.len() => Ok(()),
        Err(httparse::Error::Version) => Err(HandshakeError::HttpVersion),
        _ => Err(HandshakeError::InvalidHead),
    }
}

fn own(headers: &[Header<'_>]) -> Fields {
    let mut fields = Fields::new();
    for header in headers {
        if header.value.contains(&b'\n') {
            // RFC 9112 section 5.2: each fold of a line is replaced by spaces.
            let unfold = |&byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
            let unfolded: Vec<u8> = header.value.iter().map(unfold).collect();
            fields.append(header.name, trim(&unfolded));
        } else {
            fields.append(header.name, header.value);
        }
    }
    fields
}

fn find_lf(bytes: &[u8]) -> Option<usize> {
    let lf = bytes.iter().position(|&byte| byte == b'\n');
    steps::count(lf.map_or(bytes.len(), |lf| lf + 1));
    lf
}

/// The most fields that [`Config::max_head_fields`] can allow.
const MAX_FIELDS: usize = 1_024;

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    // HOSTILE: 1
    // HOSTILE: 16
    /// Heads of 64 KiB in one line, and in as many lines as may be, byte by byte.
    #[test]
    fn work_is_linear_in_the_length() {
        let config = Arc::new(Config { max_head: 128 << 10, max_head_fields: MAX_FIELDS, ..Config::default() });
        let one_line = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 64 << 10], b"\r\n\r\n"].concat();
        let line = [b"X: ".as_slice(), &[b'x'; 59], b"\r\n"].concat();
        let many_lines = [b"GET / HTTP/1.1\r\n".as_slice(), &line.repeat(MAX_FIELDS), b"\r\n"].concat();
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
