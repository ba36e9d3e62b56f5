//! The loop that tells a handler.

use std::boxed::Box;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::event::{Closed, Event, Failure};
use super::handler::{BoxError, Handler};
use crate::aio::{Sender, WebSocket, Writer};
use crate::close::Close;
use crate::message::OwnedMessage;

/// Tells `handler` of all that happens to a connection, from its opening to its end. `sender` is the connection's.
pub(crate) async fn drive<S, P, H>(ws: &mut WebSocket<S>, sender: &Sender, peer: &P, handler: &mut H) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Sync,
    H: Handler<P>,
{
    let heard = hear(ws, sender, peer, handler).await;
    // In a box: the task is as large as what it awaits, and most of its time it hears.
    Box::pin(finish(ws, sender, peer, handler, heard.err())).await
}

async fn hear<S, P, H>(ws: &mut WebSocket<S>, sender: &Sender, peer: &P, handler: &mut H) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Sync,
    H: Handler<P>,
{
    let reply = {
        let callback = pin!(handler.on_event(peer, Event::Open));
        Beside { callback, out: ws.writer(), sender }.await?
    };
    answer(reply, ws.writer(), sender).await;
    while let Some((message, out)) = ws.next().await? {
        // Once we close, what still comes is for nobody.
        if sender.is_closing() {
            continue;
        }
        let reply = {
            let callback = pin!(handler.on_event(peer, Event::Message(message)));
            Beside { callback, out: &mut *out, sender }.await?
        };
        answer(reply, out, sender).await;
    }
    Ok(())
}

/// Sends a reply, behind what the callback has queued. Where it cannot be sent, the connection has ended or is about to,
/// which `next` tells.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(reply: Option<OwnedMessage>, out: &mut Writer<S>, sender: &Sender) {
    let Some(reply) = reply else { return };
    if poll_fn(|context| sender.poll_drain(out, context)).await.is_ok() {
        let _ = out.feed(&reply).await;
    }
}

async fn finish<S, P, H>(
    ws: &mut WebSocket<S>,
    sender: &Sender,
    peer: &P,
    handler: &mut H,
    failure: Option<Failure>,
) -> Closed
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Sync,
    H: Handler<P>,
{
    if let Some(failure) = failure {
        start_close(ws, sender, Some(failure.close())).await;
        // What a callback says of the end changes nothing about it.
        let _ = guarded(pin!(handler.on_event(peer, Event::Error(&failure)))).await;
    }
    let closed = Closed { end: ws.finish().await, reason: ws.close_reason().into() };
    let _ = guarded(pin!(handler.on_event(peer, Event::Close(&closed)))).await;
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

/// Runs a callback, and sends meanwhile what is queued for its connection: it may wait for room itself.
struct Beside<'a, S, F> {
    callback: Pin<&'a mut F>,
    out: &'a mut Writer<S>,
    sender: &'a Sender,
}

impl<S, F> Future for Beside<'_, S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<Option<OwnedMessage>, BoxError>>,
{
    type Output = Result<Option<OwnedMessage>, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { callback, out, sender } = &mut *self;
        let polled = poll_guarded(callback.as_mut(), context);
        if polled.is_pending() {
            // An error is met again by `next`.
            let _ = sender.poll_drain(out, context).is_ready() && out.poll_flush(context).is_ready();
        }
        polled
    }
}
