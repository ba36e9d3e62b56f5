//! The rules that tie the two machines (RFC 6455 sections 5.5 and 7): answer a Ping, echo a Close, nothing
//! after a Close, fail with the right code. And what follows from them: the deadlines, what the transport is to
//! do, how the connection ended.
//!
//! ```text
//!            our Close sent            peer's Close received       transport ended
//!   Open ------------------> Open ------------------------> AwaitEof (client) ----> Closed
//!     |                        |                             Shutdown (server)        ^
//!     |  peer's Close received: ours is sent, and             |                       |
//!     +-------------------------------------------------------+                       |
//!     |  a rule broken, a deadline expired                    v                       |
//!     +---------------------------------------------------> Shutdown -----------------+
//! ```
//!
//! A `Link` holds the sending machine, because whoever may send must hold the rules too; split halves of an
//! adapter share it under one lock.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::num::NonZeroU16;
use core::time::Duration;

use bytes::{Buf, BytesMut};

use crate::proto::close::{Close, Reason};
use crate::proto::close_code::CloseCode;
use crate::proto::config::Config;
use crate::proto::error::{ProtocolError, SendError};
use crate::proto::extension::coding::Encoder;
use crate::proto::frame::OpCode;
use crate::proto::inbound::{Decoded, InboundStatus};
use crate::proto::outbound::Outbound;
use crate::proto::outgoing::{Content, Outgoing, Uncopied};
use crate::proto::role::Role;
use crate::proto::timers::{Conditions, Due, Scope, Timeout, Timers};

/// What an adapter does with its socket now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TransportState {
    /// Read and write.
    Open,
    /// Write what is left, read and discard until the peer ends the transport or the close deadline expires.
    /// A client waits like this after the closing handshake, because the server ends the transport first
    /// (RFC 6455 section 7.1.1).
    AwaitEof,
    /// Write what is left, shut down the writing side, read and discard until the peer ends the transport or
    /// the close deadline expires: closing with unread input would destroy what is on its way to the peer.
    Shutdown,
    /// Drop it.
    Closed,
}

/// Who began to end the connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Initiator {
    /// This endpoint.
    Local,
    /// The peer, or the network.
    Remote,
}

/// Why the connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// A Close, ours or the peer's.
    Close,
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// A deadline expired.
    Timeout(Timeout),
    /// The transport ended, or failed, before any Close.
    Disconnected,
}

/// How the connection ended, or is ending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// The code of the Close that was sent; [`CloseCode::NO_STATUS`] where it held none.
    pub sent: Option<CloseCode>,
    /// The code of the Close that was received; [`CloseCode::NO_STATUS`] where it held none.
    pub received: Option<CloseCode>,
    /// Who began.
    pub by: Initiator,
    /// Whether both Closes were exchanged before the transport ended, and nothing else went wrong
    /// (RFC 6455 section 7.1.4).
    pub clean: bool,
    /// What began it.
    pub cause: Cause,
}

impl End {
    /// The connection close code (RFC 6455 section 7.1.5): of the Close received, 1005 where it held none,
    /// 1006 where none was received.
    #[must_use]
    pub fn code(&self) -> CloseCode {
        self.received.unwrap_or(CloseCode::ABNORMAL)
    }

    /// `Display` with the reason in the peer's Close ([`Connection::close_reason`](crate::Connection::close_reason)), of
    /// which control characters are escaped; nothing is added where it is empty.
    ///
    /// ```
    /// use bowsprit::{Config, Connection, Messages};
    /// use bytes::BytesMut;
    ///
    /// let mut connection = Connection::client(Messages, Config::default().into(), [7; 32]);
    /// let mut input = BytesMut::from(&b"\x88\x08\x03\xf4deploy"[..]);
    /// let mut output = BytesMut::new();
    /// assert!(connection.receive(&mut input, &mut output).next().is_ok());
    /// let end = connection.end().unwrap();
    /// assert_eq!(end.to_string(), "closed with 1012 (service restart)");
    /// let reason = connection.close_reason();
    /// assert_eq!(end.with_reason(reason).to_string(), "closed with 1012 (service restart): deploy");
    /// ```
    #[must_use]
    pub fn with_reason<'a>(&self, reason: &'a str) -> impl fmt::Display + 'a {
        EndWithReason(*self, reason)
    }
}

struct EndWithReason<'a>(End, &'a str);

impl fmt::Display for EndWithReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, Reason(self.1))
    }
}

/// In words: how a connection closed, or why it failed.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cause, self.received, self.sent) {
            (Cause::Close, Some(code), _) if self.clean => write!(f, "closed with {code}"),
            (Cause::Close, Some(code), _) => write!(f, "closed with {code} before everything was sent"),
            (Cause::Close, None, Some(code)) => write!(f, "closed with {code}, which the peer did not answer"),
            (cause, _, _) => fmt::Display::fmt(&cause, f),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close => f.write_str("closed"),
            Self::Protocol(error) => fmt::Display::fmt(error, f),
            Self::Timeout(timeout) => fmt::Display::fmt(timeout, f),
            Self::Disconnected => f.write_str("the transport ended without a Close"),
        }
    }
}

/// Unsent output up to which Pongs are appended in order; beyond, only the newest waits (section 5.5.3).
const PONG_ROOM: usize = 16 << 10;

/// The one Pong that waits outside the output.
#[derive(Debug, Default)]
struct HeldPong {
    newest: Option<Box<[u8]>>,
    /// Bytes of output to go until it may enter while the output stays above `PONG_ROOM`: one Pong for each time
    /// that all before it has left.
    gate: usize,
}

#[derive(Debug)]
pub(in crate::proto) struct Link {
    outbound: Outbound,
    /// The codes of the Closes, in two bytes each: no Close has code 0.
    sent: Option<NonZeroU16>,
    received: Option<NonZeroU16>,
    /// Who began to end the connection, and why: boxed, since an open connection has none.
    begun: Option<Box<(Initiator, Cause)>>,
    transport: TransportState,
    /// Whether the transport will not take all of the output: our Close, at the least, is missing.
    lost: bool,
    /// Whether all output has left at some time since the deadlines were last set.
    drained: bool,
    /// While Pongs are held back; the peer reads too little.
    held: Option<Box<HeldPong>>,
    timers: Timers,
}

impl Link {
    pub(in crate::proto) fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            sent: None,
            received: None,
            begun: None,
            transport: TransportState::Open,
            lost: false,
            drained: false,
            held: None,
            timers: Timers::default(),
        }
    }

    // ---- what the peer did

    /// Does what follows from a control frame that was found in `input`.
    #[cold]
    pub(in crate::proto) fn follow(&mut self, found: Decoded, input: &[u8], output: &mut BytesMut) {
        match found {
            Decoded::Data { .. } => {}
            Decoded::Ping(span) => self.ping_received(span.of(input), output),
            Decoded::Pong(span) => self.pong_received(span.of(input)),
            // Decoded once already, so it is right.
            Decoded::Close(span) => self.close_received(Close::decode(span.of(input)).unwrap_or(None), output),
        }
    }

    fn ping_received(&mut self, payload: &[u8], output: &mut BytesMut) {
        if self.lost {
            // Nothing follows a frame that was cut off.
        } else if output.len() < PONG_ROOM && self.held.as_ref().is_none_or(|held| held.newest.is_none()) {
            self.outbound.answer(payload, output);
        } else {
            self.held.get_or_insert_default().newest = Some(payload.into());
        }
    }

    fn pong_received(&mut self, payload: &[u8]) {
        self.timers.pong_received(payload);
    }

    fn close_received(&mut self, close: Option<Close<'_>>, output: &mut BytesMut) {
        let code = close.map(|close| close.code);
        self.received = non_zero(code);
        self.begin_end(Initiator::Remote, Cause::Close);
        // RFC 6455 section 5.5.2: no Pong once a Close has been received.
        self.held = None;
        // RFC 6455 section 5.5.1: a Close is answered with a Close, which typically echoes the code; unless
        // it was sent already.
        self.send_close(code, output);
        self.transport = match self.outbound.role() {
            Role::Server => TransportState::Shutdown,
            Role::Client => TransportState::AwaitEof,
        };
    }

    /// The peer broke a rule: RFC 6455 section 7.1.7, Fail the WebSocket Connection.
    pub(in crate::proto) fn fail(&mut self, error: ProtocolError, output: &mut BytesMut) {
        if self.transport == TransportState::Open {
            self.end_with(Cause::Protocol(error), error.close_code(), output);
        }
    }

    /// The transport has ended, or failed, with output `unsent` or without.
    pub(in crate::proto) fn disconnected(&mut self, unsent: bool) {
        self.begin_end(Initiator::Remote, Cause::Disconnected);
        self.lost |= unsent;
        self.close_transport();
    }

    /// The transport takes nothing any more. What the peer sent before, its Close perhaps, may still be received.
    pub(in crate::proto) fn write_failed(&mut self) {
        self.begin_end(Initiator::Remote, Cause::Disconnected);
        self.lost = true;
        self.held = None;
        self.outbound.stop();
    }

    /// The transport took the first `n` bytes of the output.
    pub(in crate::proto) fn wrote(&mut self, n: usize, output: &mut BytesMut) {
        // An empty output begins again where the cache is warm.
        if n == output.len() {
            output.clear();
        } else {
            output.advance(n);
        }
        self.wrote_directly(n, output);
    }

    /// The transport took `n` bytes, of a payload that was never in the output among them.
    pub(in crate::proto) fn wrote_directly(&mut self, n: usize, output: &mut BytesMut) {
        self.timers.written(n);
        self.drained |= output.is_empty();
        let Some(held) = &mut self.held else { return };
        held.gate = held.gate.saturating_sub(n);
        if n > 0
            && (held.gate == 0 || output.len() < PONG_ROOM)
            && let Some(payload) = held.newest.take()
        {
            self.outbound.answer(&payload, output);
            held.gate = output.len();
        }
        if held.newest.is_none() && held.gate == 0 {
            self.held = None;
        }
    }

    // ---- what the caller wants

    /// Appends what the caller sends, and notes what follows from it.
    #[inline(always)] // as `Outbound::send`
    pub(in crate::proto) fn send(&mut self, outgoing: Outgoing<'_>, output: &mut BytesMut) -> Result<(), SendError> {
        self.outbound.send(outgoing, output)?;
        match outgoing.0 {
            Content::Message { .. } | Content::Chunk { .. } | Content::Prepared { .. } => {}
            control => self.sent_control(control, output.len()),
        }
        Ok(())
    }

    /// As [`Outbound::begin`]: only of whole messages, from which nothing follows.
    pub(in crate::proto) fn begin<'m>(
        &mut self,
        outgoing: Outgoing<'m>,
        output: &BytesMut,
    ) -> Result<Option<Uncopied<'m>>, SendError> {
        self.outbound.begin(outgoing, output)
    }

    #[inline(never)]
    fn sent_control(&mut self, content: Content<'_>, unsent: usize) {
        match content {
            Content::Ping(payload) | Content::Frame { opcode: OpCode::Ping, payload, .. } => {
                self.timers.ping_queued(payload, unsent, false);
            }
            Content::EmptyClose => self.close_sent(None),
            Content::Close { code, .. } => self.close_sent(Some(code)),
            Content::Frame { opcode: OpCode::Close, payload, .. } => {
                // It was accepted, so it can be decoded.
                self.close_sent(Close::decode(payload).unwrap_or(None).map(|close| close.code));
            }
            _ => {}
        }
    }

    pub(in crate::proto) fn encode_with(&mut self, encoder: Encoder) {
        self.outbound.encode_with(encoder);
    }

    #[cfg(feature = "deflate")]
    pub(in crate::proto) fn release(&mut self) {
        self.outbound.release();
    }

    pub(in crate::proto) fn shrink(&mut self) {
        self.outbound.shrink();
        self.timers.shrink();
    }

    // ---- time

    pub(in crate::proto) fn wants_time(&self, receiving: Option<InboundStatus>, unsent: bool) -> bool {
        self.timers.want_time(self.conditions(receiving, unsent), self.outbound.config())
    }

    /// Whether a ping has left, or was answered, since the clock was last read.
    pub(in crate::proto) fn wants_stamp(&self) -> bool {
        self.timers.want_stamp()
    }

    pub(in crate::proto) fn arm(&mut self, now: Duration, receiving: Option<InboundStatus>, unsent: bool) {
        let conditions = self.conditions(receiving, unsent);
        self.timers.arm(now, conditions, self.outbound.config());
        self.drained = false;
    }

    pub(in crate::proto) fn poll_timeout(&self, scope: Scope) -> Option<Duration> {
        self.timers.next(scope)
    }

    /// Does all that is due at `now`; the deadline that ended the connection, if one did.
    pub(in crate::proto) fn handle_timeout(
        &mut self,
        now: Duration,
        scope: Scope,
        output: &mut BytesMut,
    ) -> Option<Timeout> {
        while let Some(due) = self.timers.due(now, scope, self.outbound.config()) {
            match due {
                Due::KeepAlive => self.keep_alive(output),
                Due::Expired(timeout) => {
                    self.expire(timeout, output);
                    return Some(timeout);
                }
            }
        }
        None
    }

    pub(in crate::proto) fn last_received(&self) -> Option<Duration> {
        self.timers.last_received()
    }

    pub(in crate::proto) fn latency(&self) -> Option<Duration> {
        self.timers.latency()
    }

    // ---- what became of it

    pub(in crate::proto) fn transport(&self) -> TransportState {
        self.transport
    }

    pub(in crate::proto) fn end(&self) -> Option<End> {
        let (by, cause) = **self.begun.as_ref()?;
        let clean = self.sent.is_some() && self.received.is_some() && cause == Cause::Close && !self.lost;
        let [sent, received] = [self.sent, self.received].map(|code| code.map(|code| CloseCode(code.get())));
        Some(End { sent, received, by, clean, cause })
    }

    /// Whether something has begun to end the connection: [`end`](Self::end) is `Some`.
    pub(in crate::proto) fn is_ending(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether some of what was queued will never go out.
    pub(in crate::proto) fn is_lost(&self) -> bool {
        self.lost
    }

    pub(in crate::proto) fn is_message_in_progress(&self) -> bool {
        self.outbound.is_message_in_progress()
    }

    pub(in crate::proto) fn config(&self) -> &Arc<Config> {
        self.outbound.config()
    }

    pub(in crate::proto) fn role(&self) -> Role {
        self.outbound.role()
    }

    /// `receiving` is the state of the receiving machine, where the caller holds it.
    fn conditions(&self, receiving: Option<InboundStatus>, unsent: bool) -> Conditions {
        let transport = self.transport;
        let unsent = unsent && transport != TransportState::Closed;
        let ending = transport != TransportState::Closed
            && (self.sent.is_some() || self.lost || transport != TransportState::Open);
        // A peer that goes on accepting output is not cut off: the close deadline counts from when the Close has left.
        // Until then the write deadline holds, if there is one.
        let left = !unsent || self.outbound.config().write_timeout.is_none();
        Conditions {
            open: transport == TransportState::Open && self.sent.is_none() && !self.lost,
            ending,
            closing: ending && left,
            unsent,
            drained: self.drained,
            receiving,
        }
    }

    fn keep_alive(&mut self, output: &mut BytesMut) {
        let Some(payload) = self.timers.keep_alive() else { return };
        // Full or closing: there is output for the peer anyhow, and a deadline on that.
        if self.outbound.send(Outgoing::ping(&payload), output).is_ok() {
            self.timers.ping_queued(&payload, output.len(), true);
        }
    }

    fn expire(&mut self, timeout: Timeout, output: &mut BytesMut) {
        match timeout {
            // RFC 6455 section 7.4.1 has no code for these; 1001 and 1008 come nearest.
            Timeout::Idle | Timeout::Pong => {
                self.end_with(Cause::Timeout(timeout), CloseCode::GOING_AWAY, output);
            }
            Timeout::Message => {
                self.end_with(Cause::Timeout(timeout), CloseCode::POLICY_VIOLATION, output);
            }
            Timeout::Write | Timeout::Close | Timeout::Handshake => {
                // A clean end stays one: only the transport's own end is overdue.
                if self.sent.is_none() || self.received.is_none() || !output.is_empty() {
                    // After a write that failed, this was only the wait for what the peer had sent before.
                    self.spoil_end(if self.lost { Cause::Disconnected } else { Cause::Timeout(timeout) });
                }
                self.close_transport();
            }
        }
    }

    /// Nothing goes over the transport any more.
    fn close_transport(&mut self) {
        self.transport = TransportState::Closed;
        self.held = None;
        // RFC 6455 section 6.1: an endpoint sends only while the connection is open.
        self.outbound.stop();
    }

    /// Ends the connection without waiting for the peer's Close.
    fn end_with(&mut self, cause: Cause, code: CloseCode, output: &mut BytesMut) {
        self.spoil_end(cause);
        self.held = None;
        self.send_close(Some(code), output);
        self.transport = TransportState::Shutdown;
    }

    /// Sends a Close that no caller chose, unless one is out already.
    fn send_close(&mut self, code: Option<CloseCode>, output: &mut BytesMut) {
        if self.sent.is_none() && !self.lost {
            self.outbound.end(code, output);
            self.sent = non_zero(code);
        }
    }

    fn close_sent(&mut self, code: Option<CloseCode>) {
        self.sent = non_zero(code);
        self.begin_end(Initiator::Local, Cause::Close);
    }

    /// The connection ends for a reason of this endpoint's own. An end that began with a Close goes on for that
    /// reason; of two failures, the first is the cause.
    fn spoil_end(&mut self, cause: Cause) {
        let (_, first) = &mut **self.begun.get_or_insert_with(|| Box::new((Initiator::Local, cause)));
        if *first == Cause::Close {
            *first = cause;
        }
    }

    fn begin_end(&mut self, by: Initiator, cause: Cause) {
        self.begun.get_or_insert_with(|| Box::new((by, cause)));
    }
}

/// The code of a Close, which is 1005 where it holds none.
fn non_zero(code: Option<CloseCode>) -> Option<NonZeroU16> {
    NonZeroU16::new(code.unwrap_or(CloseCode::NO_STATUS).0)
}
