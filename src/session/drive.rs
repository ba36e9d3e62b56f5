//! The loop that tells a handler.

use std::boxed::Box;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::event::{Closed, Failure};
use super::handler::{BoxError, Handler};
use crate::aio::{Sender, WebSocket, Writer};
use crate::close::Close;
use crate::message::{Message, OwnedMessage};

/// Tells `handler` of all that happens to a connection, from its opening to its end. `sender` is the connection's.
pub(crate) async fn drive<S, P, H>(ws: &mut WebSocket<S>, sender: &Sender, peer: &P, handler: &mut H) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Sync,
    H: Handler<P>,
{
    // A task is as large as what it awaits, and most of its time it hears: what is awaited here is written by hand, and
    // what comes at the end is in a box.
    let mut failed = {
        let callback = pin!(handler.on_open(peer));
        Beside { callback, out: ws.writer(), sender }.await
    };
    while failed.is_ok() {
        failed = match ws.next().await {
            Ok(None) => break,
            // Once we close, what still comes is for nobody.
            Ok(Some(_)) if sender.is_closing() => continue,
            Ok(Some((message, out))) => {
                let replied = {
                    let callback = pin!(handler.on_message(peer, message));
                    Beside { callback, out: &mut *out, sender }.await
                };
                match replied {
                    Ok(Some(reply)) => {
                        Answering { reply, out, sender }.await;
                        Ok(())
                    }
                    replied => replied.map(drop),
                }
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
        let _ = guarded(pin!(told(handler.on_error(peer, &failure)))).await;
    }
    let closed = Closed::of(ws).await;
    let _ = guarded(pin!(told(handler.on_close(peer, &closed)))).await;
    closed
}

/// Begins to close, behind all that is queued, unless the connection closes already. From here on nothing is queued.
pub(crate) async fn start_close<S>(ws: &mut WebSocket<S>, sender: &Sender, close: Option<Close<'_>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if ws.writer().is_message_in_progress() {
        // Nothing that is queued can follow one that was left in the middle. Where this fails the connection ends, and
        // whoever waits for that finds out how.
        let _ = ws.start_close(close).await;
    }
    // Closing already, otherwise.
    let _ = sender.close(close);
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

/// Runs a callback. Meanwhile, what is queued for its connection is sent: the callback may itself wait for room there.
struct Beside<'a, S, F> {
    callback: Pin<&'a mut F>,
    out: &'a mut Writer<S>,
    sender: &'a Sender,
}

impl<S, T, F> Future for Beside<'_, S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<T, BoxError>>,
{
    type Output = Result<T, Box<Failure>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { callback, out, sender } = &mut *self;
        let polled = poll_guarded(callback.as_mut(), context);
        if polled.is_pending() {
            // An error is met again by `next`.
            let _ = sender.poll_drain(out, context).is_ready() && out.poll_flush(context).is_ready();
        }
        polled.map_err(Box::new)
    }
}

/// Sends a reply, behind what the callback has queued. Where it cannot be sent, the connection has ended or is about to,
/// which `next` tells.
struct Answering<'a, S> {
    reply: OwnedMessage,
    out: &'a mut Writer<S>,
    sender: &'a Sender,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Answering<'_, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { reply, out, sender } = &mut *self;
        if ready!(sender.poll_drain(out, context)).is_ok() {
            let _ = ready!(out.poll_feed(context, Message::from(&*reply)));
        }
        Poll::Ready(())
    }
}
