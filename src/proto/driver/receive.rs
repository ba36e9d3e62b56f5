//! The receiving part of a driver, and what it does with the whole of it.

use core::time::Duration;

use super::buffers::{Buffers, OwnBuffers};
use super::clock::Clock;
use super::error::ConnectionError;
use super::input::{BLOCK, Input};
use super::send::{Judged, SendHalf};
use super::step::{Drive, Step, TransportError};
use crate::proto::extension::Agreement;
use crate::proto::inbound::{Decoded, Inbound, InputRange, Location};
use crate::proto::link::{Cause, TransportState};
use crate::proto::message::{Delivery, Messages, OwnedMessage};
use crate::proto::timers::Scope;

/// The receiving part of a [`Driver`](super::Driver): what was read, and the receiving state machine.
///
/// It does nothing without a [`SendHalf`], since a Ping wants a Pong and a Close an answer:
/// [`with`](Self::with) puts the two together for one step.
#[derive(Debug)]
pub struct ReceiveHalf<D = Messages, B: Buffers = OwnBuffers> {
    pub(super) inbound: Inbound<D>,
    pub(super) input: Input<B>,
    /// Where the item lies that was found last, until the input or the state machine changes.
    item: Option<Item>,
    /// Its length in bytes; it stays when the item is gone.
    item_len: usize,
    /// The transport has nothing to read at the moment.
    read_blocked: bool,
    /// The peer ended the stream.
    peer_ended: bool,
    /// Reads since the deadlines were judged.
    reads: u8,
}

/// What was found last; with its length, that says where it lies. (The location itself would take four times the space of
/// an idle connection.)
#[derive(Clone, Copy, Debug)]
struct Item {
    text: bool,
    end: bool,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// The end of the consumed input, but for an incomplete character.
    Input,
    Buffer,
}

impl<D: Delivery, B: Buffers> ReceiveHalf<D, B> {
    pub(super) fn new(inbound: Inbound<D>, input: &[u8], buffers: B) -> Self {
        let input = Input::new(input, buffers);
        Self { inbound, input, item: None, item_len: 0, read_blocked: false, peer_ended: false, reads: 0 }
    }

    /// Both parts together, as one machine that drives the transport.
    #[inline]
    pub fn with<'a>(&'a mut self, send: &'a mut SendHalf<B>) -> Whole<'a, D, B> {
        Whole { receive: self, send }
    }

    /// Looks for an item in what was read already, and does what follows from control frames before it. Whether there is
    /// one: [`item`](Self::item) lends it.
    #[inline]
    pub fn next_buffered(&mut self, send: &mut SendHalf<B>) -> bool {
        // Nothing comes of nothing; this is asked before each step.
        while !self.input.unread().is_empty() {
            let (input, at) = self.input.cursor();
            #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
            // SAFETY: the input is this half's own. What is unread moves (`free`, `park`) and is appended to (`filled`), and
            // what is lent for reading into lies after it.
            let found = unsafe { self.inbound.find_owned(input, at) };
            match found {
                Ok(Some(Decoded::Data { text, end, location })) => {
                    let (source, len) = match location {
                        Location::Input(range) => (Source::Input, range.range().len()),
                        Location::Buffer { len } => (Source::Buffer, len),
                    };
                    (self.item, self.item_len) = (Some(Item { text, end, source }), len);
                    return true;
                }
                Ok(None) => break,
                Ok(Some(control)) => send.control_received(control, input),
                Err(error) => {
                    send.fail(error);
                    break;
                }
            }
        }
        self.item = None;
        false
    }

    /// The message or piece of one that the last [`Step::Ready`] announced; `None` otherwise.
    #[must_use]
    #[inline]
    pub fn item(&self) -> Option<D::Item<'_>> {
        let Item { text, end, source } = self.item?;
        let location = self.location(source);
        #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
        // SAFETY: it was found last, and `item` is `None` once the input or the state machine has changed.
        let data = unsafe { self.inbound.data(text, location, self.input.bytes()) };
        Some(D::item(data, end))
    }

    #[inline]
    fn location(&self, source: Source) -> Location {
        let len = self.item_len;
        match source {
            Source::Input => {
                let end = self.input.consumed() - self.inbound.incomplete_character();
                Location::Input(InputRange::new(end - len, len))
            }
            Source::Buffer => Location::Buffer { len },
        }
    }

    /// Whether a piece of a message that has not ended was handed out.
    #[must_use]
    pub fn is_inside_message(&self) -> bool {
        self.inbound.is_handed_out_in_part()
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

    /// Frees the memory of compression on the receiving side, 48 KiB, made again for the next compressed message.
    /// Nothing happens in the middle of a message.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.inbound.release();
    }

    /// Reads or waits while the connection is open.
    #[cold]
    fn fill(&mut self, send: &mut SendHalf<B>, clock: impl FnOnce() -> Duration) -> Step {
        let mut clock = Clock::new(clock);
        loop {
            if send.link.transport() != TransportState::Open {
                return self.finish(send, &mut clock);
            }
            // Whether or not all of it leaves, the transport is read: two peers that each wait for the other to read
            // would wait for ever.
            if let Some(step) = send.output.step() {
                return step;
            }
            send.stamp(&mut clock);
            if let Some(step) = self.read_or_wait(send, &mut clock) {
                return step;
            }
        }
    }

    /// Ends the transport as the rules say: writes what is left, shuts the writing side down, reads and discards until
    /// the peer ends the stream or the close deadline is over. To close at once would send a reset for input that nobody
    /// read, and with it destroy what is still on its way to the peer.
    fn finish(&mut self, send: &mut SendHalf<B>, clock: &mut Clock<impl FnOnce() -> Duration>) -> Step {
        self.inbound.stop();
        self.input.discard();
        loop {
            if send.is_closed() {
                send.stop();
                // The peer sees the end now, not only when the transport is dropped.
                return if send.output.take_last_shutdown() { Step::ShutdownWrite } else { Step::Closed };
            }
            if let Some(step) = send.output.step() {
                return step;
            }
            // A client lets the server end the stream first (RFC 6455 section 7.1.1).
            let wanted = self.peer_ended || send.link.transport() == TransportState::Shutdown;
            if wanted && send.output.is_shutdown_due() {
                return Step::ShutdownWrite;
            }
            if send.output.shut_down && self.peer_ended {
                send.disconnected(None);
                continue;
            }
            if let Some(step) = self.read_or_wait(send, clock) {
                return step;
            }
        }
    }

    /// Reads until there is nothing, then waits; deadlines are judged in between. What has arrived is read before a
    /// deadline is judged, since the time that the caller took is not the peer's; but however much comes, they are judged.
    fn read_or_wait(&mut self, send: &mut SendHalf<B>, clock: &mut Clock<impl FnOnce() -> Duration>) -> Option<Step> {
        if !self.peer_ended && !self.read_blocked && self.reads < READS {
            return Some(Step::Read);
        }
        self.reads = 0;
        let judged = send.judge(Scope::All, Some(self.inbound.status()), clock);
        self.inbound.clear_activity();
        if self.read_blocked {
            self.inbound.shrink();
            send.link.shrink();
            self.input.park();
            send.give_output();
        }
        let Judged::Wait(until) = judged else { return None };
        let write = send.output.take_blocked();
        let nothing_to_read = core::mem::take(&mut self.read_blocked) || self.peer_ended;
        nothing_to_read.then_some(Step::Wait { read: !self.peer_ended, write, until })
    }
}

impl<B: Buffers> ReceiveHalf<Messages, B> {
    /// As [`item`](Self::item), owned: with the buffer that it lies in where that wastes at most half of it, else copied.
    #[inline]
    pub fn take_item(&mut self) -> Option<OwnedMessage> {
        let Item { text, source, .. } = self.item.take()?;
        let location = self.location(source);
        #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
        // SAFETY: as for `item`.
        let message = unsafe { self.inbound.take(text, location, |range| self.input.take(range)) };
        if self.input.unread().is_empty() {
            self.input.park();
        }
        Some(message)
    }
}

/// A [`ReceiveHalf`] with its [`SendHalf`], for one step: from [`ReceiveHalf::with`].
#[derive(Debug)]
pub struct Whole<'a, D, B: Buffers> {
    receive: &'a mut ReceiveHalf<D, B>,
    send: &'a mut SendHalf<B>,
}

impl<D: Delivery, B: Buffers> Whole<'_, D, B> {
    /// Why the connection has ended, after [`Step::Closed`].
    ///
    /// # Errors
    ///
    /// Everything but a Close of each side.
    pub fn result(&self) -> Result<(), ConnectionError> {
        match self.send.link.end().map(|end| (end.cause, end.received)) {
            None | Some((Cause::Close, Some(_))) => Ok(()),
            Some((Cause::Protocol(error), _)) => Err(ConnectionError::Protocol(error)),
            Some((Cause::Timeout(timeout), _)) => {
                Err(ConnectionError::Timeout(timeout, timeout.limit(self.send.config())))
            }
            Some((Cause::Close | Cause::Disconnected, _)) => {
                Err(ConnectionError::Transport(self.send.output.failed.unwrap_or(TransportError::UnexpectedEof)))
            }
        }
    }
}

impl<D: Delivery, B: Buffers> Drive for Whole<'_, D, B> {
    #[inline]
    fn poll(&mut self, clock: impl FnOnce() -> Duration) -> Step {
        if self.receive.next_buffered(self.send) {
            return Step::Ready;
        }
        self.receive.fill(self.send, clock)
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.send.link.poll_timeout(Scope::All)
    }

    fn read_buffer(&mut self) -> &mut [u8] {
        self.receive.read_buffer()
    }

    fn received(&mut self, n: usize) {
        if n > 0 {
            self.receive.input.filled(n);
            self.receive.inbound.note_received(true);
            self.receive.reads = self.receive.reads.saturating_add(1);
            // A peer that writes may have read as well.
            self.send.output.blocked = false;
        } else if self.send.link.transport() == TransportState::Open {
            self.send.disconnected(None);
        } else {
            // It may have ended its writing side alone, and still read.
            self.receive.peer_ended = true;
        }
    }

    fn read_blocked(&mut self) {
        self.receive.read_blocked = true;
    }

    fn read_failed(&mut self, error: TransportError) {
        self.send.disconnected(Some(error));
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

impl<D: Delivery, B: Buffers> ReceiveHalf<D, B> {
    /// Where to read into, as [`Drive::read_buffer`].
    pub fn read_buffer(&mut self) -> &mut [u8] {
        self.item = None;
        let frame = self.inbound.frame_size(self.input.unread());
        let max = match (ONE_BY_ONE.contains(&self.item_len), frame.and_then(|frame| usize::try_from(frame).ok())) {
            (false, _) => BLOCK,
            (true, None) => ONE,
            (true, Some(frame)) => frame.saturating_sub(self.input.unread().len()) + HEADER,
        };
        self.input.free(frame, max.min(BLOCK))
    }
}

/// Messages as long as these are read one at a time: a read of `BLOCK` bytes would push the first out of the fastest cache
/// before it is looked at. Of shorter ones, a call of the transport costs more than that.
const ONE_BY_ONE: core::ops::RangeInclusive<usize> = 8 << 10..=16 << 10;

/// How much is read at a time then: the longest of them with its header. Of one that has begun, the remainder and the next
/// header.
const ONE: usize = (16 << 10) + HEADER;
const HEADER: usize = 14;

/// Reads between two looks at the clock, when there is always more to read and a deadline is set.
const READS: u8 = 8;
