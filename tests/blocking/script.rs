//! A stream in memory that follows a script, and remembers what was done to it.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::time::Duration;

use bowsprit::blocking::{Interest, Ready, Transport};

/// Reads give what `reads` says, one entry a call, then the end. Writes take what `takes` says, then everything.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) reads: VecDeque<Result<Vec<u8>, io::ErrorKind>>,
    /// How many bytes a call takes; of 0, it would block.
    pub(crate) takes: VecDeque<usize>,
    /// How every write fails.
    pub(crate) fails: Option<io::ErrorKind>,
    /// Whether the next write is interrupted.
    pub(crate) interrupted: bool,
    pub(crate) log: Vec<Op>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Read,
    /// What a call of write took.
    Wrote(Vec<u8>),
    /// A call of write that took nothing.
    Refused,
    /// Waited for room alone.
    WaitedForRoom,
    ShutDown,
}

impl Script {
    /// A peer that sends this, cut as it stands, and then ends.
    pub(crate) fn sends<const N: usize>(reads: [&[u8]; N]) -> Self {
        Self { reads: reads.into_iter().map(|read| Ok(read.to_vec())).collect(), ..Self::default() }
    }

    /// What was written, a call an element.
    pub(crate) fn writes(&self) -> Vec<&[u8]> {
        let mut writes = Vec::new();
        for op in &self.log {
            if let Op::Wrote(bytes) = op {
                writes.push(&bytes[..]);
            }
        }
        writes
    }

    /// All that was written.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.writes().concat()
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.log.push(Op::Read);
        match self.reads.pop_front() {
            None => Ok(0),
            Some(Err(kind)) => Err(kind.into()),
            Some(Ok(mut bytes)) => {
                let n = bytes.len().min(buffer.len());
                buffer[..n].copy_from_slice(&bytes[..n]);
                if n < bytes.len() {
                    self.reads.push_front(Ok(bytes.split_off(n)));
                }
                Ok(n)
            }
        }
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(kind) = self.fails {
            return Err(kind.into());
        }
        if std::mem::take(&mut self.interrupted) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let mut bytes = parts.iter().flat_map(|part| part.to_vec()).collect::<Vec<_>>();
        bytes.truncate(self.takes.pop_front().unwrap_or(usize::MAX));
        if bytes.is_empty() {
            self.log.push(Op::Refused);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = bytes.len();
        self.log.push(Op::Wrote(bytes));
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Script {
    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_vectored(parts)
    }

    fn wait(&mut self, Interest { read, write }: Interest, _: Option<Duration>) -> io::Result<Ready> {
        if !read {
            self.log.push(Op::WaitedForRoom);
        }
        // Whether it accepts output, it learns from the script.
        Ok(Ready { read, write: write && !read })
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.log.push(Op::ShutDown);
        Ok(())
    }
}
