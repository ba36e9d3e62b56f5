//! The loop that tells a handler.

use std::boxed::Box;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::event::{Closed, Failure};
use super::handler::{BoxError, Handler};
use crate::driver::Goal;
use crate::tokio::{Sender, WebSocket, Writer};
use crate::{Close, OwnedMessage};

/// Tells `handler` of all that happens to a connection, from its opening to its end. `sender` is the connection's.
pub(crate) async fn drive<S, P, H>(ws: &mut WebSocket<S>, sender: &Sender, peer: &P, handler: &mut H) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Sync,
    H: Handler<P>,
{
    // A task is as large as what it awaits, and most of its time it hears: what is awaited here is written by hand, and
    // what comes at the end is in a box.
    let mut failed = 'opened: {
        let callback = match call(|| handler.on_open(peer)) {
            Ok(callback) => callback,
            Err(failure) => break 'opened Err(failure),
        };
        Telling { callback: pin!(callback), reply: None, out: ws.writer(), sender }.await
    };
    while failed.is_ok() {
        failed = match ws.next().await {
            Ok(None) => break,
            // Once we close, what still comes is for nobody.
            Ok(Some(_)) if sender.is_closing() => Ok(()),
            Ok(Some((message, out))) => 'told: {
                let callback = match call(|| handler.on_message(peer, message)) {
                    Ok(callback) => callback,
                    Err(failure) => break 'told Err(failure),
                };
                Telling { callback: pin!(callback), reply: None, out, sender }.await
            }
            Err(error) => Err(Box::new(error.into())),
        };
    }
    Box::pin(finish(ws, sender, peer, handler, failed.err())).await
}

async fn finish<S, P, H>(
    ws: &mut WebSocket<S>,
    sender: &Sender,
    peer: &P,
    handler: &mut H,
    failure: Option<Box<Failure>>,
) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Sync,
    H: Handler<P>,
{
    if let Some(failure) = failure {
        start_close(ws, sender, Some(failure.close())).await;
        // What a callback says of the end changes nothing about it.
        let _ = guarded(pin!(told(async { handler.on_error(peer, &failure).await }))).await;
    }
    let closed = Closed::of(ws).await;
    let _ = guarded(pin!(told(async { handler.on_close(peer, &closed).await }))).await;
    closed
}

/// Begins to close, behind all that is queued, unless the connection closes already. From here on nothing is queued.
pub(crate) async fn start_close<S>(ws: &mut WebSocket<S>, sender: &Sender, close: Option<Close<'_>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if ws.writer().send.is_message_in_progress() {
        // Nothing that is queued can follow one that was left in the middle. Where this fails the connection ends, and
        // whoever waits for that finds out how.
        let _ = ws.start_close(close).await;
    }
    // Closing already, otherwise.
    let _ = sender.close(close);
}

/// A callback's future, unless the call itself panics.
fn call<F>(callback: impl FnOnce() -> F) -> Result<F, Box<Failure>> {
    catch_unwind(AssertUnwindSafe(callback)).map_err(|payload| Box::new(Failure::panic(&*payload)))
}

async fn told(callback: impl Future<Output = ()>) -> Result<(), BoxError> {
    callback.await;
    Ok(())
}

/// What comes of a callback, be it a panic.
pub(crate) async fn guarded<T>(
    mut callback: Pin<&mut impl Future<Output = Result<T, BoxError>>>,
) -> Result<T, Failure> {
    poll_fn(|context| poll_guarded(callback.as_mut(), context)).await
}

fn poll_guarded<T>(
    callback: Pin<&mut impl Future<Output = Result<T, BoxError>>>,
    context: &mut Context<'_>,
) -> Poll<Result<T, Failure>> {
    // It is polled no more after a panic.
    match catch_unwind(AssertUnwindSafe(|| callback.poll(context))) {
        Ok(polled) => polled.map_err(Failure::Handler),
        Err(payload) => Poll::Ready(Err(Failure::panic(&*payload))),
    }
}

/// Runs a callback, then sends its reply, behind what the callback has queued. Meanwhile, what is queued for the
/// connection is sent: the callback may itself wait for room there.
struct Telling<'a, S, F> {
    callback: Pin<&'a mut F>,
    /// What the callback returned.
    reply: Option<OwnedMessage>,
    out: &'a mut Writer<S>,
    sender: &'a Sender,
}

impl<S, F> Future for Telling<'_, S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<Option<OwnedMessage>, BoxError>>,
{
    type Output = Result<(), Box<Failure>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { callback, reply, out, sender } = &mut *self;
        if reply.is_none() {
            match poll_guarded(callback.as_mut(), context) {
                Poll::Ready(Ok(Some(returned))) => *reply = Some(returned),
                Poll::Ready(done) => return Poll::Ready(done.map(drop).map_err(Box::new)),
                Poll::Pending => {
                    // An error is met again by `next`.
                    let _ =
                        sender.poll_drain(out, context).is_ready() && out.poll_until(Goal::Flushed, context).is_ready();
                    return Poll::Pending;
                }
            }
        }
        // Where it cannot be sent, the connection has ended or is about to, which `next` tells.
        if let Some(reply) = reply
            && ready!(sender.poll_drain(out, context)).is_ok()
        {
            let _ = ready!(out.poll_feed(context, (&*reply).into()));
        }
        Poll::Ready(Ok(()))
    }
}
