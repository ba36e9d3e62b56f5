//! Buffers that belong to the thread, not to the connection.

use std::boxed::Box;
use std::cell::RefCell;
use std::vec::Vec;

use bytes::BytesMut;

use crate::driver::Buffers;

/// The buffers of the thread that drives a connection.
///
/// A connection takes a block to read into, and returns it when its transport has nothing now, when a message was taken
/// out and nothing is left, or when it ends. A thread that waits inside a blocking `next` keeps its one block. An output
/// buffer is held while there is something to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadBuffers;

/// The usual size of a block.
const BLOCK: usize = 64 << 10;

/// Spare buffers that a thread keeps.
const SPARE: usize = 4;

/// A block that has grown for a long frame is kept up to this size, one for each thread, so that the next long frame
/// need not grow one again.
const MAX_GROWN: usize = (1 << 20) + BLOCK;

/// A grown block is freed when it was not needed in so many turns.
const GROWN_TURNS: u32 = 1 << 10;

/// The capacity up to which an output buffer is kept.
const MAX_OUTPUT: usize = 2 * BLOCK;

#[derive(Debug)]
struct Pool {
    blocks: Vec<Box<[u8]>>,
    grown: Option<Box<[u8]>>,
    /// How often a block was taken since the grown one was needed.
    turns: u32,
    outputs: Vec<BytesMut>,
}

std::thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { blocks: Vec::new(), grown: None, turns: 0, outputs: Vec::new() }) };
}

impl Pool {
    fn take_block(&mut self, min: usize) -> Option<Box<[u8]>> {
        if let Some(grown) = self.grown.take_if(|grown| grown.len() >= min) {
            self.turns = if min > BLOCK { 0 } else { self.turns + 1 };
            if self.turns < GROWN_TURNS {
                return Some(grown);
            }
        }
        if min > BLOCK { None } else { self.blocks.pop() }
    }

    fn give_block(&mut self, block: Box<[u8]>) {
        if block.len() == BLOCK {
            if self.blocks.len() < SPARE {
                self.blocks.push(block);
            }
        } else if block.len() > self.grown.as_ref().map_or(BLOCK, |grown| grown.len()) && block.len() <= MAX_GROWN {
            self.grown = Some(block);
        }
    }
}

/// `work` with the thread's buffers, unless the thread is ending.
fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> Option<T> {
    POOL.try_with(|pool| work(&mut pool.borrow_mut())).ok()
}

impl Buffers for ThreadBuffers {
    fn take_block(&mut self, min: usize) -> Box<[u8]> {
        with_pool(|pool| pool.take_block(min)).flatten().unwrap_or_else(|| std::vec![0; min].into())
    }

    fn give_block(&mut self, block: Box<[u8]>) {
        with_pool(|pool| pool.give_block(block));
    }

    fn take_output(&mut self) -> BytesMut {
        with_pool(|pool| pool.outputs.pop()).flatten().unwrap_or_default()
    }

    fn give_output(&mut self, mut output: BytesMut) {
        // Written bytes left a gap in front, which hides how large it is. One that has grown is freed.
        if output.try_reclaim(1) && !output.try_reclaim(MAX_OUTPUT + 1) {
            with_pool(|pool| {
                if pool.outputs.len() < SPARE {
                    pool.outputs.push(output);
                }
            });
        }
    }
}
