//! The life of a connection, without I/O: what to do next with the transport, from the opening handshake to its end.
//!
//! [`Connection`] knows the protocol: bytes in, events and bytes out. A driver knows the transport besides: when to read,
//! write, flush, shut down, wait and give up, what a failure means, and which deadline is next. It tells its owner one
//! [`Step`] at a time, and the owner reports what came of it. An adapter for a runtime or an event loop is a loop that does
//! so, and nothing else; the adapters of this crate are that.
//!
//! | Type | |
//! |---|---|
//! | [`Connecting`] | a client's opening handshake, and the refusal with its body |
//! | [`Accepting`] | a server's, and the answer to a request that is refused |
//! | [`Driver`] | the open connection, to the end of its transport |
//! | [`ReceiveHalf`], [`SendHalf`] | the two parts of a driver, for halves in two tasks |
//! | [`Drive`] | what all of them have in common |
//! | [`Buffers`] | where they have their memory from |

mod accepting;
mod buffers;
mod clock;
mod connecting;
mod input;
mod opening;
mod output;
mod receive;
mod send;
mod step;

pub use accepting::Accepting;
pub use buffers::{Buffers, OwnBuffers};
pub use connecting::Connecting;
pub use opening::OpeningError;
pub use receive::{ReceiveHalf, Whole};
pub use send::{Goal, SendHalf, Until};
pub use step::{Drive, Step, TransportError};

use core::time::Duration;

use bytes::BytesMut;

use crate::proto::connection::Connection;
use crate::proto::error::{ConnectionError, SendError};
use crate::proto::link::End;
use crate::proto::message::{Delivery, Messages, OwnedMessage};
use crate::proto::outgoing::{Outgoing, Uncopied};
use crate::proto::timers::Scope;

/// Drives the transport of an open connection.
#[derive(Debug)]
pub struct Driver<D = Messages, B = OwnBuffers> {
    receive: ReceiveHalf<D, B>,
    send: SendHalf<B>,
}

impl<D: Delivery, B: Buffers + Clone> Driver<D, B> {
    /// Drives `connection`. `input` is what was read and not consumed, `output` what is to be written first.
    #[must_use]
    pub fn new(connection: Connection<D>, input: &[u8], output: BytesMut, buffers: B) -> Self {
        let Connection { inbound, link } = connection;
        let send = SendHalf::new(link, output, buffers.clone());
        Self { receive: ReceiveHalf::new(inbound, input, buffers), send }
    }
}

impl<D: Delivery, B: Buffers> Driver<D, B> {
    /// The connection, what was read and not consumed, and what is to be written.
    #[must_use]
    pub fn into_parts(self) -> (Connection<D>, BytesMut, BytesMut) {
        let Self { receive, send } = self;
        let input = BytesMut::from(receive.input.unread());
        (Connection { inbound: receive.inbound, link: send.link }, input, send.output.bytes)
    }

    /// The two parts, for halves that are used by two tasks or threads.
    #[must_use]
    pub fn split(self) -> (ReceiveHalf<D, B>, SendHalf<B>) {
        (self.receive, self.send)
    }

    /// The driver again. Both parts have to come from the same one.
    #[must_use]
    pub fn reunite(receive: ReceiveHalf<D, B>, send: SendHalf<B>) -> Self {
        Self { receive, send }
    }

    /// The message or piece of one that the last [`Step::Ready`] announced; `None` otherwise.
    #[must_use]
    #[inline]
    pub fn item(&self) -> Option<D::Item<'_>> {
        self.receive.item()
    }

    /// The same, together with the sending part, so that an answer may borrow from the message.
    #[inline]
    pub fn item_and_send(&mut self) -> (Option<D::Item<'_>>, &mut SendHalf<B>) {
        (self.receive.item(), &mut self.send)
    }

    /// Queues a message, a control frame or a Close, as [`SendHalf::feed`].
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while [`Config::max_unsent`](crate::Config::max_unsent) bytes are unsent; any other
    /// [`SendError`] for what may not be sent. Nothing has changed then.
    #[inline]
    pub fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.send.feed(outgoing)
    }

    /// As [`SendHalf::feed_uncopied`].
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed): [`SendError::Full`], or what may not be sent.
    pub fn feed_uncopied<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<Option<Uncopied<'m>>, SendError> {
        self.send.feed_uncopied(outgoing)
    }

    /// Why the connection has ended, after [`Step::Closed`].
    ///
    /// # Errors
    ///
    /// Everything but a Close of each side.
    pub fn result(&mut self) -> Result<(), ConnectionError> {
        self.receive.with(&mut self.send).result()
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.send.end()
    }

    /// The receiving part.
    #[must_use]
    pub const fn receive_half(&self) -> &ReceiveHalf<D, B> {
        &self.receive
    }

    /// The sending part.
    #[must_use]
    pub const fn send_half(&self) -> &SendHalf<B> {
        &self.send
    }

    /// The sending part.
    pub const fn send_half_mut(&mut self) -> &mut SendHalf<B> {
        &mut self.send
    }
}

impl<B: Buffers> Driver<Messages, B> {
    /// As [`item`](Self::item), owned.
    pub fn take_item(&mut self) -> Option<OwnedMessage> {
        self.receive.take_item()
    }
}

impl<D: Delivery, B: Buffers> Drive for Driver<D, B> {
    #[inline]
    fn poll(&mut self, clock: impl FnOnce() -> Duration) -> Step {
        self.receive.with(&mut self.send).poll(clock)
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.send.link.poll_timeout(Scope::All)
    }

    fn read_buffer(&mut self) -> &mut [u8] {
        self.receive.read_buffer()
    }

    fn received(&mut self, n: usize) {
        self.receive.with(&mut self.send).received(n);
    }

    fn read_blocked(&mut self) {
        self.receive.with(&mut self.send).read_blocked();
    }

    fn read_failed(&mut self, error: TransportError) {
        self.receive.with(&mut self.send).read_failed(error);
    }

    fn to_write(&self) -> &[u8] {
        self.send.to_write()
    }

    fn written(&mut self, n: usize) {
        self.send.written(n);
    }

    fn flushed(&mut self) {
        self.send.flushed();
    }

    fn write_shut_down(&mut self) {
        self.send.write_shut_down();
    }

    fn write_blocked(&mut self) {
        self.send.write_blocked();
    }

    fn write_failed(&mut self, error: TransportError) {
        self.send.write_failed(error);
    }
}
