//! What was read and not consumed.

use alloc::boxed::Box;
use alloc::vec;

use bytes::Bytes;

use super::buffers::Buffers;
use crate::proto::inbound::InputRange;

/// The size of a block, unless a long frame needs a larger one.
pub(in crate::proto) const BLOCK: usize = 64 << 10;

/// An unread remainder of less than this many bytes moves to the start of its block before the next read.
const SMALL: usize = 4 << 10;

/// Room behind a long frame, so that what follows it comes with the same read.
pub(in crate::proto) const BEHIND: usize = 16 << 10;

/// What was read and not consumed.
///
/// ```text
///   block:  | consumed | unread | free |
///           0        start     end    block.len()
/// ```
#[derive(Debug)]
pub(super) struct Input<B: Buffers> {
    block: Box<[u8]>,
    buffers: B,
    start: usize,
    /// At most `block.len()`, and at least `start`.
    end: usize,
}

impl<B: Buffers> Input<B> {
    /// Holds `bytes`, which arrived before.
    pub(super) fn new(bytes: &[u8], buffers: B) -> Self {
        Self { block: bytes.into(), buffers, start: 0, end: bytes.len() }
    }

    /// The bytes that were read up to now, and where the unread ones start.
    #[inline]
    pub(super) fn cursor(&mut self) -> (&mut [u8], &mut usize) {
        (&mut self.block[..self.end], &mut self.start)
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.block[..self.end]
    }

    /// How many of these have been consumed.
    #[inline]
    pub(super) const fn consumed(&self) -> usize {
        self.start
    }

    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// Where to read into, at most `max` bytes. `frame` is how long the unread frame will be, as far as that is known.
    pub(super) fn free(&mut self, frame: Option<u64>, max: usize) -> &mut [u8] {
        let unread = self.end - self.start;
        if unread == 0 {
            (self.start, self.end) = (0, 0);
        } else if unread < SMALL || self.end == self.block.len() {
            self.block.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, unread);
        }
        if self.end == self.block.len() {
            // Full, or there is none. It grows with the bytes received, and not beyond what the frame needs.
            let twice = 2 * unread;
            let needed = frame.and_then(|frame| usize::try_from(frame).ok()).map(|frame| frame.saturating_add(BEHIND));
            let size = needed.map_or(twice, |needed| needed.clamp(unread + 1, twice.max(unread + 1))).max(BLOCK);
            let size = if size > unread { size } else { twice };
            let mut block = self.buffers.take_block(size);
            block[..unread].copy_from_slice(&self.block[self.start..self.end]);
            self.buffers.give_block(core::mem::replace(&mut self.block, block));
            (self.start, self.end) = (0, unread);
        }
        // Of what follows a long frame not so much that it has to be moved afterwards.
        let long = frame.and_then(|frame| usize::try_from(frame).ok()).filter(|frame| *frame > BLOCK);
        let max = long.map_or(max, |frame| max.min(frame.saturating_sub(self.end - self.start) + SMALL));
        let end = self.block.len().min(self.end + max);
        &mut self.block[self.end..end]
    }

    #[inline]
    pub(super) fn filled(&mut self, n: usize) {
        self.end += n;
        assert!(self.end <= self.block.len(), "no more than the buffer holds was read");
    }

    /// The bytes of `range`, which have been consumed. Where they fill at least half of a block that has grown, the
    /// block itself goes with them; else they are copied. A kept message so holds at most twice its length.
    pub(super) fn take(&mut self, range: InputRange) -> Bytes {
        let bytes = range.of(self.bytes());
        if self.block.len() <= BLOCK || bytes.len() < self.block.len() / 2 {
            return Bytes::copy_from_slice(bytes);
        }
        let remainder = Box::from(self.unread());
        let block = Bytes::from(core::mem::replace(&mut self.block, remainder));
        (self.start, self.end) = (0, self.block.len());
        block.slice(range.range())
    }

    /// Forgets what was read.
    pub(super) fn discard(&mut self) {
        self.start = self.end;
        self.park();
    }

    /// Before a wait: returns the block, unless what is unread fills half of it. A remainder moves to a block of its own
    /// length; a longer one to twice that, so that input which arrives byte by byte is not copied for each.
    pub(super) fn park(&mut self) {
        let unread = self.end - self.start;
        let size = if unread < SMALL { unread } else { 2 * unread };
        if self.block.len() <= size {
            return;
        }
        let mut remainder: Box<[u8]> = vec![0; size].into();
        remainder[..unread].copy_from_slice(&self.block[self.start..self.end]);
        self.buffers.give_block(core::mem::replace(&mut self.block, remainder));
        (self.start, self.end) = (0, unread);
    }
}

impl<B: Buffers> Drop for Input<B> {
    fn drop(&mut self) {
        self.discard();
    }
}
