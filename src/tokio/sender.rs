//! Sending from any task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(feature = "server")]
use super::queue::Offered;
use super::queue::{Queue, Queued};
use super::writer::Writer;
use crate::{Close, Error, OwnedMessage, Prepared, SendError};

/// Sends from any task, through a queue: from [`WebSocket::sender`](super::WebSocket::sender). Clones share the queue.
///
/// What is queued leaves while the task of the connection waits in [`next`](super::WebSocket::next): there, one message
/// after the other is encoded as the socket takes it. Messages of one sender stay in order.
///
/// A task that does not come back to `next` takes nothing out of the queue: where it sends itself, it does so by the
/// connection's own verbs.
///
/// ```no_run
/// use bowsprit::tokio::WhenFull;
///
/// # async fn example() -> Result<(), bowsprit::Error> {
/// let mut ws = bowsprit::tokio::connect("ws://127.0.0.1:9001/").await?;
/// let sender = ws.sender(64 << 10, WhenFull::Wait);
/// tokio::spawn(async move {
///     for count in 0.. {
///         sender.send(format!("{count}")).await?;
///     }
///     Ok::<_, bowsprit::SendError>(())
/// });
/// while let Some((message, _)) = ws.next().await? {
///     println!("{message:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sender(Arc<Queue>);

impl Sender {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self(queue)
    }

    /// Encodes all that is queued, for the connection of `writer`, and writes as far as there is no room for it.
    pub(crate) fn poll_drain<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        writer: &mut Writer<S>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.0.poll_drain(writer, context)
    }

    /// Queues a message. Under [`WhenFull::Wait`](super::WhenFull::Wait) it waits for room, in the order of the calls'
    /// first polls; dropped while there is none, the message is not sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Closing`] once the connection closes or has ended; [`SendError::Full`] under
    /// [`WhenFull::DropNewest`](super::WhenFull::DropNewest).
    pub fn send(&self, message: impl Into<OwnedMessage>) -> Queuing<'_> {
        Queuing(Step::Push(&self.0, Some(Queued::Message(message.into()))))
    }

    /// Queues a message that was encoded before.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_prepared(&self, prepared: &Prepared) -> Queuing<'_> {
        Queuing(Step::Push(&self.0, Some(Queued::Prepared(prepared.clone()))))
    }

    /// Queues a message at once, or not at all.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] while there is no room, except under [`WhenFull::DropOldest`](super::WhenFull::DropOldest);
    /// [`SendError::Closing`] once the connection closes or has ended.
    pub fn try_send(&self, message: impl Into<OwnedMessage>) -> Result<(), SendError> {
        self.0.push(Queued::Message(message.into()), false).map(drop)
    }

    /// Queues a message that was encoded before, at once or not at all.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_prepared(&self, prepared: &Prepared) -> Result<(), SendError> {
        self.0.push(Queued::Prepared(prepared.clone()), false).map(drop)
    }

    /// Closes the connection, behind all that is queued. Nothing is taken any more.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidCloseCode`] and [`SendError::ReasonTooLong`] for what may not be sent,
    /// [`SendError::Closing`] when the connection closes already.
    pub fn close(&self, close: Option<Close<'_>>) -> Result<(), SendError> {
        self.0.close(close)
    }

    /// Whether the connection closes or has ended, as far as its task has noticed: nothing is taken any more.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    /// The bytes in the queue; 64 more for each message.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.0.bytes()
    }

    /// How many messages were not sent because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// Whether the connection was closed with 1008 because its queue was full ([`WhenFull::Disconnect`], or too far behind
    /// the messages of a topic).
    ///
    /// [`WhenFull::Disconnect`]: super::WhenFull::Disconnect
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.0.is_disconnected()
    }

    /// Waits until the connection closes or has ended, as far as its task has noticed. May be dropped at any await.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// The connection has ended: nothing is accepted any more.
    pub(crate) fn end(&self) {
        self.0.end();
    }

    /// Queues a message of a topic, as [`Queue::offer`].
    #[cfg(feature = "server")]
    pub(crate) fn offer(&self, prepared: &Prepared) -> Result<Offered, SendError> {
        self.0.offer(prepared)
    }
}

/// Waits until a message is queued: from [`Sender::send`].
///
/// Dropped while there is no room, the message is not sent.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Queuing<'a>(Step<'a>);

#[derive(Debug)]
enum Step<'a> {
    Push(&'a Arc<Queue>, Option<Queued>),
    Wait(Ticket),
}

impl Future for Queuing<'_> {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Step::Push(queue, message) = &mut self.0 {
            // Pushed once; whoever polls a future that is done is told that nothing was sent.
            let Some(message) = message.take() else { return Poll::Ready(Err(SendError::Closing)) };
            let pushed = queue.push(message, true)?;
            if pushed.accepted {
                return Poll::Ready(Ok(()));
            }
            self.0 = Step::Wait(Ticket { queue: Arc::clone(queue), number: pushed.number });
        }
        match &mut self.0 {
            Step::Wait(ticket) => Pin::new(ticket).poll(context),
            Step::Push(..) => Poll::Pending,
        }
    }
}

/// A message above the bound, whose sender waits. Dropped, it is withdrawn.
#[derive(Debug)]
struct Ticket {
    queue: Arc<Queue>,
    number: u64,
}

impl Future for Ticket {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let accepted = ready!(self.queue.poll_accepted(self.number, context));
        Poll::Ready(accepted)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queue.withdraw(self.number);
    }
}
