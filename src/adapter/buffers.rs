//! Buffers that belong to the thread, not to the connection.
//!
//! A connection takes a block to read into, and gives it back when it is left: its stream has nothing now, a message was
//! taken out and nothing is behind it, or it ends. A thread that waits inside a blocking `next` keeps its one block. An
//! output buffer is held while there is something to send.

use std::boxed::Box;
use std::cell::RefCell;
use std::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::proto::inbound::InputRange;

/// The size of a thread's block, and the most that is read at once into it.
const BLOCK: usize = 64 << 10;

/// An incomplete frame of at most this many bytes moves out of the block into a buffer of its own.
const SMALL: usize = 4 << 10;

/// Spare buffers that a thread keeps.
const SPARE: usize = 4;

std::thread_local! {
    static BLOCKS: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static OUTPUTS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// What was read and not consumed.
///
/// ```text
///   block:  | consumed | unread | room to read into, initialised once |
///           0        start     end                              block.len()
/// ```
#[derive(Debug, Default)]
pub(crate) struct Input {
    block: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Input {
    /// Holds `bytes`, which arrived before.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { block: bytes.into(), start: 0, end: bytes.len() }
    }

    /// The bytes that were read up to now, and where the unread ones start.
    #[inline]
    pub(crate) fn cursor(&mut self) -> (&mut [u8], &mut usize) {
        (&mut self.block[..self.end], &mut self.start)
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.block[..self.end]
    }

    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// Room to read into. Whoever reads `n` bytes into it says so to [`filled`](Self::filled).
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.block.len() < BLOCK {
            let small = std::mem::replace(&mut self.block, take_block());
            let unread = self.end - self.start;
            self.block[..unread].copy_from_slice(&small[self.start..self.end]);
            (self.start, self.end) = (0, unread);
        } else if self.end - self.start < SMALL || self.end == self.block.len() {
            self.block.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.block.len() {
            // One frame fills the block: it grows with the bytes received.
            let mut grown = std::mem::take(&mut self.block).into_vec();
            grown.resize(2 * self.end, 0);
            self.block = grown.into();
        }
        &mut self.block[self.end..]
    }

    #[inline]
    pub(crate) fn filled(&mut self, n: usize) {
        self.end += n;
    }

    /// The bytes of `span`, which have been consumed. Where they fill at least half of a block that has grown, the
    /// block itself goes with them; else they are copied. A kept message so holds at most twice its length.
    pub(crate) fn take(&mut self, span: InputRange) -> Bytes {
        let bytes = span.of(self.bytes());
        if self.block.len() <= BLOCK || bytes.len() < self.block.len() / 2 {
            return Bytes::copy_from_slice(bytes);
        }
        let rest = Box::from(self.unread());
        let block = Bytes::from(std::mem::replace(&mut self.block, rest));
        (self.start, self.end) = (0, self.block.len());
        block.slice(span.range())
    }

    /// Forgets what was read.
    pub(crate) fn discard(&mut self) {
        self.start = self.end;
        self.park();
    }

    /// Gives the block back, unless the rest in it is large.
    pub(crate) fn park(&mut self) {
        let unread = self.end - self.start;
        if unread > SMALL || self.block.len() < BLOCK {
            return;
        }
        let rest = Box::from(self.unread());
        let block = std::mem::replace(&mut self.block, rest);
        (self.start, self.end) = (0, unread);
        // A block that has grown is freed.
        if block.len() == BLOCK {
            give(&BLOCKS, block);
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.discard();
    }
}

fn take_block() -> Box<[u8]> {
    take(&BLOCKS).unwrap_or_else(|| std::vec![0; BLOCK].into())
}

/// Makes sure that `output` has a buffer.
#[inline]
pub(crate) fn take_output(output: &mut BytesMut) {
    if output.capacity() == 0
        && let Some(buffer) = take(&OUTPUTS)
    {
        *output = buffer;
    }
}

/// Gives the buffer of an empty `output` back.
pub(crate) fn park_output(output: &mut BytesMut) {
    if output.is_empty() {
        let mut buffer = std::mem::take(output);
        // Written bytes left a gap in front, which hides how large it is. One that has grown is freed.
        if buffer.try_reclaim(1) && !buffer.try_reclaim(2 * BLOCK + 1) {
            give(&OUTPUTS, buffer);
        }
    }
}

fn take<T>(pool: &'static std::thread::LocalKey<RefCell<Vec<T>>>) -> Option<T> {
    // A thread that is ending has no pool any more.
    pool.try_with(|pool| pool.borrow_mut().pop()).ok().flatten()
}

fn give<T>(pool: &'static std::thread::LocalKey<RefCell<Vec<T>>>, buffer: T) {
    let _ = pool.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < SPARE {
            pool.push(buffer);
        }
    });
}
