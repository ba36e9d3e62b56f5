//! A client that comes back.

use std::boxed::Box;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use super::handle::{Driver, Handle, State};
use super::lost::Lost;
use super::plan::Plan;
use crate::adapter::random;
use crate::proto::handshake::Uri;
use crate::proto::handshake::client::Response;
use crate::proto::link::Initiator;
use crate::proto::message::Message;
use crate::retry::Backoff;
use crate::session::{BoxError, Closed};
use crate::tokio::{Connector, Sender, Stream, WebSocket, WhenFull, Writer};

/// A client that connects again after a loss, until it is closed, is refused for good, or has tried often enough.
///
/// ```no_run
/// use bowsprit::tokio::Connector;
/// use bowsprit::client::{Incident, Reconnecting};
/// use bowsprit::handshake::client::Request;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connector = Connector::new(Request::try_from("ws://127.0.0.1:9001/feed")?);
/// let mut client = Reconnecting::new(connector);
/// let handle = client.handle(); // for other tasks, to send and to close
/// while let Some(incident) = client.next().await? {
///     match incident {
///         Incident::Open { out, .. } => out.send("subscribe").await?,
///         Incident::Message(message, _) => println!("{message:?}"),
///         Incident::Lost { lost, delay, .. } => println!("{lost}; again in {delay:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Nothing happens but in [`next`](Self::next). To drop it drops its stream, without a Close.
///
/// A network that is gone without a word is noticed by what asks for a sign of life:
/// [`Config::ping_interval`](crate::Config::ping_interval), or [`Config::idle_timeout`](crate::Config::idle_timeout).
pub struct Reconnecting<P: Plan = Connector> {
    backoff: Backoff,
    queue: (usize, WhenFull),
    uri: Option<Uri>,
    driver: Driver,
    /// Which attempt is the next, or under way, or opened the connection.
    retry: u32,
    /// How the connection before ended, or the attempt.
    lost: Option<Arc<Lost>>,
    phase: Phase<P>,
}

/// What happens to a client: from [`Reconnecting::next`].
#[derive(Debug)]
pub enum Incident<'a, S = Stream> {
    /// A connection is open, and has been resumed.
    Open {
        /// The server's answer.
        response: &'a Response,
        /// The sending side.
        out: &'a mut Writer<S>,
        /// What was lost before it: the connection that ended, or the attempt that failed; `None` at first.
        lost: Option<&'a Lost>,
        /// Which attempt opened it: 0 for the first of all, else its number in a row.
        retry: u32,
    },
    /// A message, and the sending side to answer it.
    Message(Message<'a>, &'a mut Writer<S>),
    /// There is no connection, and another attempt comes.
    Lost {
        /// Why.
        lost: &'a Lost,
        /// Which attempt comes next: 1 is the first in a row.
        retry: u32,
        /// From now to that attempt.
        delay: Duration,
    },
}

enum Phase<P: Plan> {
    /// The next attempt comes later.
    Waiting(P, Pin<Box<Sleep>>),
    Attempt(Attempt<P>),
    Open(Box<Open<P>>),
    Ended,
}

impl<P: Plan> Phase<P> {
    /// # Panics
    ///
    /// When no connection is open.
    fn current(&mut self) -> &mut Open<P> {
        let Self::Open(open) = self else { unreachable!("asked for only where a connection is open") };
        open
    }
}

/// An attempt under way, which gives the plan back.
type Attempt<P> = Pin<Box<dyn Future<Output = (P, Opened<P>)> + Send>>;

type Opened<P> = Result<(WebSocket<<P as Plan>::Stream>, Response), Lost>;

struct Open<P: Plan> {
    plan: P,
    ws: WebSocket<P::Stream>,
    sender: Sender,
    response: Response,
    since: Instant,
}

impl<P: Plan> Reconnecting<P> {
    /// With the default [`Backoff`], and a queue of about 1 MiB for [`Handle`]s, who wait while it is full. The first
    /// attempt comes at once with [`next`](Self::next).
    #[must_use]
    pub fn new(plan: P) -> Self {
        Self {
            backoff: Backoff::default(),
            queue: super::QUEUE,
            uri: plan.uri().cloned(),
            driver: Driver::new(),
            retry: 0,
            lost: None,
            phase: Phase::Attempt(Box::pin(attempt(plan, 0, None))),
        }
    }

    /// How long to wait before new attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The queue of each connection for what [`Handle`]s send, in bytes, and what becomes of a message that finds it full;
    /// as [`WebSocket::sender`].
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

    pub(super) fn give_up(&self, lost: Lost) {
        self.driver.give_up(lost);
    }

    /// How the connection before ended, or the last attempt; `None` before anything was lost.
    #[must_use]
    pub fn lost(&self) -> Option<&Lost> {
        self.lost.as_deref()
    }

    /// What happens next. `None` once the client has ended as it was meant to: closed by a [`Handle`], by a Close that this
    /// end began, or by the peer's with 1000.
    ///
    /// The future may be dropped at any await: no message is lost, an attempt goes on with the next call, and a delay
    /// counts from the loss.
    ///
    /// # Errors
    ///
    /// What was lost last, where no other attempt follows: a refusal that will not change ([`Plan::retries`]), or
    /// [`Backoff::retries`] attempts in a row. `None` follows.
    pub async fn next(&mut self) -> Result<Option<Incident<'_, P::Stream>>, Lost> {
        loop {
            let Self { driver, phase, .. } = self;
            match phase {
                Phase::Waiting(_, delay) => match driver.unless_closed(|context| delay.as_mut().poll(context)).await {
                    Some(()) => self.attempt(),
                    None => self.end(),
                },
                Phase::Attempt(attempt) => match driver.unless_closed(|context| attempt.as_mut().poll(context)).await {
                    Some((plan, Ok((ws, response)))) => return Ok(Some(self.open(plan, ws, response))),
                    Some((plan, Err(lost))) => return self.lose(plan, lost),
                    None => self.end(),
                },
                Phase::Open(open) => {
                    let Ok(Some(data)) = poll_fn(|context| open.ws.poll_data(context)).await else {
                        let closed = Closed::of(&mut open.ws).await;
                        return self.closed(closed);
                    };
                    let (message, out) = self.phase.current().ws.lend(data);
                    return Ok(Some(Incident::Message(message, out)));
                }
                Phase::Ended => return Ok(None),
            }
        }
    }

    /// The connection, while one is open, for who drives it by callbacks until its end.
    pub(super) fn connection(&mut self) -> Option<(&mut WebSocket<P::Stream>, Sender)> {
        let Phase::Open(open) = &mut self.phase else { return None };
        Some((&mut open.ws, open.sender.clone()))
    }

    pub(super) fn uri(&self) -> Option<&Uri> {
        self.uri.as_ref()
    }

    /// Begins the attempt that was waited for.
    fn attempt(&mut self) {
        let Phase::Waiting(plan, _) = mem::replace(&mut self.phase, Phase::Ended) else { return };
        self.phase = Phase::Attempt(Box::pin(attempt(plan, self.retry, self.lost.clone())));
        self.driver.set(State::Connecting { retry: self.retry });
    }

    fn open(&mut self, plan: P, mut ws: WebSocket<P::Stream>, response: Response) -> Incident<'_, P::Stream> {
        let sender = ws.sender(self.queue.0, self.queue.1);
        self.driver.open(&ws, sender.clone());
        let Self { phase, lost, retry, .. } = self;
        *phase = Phase::Open(Box::new(Open { plan, ws, sender, response, since: Instant::now() }));
        let Open { ws, response, .. } = phase.current();
        Incident::Open { response, out: ws.writer(), lost: lost.as_deref(), retry: *retry }
    }

    /// The connection has ended.
    fn closed(&mut self, closed: Closed) -> Result<Option<Incident<'_, P::Stream>>, Lost> {
        let Phase::Open(open) = mem::replace(&mut self.phase, Phase::Ended) else { return Ok(None) };
        if open.since.elapsed() >= self.backoff.reset_after {
            self.retry = 0;
        }
        self.lose(open.plan, Lost::Closed(closed))
    }

    /// What follows on this.
    fn lose(&mut self, mut plan: P, lost: Lost) -> Result<Option<Incident<'_, P::Stream>>, Lost> {
        let closing = self.driver.is_closing();
        if closing || !plan.retries(&lost) {
            self.end();
            if !closing && !lost.is_intended() {
                return Err(lost);
            }
            self.lost = Some(Arc::new(lost));
            return Ok(None);
        }
        self.retry = self.retry.saturating_add(1);
        // Without randomness, the longest delay is the safe one.
        let random = random().map_or(u64::MAX, u64::from_le_bytes);
        let Some(delay) = self.backoff.delay(self.retry, random) else {
            self.end();
            return Err(lost);
        };
        let delay = delay.max(lost.retry_after().unwrap_or_default().min(self.backoff.max));
        self.phase = Phase::Waiting(plan, Box::pin(tokio::time::sleep(delay)));
        self.driver.set(State::Waiting { retry: self.retry, delay });
        let lost = self.lost.insert(Arc::new(lost));
        Ok(Some(Incident::Lost { lost, retry: self.retry, delay }))
    }

    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.driver.set(State::Ended);
    }
}

async fn attempt<P: Plan>(mut plan: P, retry: u32, lost: Option<Arc<Lost>>) -> (P, Opened<P>) {
    let opened = match plan.open(retry).await {
        Ok((mut ws, response)) => match plan.resume(&mut ws, &response, lost.as_deref()).await {
            Ok(()) => Ok((ws, response)),
            Err(error) => Err(not_resumed(ws, error).await),
        },
        Err(error) => Err(Lost::NotOpened(Lost::failure(error))),
    };
    (plan, opened)
}

/// Closes what could not be resumed. Where the peer closed it first, that is why.
async fn not_resumed<S: AsyncRead + AsyncWrite + Unpin>(mut ws: WebSocket<S>, error: BoxError) -> Lost {
    let failure = Lost::failure(error);
    // Closing already, or it has ended: `finish` finds out.
    let _ = ws.start_close(Some(failure.close())).await;
    let closed = Closed::of(&mut ws).await;
    match closed.end.received {
        Some(_) if closed.end.by == Initiator::Remote => Lost::Closed(closed),
        _ => Lost::NotOpened(failure),
    }
}

impl<P: Plan> fmt::Debug for Reconnecting<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backoff, retry, lost, driver, .. } = self;
        f.debug_struct("Reconnecting")
            .field("backoff", backoff)
            .field("state", &driver.handle().state())
            .field("retry", retry)
            .field("lost", lost)
            .finish_non_exhaustive()
    }
}
