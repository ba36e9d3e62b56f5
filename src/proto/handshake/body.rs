//! The body of a response that refuses the handshake (RFC 9112 section 6).

use alloc::vec::Vec;

use bytes::{Buf as _, BufMut as _, BytesMut};
use httparse::Status;

use super::headers::Headers;
use super::reply::has_body;

/// Reads a body that arrives in pieces of any size: what comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyDecoder {
    /// This many bytes.
    Length(u64),
    /// Everything until the transport ends.
    UntilEof,
    /// The line with the size of a chunk.
    ChunkSize,
    /// This many bytes of a chunk, and the CRLF after them.
    Chunk(u64),
}

impl BodyDecoder {
    /// The length by the rules of RFC 9112 section 6.3.
    pub(super) fn new(status: u16, headers: &Headers) -> Self {
        if !has_body(status) {
            Self::Length(0)
        } else if headers.has_token("Transfer-Encoding", "chunked") {
            Self::ChunkSize
        } else if headers.contains("Transfer-Encoding") {
            Self::UntilEof
        } else {
            let length =
                headers.get("Content-Length").filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()));
            length.and_then(|length| length.parse().ok()).map_or(Self::UntilEof, Self::Length)
        }
    }

    /// Moves what has arrived of the body from `input` to `body`, at most `max` bytes in total. Returns whether the body is
    /// complete.
    pub(super) fn receive(&mut self, input: &mut BytesMut, body: &mut Vec<u8>, max: usize) -> bool {
        loop {
            let capacity = max.saturating_sub(body.len());
            let arrived = input.len().min(capacity);
            match self {
                Self::Length(0) => return true,
                Self::ChunkSize => match httparse::parse_chunk_size(input) {
                    Ok(Status::Complete((_, 0))) => return true,
                    Ok(Status::Complete((line, size))) if line <= MAX_CHUNK_SIZE_LINE => {
                        input.advance(line);
                        *self = Self::Chunk(size);
                    }
                    Ok(Status::Partial) if input.len() < MAX_CHUNK_SIZE_LINE => return false,
                    // No chunk: the body ends here.
                    _ => return true,
                },
                Self::Chunk(0) if input.len() < CRLF => return false,
                Self::Chunk(0) => {
                    input.advance(CRLF);
                    *self = Self::ChunkSize;
                }
                _ if arrived == 0 => return capacity == 0,
                Self::UntilEof => append(body, input.split_to(arrived), max),
                Self::Length(left) | Self::Chunk(left) => {
                    let len = usize::try_from(*left).map_or(arrived, |left| left.min(arrived));
                    *left -= len as u64;
                    append(body, input.split_to(len), max);
                }
            }
        }
    }
}

/// Grows `body` by doubling, but never beyond `max` bytes.
fn append(body: &mut Vec<u8>, bytes: BytesMut, max: usize) {
    let len = body.len() + bytes.len();
    if len > body.capacity() {
        let capacity = len.max(2 * body.len()).min(max.max(len));
        body.reserve_exact(capacity - body.len());
    }
    body.put(bytes);
}

/// The longest line with a chunk's size, so that the work to parse an incomplete one is bounded. Without extensions it
/// takes 18 bytes.
const MAX_CHUNK_SIZE_LINE: usize = 256;

const CRLF: usize = 2;
