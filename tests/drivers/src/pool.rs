//! The buffers that all connections of a thread share.

use std::cell::RefCell;

use bowsprit::driver::Buffers;
use bytes::BytesMut;

/// Lends the thread's buffers. It takes no memory in a connection.
#[derive(Clone, Copy, Debug)]
pub struct Pool;

thread_local! {
    static BLOCKS: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

impl Buffers for Pool {
    fn take_block(&mut self, min: usize) -> Box<[u8]> {
        let spare = if min == BLOCK { BLOCKS.with_borrow_mut(Vec::pop) } else { None };
        spare.unwrap_or_else(|| vec![0; min].into())
    }

    fn give_block(&mut self, block: Box<[u8]>) {
        BLOCKS.with_borrow_mut(|blocks| {
            if block.len() == BLOCK && blocks.len() < SPARE {
                blocks.push(block);
            }
        });
    }

    fn take_output(&mut self) -> BytesMut {
        BytesMut::new()
    }

    fn give_output(&mut self, _: BytesMut) {}
}

/// What a driver asks for unless it receives a long frame.
const BLOCK: usize = 64 << 10;

const SPARE: usize = 4;
