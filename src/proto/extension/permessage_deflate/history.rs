//! The window of an inflater that outlives its engine.

use alloc::vec::Vec;

use zlib_rs::Inflate;

use crate::proto::steps;
/// The last [`WINDOW`] bytes that came out.
///
/// ```text
///   bytes:  | newest | oldest ...      |     once it is full
///                    at            WINDOW
/// ```
pub(super) struct History {
    pub(super) bytes: Vec<u8>,
    at: usize,
}

impl History {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), at: 0 }
    }

    pub(super) fn push(&mut self, new: &[u8]) {
        let mut new = &new[new.len().saturating_sub(WINDOW)..];
        if self.bytes.len() < WINDOW {
            let (first, rest) = new.split_at(new.len().min(WINDOW - self.bytes.len()));
            let len = self.bytes.len() + first.len();
            if len > self.bytes.capacity() {
                // Twice as much as before, but no more than it can ever take.
                self.bytes.reserve_exact(len.max(2 * self.bytes.capacity()).min(WINDOW) - self.bytes.len());
            }
            self.bytes.extend_from_slice(first);
            new = rest;
        }
        while !new.is_empty() {
            let (first, rest) = new.split_at(new.len().min(WINDOW - self.at));
            self.bytes[self.at..self.at + first.len()].copy_from_slice(first);
            self.at = (self.at + first.len()) % WINDOW;
            new = rest;
        }
    }

    /// Makes it the window of a fresh engine, without its newest bytes.
    pub(super) fn refill(&self, engine: &mut Inflate, without: usize) {
        let mut len = self.bytes.len().saturating_sub(without);
        // A raw stream takes a dictionary at any time, and a second one after the first.
        for part in [&self.bytes[self.at..], &self.bytes[..self.at]] {
            let part = &part[..part.len().min(len)];
            len -= part.len();
            steps::count(part.len());
            let _ = engine.set_dictionary(part);
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.at = 0;
    }

    /// Its heap in bytes.
    pub(super) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// The longest window of DEFLATE, in bytes.
pub(super) const WINDOW: usize = 32 << 10;
