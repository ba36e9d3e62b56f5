//! A stream that does what a test says, for the blocking adapter.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::time::Duration;

use bowsprit::Config;
use bowsprit::blocking::{Interest, Ready, Transport};
use bowsprit::handshake::{AcceptOptions, ServerHandshake};
use bytes::BytesMut;

/// What the stream does, and what was done to it.
#[derive(Debug)]
pub(crate) struct Script {
    /// What arrives: a read gives one segment at most.
    pub(crate) segments: VecDeque<Vec<u8>>,
    /// Behind the last segment: the end, or nothing yet.
    pub(crate) ends: bool,
    /// Answers the request of a client, with these bytes behind the head in the same segment.
    pub(crate) answers: Option<Vec<u8>>,
    pub(crate) written: Vec<u8>,
    /// How many bytes it takes before it takes nothing any more.
    pub(crate) room: usize,
    /// How many bytes one write takes at most.
    pub(crate) at_once: usize,
    /// Whether the writing side has been shut down.
    pub(crate) shut_down: bool,
    /// Calls so far.
    pub(crate) calls: usize,
    /// The number of the call that fails, and how.
    pub(crate) fails: Option<(usize, io::ErrorKind)>,
    /// More calls than this are a loop without end.
    pub(crate) patience: usize,
}

impl Script {
    pub(crate) fn new(segments: impl IntoIterator<Item = Vec<u8>>) -> RefCell<Self> {
        RefCell::new(Self {
            segments: segments.into_iter().collect(),
            ends: false,
            answers: None,
            written: Vec::new(),
            room: usize::MAX,
            at_once: usize::MAX,
            shut_down: false,
            calls: 0,
            fails: None,
            patience: usize::MAX,
        })
    }

    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        assert!(self.calls <= self.patience, "it spins");
        match self.fails {
            Some((number, kind)) if number == self.calls - 1 => Err(kind.into()),
            _ => Ok(()),
        }
    }

    /// Once the request is there, the answer comes.
    fn answer(&mut self) {
        if self.answers.is_none() || !self.written.ends_with(b"\r\n\r\n") {
            return;
        }
        let mut handshake = ServerHandshake::new(Config::default().into(), Duration::ZERO);
        let request = handshake.receive(&mut BytesMut::from(&self.written[..])).expect("it is right");
        let mut answer = BytesMut::new();
        request.expect("it is whole").accept(&AcceptOptions::new(), &mut answer).expect("nothing is against it");
        answer.extend(self.answers.take().expect("it was there"));
        self.segments.push_front(answer.to_vec());
    }
}

/// A handle to the stream. It owns no memory, so that what its connection holds is the connection's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream<'a>(pub(crate) &'a RefCell<Script>);

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let script = &mut *self.0.borrow_mut();
        script.call()?;
        script.answer();
        let Some(segment) = script.segments.front_mut() else {
            return if script.ends { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        };
        let n = segment.len().min(buffer.len());
        buffer[..n].copy_from_slice(&segment[..n]);
        segment.drain(..n);
        if segment.is_empty() {
            script.segments.pop_front();
        }
        Ok(n)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(&[IoSlice::new(bytes)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().call()
    }
}

impl Transport for Stream<'_> {
    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let script = &mut *self.0.borrow_mut();
        script.call()?;
        let mut taken = 0;
        for part in parts {
            let n = part.len().min(script.room).min(script.at_once - taken);
            script.written.extend_from_slice(&part[..n]);
            script.room -= n;
            taken += n;
        }
        if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    fn wait(&mut self, Interest { read, write }: Interest, _: Option<Duration>) -> io::Result<Ready> {
        let script = &mut *self.0.borrow_mut();
        script.call()?;
        Ok(Ready { read, write: write && script.room > 0 })
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        let script = &mut *self.0.borrow_mut();
        script.call()?;
        script.shut_down = true;
        Ok(())
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.0.borrow_mut().call()
    }
}
