//! The sending part of a driver.

use core::time::Duration;

use bytes::{Buf as _, BytesMut};

use super::buffers::{Buffers, OwnBuffers};
use super::clock::Clock;
use super::error::ConnectionError;
use super::output::Output;
use super::step::{Drive, Step, TransportError};
use crate::proto::error::{ProtocolError, SendError};
use crate::proto::inbound::{Decoded, InboundStatus};
use crate::proto::link::{Cause, End, Link, TransportState};
use crate::proto::outgoing::{Outgoing, Uncopied};
use crate::proto::timers::Scope;

/// The sending part of a [`Driver`](super::Driver): what is queued, the rules, the deadlines, and the state of the
/// transport's writing side.
///
/// Every method returns at once. Two halves of a connection share it under a lock.
#[derive(Debug)]
pub struct SendHalf<B = OwnBuffers> {
    pub(super) link: Link,
    pub(super) output: Output,
    buffers: B,
}

impl<B: Buffers> SendHalf<B> {
    pub(super) fn new(link: Link, output: BytesMut, buffers: B) -> Self {
        Self { link, output: Output::new(output), buffers }
    }

    /// Queues a message, a control frame or a Close at once, or not at all.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while [`Config::max_unsent`](crate::Config::max_unsent) bytes are unsent: have the transport
    /// write some of it, until [`Goal::Room`] is reached. Any other [`SendError`] for what may not be sent. Nothing has
    /// changed then.
    #[inline]
    pub fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.take_output();
        self.link.send(outgoing.into(), &mut self.output.bytes)
    }

    /// As [`feed`](Self::feed), without a copy where that pays: a payload of 4 KiB or more that need not be masked, split or
    /// encoded is not queued but returned. Offer [`to_write_with`](Self::to_write_with) to the transport in one vectored
    /// write, and report how much it accepted to [`written_with`](Self::written_with), zero included, before anything
    /// else.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed): [`SendError::Full`], or what may not be sent.
    #[inline]
    pub fn feed_uncopied<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<Option<Uncopied<'m>>, SendError> {
        let outgoing = outgoing.into();
        self.take_output();
        if outgoing.len() >= UNCOPIED
            && !self.output.blocked
            && let Some(uncopied) = self.link.begin(outgoing, &self.output.bytes)?
        {
            return Ok(Some(uncopied));
        }
        self.link.send(outgoing, &mut self.output.bytes).map(|()| None)
    }

    /// The output that waits, and a message behind it that was not copied.
    pub fn to_write_with<'a>(&'a self, uncopied: &'a Uncopied<'_>) -> [&'a [u8]; 3] {
        let [header, payload] = uncopied.slices();
        [&self.output.bytes, header, payload]
    }

    /// The transport accepted the first `n` bytes of [`to_write_with`](Self::to_write_with): the rest is queued.
    pub fn written_with(&mut self, uncopied: &Uncopied<'_>, n: usize) {
        let output = &mut self.output.bytes;
        let queued = n.min(output.len());
        output.advance(queued);
        let mut accepted = n - queued;
        for part in uncopied.slices() {
            let skipped = accepted.min(part.len());
            output.extend_from_slice(&part[skipped..]);
            accepted -= skipped;
        }
        // Only now, at the end of a frame, may a Pong come in.
        self.link.wrote_directly(n, output);
        self.output.unflushed |= n > 0;
    }

    /// A view that drives the transport until `goal` is reached, reading nothing meanwhile.
    ///
    /// Its [`poll`](Drive::poll) gives [`Step::Ready`] at the goal, and [`Step::Closed`] when the goal cannot be reached any
    /// more; [`result`](Self::result) says why. Of the deadlines, it judges those that do not depend on what the peer
    /// sends.
    pub fn until(&mut self, goal: Goal) -> Until<'_, B> {
        Until { half: self, goal }
    }

    /// Whether the connection has come to an end before everything that was queued was written, and why.
    ///
    /// # Errors
    ///
    /// The deadline that expired, or how the transport failed.
    pub fn result(&self) -> Result<(), ConnectionError> {
        if !self.link.is_lost() {
            return Ok(());
        }
        Err(match self.link.end().map(|end| end.cause) {
            Some(Cause::Timeout(timeout)) => ConnectionError::Timeout(timeout, timeout.limit(self.config())),
            _ => ConnectionError::Transport(self.output.failed.unwrap_or(BROKEN)),
        })
    }

    /// Bytes that are queued and not written.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.output.bytes.len()
    }

    /// Whether a message would be accepted now, as far as the queue is concerned.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.link.config().is_full(self.output.bytes.len())
    }

    /// Whether a message in chunks or raw frames has begun and not ended.
    #[must_use]
    pub fn is_message_in_progress(&self) -> bool {
        self.link.is_message_in_progress()
    }

    /// How the connection is ending or ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.link.end()
    }

    /// Whether the transport is being ended: nothing more is received.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.link.transport() != TransportState::Open
    }

    /// Whether nothing is left to be done with the transport.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.link.transport() == TransportState::Closed
    }

    /// The last measured time from a Ping to its Pong.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.link.latency()
    }

    /// The next deadline of the connection that is set.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.link.poll_timeout(Scope::All)
    }

    /// When a byte from the peer was last noticed, as [`Connection::last_received`](crate::Connection::last_received).
    #[must_use]
    pub fn last_received(&self) -> Option<Duration> {
        self.link.last_received()
    }

    /// The bounds and deadlines of the connection.
    #[must_use]
    pub fn config(&self) -> &alloc::sync::Arc<crate::proto::config::Config> {
        self.link.config()
    }

    /// Which end of the connection this is.
    #[must_use]
    pub fn role(&self) -> crate::proto::role::Role {
        self.link.role()
    }

    /// Frees the memory of compression on the sending side, some 300 KiB, made again for the next compressed message.
    /// Nothing happens in the middle of a message that goes out in chunks.
    #[cfg(feature = "deflate")]
    pub fn release_compression(&mut self) {
        self.link.release();
    }

    // ---- for the receiving part

    pub(super) fn control_received(&mut self, found: Decoded, input: &[u8]) {
        self.take_output();
        self.link.follow(found, input, &mut self.output.bytes);
    }

    pub(super) fn fail(&mut self, error: ProtocolError) {
        self.take_output();
        self.link.fail(error, &mut self.output.bytes);
    }

    pub(super) fn take_output(&mut self) {
        if self.output.bytes.capacity() == 0 {
            self.output.bytes = self.buffers.take_output();
        }
    }

    /// Returns the output buffer, if nothing is in it: it may have been taken for a frame that wanted no answer.
    pub(super) fn give_output(&mut self) {
        if self.output.bytes.is_empty() && self.output.bytes.capacity() > 0 {
            self.buffers.give_output(core::mem::take(&mut self.output.bytes));
        }
    }

    /// The transport has ended or failed: no more bytes come.
    pub(super) fn disconnected(&mut self, error: Option<TransportError>) {
        if let Some(error) = error {
            self.output.failed.get_or_insert(error);
        }
        self.link.disconnected(error.is_some() && self.output.has_unsent());
    }

    /// The transport is not to be used any more: what is left is thrown away.
    pub(super) fn stop(&mut self) {
        if self.output.has_unsent() {
            self.link.disconnected(true);
        }
        self.output.throw_away();
    }

    /// Sets the deadlines and does what is due. When the next one is, and whether anything was due.
    pub(super) fn judge(
        &mut self,
        scope: Scope,
        receiving: Option<InboundStatus>,
        clock: &mut Clock<impl FnOnce() -> Duration>,
    ) -> Judged {
        let unsent = self.output.has_unsent();
        let wants_time = self.link.wants_time(receiving, unsent);
        if !wants_time && self.link.poll_timeout(scope).is_none() {
            return Judged::Wait(None);
        }
        let now = clock.now();
        if wants_time {
            self.link.arm(now, receiving, unsent);
        }
        match self.link.poll_timeout(scope) {
            Some(due) if due <= now => {
                self.take_output();
                self.link.handle_timeout(now, scope, &mut self.output.bytes);
                Judged::Due
            }
            until => Judged::Wait(until),
        }
    }

    /// Reads the clock for a ping that has just left, before its Pong is read, and for a Close, whose deadline is to be
    /// known before anybody waits for its answer.
    pub(super) fn stamp(&mut self, clock: &mut Clock<impl FnOnce() -> Duration>) {
        let unsent = self.output.has_unsent();
        if self.link.wants_stamp() || self.link.is_ending() && self.link.wants_time(None, unsent) {
            self.link.arm(clock.now(), None, unsent);
        }
    }
}

/// What came of [`SendHalf::judge`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Judged {
    /// Something was due: there may be output, or the connection is ending.
    Due,
    /// Nothing was due; when the next deadline is.
    Wait(Option<Duration>),
}

/// What a [`SendHalf`] is driven to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Goal {
    /// A message would be accepted.
    Room,
    /// All that was queued has been written and flushed.
    Flushed,
}

/// A [`SendHalf`] on its way to a [`Goal`]: from [`SendHalf::until`].
#[derive(Debug)]
pub struct Until<'a, B> {
    half: &'a mut SendHalf<B>,
    goal: Goal,
}

impl<B: Buffers> Drive for Until<'_, B> {
    #[inline]
    fn poll(&mut self, clock: impl FnOnce() -> Duration) -> Step {
        self.half.poll(self.goal, clock)
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.half.link.poll_timeout(Scope::Sending)
    }

    /// Empty: nothing is read.
    fn read_buffer(&mut self) -> &mut [u8] {
        &mut []
    }

    fn received(&mut self, _: usize) {}

    fn read_blocked(&mut self) {}

    fn read_failed(&mut self, error: TransportError) {
        self.half.disconnected(Some(error));
    }

    fn to_write(&self) -> &[u8] {
        self.half.to_write()
    }

    fn written(&mut self, n: usize) {
        self.half.written(n);
    }

    fn flushed(&mut self) {
        self.half.flushed();
    }

    fn write_shut_down(&mut self) {
        self.half.write_shut_down();
    }

    fn write_blocked(&mut self) {
        self.half.write_blocked();
    }

    fn write_failed(&mut self, error: TransportError) {
        self.half.write_failed(error);
    }
}

/// The reports of [`Drive`] that concern writing.
impl<B: Buffers> SendHalf<B> {
    fn poll(&mut self, goal: Goal, clock: impl FnOnce() -> Duration) -> Step {
        let mut clock = Clock::new(clock);
        loop {
            if self.link.is_lost() {
                return Step::Closed;
            }
            let reached = match goal {
                Goal::Room => self.has_room(),
                Goal::Flushed => !self.output.has_unsent(),
            };
            if reached {
                // The time of a ping counts from when it left, not from when somebody reads next.
                self.stamp(&mut clock);
                return Step::Ready;
            }
            if self.is_closed() {
                // Nothing that is queued will leave.
                self.stop();
                continue;
            }
            if let Some(step) = self.output.step() {
                return step;
            }
            match self.judge(Scope::Sending, None, &mut clock) {
                Judged::Due => {}
                Judged::Wait(until) => {
                    let write = self.output.take_blocked();
                    return Step::Wait { read: false, write, until };
                }
            }
        }
    }

    /// The output that waits, as [`Drive::to_write`].
    #[must_use]
    pub fn to_write(&self) -> &[u8] {
        &self.output.bytes
    }

    /// As [`Drive::written`].
    ///
    /// # Panics
    ///
    /// When `n` is larger than the output.
    pub fn written(&mut self, n: usize) {
        if n == 0 {
            return self.write_failed(TransportError::WriteZero);
        }
        self.output.unflushed = true;
        self.link.wrote(n, &mut self.output.bytes);
    }

    /// As [`Drive::flushed`].
    pub fn flushed(&mut self) {
        self.output.unflushed = false;
        self.give_output();
    }

    /// As [`Drive::write_shut_down`].
    pub fn write_shut_down(&mut self) {
        self.output.shut_down = true;
    }

    /// As [`Drive::write_blocked`].
    pub fn write_blocked(&mut self) {
        self.output.blocked = true;
    }

    /// As [`Drive::write_failed`].
    pub fn write_failed(&mut self, error: TransportError) {
        if self.link.transport() == TransportState::Open {
            // What the peer sent before, its Close perhaps, may still be read.
            self.link.write_failed();
        } else if self.output.has_unsent() {
            self.link.disconnected(true);
        } else {
            // Nothing is lost: the writing side could not be shut down.
            self.link.disconnected(false);
            self.output.shut_down = true;
            return;
        }
        self.output.fail(error);
    }
}

/// From this many bytes on, an unmasked payload goes out uncopied, in one vectored write behind what is queued.
const UNCOPIED: usize = 4 << 10;

/// When all that is known is that output was lost.
#[cfg(feature = "std")]
const BROKEN: TransportError = TransportError::Io(std::io::ErrorKind::BrokenPipe);
#[cfg(not(feature = "std"))]
const BROKEN: TransportError = TransportError::Failed;
