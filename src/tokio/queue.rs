//! What other tasks want to send, until the task of the connection takes it.
//!
//! ```text
//!   front                                       back
//!   | accepted: the bytes ahead are below the bound | waiting: each with a sender that waits | Close |
//! ```

use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::vec::Vec;

use tokio::io::{AsyncRead, AsyncWrite};

use super::writer::Writer;
use crate::driver::Goal;
use crate::{Close, CloseCode, Error, Outgoing, OwnedMessage, Prepared, Role, SendError};

/// What becomes of a message for a peer that reads too slowly, once the queue of a [`Sender`](super::Sender) is full.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum WhenFull {
    /// [`send`](super::Sender::send) waits for room; [`try_send`](super::Sender::try_send) fails with
    /// [`SendError::Full`].
    #[default]
    Wait,
    /// The message is not sent: [`SendError::Full`].
    DropNewest,
    /// The oldest messages of the queue are not sent; this one is.
    DropOldest,
    /// What is queued is thrown away, and the connection closed with 1008.
    Disconnect,
}

/// One connection's queue.
#[derive(Debug)]
pub(super) struct Queue(Mutex<State>);

#[derive(Debug)]
struct State {
    /// In the order of their numbers.
    items: VecDeque<Item>,
    /// How many of them, at the front, are within the bound.
    accepted: usize,
    /// The bytes of those.
    bytes: usize,
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

/// What an item takes besides its payload, about: empty messages fill a queue, too.
const ITEM: usize = 64;

/// Encoded output up to which messages are taken out of a queue: where the peer reads slowly, they wait there.
const ROOM: usize = 64 << 10;

impl Queue {
    pub(super) fn new(role: Role, max: usize, when_full: WhenFull) -> Self {
        Self(Mutex::new(State {
            items: VecDeque::new(),
            accepted: 0,
            bytes: 0,
            next: 0,
            accepted_below: 0,
            max: max.max(1),
            when_full,
            role,
            phase: Phase::Open,
            dropped: 0,
            task: None,
            stuck: false,
        }))
    }

    /// Queues a message as the queue's policy says; with `may_wait`, it is queued beyond the bound where that is to wait.
    pub(super) fn push(&self, what: Queued, may_wait: bool) -> Result<Pushed, SendError> {
        let mut state = self.lock();
        let pushed = state.push(what, may_wait);
        let task = state.task();
        drop(state);
        wake(task);
        pushed
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
            drop(state.items.remove(at));
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
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().phase != Phase::Open
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
            let item = match self.pop(context.waker(), Self::has_room(writer)) {
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
    fn pop(&self, task: &Waker, has_room: bool) -> Result<Item, bool> {
        let mut state = self.lock();
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
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Ok(item)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
                    self.dropped += self.items.len() as u64 + 1;
                    self.clear();
                    self.close(Some(Close { code: CloseCode::POLICY_VIOLATION, reason: "you read too slowly" }));
                    return Err(SendError::Closing);
                }
            }
        }
        let number = self.next;
        self.next += 1;
        self.items.push_back(Item { number, what, waker: None });
        if accepted {
            self.accept_next();
        }
        Ok(Pushed { number, accepted })
    }

    fn close(&mut self, close: Option<Close<'_>>) {
        self.phase = Phase::Closing;
        let what = Queued::Close(close.map(|Close { code, reason }| (code, reason.into())));
        self.items.push_back(Item { number: self.next, what, waker: None });
        self.next += 1;
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
            self.items.push_front(item);
        }
    }

    fn clear(&mut self) -> VecDeque<Item> {
        (self.accepted, self.bytes) = (0, 0);
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
