//! A client that connects again.

use std::boxed::Box;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::connect::{Attempt, Connect};
use super::disconnect::DisconnectReason;
use super::handle::{Driver, Handle, State};

use crate::Close;
use crate::Initiator;
use crate::Message;
use crate::Outgoing;
use crate::adapter::random;
use crate::handshake::ClientResponse;
use crate::handshake::Uri;
use crate::retry::{Backoff, Retry};
use crate::session::{self, BoxError, Closed, Handler};
use crate::tokio::clock;
use crate::tokio::{Connector, Sender, Stream, WebSocket, WhenFull, Writer};
use crate::{Error, SendError};

/// A client that connects again after a loss, until the application closes it, the server refuses it permanently, or the
/// attempts are used up.
///
/// ```no_run
/// use bowsprit::tokio::Connector;
/// use bowsprit::client::{ClientEvent, Reconnecting};
/// use bowsprit::handshake::ClientRequest;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = Connector::new(ClientRequest::try_from("ws://127.0.0.1:9001/feed")?);
/// let mut client = Reconnecting::new(connector);
/// let handle = client.handle(); // for other tasks, to send and to close
/// while let Some(event) = client.next().await? {
///     match event {
///         ClientEvent::Connected { mut out, .. } => out.send("subscribe").await?, // each time
///         ClientEvent::Message(message, _) => println!("{message:?}"),
///         ClientEvent::Disconnected { reason, delay, .. } => println!("{reason}; again in {delay:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// A connection that fails while `out` sends is no error there: the next event is [`ClientEvent::Disconnected`]. To exchange
/// messages before the first event, implement [`Connect::resume`].
///
/// Progress is made in [`next`](Self::next) only. Dropping the client drops its stream, without a Close.
///
/// A [`Connector`] and a function that makes connectors get keep-alive pings every 20 s, so that a network that vanishes is
/// noticed within [`Config::pong_timeout`](crate::Config::pong_timeout) (20 s) after the next ping;
/// [`keep_alive`](Self::keep_alive) changes that.
pub struct Reconnecting<P: Connect = Connector> {
    queue: (usize, WhenFull),
    ping_interval: Option<Duration>,
    uri: Option<Uri>,
    driver: Driver,
    retry: Retry,
    /// Why the connection before ended, or the attempt failed.
    previous: Option<Arc<DisconnectReason>>,
    phase: Phase<P>,
}

/// What happens to a client: from [`Reconnecting::next`].
#[derive(Debug)]
pub enum ClientEvent<'a, S = Stream> {
    /// A connection is open, and has been [resumed](Connect::resume).
    #[non_exhaustive]
    Connected {
        /// The server's response.
        response: &'a ClientResponse,
        /// The sending side.
        out: ClientWriter<'a, S>,
        /// Why the connection before it ended, or the attempt before it failed; `None` at first.
        previous: Option<&'a DisconnectReason>,
        /// The number of the attempt that opened it: 0 for the first of all, else its number in a row.
        retry: u32,
    },
    /// A message, and the sending side to answer it.
    Message(Message<'a>, ClientWriter<'a, S>),
    /// There is no connection, and another attempt follows.
    #[non_exhaustive]
    Disconnected {
        /// Why.
        reason: &'a DisconnectReason,
        /// The number of the attempt that comes next: 1 is the first in a row.
        retry: u32,
        /// The delay before that attempt.
        delay: Duration,
    },
}

/// The sending side of a [`Reconnecting`] client's connection. A connection that fails or closes is no error of its verbs:
/// the message may not arrive, and [`Reconnecting::next`] reports [`ClientEvent::Disconnected`]. Errors are misuse only.
#[derive(Debug)]
pub struct ClientWriter<'a, S = Stream>(&'a mut Writer<S>);

impl<'a, S: AsyncRead + AsyncWrite + Unpin> ClientWriter<'a, S> {
    /// Sends a message, as [`Writer::send`].
    ///
    /// # Errors
    ///
    /// A [`SendError`] of misuse, such as [`SendError::MessageInProgress`].
    pub async fn send<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        misuse(self.0.send(outgoing).await)
    }

    /// Queues a message, as [`Writer::feed`].
    ///
    /// # Errors
    ///
    /// A [`SendError`] of misuse, such as [`SendError::MessageInProgress`].
    pub async fn feed<'m>(&mut self, outgoing: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        misuse(self.0.feed(outgoing).await)
    }

    /// Writes all that is queued.
    pub async fn flush(&mut self) {
        // `next` reports an error.
        let _ = self.0.flush().await;
    }

    /// Begins to close the connection, as [`Writer::start_close`], which ends the client.
    ///
    /// # Errors
    ///
    /// [`SendError::InvalidCloseCode`] and [`SendError::ReasonTooLong`] for a Close that may not be sent.
    pub async fn start_close(&mut self, close: Option<Close<'_>>) -> Result<(), SendError> {
        misuse(self.0.start_close(close).await)
    }

    /// The writer of the connection, whose verbs return every error.
    #[must_use]
    pub fn into_inner(self) -> &'a mut Writer<S> {
        self.0
    }
}

/// Leaves only errors of the caller: the others are reported by `next`.
fn misuse(result: Result<(), Error>) -> Result<(), SendError> {
    match result {
        Err(Error::Send(error)) if error != SendError::Closing => Err(error),
        _ => Ok(()),
    }
}

enum Phase<P: Connect> {
    /// Before the first attempt.
    Start(P),
    /// Before another attempt.
    Waiting(P, Pin<Box<Sleep>>),
    Attempt(Attempting<P>),
    Open(Box<Open<P>>),
    Ended,
}

impl<P: Connect> Phase<P> {
    /// # Panics
    ///
    /// When no connection is open.
    fn current(&mut self) -> &mut Open<P> {
        let Self::Open(open) = self else { unreachable!("asked for only where a connection is open") };
        open
    }
}

/// An attempt under way, which returns the plan.
type Attempting<P> = Pin<Box<dyn Future<Output = (P, Opened<P>)> + Send>>;

type Opened<P> = Result<(WebSocket<<P as Connect>::Stream>, ClientResponse), DisconnectReason>;

struct Open<P: Connect> {
    plan: P,
    ws: WebSocket<P::Stream>,
    sender: Sender,
    response: ClientResponse,
}

impl<P: Connect> Reconnecting<P> {
    /// A client with the default [`Backoff`], keep-alive pings every 20 s, and a queue of 1 MiB for [`Handle`]s, which wait
    /// while it is full. The first attempt begins with [`next`](Self::next).
    #[must_use]
    pub fn new(plan: P) -> Self {
        Self {
            queue: super::QUEUE,
            ping_interval: Some(Duration::from_secs(20)),
            uri: plan.uri().cloned(),
            driver: Driver::new(),
            retry: Retry::new(Backoff::default()),
            previous: None,
            phase: Phase::Start(plan),
        }
    }

    /// Sets the delays before new attempts, and their number.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.retry = Retry::new(backoff);
        self
    }

    /// Sets the interval of keep-alive pings for connectors whose [`Config`](crate::Config) has none; `None` turns them off.
    /// By default 20 s. A [`Connect`] of your own uses it by [`Attempt::connect`].
    #[must_use]
    pub const fn keep_alive(mut self, interval: Option<Duration>) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Sets the size of each connection's queue for messages of [`Handle`]s, in bytes, and what happens when it is full; as
    /// [`WebSocket::sender`].
    #[must_use]
    pub fn queue(mut self, max_queued: usize, when_full: WhenFull) -> Self {
        self.queue = (max_queued, when_full);
        self
    }

    /// Reaches this client from any task.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.driver.handle().clone()
    }

    /// The stream, while a connection is open: for its addresses, or an option of its socket.
    #[must_use]
    pub fn get_ref(&self) -> Option<&P::Stream> {
        let Phase::Open(open) = &self.phase else { return None };
        Some(open.ws.get_ref())
    }

    /// Why the last connection ended or the last attempt failed, also after the client has ended; `None` before that.
    #[must_use]
    pub fn last_disconnect(&self) -> Option<&DisconnectReason> {
        self.previous.as_deref()
    }

    /// The next event. `None` once the client has ended as intended: closed by a [`Handle`], by a Close that the application
    /// began, or by the peer's Close with 1000.
    ///
    /// The future may be dropped at any await: no message is lost, an attempt continues with the next call, and a delay
    /// counts from the loss.
    ///
    /// # Errors
    ///
    /// The last reason, when no other attempt follows: a permanent refusal ([`Connect::should_retry`]), or
    /// [`Backoff::retries`] attempts in a row. `None` follows, and [`Handle::gave_up`] has the reason, too.
    #[expect(clippy::should_implement_trait, reason = "it lends, which no Iterator can")]
    pub fn next(
        &mut self,
    ) -> impl Future<Output = Result<Option<ClientEvent<'_, P::Stream>>, Arc<DisconnectReason>>> + Send {
        // From the call on, not from the first poll: a `select!` may poll a handle that sends before this.
        let waits = self.driver.waits();
        async move {
            let event = self.next_event().await;
            drop(waits);
            event
        }
    }

    /// [`next`](Self::next), where nobody sends from the same task.
    pub(super) async fn next_event(&mut self) -> Result<Option<ClientEvent<'_, P::Stream>>, Arc<DisconnectReason>> {
        loop {
            let Self { driver, phase, .. } = self;
            match phase {
                Phase::Start(_) if driver.is_closing() => self.end(),
                Phase::Start(_) => self.attempt(),
                Phase::Waiting(_, delay) => match driver.unless_closed(|context| delay.as_mut().poll(context)).await {
                    Some(()) => self.attempt(),
                    None => self.end(),
                },
                Phase::Attempt(attempt) => match driver.unless_closed(|context| attempt.as_mut().poll(context)).await {
                    Some((plan, Ok((ws, response)))) => return Ok(Some(self.open(plan, ws, response))),
                    Some((plan, Err(reason))) => return self.lose(plan, reason),
                    None => self.end(),
                },
                Phase::Open(open) => {
                    let Ok(true) = poll_fn(|context| open.ws.poll_next(context)).await else {
                        let closed = Closed::of(&mut open.ws).await;
                        return self.closed(closed, false, false);
                    };
                    self.retry.received();
                    let (message, out) = self.phase.current().ws.item();
                    return Ok(Some(ClientEvent::Message(message, ClientWriter(out))));
                }
                Phase::Ended => return Ok(None),
            }
        }
    }

    /// Runs a handler over the connection that is open, and then continues as after its loss.
    pub(super) async fn run<C: Sync, H: Handler<C>>(
        &mut self,
        peer: &C,
        handler: &mut H,
    ) -> Result<Option<ClientEvent<'_, P::Stream>>, Arc<DisconnectReason>> {
        let Phase::Open(open) = &mut self.phase else { return Ok(None) };
        let ended = session::run(&mut open.ws, &open.sender, peer, handler).await;
        self.closed(ended.closed, ended.handler_failed, ended.received)
    }

    pub(super) fn uri(&self) -> Option<&Uri> {
        self.uri.as_ref()
    }

    /// Begins an attempt.
    fn attempt(&mut self) {
        let (Phase::Start(plan) | Phase::Waiting(plan, _)) = mem::replace(&mut self.phase, Phase::Ended) else {
            return;
        };
        let retry = self.retry.attempt();
        let this = Attempt::new(retry, self.ping_interval);
        self.phase = Phase::Attempt(Box::pin(attempt(plan, this, self.previous.clone())));
        self.driver.set(State::Connecting { retry });
    }

    fn open(&mut self, plan: P, mut ws: WebSocket<P::Stream>, response: ClientResponse) -> ClientEvent<'_, P::Stream> {
        let sender = ws.sender(self.queue.0, self.queue.1);
        self.driver.open(&ws, sender.clone());
        self.retry.opened(clock::now());
        let Self { phase, previous, retry, .. } = self;
        *phase = Phase::Open(Box::new(Open { plan, ws, sender, response }));
        let Open { ws, response, .. } = phase.current();
        let out = ClientWriter(ws.writer());
        ClientEvent::Connected { response, out, previous: previous.as_deref(), retry: retry.attempt() }
    }

    /// The connection has ended.
    fn closed(
        &mut self,
        closed: Closed,
        handler_failed: bool,
        received: bool,
    ) -> Result<Option<ClientEvent<'_, P::Stream>>, Arc<DisconnectReason>> {
        let Phase::Open(open) = mem::replace(&mut self.phase, Phase::Ended) else { return Ok(None) };
        let Open { plan, ws, sender, .. } = *open;
        if received || ws.latency().is_some() {
            self.retry.received();
        }
        let dropped = closed.end.by == Initiator::Local && (handler_failed || sender.is_disconnected());
        let reason = if dropped { DisconnectReason::Dropped(closed) } else { DisconnectReason::Closed(closed) };
        self.lose(plan, reason)
    }

    /// There is no connection: waits for the next attempt, or ends.
    fn lose(
        &mut self,
        mut plan: P,
        reason: DisconnectReason,
    ) -> Result<Option<ClientEvent<'_, P::Stream>>, Arc<DisconnectReason>> {
        let reason = Arc::new(reason);
        self.driver.lost(Arc::clone(&reason));
        let closing = self.driver.is_closing();
        if closing || !plan.should_retry(&reason) {
            let intended = closing || reason.is_intended();
            return self.give_up(reason, intended);
        }
        // Without randomness, the longest delay is the safe one.
        let random = random().map_or(u64::MAX, u64::from_le_bytes);
        let Some(delay) = self.retry.lost(reason.loss(), clock::now(), random) else {
            return self.give_up(reason, false);
        };
        let retry = self.retry.attempt();
        self.phase = Phase::Waiting(plan, Box::pin(tokio::time::sleep(delay)));
        self.driver.set(State::Waiting { retry, delay });
        let reason = self.previous.insert(reason);
        Ok(Some(ClientEvent::Disconnected { reason, retry, delay }))
    }

    /// No attempt follows.
    fn give_up<T>(
        &mut self,
        reason: Arc<DisconnectReason>,
        intended: bool,
    ) -> Result<Option<T>, Arc<DisconnectReason>> {
        self.previous = Some(Arc::clone(&reason));
        if !intended {
            self.driver.give_up(Arc::clone(&reason));
        }
        self.end();
        if intended { Ok(None) } else { Err(reason) }
    }

    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.driver.set(State::Ended);
    }
}

async fn attempt<P: Connect>(mut plan: P, attempt: Attempt, previous: Option<Arc<DisconnectReason>>) -> (P, Opened<P>) {
    let opened = match plan.open(attempt).await {
        Ok((mut ws, response)) => match plan.resume(&mut ws, &response, previous.as_deref()).await {
            Ok(()) => Ok((ws, response)),
            Err(error) => Err(not_resumed(ws, error).await),
        },
        Err(error) => Err(DisconnectReason::ConnectFailed(DisconnectReason::failure(error))),
    };
    (plan, opened)
}

/// Closes a connection that could not be resumed. If the peer closed it first, that is the reason.
async fn not_resumed<S: AsyncRead + AsyncWrite + Unpin>(mut ws: WebSocket<S>, error: BoxError) -> DisconnectReason {
    let failure = DisconnectReason::failure(error);
    // Closing already, or it has ended: `finish` finds out.
    let _ = ws.start_close(Some(failure.close())).await;
    let closed = Closed::of(&mut ws).await;
    match closed.end.received {
        Some(_) if closed.end.by == Initiator::Remote => DisconnectReason::Closed(closed),
        _ => DisconnectReason::ConnectFailed(failure),
    }
}

impl<P: Connect> fmt::Debug for Reconnecting<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { retry, previous, driver, .. } = self;
        f.debug_struct("Reconnecting")
            .field("state", &driver.handle().state())
            .field("retry", retry)
            .field("last_disconnect", previous)
            .finish_non_exhaustive()
    }
}
