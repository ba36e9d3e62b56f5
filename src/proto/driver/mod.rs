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
//!
//! # A driver loop
//!
//! The opening handshake, full output, a half-close and every deadline are in the steps, so a loop has nothing to decide.
//! Here, a client and a server are connected in memory.
//!
//! ```
//! use std::collections::VecDeque;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use bowsprit::driver::{Accepting, Connecting, Drive, Driver, OwnBuffers, Step};
//! use bowsprit::handshake::{AcceptOptions, ClientRequest};
//! use bowsprit::{CloseCode, Config, Message, Messages, Outgoing};
//!
//! /// One direction of a transport. It accepts no more than `CAPACITY` bytes.
//! #[derive(Default)]
//! struct Pipe {
//!     bytes: VecDeque<u8>,
//!     ended: bool,
//! }
//!
//! const CAPACITY: usize = 1_000;
//!
//! /// Does what `machine` says, until it is ready, closed, or waits.
//! fn drive(machine: &mut impl Drive, from: &mut Pipe, to: &mut Pipe, now: Duration) -> Step {
//!     loop {
//!         match machine.poll(|| now) {
//!             Step::Read if from.bytes.is_empty() && !from.ended => machine.read_blocked(),
//!             Step::Read => {
//!                 let buffer = machine.read_buffer();
//!                 let n = buffer.len().min(from.bytes.len());
//!                 for (at, byte) in buffer.iter_mut().zip(from.bytes.drain(..n)) {
//!                     *at = byte;
//!                 }
//!                 machine.received(n); // of 0 bytes, at the end of the stream
//!             }
//!             Step::Write => match machine.to_write().len().min(CAPACITY - to.bytes.len()) {
//!                 0 => machine.write_blocked(),
//!                 n => {
//!                     to.bytes.extend(&machine.to_write()[..n]);
//!                     machine.written(n);
//!                 }
//!             },
//!             Step::Flush => machine.flushed(),
//!             Step::ShutdownWrite => {
//!                 to.ended = true;
//!                 machine.write_shut_down();
//!             }
//!             // `Wait` says for what, and until when: here, it is the other end's turn.
//!             step @ (Step::Ready | Step::Wait { .. } | Step::Closed) => return step,
//!         }
//!     }
//! }
//!
//! let config = Arc::new(Config::default());
//! let now = Duration::ZERO; // from a clock, each time
//! let (mut to_server, mut to_client) = (Pipe::default(), Pipe::default());
//!
//! // The opening handshake. Nonce and seed come from your random source.
//! let request = ClientRequest::try_from("ws://example.com/chat")?;
//! let mut connecting = Connecting::new(&request, [1; 16], config.clone(), now);
//! let mut accepting = Accepting::new(config, now);
//! assert!(matches!(drive(&mut connecting, &mut to_client, &mut to_server, now), Step::Wait { read: true, .. }));
//! assert_eq!(drive(&mut accepting, &mut to_server, &mut to_client, now), Step::Ready);
//! assert_eq!(accepting.request().map(|request| request.path()), Some("/chat"));
//! accepting.accept(&AcceptOptions::new())?;
//! assert_eq!(drive(&mut accepting, &mut to_server, &mut to_client, now), Step::Ready);
//! assert_eq!(drive(&mut connecting, &mut to_client, &mut to_server, now), Step::Ready);
//! let (mut client, _) = connecting.into_driver(Messages, [2; 32], OwnBuffers);
//! let (mut server, _) = accepting.into_driver(Messages, OwnBuffers);
//!
//! // A message that is longer than the transport accepts at once, its echo, and a Close.
//! client.feed(&vec![7; 10_000])?;
//! loop {
//!     let first = drive(&mut client, &mut to_client, &mut to_server, now);
//!     if first == Step::Ready {
//!         assert_eq!(client.item(), Some(Message::Binary(&[7; 10_000])));
//!         client.feed(Outgoing::close(Some(CloseCode::NORMAL.into())))?;
//!     }
//!     let second = drive(&mut server, &mut to_server, &mut to_client, now);
//!     if second == Step::Ready {
//!         let (message, send) = server.item_and_send();
//!         send.feed(message.expect("a message is ready"))?;
//!     }
//!     if (first, second) == (Step::Closed, Step::Closed) {
//!         break;
//!     }
//! }
//! client.result()?; // why it ended otherwise: a deadline, a broken rule, a failed transport
//! server.result()?;
//! assert!(client.end().is_some_and(|end| end.clean) && server.end().is_some_and(|end| end.clean));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The loop over a socket of the standard library that does not block. A program that waits for many sockets passes the
//! sockets and the earliest `until` to its poller instead of sleeping.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::net::{Shutdown, TcpStream};
//! use std::time::{Duration, Instant};
//!
//! use bowsprit::driver::{Drive, Step};
//!
//! /// Drives `machine` until something is ready (true) or the transport is over (false). `socket` is non-blocking.
//! fn drive(machine: &mut impl Drive, mut socket: &TcpStream, origin: Instant) -> bool {
//!     loop {
//!         match machine.poll(|| origin.elapsed()) {
//!             Step::Ready => return true,
//!             Step::Closed => return false,
//!             Step::Read => match socket.read(machine.read_buffer()) {
//!                 Ok(n) => machine.received(n),
//!                 Err(error) if error.kind() == ErrorKind::WouldBlock => machine.read_blocked(),
//!                 Err(error) if error.kind() == ErrorKind::Interrupted => {} // poll gives the step again
//!                 Err(error) => machine.read_failed((&error).into()),
//!             },
//!             Step::Write => match socket.write(machine.to_write()) {
//!                 Ok(n) => machine.written(n),
//!                 Err(error) => write_failed(machine, &error),
//!             },
//!             Step::Flush => machine.flushed(), // a TcpStream buffers nothing
//!             Step::ShutdownWrite => match socket.shutdown(Shutdown::Write) {
//!                 Ok(()) => machine.write_shut_down(),
//!                 Err(error) => write_failed(machine, &error),
//!             },
//!             // In place of a poller: look again soon. To poll too early is harmless.
//!             Step::Wait { .. } => std::thread::sleep(Duration::from_millis(1)),
//!         }
//!     }
//! }
//!
//! fn write_failed(machine: &mut impl Drive, error: &io::Error) {
//!     match error.kind() {
//!         ErrorKind::WouldBlock => machine.write_blocked(),
//!         ErrorKind::Interrupted => {}
//!         _ => machine.write_failed(error.into()),
//!     }
//! }
//! #
//! # use std::net::TcpListener;
//! # use bowsprit::driver::{Accepting, Connecting, OwnBuffers};
//! # use bowsprit::handshake::{AcceptOptions, ClientRequest};
//! # use bowsprit::{Config, Messages, Outgoing};
//! # let listener = TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # let server = std::thread::spawn(move || {
//! #     let (socket, _) = listener.accept().unwrap();
//! #     socket.set_nonblocking(true).unwrap();
//! #     let origin = Instant::now();
//! #     let mut accepting = Accepting::new(Config::default().into(), Duration::ZERO);
//! #     assert!(drive(&mut accepting, &socket, origin));
//! #     accepting.accept(&AcceptOptions::new()).unwrap();
//! #     assert!(drive(&mut accepting, &socket, origin));
//! #     let (mut driver, _) = accepting.into_driver(Messages, OwnBuffers);
//! #     while drive(&mut driver, &socket, origin) {
//! #         let (message, send) = driver.item_and_send();
//! #         send.feed(message.unwrap()).unwrap();
//! #     }
//! #     assert!(driver.end().unwrap().clean);
//! # });
//! # let socket = TcpStream::connect(address)?;
//! # socket.set_nonblocking(true)?;
//! # let origin = Instant::now();
//! # let request = ClientRequest::try_from("ws://example.com/chat")?;
//! # let mut connecting = Connecting::new(&request, [1; 16], Config::default().into(), Duration::ZERO);
//! # assert!(drive(&mut connecting, &socket, origin));
//! # let (mut driver, _) = connecting.into_driver(Messages, [2; 32], OwnBuffers);
//! # driver.feed("hello")?;
//! # assert!(drive(&mut driver, &socket, origin));
//! # driver.feed(Outgoing::close(None))?;
//! # assert!(!drive(&mut driver, &socket, origin));
//! # server.join().unwrap();
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accepting;
mod buffers;
pub(in crate::proto) mod clock;
mod connecting;
mod error;
mod input;
pub(in crate::proto) mod opening;
mod output;
mod receive;
pub(in crate::proto) mod refusal;
mod send;
mod step;

pub use accepting::Accepting;
pub use buffers::{Buffers, OwnBuffers};
pub use connecting::Connecting;
pub use error::ConnectionError;
pub use opening::OpeningError;
pub use receive::{ReceiveHalf, Whole};
pub use send::{Goal, SendHalf, Until};
pub use step::{Drive, Step, TransportError};

pub(in crate::proto) use input::{BEHIND, BLOCK};

use core::time::Duration;

use bytes::BytesMut;

use crate::proto::connection::Connection;
use crate::proto::error::SendError;
use crate::proto::link::End;
use crate::proto::message::{Delivery, Messages, OwnedMessage};
use crate::proto::outgoing::{Outgoing, Uncopied};
use crate::proto::timers::Scope;

/// Drives the transport of an open connection.
#[derive(Debug)]
pub struct Driver<D = Messages, B: Buffers = OwnBuffers> {
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
