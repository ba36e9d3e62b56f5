//! Where a driver has its memory from.

use alloc::boxed::Box;
use alloc::vec;

use bytes::BytesMut;

/// Lends a driver the buffers that it reads into and writes from.
///
/// A driver holds a block only while there are bytes in it, or while it reads, and an output buffer only while there is
/// something to send. An idle connection holds neither, so that the connections of a thread can share a few: implement
/// this for a pool. [`OwnBuffers`] shares nothing.
pub trait Buffers {
    /// A block of at least `min` bytes, of any content. `min` is 64 KiB, or more where a long frame is being received, and
    /// never more than twice what has been received of it.
    fn take_block(&mut self, min: usize) -> Box<[u8]>;

    /// A block that the driver does not need any more.
    fn give_block(&mut self, block: Box<[u8]>);

    /// An empty output buffer.
    fn take_output(&mut self) -> BytesMut;

    /// An empty output buffer that the driver does not need any more.
    fn give_output(&mut self, output: BytesMut);
}

/// Buffers that are allocated when they are needed, and freed afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OwnBuffers;

impl Buffers for OwnBuffers {
    fn take_block(&mut self, min: usize) -> Box<[u8]> {
        vec![0; min].into()
    }

    fn give_block(&mut self, block: Box<[u8]>) {
        drop(block);
    }

    fn take_output(&mut self) -> BytesMut {
        BytesMut::new()
    }

    fn give_output(&mut self, output: BytesMut) {
        drop(output);
    }
}
