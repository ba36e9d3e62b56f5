//! Redis between the processes: [`Backplane`] on its publish and subscribe.
//!
//! ```text
//!   publish ---- PUBLISH ----> Redis                            one connection, shared by all who publish
//!   subscribe -- SUBSCRIBE --> Redis --> pump --> Dispatcher      another one, one message after the other
//! ```
//!
//! A message on the wire is one byte, the opcode of its kind (RFC 6455 section 5.2: 0x1 text, 0x2 binary), and the payload.

use std::boxed::Box;
use std::collections::HashSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::string::String;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use std::vec::Vec;

use futures_core::Stream;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError, RedisResult};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::backplane::{Backplane, BackplaneError, Dispatcher, Pending};
use crate::retry::{Backoff, Loss, Retry};
use crate::tokio::clock;
use crate::utf8;
use crate::{Message, OwnedMessage};

/// A [`Backplane`] on the publish and subscribe of one Redis server.
///
/// A topic is the channel of its name behind a [prefix](Self::prefix). Redis keeps nothing for who is not there: a message
/// reaches the processes that subscribe when it arrives, each of them once and all in the same order, or is lost to some
/// of them. Where that may have happened, [`Topics::on_error`](super::Topics::on_error) is told:
///
/// - **The connection is lost.** The loss is reported at once, and so is each attempt that fails. The attempts go on for
///   ever: the first after at most 100 ms, the next after at most twice as long each, up to 2.5 to 5 s. The first attempt
///   that succeeds subscribes to all topics again; the delays start anew once a connection has worked for 10 s.
///   Meanwhile `subscribe` fails at once, so that no session waits for a server that is away, and `publish` tries a
///   connection of its own.
/// - **A foreign message** arrives on a channel. It is skipped.
///
/// Whatever is asked of Redis fails after 5 s without an answer. A server that is there but does not answer is noticed
/// within 20 s. An error of `publish` says that the message may not have been handed over, not that it was not: who
/// publishes again may publish twice.
///
/// Without TLS: addresses `rediss://` are refused. `unix://` is a socket of this machine.
///
/// ```no_run
/// # async fn example() -> Result<(), bowsprit::session::BoxError> {
/// use bowsprit::server::{Redis, Topics};
///
/// let redis = Redis::connect("redis://127.0.0.1/").await?.prefix("chat:");
/// let topics = Topics::with_backplane(redis).on_error(|error| eprintln!("messages may be missing: {error}"));
/// # let _ = topics;
/// # Ok(())
/// # }
/// ```
pub struct Redis {
    shared: Arc<Shared>,
    prefix: Box<str>,
    /// From `connect` to `start`.
    first: Mutex<Option<Arriving>>,
    /// Aborted when this is dropped.
    tasks: Mutex<JoinSet<()>>,
}

impl Redis {
    /// Connects: `redis://[user:password@]host[:port]`. A host that does not answer fails it within 10 s.
    ///
    /// # Errors
    ///
    /// An address that is none, or `rediss://`; a server that is away or refuses the credentials.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(url: &str) -> Result<Self, BackplaneError> {
        let info = url.into_connection_info()?;
        // Each message is small and should leave now.
        let settings = info.tcp_settings().clone().set_nodelay(true);
        let shared = Arc::new(Shared {
            client: Client::open(info.set_tcp_settings(settings))?,
            publisher: Mutex::default(),
            dialled: AsyncMutex::default(),
            wanted: AsyncMutex::default(),
        });
        within(shared.publisher()).await?;
        let first = shared.subscriber().await?;
        Ok(Self { shared, prefix: "bowsprit:".into(), first: Mutex::new(Some(first)), tasks: Mutex::default() })
    }

    /// What stands before a topic in the name of its channel, `bowsprit:` by default. Servers that share Redis but no
    /// topics have different ones, none of which begins another.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn channel(&self, topic: &str) -> String {
        [&self.prefix, topic].concat()
    }
}

impl Backplane for Redis {
    fn start(&self, dispatcher: Dispatcher) {
        let Some(first) = lock(&self.first).take() else { return };
        let mut tasks = lock(&self.tasks);
        tasks.spawn(pump(Arc::clone(&self.shared), first, self.prefix.len(), dispatcher));
        tasks.spawn(watch(Arc::clone(&self.shared)));
    }

    fn subscribe<'a>(&'a self, topic: &'a str) -> Pending<'a> {
        Box::pin(async move { self.shared.subscribe(self.channel(topic)).await })
    }

    fn unsubscribe<'a>(&'a self, topic: &'a str) -> Pending<'a> {
        Box::pin(async move { self.shared.unsubscribe(self.channel(topic)).await })
    }

    fn publish<'a>(&'a self, topic: &'a str, message: Message<'a>) -> Pending<'a> {
        Box::pin(async move { Ok(self.shared.publish(&self.channel(topic), &encode(message)).await?) })
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address: it may hold a password.
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Both connections.
struct Shared {
    client: Client,
    publisher: Mutex<Option<Publisher>>,
    /// How many publishers there were. Held by the one who dials the next.
    dialled: AsyncMutex<u64>,
    /// Held over a command, so that the subscriptions follow the set.
    wanted: AsyncMutex<Wanted>,
}

/// The connection to publish on, and which one it is.
#[derive(Clone)]
struct Publisher {
    connection: MultiplexedConnection,
    number: u64,
}

/// What to subscribe to, and how.
#[derive(Default)]
struct Wanted {
    channels: HashSet<Box<str>>,
    /// None while there is no connection.
    link: Option<Link>,
}

/// The asking side of the connection that subscribes. Its other side is [`Arriving`].
struct Link {
    sink: PubSubSink,
    /// Tells the other side that it is over.
    broken: oneshot::Sender<BackplaneError>,
}

struct Arriving {
    stream: PubSubStream,
    broken: oneshot::Receiver<BackplaneError>,
}

impl Shared {
    async fn publish(&self, channel: &str, message: &[u8]) -> RedisResult<()> {
        let mut number = None;
        let result = within(async {
            let mut publisher = self.publisher().await?;
            number = Some(publisher.number);
            redis::cmd("PUBLISH").arg(channel).arg(message).query_async(&mut publisher.connection).await
        });
        let result = result.await;
        if let (Err(error), Some(number)) = (&result, number)
            && is_lost(error)
        {
            self.forget(number);
        }
        result
    }

    /// The connection to publish on; made where there is none, by one for all who wait for it.
    async fn publisher(&self) -> RedisResult<Publisher> {
        let there = || lock(&self.publisher).clone();
        if let Some(publisher) = there() {
            return Ok(publisher);
        }
        let mut dialled = self.dialled.lock().await;
        if let Some(publisher) = there() {
            return Ok(publisher);
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT)).set_response_timeout(Some(TIMEOUT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        *dialled += 1;
        let publisher = Publisher { connection, number: *dialled };
        *lock(&self.publisher) = Some(publisher.clone());
        Ok(publisher)
    }

    /// The next who publishes dials, unless somebody has already.
    fn forget(&self, number: u64) {
        lock(&self.publisher).take_if(|publisher| publisher.number == number);
    }

    /// Connects, and subscribes to all that is wanted.
    async fn subscriber(&self) -> RedisResult<Arriving> {
        let (mut sink, stream) = within(self.client.get_async_pubsub()).await?.split();
        let mut wanted = self.wanted.lock().await;
        let channels: Vec<&str> = wanted.channels.iter().map(|channel| &**channel).collect();
        for some in channels.chunks(AT_ONCE) {
            within(sink.subscribe(some)).await?;
        }
        let (sender, broken) = oneshot::channel();
        wanted.link = Some(Link { sink, broken: sender });
        Ok(Arriving { stream, broken })
    }

    async fn subscribe(&self, channel: String) -> Result<(), BackplaneError> {
        let mut wanted = self.wanted.lock().await;
        let Some(link) = &mut wanted.link else { return Err("there is no connection to Redis".into()) };
        let result = within(link.sink.subscribe(&channel)).await;
        match result {
            // Dropped before this line, Redis may subscribe to what nobody wants: `unsubscribe` follows.
            Ok(()) => wanted.channels.insert(channel.into()),
            Err(error) => return Err(wanted.failed(error)),
        };
        Ok(())
    }

    async fn unsubscribe(&self, channel: String) -> Result<(), BackplaneError> {
        let mut wanted = self.wanted.lock().await;
        wanted.channels.remove(&*channel);
        // Without a connection it is done: the next one does not subscribe to it.
        let Some(link) = &mut wanted.link else { return Ok(()) };
        let result = within(link.sink.unsubscribe(&channel)).await;
        result.map_err(|error| wanted.failed(error))
    }

    /// Finds out whether Redis still answers.
    async fn ping(&self) {
        let mut wanted = self.wanted.lock().await;
        if let Some(link) = &mut wanted.link
            && let Err(error) = within(link.sink.ping::<()>()).await
        {
            wanted.failed(error);
        }
        drop(wanted);
        let publisher = lock(&self.publisher).clone();
        if let Some(Publisher { mut connection, number }) = publisher
            && within(redis::cmd("PING").query_async::<()>(&mut connection)).await.is_err_and(|error| is_lost(&error))
        {
            self.forget(number);
        }
    }
}

impl Wanted {
    /// Ends the connection if the error says that it is of no use any more.
    fn failed(&mut self, error: RedisError) -> BackplaneError {
        if is_lost(&error)
            && let Some(link) = self.link.take()
        {
            let _ = link.broken.send(error.clone().into()); // The other side may have ended by itself.
        }
        error.into()
    }
}

impl Arriving {
    /// The next message, or why there will be none.
    async fn next(&mut self) -> Result<redis::Msg, BackplaneError> {
        let lost = || "the connection to Redis is lost".into();
        poll_fn(|cx| {
            if let Poll::Ready(error) = Pin::new(&mut self.broken).poll(cx) {
                return Poll::Ready(Err(error.unwrap_or_else(|_| lost())));
            }
            Pin::new(&mut self.stream).poll_next(cx).map(|message| message.ok_or_else(lost))
        })
        .await
    }
}

/// Delivers what arrives, and waits for nobody: the queue that the crate `redis` reads into has no bound. Connects again
/// when that ends.
async fn pump(shared: Arc<Shared>, mut arriving: Arriving, prefix: usize, dispatcher: Dispatcher) {
    // One schedule for the life of the backplane: a server that accepts a subscription and closes again is asked less and
    // less often.
    let mut retry = Retry::new(BACKOFF);
    loop {
        retry.opened(clock::now());
        let lost = loop {
            let message = match arriving.next().await {
                Ok(message) => message,
                Err(lost) => break lost,
            };
            // Of all channels, only those of topics are subscribed to.
            let Some(topic) = message.get_channel_name().get(prefix..) else { continue };
            match decode(message.get_payload_bytes()) {
                Ok(message) => {
                    retry.received();
                    if !dispatcher.deliver(topic, message).await {
                        return;
                    }
                }
                Err(what) => dispatcher.missed(&std::format!("topic {topic:?}: {what}").into()),
            }
        };
        dispatcher.missed(&lost);
        // It leads to the same server: who publishes next need not find out.
        lock(&shared.publisher).take();
        shared.wanted.lock().await.link = None;
        arriving = loop {
            sleep(delay(&mut retry, clock::now())).await;
            match shared.subscriber().await {
                Ok(arriving) => break arriving,
                Err(error) => dispatcher.missed(&error.into()),
            }
        };
    }
}

/// The delay before the next attempt.
fn delay(retry: &mut Retry, now: Duration) -> Duration {
    // Without randomness, the longest delay is the safe one; and the attempts go on for ever.
    let random = getrandom::u64().unwrap_or(u64::MAX);
    retry.lost(Loss::Failed, now, random).unwrap_or(BACKOFF.max)
}

/// Keeps both connections in use, and notices when nobody is at the other end.
async fn watch(shared: Arc<Shared>) {
    loop {
        sleep(PING_INTERVAL).await;
        shared.ping().await;
    }
}

fn encode(message: Message<'_>) -> Vec<u8> {
    let kind = match message {
        Message::Text(_) => TEXT,
        Message::Binary(_) => BINARY,
    };
    [&[kind], message.as_bytes()].concat()
}

fn decode(bytes: &[u8]) -> Result<OwnedMessage, &'static str> {
    match bytes {
        [TEXT, text @ ..] => utf8::check(text).map(OwnedMessage::from).ok_or("text that is not UTF-8"),
        [BINARY, bytes @ ..] => Ok(bytes.into()),
        _ => Err("neither text nor binary"),
    }
}

/// Not an answer of Redis, but none.
fn is_lost(error: &RedisError) -> bool {
    error.code().is_none()
}

async fn within<T>(asking: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "Redis does not answer");
    timeout(TIMEOUT, asking).await.unwrap_or_else(|_| Err(late().into()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
/// For each thing that is asked of Redis.
const TIMEOUT: Duration = Duration::from_secs(5);
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Connecting again.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    max: Duration::from_secs(5),
    retries: None,
    reset_after: Duration::from_secs(10),
};
/// How many channels one command subscribes to.
const AT_ONCE: usize = 1000;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_message_is_its_opcode_and_its_payload() {
        assert_eq!(encode("hé".into()), b"\x01h\xc3\xa9");
        assert_eq!(encode(b"\x00\xff"[..].into()), b"\x02\x00\xff");
        assert_eq!(encode("".into()), b"\x01");
        for message in [OwnedMessage::from("hé"), b"\x00\xff"[..].into(), "".into(), b""[..].into()] {
            assert_eq!(decode(&encode(message.as_message())), Ok(message));
        }
    }

    #[test]
    fn what_others_put_on_a_channel_is_an_error() {
        assert_eq!(decode(b""), Err("neither text nor binary"));
        for kind in (0x0..=0xff).filter(|kind| ![0x1, 0x2].contains(kind)) {
            assert_eq!(decode(&[kind, b'a']), Err("neither text nor binary"));
        }
        assert_eq!(decode(b"\x01\xff"), Err("text that is not UTF-8"));
        assert_eq!(decode(b"\x01\xc3"), Err("text that is not UTF-8"));
    }

    // HOSTILE: 46
    #[test]
    fn a_server_that_accepts_subscriptions_and_closes_is_asked_less_and_less_often() {
        let mut retry = Retry::new(BACKOFF);
        let mut now = Duration::ZERO;
        for attempt in 1..=200 {
            // It opens, delivers a message, and is closed after 10 ms.
            retry.opened(now);
            retry.received();
            now += Duration::from_millis(10);
            let delay = delay(&mut retry, now);
            assert!(delay <= BACKOFF.max, "{delay:?}");
            if attempt >= 7 {
                assert!(delay >= BACKOFF.max / 2, "attempt {attempt}: {delay:?}");
            }
            now += delay;
        }
        // Once it has worked for ten seconds, the delay is short again.
        retry.opened(now);
        retry.received();
        assert!(delay(&mut retry, now + BACKOFF.reset_after) <= BACKOFF.first);
    }

    #[tokio::test]
    async fn tls_and_what_is_no_address_are_refused() {
        for address in ["rediss://127.0.0.1/", "http://127.0.0.1/", "redis", ""] {
            assert!(Redis::connect(address).await.is_err(), "{address:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_away_fails_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = std::format!("redis://{}/", listener.local_addr().unwrap());
        drop(listener);
        let start = Instant::now();
        assert!(Redis::connect(&address).await.is_err());
        assert!(start.elapsed() < TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_fails_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // It accepts nothing, and the system does.
        let address = std::format!("redis://{}/", listener.local_addr().unwrap());
        let start = tokio::time::Instant::now();
        assert!(Redis::connect(&address).await.is_err());
        assert!(start.elapsed() <= TIMEOUT);
    }
}
