//! Messages that other tasks send, until the task of the connection takes them.
//!
//! ```text
//!   front                                       back
//!   | accepted: the bytes ahead are below the bound | waiting: each with a sender that waits | Close |
//! ```
//!
//! Messages of a topic may be accepted above the bound, so that no publisher waits for a slow reader: see [`Queue::offer`].

use std::boxed::Box;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};
#[cfg(feature = "server")]
use std::time::Duration;
use std::vec::Vec;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

#[cfg(feature = "server")]
use super::clock;
use super::writer::Writer;
use crate::driver::Goal;
use crate::{Close, CloseCode, Error, Outgoing, OwnedMessage, Prepared, Role, SendError};

/// What happens to a message when the queue of a [`Sender`](super::Sender) is full because the peer reads too slowly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum WhenFull {
    /// [`send`](super::Sender::send) waits for capacity; [`try_send`](super::Sender::try_send) fails with
    /// [`SendError::Full`].
    #[default]
    Wait,
    /// The message is not sent: [`SendError::Full`].
    DropNewest,
    /// The oldest messages of the queue are not sent; this one is.
    DropOldest,
    /// The queue is discarded, and the connection closed with 1008.
    Disconnect,
}

/// One connection's queue.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Notified once the connection closes or has ended; made by the first task that waits for that.
    closed: OnceLock<Box<Notify>>,
}

#[derive(Debug)]
struct State {
    /// In the order of their numbers.
    items: VecDeque<Item>,
    /// How many of them, at the front, are within the bound.
    accepted: usize,
    /// The bytes of those.
    bytes: usize,
    /// The bytes of all items.
    total: usize,
    /// The number of the next item.
    next: u64,
    /// Every item below this number has been accepted.
    accepted_below: u64,
    max: usize,
    when_full: WhenFull,
    role: Role,
    phase: Phase,
    dropped: u64,
    /// The task of the connection, while it waits for something to do.
    task: Option<Waker>,
    /// It waits for room in its output.
    stuck: bool,
    /// Closed because the queue was full.
    disconnected: bool,
    /// How often the task has taken an item or written part of one.
    #[cfg(feature = "server")]
    progress: u32,
    /// The unsent bytes when the task last looked for an item.
    #[cfg(feature = "server")]
    unsent: u32,
    /// While publications find the queue full: the progress at the time of the first one since the last progress.
    #[cfg(feature = "server")]
    lag: Option<Box<(u32, Duration)>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    /// A Close is the last item.
    Closing,
    /// Nobody takes anything any more.
    Ended,
}

#[derive(Debug)]
struct Item {
    number: u64,
    what: Queued,
    /// The one who waits for it to be accepted.
    waker: Option<Waker>,
}

/// What can be queued.
#[derive(Debug)]
pub(super) enum Queued {
    Message(OwnedMessage),
    Prepared(Prepared),
    Close(Option<(CloseCode, Box<str>)>),
}

/// A message that was queued: its number, and whether it is within the bound already.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) number: u64,
    pub(super) accepted: bool,
}

/// What happened to a message of a topic.
#[cfg(feature = "server")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Offered {
    /// Queued.
    Queued,
    /// Queued above the bound: the peer reads slowly, or its task has not run yet.
    Behind,
}

/// The approximate size of an item besides its payload: empty messages fill a queue, too.
const ITEM: usize = 64;

/// How far above its bound a queue takes messages of a topic: so many times the bound, and at least so many bytes.
#[cfg(feature = "server")]
const MAX_LAG: (usize, usize) = (16, 64 << 10);

/// How long a peer may accept no bytes while its queue is above the bound.
#[cfg(feature = "server")]
const MAX_STALL: Duration = Duration::from_secs(10);

/// Encoded output up to which messages are taken out of a queue: where the peer reads slowly, they wait there.
const ROOM: usize = 64 << 10;

impl Queue {
    pub(super) fn new(role: Role, max: usize, when_full: WhenFull) -> Self {
        let state = Mutex::new(State {
            items: VecDeque::new(),
            accepted: 0,
            bytes: 0,
            total: 0,
            next: 0,
            accepted_below: 0,
            max: max.max(1),
            when_full,
            role,
            phase: Phase::Open,
            dropped: 0,
            task: None,
            stuck: false,
            disconnected: false,
            #[cfg(feature = "server")]
            progress: 0,
            #[cfg(feature = "server")]
            unsent: 0,
            #[cfg(feature = "server")]
            lag: None,
        });
        Self { state, closed: OnceLock::new() }
    }

    /// Queues a message as the queue's policy says; with `may_wait`, it is queued beyond the bound where that is to wait.
    pub(super) fn push(&self, what: Queued, may_wait: bool) -> Result<Pushed, SendError> {
        let mut state = self.lock();
        let pushed = state.push(what, may_wait);
        let (task, closing) = (state.task(), state.phase != Phase::Open);
        drop(state);
        wake(task);
        if closing {
            self.notify_closed();
        }
        pushed
    }

    /// Queues a message of a topic at once, and never has its publisher wait. Under [`WhenFull::Wait`] and
    /// [`WhenFull::Disconnect`], it is queued above the bound as long as the peer goes on reading and is not too far
    /// behind; else the connection is closed with 1008.
    #[cfg(feature = "server")]
    pub(super) fn offer(&self, prepared: &Prepared) -> Result<Offered, SendError> {
        let mut state = self.lock();
        let (offered, discarded) = state.offer(prepared);
        let (task, closing) = (state.task(), state.phase != Phase::Open);
        drop(state);
        wake(task);
        for item in discarded {
            wake(item.waker);
        }
        if closing {
            self.notify_closed();
        }
        offered
    }

    /// Queues a Close behind everything.
    pub(super) fn close(&self, close: Option<Close<'_>>) -> Result<(), SendError> {
        let mut state = self.lock();
        if let Some(close) = close {
            close.encode_as(state.role)?;
        }
        if state.phase != Phase::Open {
            return Err(SendError::Closing);
        }
        state.close(close);
        let task = state.task();
        drop(state);
        wake(task);
        self.notify_closed();
        Ok(())
    }

    /// Ready once the item is within the bound.
    pub(super) fn poll_accepted(&self, number: u64, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let mut state = self.lock();
        if number < state.accepted_below {
            return Poll::Ready(Ok(()));
        }
        let Some(at) = state.find(number) else { return Poll::Ready(Err(SendError::Closing)) };
        match &mut state.items[at].waker {
            Some(waker) => waker.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes an item back that is not within the bound yet.
    pub(super) fn withdraw(&self, number: u64) {
        let mut state = self.lock();
        if number >= state.accepted_below
            && let Some(at) = state.find(number)
        {
            let item = state.items.remove(at);
            state.total -= item.map_or(0, |item| item.what.len());
        }
    }

    /// The connection has ended.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.phase = Phase::Ended;
        let items = state.clear();
        drop(state);
        for item in items {
            wake(item.waker);
        }
        self.notify_closed();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    /// Whether the connection was closed because the queue was full.
    pub(super) fn is_disconnected(&self) -> bool {
        self.lock().disconnected
    }

    /// Waits until the connection closes or has ended.
    pub(super) async fn closed(&self) {
        loop {
            let mut closed = pin!(self.closed.get_or_init(Box::default).notified());
            // Registered before the look at the phase: no notification is missed.
            closed.as_mut().enable();
            if self.is_closing() {
                return;
            }
            closed.await;
        }
    }

    /// Bytes that wait, with what they take besides.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Moves items into the output while little waits there. Whether some are left; the task is woken for the next one
    /// otherwise.
    pub(super) fn drain<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        writer: &mut Writer<S>,
        context: &mut Context<'_>,
    ) -> bool {
        loop {
            let item = match self.pop(context.waker(), Self::has_room(writer), writer.send.unsent()) {
                Ok(item) => item,
                Err(left) => return left,
            };
            match writer.queue(context, item.what.as_outgoing()) {
                Ok(()) => {}
                // A message in chunks goes on: the next call to the connection looks again.
                Err(Error::Send(SendError::MessageInProgress)) => {
                    self.lock().put_back(item);
                    return false;
                }
                Err(_) => {
                    self.end();
                    return false;
                }
            }
        }
    }

    /// Whether items are taken out for this output.
    pub(super) fn has_room<S>(writer: &Writer<S>) -> bool {
        // Beyond the bound of the connection itself, they would be refused.
        writer.send.unsent() < ROOM && writer.send.has_room()
    }

    /// Moves all items into the output, and writes as far as there is no room for them.
    pub(super) fn poll_drain<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        writer: &mut Writer<S>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        while self.drain(writer, context) {
            // Whoever waits for room learns that there will be none.
            ready!(writer.poll_until(Goal::Flushed, context)).inspect_err(|_| self.end())?;
        }
        Poll::Ready(Ok(()))
    }

    /// The first item. Or, when there is none to take, whether one is left, for which there is no room; `task` is woken
    /// when there is one to take.
    ///
    /// A Close takes no room of others: a peer that reads nothing does not put off the deadline that begins with it.
    fn pop(
        &self,
        task: &Waker,
        has_room: bool,
        #[cfg_attr(not(feature = "server"), expect(unused_variables, reason = "only topics look at the progress"))]
        unsent: usize,
    ) -> Result<Item, bool> {
        let mut state = self.lock();
        #[cfg(feature = "server")]
        {
            let unsent = u32::try_from(unsent).unwrap_or(u32::MAX);
            if state.unsent != unsent {
                state.unsent = unsent;
                state.progress = state.progress.wrapping_add(1);
            }
        }
        let takes = state.items.front().is_some_and(|item| has_room || item.is_close());
        let first = if takes { state.items.pop_front() } else { None };
        let Some(item) = first else {
            state.stuck = !state.items.is_empty();
            if !state.task.as_ref().is_some_and(|known| known.will_wake(task)) {
                state.task = Some(task.clone());
            }
            return Err(state.stuck);
        };
        let wakers = state.popped(&item);
        #[cfg(feature = "server")]
        {
            state.progress = state.progress.wrapping_add(1);
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Ok(item)
    }

    /// Called after the phase has changed.
    fn notify_closed(&self) {
        if let Some(closed) = self.closed.get() {
            closed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The task, if there is something for it to take now.
    fn task(&mut self) -> Option<Waker> {
        let is_close = self.items.front().is_some_and(Item::is_close);
        if self.stuck && !is_close { None } else { self.task.take() }
    }

    fn push(&mut self, what: Queued, may_wait: bool) -> Result<Pushed, SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closing);
        }
        let mut accepted = self.bytes < self.max && self.accepted == self.items.len();
        if !accepted {
            match self.when_full {
                WhenFull::Wait if may_wait => {}
                WhenFull::Wait => return Err(SendError::Full),
                WhenFull::DropNewest => {
                    self.dropped += 1;
                    return Err(SendError::Full);
                }
                WhenFull::DropOldest => {
                    while self.bytes >= self.max
                        && let Some(oldest) = self.items.pop_front()
                    {
                        self.popped(&oldest);
                        self.dropped += 1;
                    }
                    accepted = true;
                }
                WhenFull::Disconnect => {
                    // Nobody waits under this policy, so that there is nobody to wake.
                    drop(self.disconnect());
                    return Err(SendError::Closing);
                }
            }
        }
        let number = self.append(what);
        if accepted {
            self.accept_next();
        }
        Ok(Pushed { number, accepted })
    }

    /// The items that are discarded have senders that wait.
    #[cfg(feature = "server")]
    fn offer(&mut self, prepared: &Prepared) -> (Result<Offered, SendError>, VecDeque<Item>) {
        let what = Queued::Prepared(prepared.clone());
        let is_full = self.bytes >= self.max || self.accepted < self.items.len();
        if self.phase != Phase::Open
            || !is_full
            || matches!(self.when_full, WhenFull::DropNewest | WhenFull::DropOldest)
        {
            self.lag = None;
            return (self.push(what, false).map(|_| Offered::Queued), VecDeque::new());
        }
        let now = clock::now();
        let since = match self.lag.as_deref() {
            Some((progress, since)) if *progress == self.progress => *since,
            _ => now,
        };
        **self.lag.get_or_insert_default() = (self.progress, since);
        let (factor, least) = MAX_LAG;
        if self.total >= self.max.saturating_mul(factor).max(least) || now.saturating_sub(since) > MAX_STALL {
            return (Err(SendError::Closing), self.disconnect());
        }
        self.append(what);
        if self.accepted + 1 == self.items.len() {
            self.accept_next();
        }
        (Ok(Offered::Behind), VecDeque::new())
    }

    fn append(&mut self, what: Queued) -> u64 {
        let number = self.next;
        self.next += 1;
        self.total += what.len();
        self.items.push_back(Item { number, what, waker: None });
        number
    }

    /// The peer reads too slowly: discards the queue, and one message more.
    fn disconnect(&mut self) -> VecDeque<Item> {
        self.dropped += self.items.len() as u64 + 1;
        self.disconnected = true;
        let discarded = self.clear();
        self.close(Some(Close { code: CloseCode::POLICY_VIOLATION, reason: "you read too slowly" }));
        discarded
    }

    fn close(&mut self, close: Option<Close<'_>>) {
        self.phase = Phase::Closing;
        self.append(Queued::Close(close.map(|Close { code, reason }| (code, reason.into()))));
    }

    /// The item behind those that are within the bound is, too.
    fn accept_next(&mut self) -> Option<Waker> {
        let item = self.items.get_mut(self.accepted)?;
        self.accepted += 1;
        self.bytes += item.what.len();
        self.accepted_below = item.number + 1;
        item.waker.take()
    }

    /// `item` was the first: those who have room now.
    fn popped(&mut self, item: &Item) -> Vec<Waker> {
        self.total -= item.what.len();
        // A Close may be the only item, and beyond the bound.
        if self.accepted > 0 {
            self.accepted -= 1;
            self.bytes -= item.what.len();
        }
        let mut wakers = Vec::new();
        while self.bytes < self.max && self.accepted < self.items.len() {
            wakers.extend(self.accept_next());
        }
        if self.items.is_empty() {
            // An idle connection holds no room for messages.
            self.items = VecDeque::new();
        }
        wakers
    }

    fn put_back(&mut self, item: Item) {
        if self.phase != Phase::Ended {
            self.accepted += 1;
            self.bytes += item.what.len();
            self.total += item.what.len();
            self.items.push_front(item);
        }
    }

    fn clear(&mut self) -> VecDeque<Item> {
        (self.accepted, self.bytes, self.total) = (0, 0, 0);
        std::mem::take(&mut self.items)
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.items.binary_search_by_key(&number, |item| item.number).ok()
    }
}

impl Item {
    fn is_close(&self) -> bool {
        matches!(self.what, Queued::Close(_))
    }
}

impl Queued {
    fn len(&self) -> usize {
        ITEM + match self {
            Self::Message(message) => message.as_message().as_bytes().len(),
            Self::Prepared(prepared) => prepared.payload().len(),
            Self::Close(_) => 0,
        }
    }

    fn as_outgoing(&self) -> Outgoing<'_> {
        match self {
            Self::Message(message) => message.into(),
            Self::Prepared(prepared) => prepared.into(),
            Self::Close(close) => Outgoing::close(close.as_ref().map(|(code, reason)| Close { code: *code, reason })),
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;

    fn taken(queue: &Queue) -> usize {
        let mut taken = 0;
        while queue.pop(Waker::noop(), true, 0).is_ok() {
            taken += 1;
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_judged_by_time_without_progress_and_by_a_multiple_of_its_bound() {
        for when_full in [WhenFull::Wait, WhenFull::Disconnect] {
            let message = Prepared::binary(&[0x2a; 10_000 - ITEM]);
            // 100,000 bytes and sixteen times as many, whatever comes at once.
            let queue = Queue::new(Role::Server, 100_000, when_full);
            for _ in 0..10 {
                assert_eq!(queue.offer(&message), Ok(Offered::Queued));
            }
            for _ in 10..160 {
                assert_eq!(queue.offer(&message), Ok(Offered::Behind));
            }
            assert_eq!(queue.offer(&message), Err(SendError::Closing));
            assert!(queue.is_closing() && queue.is_disconnected());
            assert_eq!((queue.dropped(), taken(&queue)), (161, 1), "the Close is left");

            // A peer that goes on reading stays, for as long as it takes; one that does not is closed after ten seconds.
            let queue = Queue::new(Role::Server, 100_000, when_full);
            for _ in 0..20 {
                queue.offer(&message).unwrap();
            }
            for unsent in 1..100 {
                tokio::time::advance(MAX_STALL).await;
                // Part of a message, or a whole one.
                assert!(queue.pop(Waker::noop(), unsent % 2 == 0, unsent).is_ok() == (unsent % 2 == 0));
                assert_eq!(queue.offer(&message), Ok(Offered::Behind));
            }
            tokio::time::advance(MAX_STALL).await;
            assert_eq!(queue.offer(&message), Ok(Offered::Behind));
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(queue.offer(&message), Err(SendError::Closing));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_with_capacity_again_is_not_judged_by_its_past() {
        let queue = Queue::new(Role::Server, 1, WhenFull::Wait);
        let message = Prepared::text("one");
        for _ in 0..100 {
            assert_eq!(queue.offer(&message), Ok(Offered::Queued));
            assert_eq!(queue.offer(&message), Ok(Offered::Behind));
            tokio::time::advance(2 * MAX_STALL).await;
            assert_eq!(taken(&queue), 2);
        }
    }

    #[test]
    fn the_other_policies_drop_messages_of_a_topic() {
        let message = Prepared::text("one");
        let queue = Queue::new(Role::Server, 1, WhenFull::DropNewest);
        assert_eq!((queue.offer(&message), queue.offer(&message)), (Ok(Offered::Queued), Err(SendError::Full)));
        let queue = Queue::new(Role::Server, 1, WhenFull::DropOldest);
        assert_eq!((queue.offer(&message), queue.offer(&message)), (Ok(Offered::Queued), Ok(Offered::Queued)));
        assert_eq!((queue.dropped(), taken(&queue)), (1, 1));
    }

    #[tokio::test]
    async fn the_end_is_noticed_by_those_who_wait_for_it() {
        for end in [Queue::end, |queue: &Queue| queue.close(None).unwrap()] {
            let queue = Queue::new(Role::Server, 1, WhenFull::Wait);
            let mut closed = pin!(queue.closed());
            let mut context = Context::from_waker(Waker::noop());
            assert!(closed.as_mut().poll(&mut context).is_pending());
            end(&queue);
            closed.await;
            queue.closed().await;
        }
    }
}
