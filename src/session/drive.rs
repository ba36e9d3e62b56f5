//! The loop that runs a handler.

use std::any::Any;
use std::boxed::Box;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::event::{BoxError, Closed, Failure};
use super::handler::Handler;
use crate::Close;
use crate::OwnedMessage;
use crate::driver::Goal;
use crate::tokio::{Sender, Stream, WebSocket, WhenFull, Writer};
#[cfg(feature = "hyper")]
use crate::upgrade::hyper::Socket;

/// Runs a handler over a connection until its end, and returns how it ended: over a connection of any integration, in a task
/// of the caller's. `peer` is passed to each callback.
///
/// ```
/// use bowsprit::session::{self, BoxError, Event};
/// use bowsprit::tokio::WebSocket;
/// use tokio::io::{AsyncRead, AsyncWrite};
///
/// /// Echoes over any connection.
/// async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(mut ws: WebSocket<S>) {
///     let mut echo = |_: &(), event: Event<'_>| {
///         Ok::<_, BoxError>(if let Event::Message(message) = event { Some(message.to_owned()) } else { None })
///     };
///     let closed = session::drive(&mut ws, &(), &mut echo).await;
///     println!("closed with {}", closed.code());
/// }
/// ```
///
/// Messages that other tasks send leave from the queue of [`WebSocket::sender`]; unless the connection has one, it gets one
/// of 1 MiB whose senders wait.
///
/// A callback that is still running 10 s after its connection began to close, failed, or was left by its peer is dropped:
/// [`Failure::HandlerTimeout`]. To learn of that moment, a callback waits for
/// [`Sender::closed`](crate::tokio::Sender::closed). Whether the peer has left is looked at once a second, over a TCP
/// connection of tokio, this crate's streams and TLS; over other streams, only when a write fails.
pub async fn drive<S, P, H>(ws: &mut WebSocket<S>, peer: &P, handler: &mut H) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    P: Sync,
    H: Handler<P>,
{
    let sender = ws.sender(QUEUE, WhenFull::Wait);
    run(ws, &sender, peer, handler).await.closed
}

/// How a connection with a handler ended.
pub(crate) struct Ended {
    pub(crate) closed: Closed,
    /// A callback failed, which closed it.
    pub(crate) handler_failed: bool,
    /// A message was received.
    pub(crate) received: bool,
}

/// [`drive`], where the connection's sender is known.
#[expect(clippy::manual_async_fn, reason = "an `async fn` holds its arguments twice")]
pub(crate) fn run<'a, S, P, H>(
    ws: &'a mut WebSocket<S>,
    sender: &'a Sender,
    peer: &'a P,
    handler: &'a mut H,
) -> impl Future<Output = Ended> + use<'a, S, P, H>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    P: Sync,
    H: Handler<P>,
{
    async move {
        // A task is as large as the largest future that it awaits, and most of its time it waits for its peer: the futures that
        // are awaited here are written by hand, and those of the end are boxed.
        let mut result = 'opened: {
            let callback = match call(|| handler.on_open(peer)) {
                Ok(callback) => callback,
                Err(failure) => break 'opened Err(failure),
            };
            Call::new(pin!(callback), ws.writer(), sender).await
        };
        let mut received = false;
        while result.is_ok() {
            result = match ws.next().await {
                Ok(None) => break,
                // Messages that arrive after our Close are discarded.
                Ok(Some(_)) if sender.is_closing() => Ok(()),
                Ok(Some((message, out))) => 'called: {
                    received = true;
                    let callback = match call(|| handler.on_message(peer, message)) {
                        Ok(callback) => callback,
                        Err(failure) => break 'called Err(failure),
                    };
                    Call::new(pin!(callback), out, sender).await
                }
                Err(error) => Err(Box::new(error.into())),
            };
        }
        let mut ended = Box::pin(finish(ws, sender, peer, handler, result.err())).await;
        ended.received = received;
        ended
    }
}

async fn finish<S, P, H>(
    ws: &mut WebSocket<S>,
    sender: &Sender,
    peer: &P,
    handler: &mut H,
    failure: Option<Box<Failure>>,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Sync,
    H: Handler<P>,
{
    let mut handler_failed = false;
    if let Some(failure) = failure {
        handler_failed = !matches!(*failure, Failure::Connection(_));
        if matches!(*failure, Failure::HandlerTimeout) {
            // The queue is closed already. Where the connection is, too, this fails.
            let _ = ws.start_close(Some(failure.close())).await;
        }
        start_close(ws, sender, Some(failure.close())).await;
        last_call(async { handler.on_error(peer, &failure).await }).await;
    }
    let closed = Closed::of(ws).await;
    sender.end();
    last_call(async { handler.on_close(peer, &closed).await }).await;
    Ended { closed, handler_failed, received: false }
}

/// Runs a callback at the end of a connection, for a bounded time. Neither a panic nor the bound changes the end.
async fn last_call(callback: impl Future<Output = ()>) {
    let callback = async {
        callback.await;
        Ok(())
    };
    let _ = tokio::time::timeout(MAX_CALL_AFTER_END, catch_panic(pin!(callback))).await;
}

/// Begins to close after all that is queued, unless the connection closes already. Nothing can be queued after this.
pub(crate) async fn start_close<S>(ws: &mut WebSocket<S>, sender: &Sender, close: Option<Close<'_>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if ws.writer().send.is_message_in_progress() {
        // Nothing that is queued can follow a message that was left in the middle. If this fails, the connection ends, and
        // its end says how.
        let _ = ws.start_close(close).await;
    }
    // Closing already, otherwise.
    let _ = sender.close(close);
}

/// A callback's future, unless the call itself panics.
fn call<F>(callback: impl FnOnce() -> F) -> Result<F, Box<Failure>> {
    catch_unwind(AssertUnwindSafe(callback)).map_err(|payload| Box::new(Failure::panic(&*payload)))
}

/// Awaits a callback. A panic is a failure.
pub(crate) async fn catch_panic<T>(
    mut callback: Pin<&mut impl Future<Output = Result<T, BoxError>>>,
) -> Result<T, Failure> {
    poll_fn(|context| poll_catch_panic(callback.as_mut(), context)).await
}

fn poll_catch_panic<T>(
    callback: Pin<&mut impl Future<Output = Result<T, BoxError>>>,
    context: &mut Context<'_>,
) -> Poll<Result<T, Failure>> {
    // It is not polled again after a panic.
    match catch_unwind(AssertUnwindSafe(|| callback.poll(context))) {
        Ok(polled) => polled.map_err(Failure::Handler),
        Err(payload) => Poll::Ready(Err(Failure::panic(&*payload))),
    }
}

/// Runs a callback, then sends its reply after the messages that the callback has queued. Meanwhile, queued messages are
/// sent: the callback may itself wait for capacity.
struct Call<'a, S, F> {
    callback: Pin<&'a mut F>,
    /// The message that the callback returned.
    reply: Option<OwnedMessage>,
    out: &'a mut Writer<S>,
    sender: &'a Sender,
    /// Once the callback waits.
    watch: Option<Box<Watch>>,
}

/// Looks whether a callback still has a connection.
struct Watch {
    next_look: Pin<Box<Sleep>>,
    /// When the end of the connection was noticed.
    ended: Option<Instant>,
}

impl<'a, S, F> Call<'a, S, F> {
    fn new(callback: Pin<&'a mut F>, out: &'a mut Writer<S>, sender: &'a Sender) -> Self {
        Self { callback, reply: None, out, sender, watch: None }
    }
}

impl<S, F> Call<'_, S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    /// Sends queued messages, and looks after the connection. Ready once the callback has had its time.
    fn poll_meanwhile(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self { out, sender, watch, .. } = self;
        let sent = match sender.poll_drain(out, context) {
            Poll::Ready(Ok(())) => out.poll_until(Goal::Flushed, context),
            other => other,
        };
        if matches!(sent, Poll::Ready(Err(_))) {
            // `next` returns the error. Until then, the callback is notified.
            sender.end();
        }
        let Watch { next_look, ended } = &mut **watch.get_or_insert_with(|| {
            Box::new(Watch { next_look: Box::pin(tokio::time::sleep(LOOK_INTERVAL)), ended: None })
        });
        loop {
            ready!(next_look.as_mut().poll(context));
            next_look.as_mut().reset(Instant::now() + LOOK_INTERVAL);
            if has_left(&out.io.socket) {
                sender.end();
            }
            if sender.is_closing() && ended.get_or_insert_with(Instant::now).elapsed() >= MAX_CALL_AFTER_END {
                return Poll::Ready(());
            }
        }
    }
}

impl<S, F> Future for Call<'_, S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Future<Output = Result<Option<OwnedMessage>, BoxError>>,
{
    type Output = Result<(), Box<Failure>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.reply.is_none() {
            match poll_catch_panic(this.callback.as_mut(), context) {
                Poll::Ready(Ok(Some(returned))) => this.reply = Some(returned),
                Poll::Ready(done) => return Poll::Ready(done.map(drop).map_err(Box::new)),
                Poll::Pending => {
                    return this.poll_meanwhile(context).map(|()| Err(Box::new(Failure::HandlerTimeout)));
                }
            }
        }
        let Self { reply, out, sender, .. } = this;
        // If it cannot be sent, the connection has ended or is about to, which `next` reports.
        if let Some(reply) = reply
            && ready!(sender.poll_drain(out, context)).is_ok()
        {
            let _ = ready!(out.poll_feed(context, (&*reply).into()));
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the peer has ended its side of a TCP connection, as the system reports it without a read.
fn has_left(stream: &dyn Any) -> bool {
    let tcp = stream.downcast_ref::<TcpStream>();
    let tcp = tcp.or_else(|| stream.downcast_ref::<Stream>().and_then(Stream::tcp));
    #[cfg(feature = "hyper")]
    let tcp = tcp.or_else(|| stream.downcast_ref::<Socket>().and_then(Socket::tcp));
    let Some(tcp) = tcp else { return false };
    let ready = pin!(tcp.ready(Interest::READABLE)).poll(&mut Context::from_waker(Waker::noop()));
    matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
}

/// The queue of a connection that has none yet, in bytes.
const QUEUE: usize = 1 << 20;

/// How often a callback that waits has its connection looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a callback may run once its connection closes or has ended.
const MAX_CALL_AFTER_END: Duration = Duration::from_secs(10);
