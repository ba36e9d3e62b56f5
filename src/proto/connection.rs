//! Both machines and the rules between them, still pure: bytes in, events and bytes out.
//!
//! # Your own loop
//!
//! One turn over a socket that does not block. Take it when the socket is ready, or when the time that it returns has come.
//!
//! ```
//! use std::io::{self, ErrorKind, Read, Write};
//! use std::time::Duration;
//!
//! use bowsprit::{Connection, Event, TransportState};
//! use bytes::BytesMut;
//!
//! fn turn(
//!     ws: &mut Connection,
//!     socket: &mut (impl Read + Write),
//!     (input, output): (&mut BytesMut, &mut BytesMut), // the same two in every turn
//!     now: Duration,                                   // since an origin of your choice
//! ) -> io::Result<Option<Duration>> {
//!     let mut block = [0; 4096];
//!     match socket.read(&mut block) {
//!         Ok(0) => ws.disconnected(output),
//!         Ok(n) => input.extend_from_slice(&block[..n]),
//!         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
//!         Err(error) => return Err(error),
//!     }
//!     let mut batch = ws.receive(input, output);
//!     // Where the peer broke a rule, the Close that says so is in the output already.
//!     while let Ok(Some((event, mut outbox))) = batch.next() {
//!         if let Event::Data(message) = event {
//!             outbox.send(message).map_err(io::Error::other)?;
//!         }
//!     }
//!     drop(batch);
//!     ws.handle_timeout(now, output); // whether it ended the connection, `transport` tells
//!     match socket.write(output) {
//!         Ok(n) => ws.wrote(n, output),
//!         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
//!         Err(error) => return Err(error),
//!     }
//!     if ws.wants_time(output) {
//!         ws.arm(now, output);
//!     }
//!     match ws.transport() {
//!         TransportState::Open | TransportState::AwaitEof => {}
//!         TransportState::Shutdown => {} // once the output is empty: shut down the socket's writing side
//!         TransportState::Closed => return Err(io::Error::other("it is over: drop the socket")),
//!     }
//!     Ok(ws.poll_timeout())
//! }
//!
//! /// A peer that says one thing, and then nothing more.
//! struct Peer(&'static [u8], Vec<u8>);
//! # impl Read for Peer {
//! #     fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
//! #         if self.0.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
//! #     }
//! # }
//! # impl Write for Peer {
//! #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
//! #         self.1.write(bytes)
//! #     }
//! #     fn flush(&mut self) -> io::Result<()> {
//! #         Ok(())
//! #     }
//! # }
//!
//! let mut peer = Peer(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Vec::new());
//! let mut ws = Connection::server(bowsprit::Messages, bowsprit::Config::default().into());
//! let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
//! turn(&mut ws, &mut peer, (&mut input, &mut output), Duration::ZERO)?;
//! assert_eq!(peer.1, b"\x81\x05Hello");
//! # Ok::<(), io::Error>(())
//! ```

use alloc::sync::Arc;
use core::time::Duration;

use bytes::{Buf, BytesMut};

use crate::proto::close::Close;
use crate::proto::config::Config;
use crate::proto::error::{ProtocolError, SendError};
use crate::proto::extension::Agreement;
use crate::proto::extension::coding;
use crate::proto::inbound::{Decoded, Inbound};
use crate::proto::link::{End, Link, TransportState};
use crate::proto::message::{Delivery, Event, Messages};
use crate::proto::outbound::Outbound;
use crate::proto::outgoing::{Outgoing, Uncopied};
use crate::proto::role::Role;
use crate::proto::timers::{Scope, Timeout};

/// A WebSocket connection after its opening handshake, without a socket.
///
/// Feed it what the transport read, hand the transport what it appends to `output`.
///
/// ```
/// use std::sync::Arc;
/// use bowsprit::{Config, Connection, Event, Messages};
/// use bytes::BytesMut;
///
/// let mut connection = Connection::server(Messages, Arc::new(Config::default()));
/// let mut input = BytesMut::from(&b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..]);
/// let mut output = BytesMut::new();
/// let mut batch = connection.receive(&mut input, &mut output);
/// while let Some((event, mut outbox)) = batch.next()? {
///     if let Event::Data(message) = event {
///         outbox.send(message)?; // the answer may borrow from the message
///     }
/// }
/// drop(batch);
/// assert_eq!(&output[..], b"\x81\x05Hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection<D = Messages> {
    pub(in crate::proto) inbound: Inbound<D>,
    pub(in crate::proto) link: Link,
}

impl<D: Delivery> Connection<D> {
    /// The server's end.
    #[must_use]
    pub fn server(delivery: D, config: Arc<Config>) -> Self {
        let link = Link::new(Outbound::server(config.clone()));
        Self { inbound: Inbound::new(Role::Server, delivery, config), link }
    }

    /// The client's end. `seed` is 32 bytes of the operating system's entropy, for the masking keys
    /// (RFC 6455 section 5.3); never use one twice.
    #[must_use]
    pub fn client(delivery: D, config: Arc<Config>, seed: [u8; 32]) -> Self {
        let link = Link::new(Outbound::client(config.clone(), seed));
        Self { inbound: Inbound::new(Role::Client, delivery, config), link }
    }

    /// Uses the extensions that the opening handshake agreed on. Call it before the first message.
    #[must_use]
    pub fn with_extensions(mut self, agreement: &Agreement) -> Self {
        let (encoder, decoder) = coding::coders(agreement, self.role(), self.config());
        self.link.encode_with(encoder);
        self.inbound.decode_with(decoder);
        self
    }

    /// Turns `input` into events, and into `output` what the rules demand as an answer.
    ///
    /// ```text
    ///   input:  | consumed by the batch        | beginning of a frame |
    ///                                          ^ where it starts when the batch is dropped
    /// ```
    ///
    /// Input and output are the same buffers in every call.
    #[inline]
    pub fn receive<'a>(&'a mut self, input: &'a mut BytesMut, output: &'a mut BytesMut) -> Batch<'a, D> {
        self.inbound.note_received(!input.is_empty());
        Batch { connection: self, input, output, at: 0 }
    }

    /// The next step of the receiving side, and what the rules make of it.
    #[inline]
    fn step(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        output: &mut BytesMut,
    ) -> Result<Option<Decoded>, ProtocolError> {
        // Arm by arm: what passes through unlooked at is copied, which a short message would feel.
        match self.inbound.find(input, at) {
            Ok(Some(found @ Decoded::Data { .. })) => Ok(Some(found)),
            Ok(None) => Ok(None),
            Ok(Some(found)) => {
                self.link.follow(found, input, output);
                Ok(Some(found))
            }
            Err(error) => {
                self.link.fail(error, output);
                Err(error)
            }
        }
    }

    /// Appends what `outgoing` is to `output`, and does what follows from it: the round trip of a Ping becomes
    /// [`latency`](Self::latency); a Close begins the closing handshake (RFC 6455 section 7.1.2), in which events go on
    /// until the peer's Close, the last one, is received.
    ///
    /// # Errors
    ///
    /// Nothing was appended and nothing has changed: [`SendError::Closing`] after a Close of either side or a failure,
    /// [`SendError::Full`] while [`Config::max_unsent`] bytes or more are in `output`, and the others of
    /// [`Outbound::send`].
    #[inline(always)] // as `Outbound::send`
    pub fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>, output: &mut BytesMut) -> Result<(), SendError> {
        self.link.send(outgoing.into(), output)
    }

    /// Sends a Close: short for [`send`](Self::send) with [`Outgoing::close`], which cuts a reason of more than 123 bytes
    /// at a character boundary.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`], [`SendError::InvalidCloseCode`] (from a server also for 1010).
    pub fn close(&mut self, close: Option<Close<'_>>, output: &mut BytesMut) -> Result<(), SendError> {
        self.send(Outgoing::close(close), output)
    }

    /// Begins a message whose payload the caller writes itself, uncopied, directly after `output`, as
    /// [`Outbound::begin`]; `None` where only [`send`](Self::send) will do. What the transport does not accept of
    /// [`Uncopied::slices`] must be appended to `output` before anything else is.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`], [`SendError::Full`], [`SendError::MessageInProgress`].
    pub fn begin<'m>(
        &mut self,
        outgoing: impl Into<Outgoing<'m>>,
        output: &BytesMut,
    ) -> Result<Option<Uncopied<'m>>, SendError> {
        self.link.begin(outgoing.into(), output)
    }

    /// The transport accepted the first `n` bytes of `output`: drops them, and appends a Pong that waited for capacity.
    ///
    /// # Panics
    ///
    /// Where `output` holds fewer than `n` bytes.
    pub fn wrote(&mut self, n: usize, output: &mut BytesMut) {
        self.link.wrote(n, output);
    }

    /// The transport accepts no more bytes, and `output` was dropped. What the peer sent before, its Close perhaps,
    /// may still be [received](Self::receive); the close deadline runs.
    pub fn write_failed(&mut self) {
        self.link.write_failed();
    }

    /// The transport has ended, or failed: no more bytes come, and what is left of `output` goes nowhere.
    pub fn disconnected(&mut self, output: &BytesMut) {
        self.inbound.stop();
        self.link.disconnected(!output.is_empty());
    }

    /// What is to be done with the transport now.
    #[must_use]
    pub fn transport(&self) -> TransportState {
        self.link.transport()
    }

    /// Whether a deadline wants setting, moving or lifting: then read the clock and call [`arm`](Self::arm).
    /// Ask once a batch, after what could be written has been.
    #[must_use]
    pub fn wants_time(&self, output: &BytesMut) -> bool {
        self.link.wants_time(Some(self.inbound.status()), !output.is_empty())
    }

    /// Sets the deadlines, counting from `now`: the time since an origin of the caller's choice, the same in
    /// every call.
    pub fn arm(&mut self, now: Duration, output: &BytesMut) {
        self.link.arm(now, Some(self.inbound.status()), !output.is_empty());
        self.inbound.clear_activity();
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` while nothing is due ever.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.link.poll_timeout(Scope::All)
    }

    /// Does what is due at `now`: sends a keep-alive ping, or ends the connection and returns which deadline expired.
    /// Look at [`transport`](Self::transport) after it.
    pub fn handle_timeout(&mut self, now: Duration, output: &mut BytesMut) -> Option<Timeout> {
        let timeout = self.link.handle_timeout(now, Scope::All, output)?;
        self.inbound.stop();
        Some(timeout)
    }

    /// When a byte from the peer was last noticed, on the clock of [`arm`](Self::arm): known while a deadline is set, to
    /// the precision of the calls to it.
    #[must_use]
    pub fn last_received(&self) -> Option<Duration> {
        self.link.last_received()
    }

    /// The last measured time from a Ping to its Pong.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.link.latency()
    }

    /// The extensions that both ends use.
    #[must_use]
    pub fn extensions(&self) -> &Agreement {
        self.inbound.extensions()
    }

    /// The reason in the peer's Close, for people to read; empty where there is none.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        self.inbound.close_reason()
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.link.end()
    }

    /// Which end of the connection this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.link.role()
    }

    /// The bounds of this connection.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        self.link.config()
    }

    /// Gives back the memory of compression: some 300 KiB of the sending side, 48 KiB of the receiving side, made
    /// again for the next compressed message. The next message sent starts from an empty window. Nothing happens to a
    /// side with a message in progress.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.inbound.release();
        self.link.release();
    }

    /// Gives back the memory that an idle connection does not need, as [`Inbound::shrink`] and [`Outbound::shrink`].
    pub fn shrink(&mut self) {
        self.inbound.shrink();
        self.link.shrink();
    }
}

/// The events of one read. Lends each together with the sending side.
///
/// What it consumed is dropped from the input once, when the batch is.
#[derive(Debug)]
pub struct Batch<'a, D: Delivery = Messages> {
    connection: &'a mut Connection<D>,
    input: &'a mut BytesMut,
    output: &'a mut BytesMut,
    /// Everything before it has been consumed; at most `input.len()`.
    at: usize,
}

impl<D: Delivery> Batch<'_, D> {
    /// The next event, and the sending side for an answer; `None` when the remainder of the input needs more bytes.
    ///
    /// A Ping has been answered and a Close echoed before it is handed out. After the peer's Close all further
    /// input is discarded.
    ///
    /// # Errors
    ///
    /// The rule that the peer broke. The Close that says so is in the output already; the connection
    /// stays failed, the same error comes again, and all further input is discarded.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an Iterator cannot return what borrows from it")]
    #[expect(clippy::type_complexity, reason = "an alias would hide that event and outbox are borrowed together")]
    pub fn next(&mut self) -> Result<Option<(Event<'_, D::Item<'_>>, Outbox<'_>)>, ProtocolError> {
        let Some(decoded) = self.connection.step(self.input, &mut self.at, self.output)? else { return Ok(None) };
        #[expect(unsafe_code, reason = "the boundary at which validated bytes become text; a closure costs 10 ns here")]
        // SAFETY: it was found in this input just now, and neither that nor the machine has been changed since: `step`
        // changes the input only as it looks for the event, and then hands it to the link to read.
        let event = unsafe { self.connection.inbound.lend(decoded, self.input) };
        Ok(Some((event, Outbox { link: &mut self.connection.link, output: self.output })))
    }
}

impl<D: Delivery> Drop for Batch<'_, D> {
    fn drop(&mut self) {
        self.input.advance(self.at);
    }
}

/// The sending side of a [`Connection`] while an event borrows from it, over the same output.
#[derive(Debug)]
pub struct Outbox<'a> {
    link: &'a mut Link,
    output: &'a mut BytesMut,
}

impl Outbox<'_> {
    /// Appends what `outgoing` is, as [`Connection::send`].
    ///
    /// # Errors
    ///
    /// As [`Outbound::send`], nothing has changed then.
    #[inline(always)] // as `Outbound::send`
    pub fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.link.send(outgoing.into(), self.output)
    }

    /// Sends a Close, as [`Connection::close`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`], [`SendError::InvalidCloseCode`] (from a server also for 1010).
    pub fn close(&mut self, close: Option<Close<'_>>) -> Result<(), SendError> {
        self.send(Outgoing::close(close))
    }
}
