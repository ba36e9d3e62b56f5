//! Access to the sending side: one's own, or shared with the other half under a lock.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use super::writer::Writer;

/// Who may reach the sending side from inside a poll.
pub(super) trait Access {
    type Socket;

    /// Work that may leave `Context`'s waker with the socket or the timer.
    fn with<R>(
        &mut self,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Writer<Self::Socket>, &mut Context<'_>) -> R,
    ) -> R;
}

impl<S> Access for Writer<S> {
    type Socket = S;

    #[inline]
    fn with<R>(&mut self, context: &mut Context<'_>, work: impl FnOnce(&mut Self, &mut Context<'_>) -> R) -> R {
        work(self, context)
    }
}

/// A half of a split connection. The lock is held only inside a poll, never over an await.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) writer: Arc<Mutex<Writer<S>>>,
    side: Side,
    wakers: Arc<Wakers>,
    /// Wakes both halves: a socket has one slot for a waker, and so has a timer.
    both: Waker,
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Reading,
    Writing,
}

impl<S> Shared<S> {
    /// For the reader, and for the writer.
    pub(super) fn pair(writer: Writer<S>) -> (Self, Self) {
        let writer = Arc::new(Mutex::new(writer));
        let wakers = Arc::new(Wakers::default());
        let half =
            |side| Self { writer: writer.clone(), side, wakers: wakers.clone(), both: Waker::from(wakers.clone()) };
        (half(Side::Reading), half(Side::Writing))
    }

    /// Work that waits for nothing.
    pub(super) fn look<R>(&self, work: impl FnOnce(&mut Writer<S>) -> R) -> R {
        // A panic of the other half leaves whole frames behind: nothing is half done between two polls.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state(&writer);
        let result = work(&mut writer);
        let changed = state(&writer) != before;
        drop(writer);
        if changed {
            // The other half may wait for what does not come any more, or know nothing of a deadline.
            self.wakers.wake_side(match self.side {
                Side::Reading => Side::Writing,
                Side::Writing => Side::Reading,
            });
        }
        result
    }
}

impl<S> Access for Shared<S> {
    type Socket = S;

    fn with<R>(&mut self, context: &mut Context<'_>, work: impl FnOnce(&mut Writer<S>, &mut Context<'_>) -> R) -> R {
        self.wakers.register(self.side, context.waker());
        self.look(|writer| work(writer, &mut Context::from_waker(&self.both)))
    }
}

/// What the other half has to look at again when it changes: whether the connection is ending, or has ended, and whether a
/// message in chunks keeps others from being sent.
fn state<S>(writer: &Writer<S>) -> (bool, bool, bool) {
    (writer.send.end().is_some(), writer.send.is_closed(), writer.send.is_message_in_progress())
}

/// The tasks that wait for the socket, one of each half.
#[derive(Debug, Default)]
struct Wakers([Mutex<Option<Waker>>; 2]);

impl Wakers {
    fn register(&self, side: Side, waker: &Waker) {
        let mut slot = self.0[side as usize].lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *slot {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }

    fn wake_side(&self, side: Side) {
        // Taken out, so that no lock is held while foreign code runs. It registers again with its next poll.
        let waker = self.0[side as usize].lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_side(Side::Reading);
        self.wake_side(Side::Writing);
    }
}
