//! The body of a response that refuses the handshake (RFC 9112 section 6).

use alloc::vec::Vec;

use bytes::{Buf as _, BufMut as _, BytesMut};
use httparse::Status;

use super::fields::Fields;
use super::reply::has_body;

/// What is left of a body that arrives in any cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rest {
    /// So many bytes.
    Length(u64),
    /// All that comes.
    UntilEof,
    /// Chunks; next is the line with a chunk's size.
    ChunkSize,
    /// So many bytes of a chunk, and the CRLF behind them.
    Chunk(u64),
}

impl Rest {
    /// What the head says of the length (RFC 9112 section 6.3).
    pub(super) fn new(status: u16, fields: &Fields) -> Self {
        if !has_body(status) {
            Self::Length(0)
        } else if fields.has_token("Transfer-Encoding", "chunked") {
            Self::ChunkSize
        } else if fields.contains("Transfer-Encoding") {
            Self::UntilEof
        } else {
            fields.get("Content-Length").and_then(|length| length.parse().ok()).map_or(Self::UntilEof, Self::Length)
        }
    }

    /// Moves to `body` what has arrived of it, but no more than `max` bytes in all. Whether that was everything.
    pub(super) fn receive(&mut self, input: &mut BytesMut, body: &mut Vec<u8>, max: usize) -> bool {
        loop {
            let room = max.saturating_sub(body.len());
            let arrived = input.len().min(room);
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
                _ if arrived == 0 => return room == 0,
                Self::UntilEof => body.put(input.split_to(arrived)),
                Self::Length(left) | Self::Chunk(left) => {
                    let len = usize::try_from(*left).map_or(arrived, |left| left.min(arrived));
                    *left -= len as u64;
                    body.put(input.split_to(len));
                }
            }
        }
    }
}

/// A longer line is not waited for, so that none is parsed again and again. Without extensions it takes 18 bytes.
const MAX_CHUNK_SIZE_LINE: usize = 256;

const CRLF: usize = 2;
