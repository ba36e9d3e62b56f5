//! A stream in memory that costs its connection nothing: what it holds was there before.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads give one segment a call, then nothing yet; writes are counted and forgotten.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) segments: VecDeque<Vec<u8>>,
    pub(crate) written: usize,
    /// Whether it takes nothing.
    pub(crate) full: bool,
}

/// A handle, which owns no memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream<'a>(pub(crate) &'a RefCell<Script>);

impl AsyncRead for Stream<'_> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let segments = &mut self.0.borrow_mut().segments;
        let Some(segment) = segments.front_mut() else { return Poll::Pending };
        let n = segment.len().min(buffer.remaining());
        buffer.put_slice(&segment[..n]);
        segment.drain(..n);
        if segment.is_empty() {
            segments.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let script = &mut *self.0.borrow_mut();
        if script.full {
            return Poll::Pending;
        }
        script.written += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
