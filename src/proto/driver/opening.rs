//! What opening handshakes do with a transport.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;
use core::time::Duration;

use bytes::BytesMut;

use super::clock::Clock;
use super::output::Output;
use super::step::{Step, TransportError};
use crate::proto::handshake::HandshakeError;
use crate::proto::timers::Timeout;

/// Why a connection did not open.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum OpeningError {
    /// The peer refused, or one of both broke the rules of the handshake.
    Handshake(HandshakeError),
    /// A deadline of [`Config`](crate::Config) expired: which one, and how long it was.
    Timeout(Timeout, Duration),
    /// The transport failed, or ended before the handshake was complete.
    Transport(TransportError),
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => fmt::Display::fmt(error, f),
            Self::Timeout(timeout, limit) => write!(f, "{timeout} ({limit:?})"),
            Self::Transport(TransportError::UnexpectedEof) => {
                f.write_str("the peer ended the stream before the opening handshake was complete")
            }
            Self::Transport(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for OpeningError {}

impl From<HandshakeError> for OpeningError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

/// Input and output of an opening handshake, and the state of its transport.
#[derive(Debug)]
pub(in crate::proto) struct Exchange {
    pub(in crate::proto) input: BytesMut,
    pub(in crate::proto) output: Output,
    block: Box<[u8]>,
    read_blocked: bool,
    pub(in crate::proto) peer_ended: bool,
    /// Something has arrived that was not looked at.
    pub(in crate::proto) has_news: bool,
}

impl Exchange {
    pub(in crate::proto) fn new(output: BytesMut) -> Self {
        let output = Output { unflushed: false, ..Output::new(output) };
        let (input, block) = (BytesMut::new(), Box::default());
        Self { input, output, block, read_blocked: false, peer_ended: false, has_news: false }
    }

    /// Reads, or waits until `deadline`; `None` once it is over.
    pub(in crate::proto) fn read_or_wait(
        &mut self,
        deadline: Option<Duration>,
        clock: &mut Clock<impl FnOnce() -> Duration>,
    ) -> Option<Step> {
        if !self.read_blocked && !self.peer_ended {
            return Some(Step::Read);
        }
        if deadline.is_some_and(|deadline| deadline <= clock.now()) {
            return None;
        }
        self.read_blocked = false;
        let write = self.output.take_blocked();
        Some(Step::Wait { read: !self.peer_ended, write, until: deadline })
    }

    /// Waits until the output can be written on, or `deadline`; `None` once that is over.
    pub(in crate::proto) fn wait_to_write(
        &mut self,
        deadline: Option<Duration>,
        clock: &mut Clock<impl FnOnce() -> Duration>,
    ) -> Option<Step> {
        if deadline.is_some_and(|deadline| deadline <= clock.now()) {
            return None;
        }
        Some(Step::Wait { read: false, write: self.output.take_blocked(), until: deadline })
    }

    pub(in crate::proto) fn read_buffer(&mut self) -> &mut [u8] {
        if self.block.is_empty() {
            self.block = vec![0; BLOCK].into();
        }
        &mut self.block
    }

    pub(in crate::proto) fn received(&mut self, n: usize) {
        self.input.extend_from_slice(&self.block[..n]);
        self.has_news = true;
        self.peer_ended |= n == 0;
    }

    pub(in crate::proto) const fn read_blocked(&mut self) {
        self.read_blocked = true;
    }
}

/// What is read at once, in bytes: most heads are shorter.
const BLOCK: usize = 4 << 10;

/// The reports of [`Drive`](super::Drive) that all handshakes treat alike.
macro_rules! report_to_exchange {
    () => {
        fn read_buffer(&mut self) -> &mut [u8] {
            self.exchange.read_buffer()
        }

        fn received(&mut self, n: usize) {
            self.exchange.received(n);
        }

        fn read_blocked(&mut self) {
            self.exchange.read_blocked();
        }

        fn to_write(&self) -> &[u8] {
            &self.exchange.output.bytes
        }

        fn written(&mut self, n: usize) {
            if n == 0 {
                self.write_failed(TransportError::WriteZero);
            } else {
                self.exchange.output.advance(n);
            }
        }

        fn flushed(&mut self) {
            self.exchange.output.unflushed = false;
        }

        fn write_shut_down(&mut self) {
            self.exchange.output.shut_down = true;
        }

        fn write_blocked(&mut self) {
            self.exchange.output.blocked = true;
        }
    };
}
pub(in crate::proto) use report_to_exchange;
