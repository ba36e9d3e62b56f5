//! Topics of several processes, joined by a broker.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bowsprit::server::{Backplane, Dispatcher, Pending, Published, Router, Topics};
use bowsprit::session::BoxError;
use bowsprit::tokio::WhenFull;
use bowsprit::{Message, OwnedMessage, Prepared};
use tokio::sync::mpsc;

use crate::support::{Raw, Server, Shared, close, server_of, until, within};
use crate::topics::{joins, members, reads};

/// What a process subscribes to.
type Wanted = Shared<BTreeSet<String>>;

/// What joins several [`Topics`]: a broker in memory.
#[derive(Clone, Debug, Default)]
struct Broker(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Messages in one order, to all that started.
    processes: Mutex<Vec<mpsc::UnboundedSender<(String, OwnedMessage)>>>,
    fails: AtomicBool,
    unsubscribed: AtomicUsize,
}

#[derive(Debug)]
struct Link {
    broker: Broker,
    topics: Wanted,
    dispatcher: Shared<Option<Dispatcher>>,
}

impl Broker {
    /// The topics of one process, what it subscribes to, and where it hands in what arrives.
    fn topics(&self) -> (Topics, Wanted, Shared<Option<Dispatcher>>) {
        let (topics, dispatcher) = (Wanted::default(), Shared::default());
        let link = Link { broker: self.clone(), topics: Arc::clone(&topics), dispatcher: Arc::clone(&dispatcher) };
        (Topics::with_backplane(link), topics, dispatcher)
    }

    fn works(&self) -> Result<(), BoxError> {
        if self.0.fails.load(Ordering::SeqCst) { Err("the broker is away".into()) } else { Ok(()) }
    }
}

impl Backplane for Link {
    fn start(&self, dispatcher: Dispatcher) {
        *self.dispatcher.lock().unwrap() = Some(dispatcher.clone());
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let topics = Arc::clone(&self.topics);
        self.broker.0.processes.lock().unwrap().push(sender);
        tokio::spawn(async move {
            while let Some((topic, message)) = receiver.recv().await {
                let wanted = topics.lock().unwrap().contains(&*topic);
                if wanted && !dispatcher.deliver(&topic, message).await {
                    break;
                }
            }
        });
    }

    fn subscribe<'a>(&'a self, topic: &'a str) -> Pending<'a> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.broker.works()?;
            assert!(self.topics.lock().unwrap().insert(topic.to_owned()), "subscribed to once");
            Ok(())
        })
    }

    fn unsubscribe<'a>(&'a self, topic: &'a str) -> Pending<'a> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.broker.works()?;
            assert!(self.topics.lock().unwrap().remove(topic), "unsubscribed from once");
            self.broker.0.unsubscribed.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }

    fn publish<'a>(&'a self, topic: &'a str, message: Message<'a>) -> Pending<'a> {
        Box::pin(async move {
            self.broker.works()?;
            for process in &*self.broker.0.processes.lock().unwrap() {
                let _ = process.send((topic.to_owned(), message.to_owned()));
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_backplane_joins_the_topics_of_two_processes() {
    let broker = Broker::default();
    let ((one, subscribed, _), (two, _, _)) = (broker.topics(), broker.topics());
    let router = Router::new().route("/one", members(&one)).route("/two", members(&two));
    let server = Server::start(router).await;
    let mut open = [joins(&server, "/one").await, joins(&server, "/two").await, joins(&server, "/one").await];
    assert_eq!((one.count("all"), two.count("all")), (2, 1), "of this process alone");
    // All publish at once.
    for count in 0..50 {
        for (index, ws) in open.iter_mut().enumerate() {
            within(ws.send(&*format!("{index} {count}"))).await.unwrap();
        }
        assert_eq!(within(one.publish("all", format!("one {count}"))).await, Published::default());
    }
    let mut orders = Vec::new();
    for ws in &mut open {
        let mut order = Vec::new();
        for _ in 0..200 {
            order.push(reads(ws).await);
        }
        orders.push(order);
    }
    assert!(orders[0] == orders[1] && orders[1] == orders[2], "the broker's order");
    // Of this process alone.
    assert_eq!(one.publish_prepared("all", &Prepared::text("here")).await.queued, 2);
    assert_eq!(reads(&mut open[0]).await, "here");

    // The last that goes unsubscribes, and the next that comes subscribes.
    let [first, _two, third] = open;
    close(first).await;
    until(|| one.count("all") == 1).await;
    assert!(subscribed.lock().unwrap().contains("all"));
    close(third).await;
    until(|| subscribed.lock().unwrap().is_empty()).await;
    assert_eq!(broker.0.unsubscribed.load(Ordering::SeqCst), 1);
    let mut again = joins(&server, "/one").await;
    within(again.send("again")).await.unwrap();
    assert_eq!(reads(&mut again).await, "again");
}

#[tokio::test]
async fn coming_and_going_at_once_leaves_the_backplane_as_it_should_be() {
    let broker = Broker::default();
    let (topics, subscribed, _) = broker.topics();
    let server = server_of(members(&topics)).await;
    let mut stays = joins(&server, "/?stays").await;
    for _ in 0..50 {
        // One leaves while the next joins: the broker is asked in one order.
        drop(joins(&server, "/?comes").await);
    }
    let mut last = joins(&server, "/?comes").await;
    until(|| topics.count("comes") == 1).await;
    within(last.send("last")).await.unwrap();
    assert_eq!(reads(&mut last).await, "last");
    within(stays.send("stays")).await.unwrap();
    assert_eq!(reads(&mut stays).await, "stays");
    drop((last, stays));
    until(|| subscribed.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_backplane_that_fails_is_reported() {
    let broker = Broker::default();
    let (topics, subscribed, dispatcher) = broker.topics();
    let (told, mut errors) = mpsc::unbounded_channel();
    let topics = topics.on_error(move |error| drop(told.send(error.to_string())));
    let server = server_of(members(&topics)).await;
    let mut first = joins(&server, "/").await;

    broker.0.fails.store(true, Ordering::SeqCst);
    assert_eq!(within(topics.publish_confirmed("all", "lost")).await.unwrap_err().to_string(), "the broker is away");
    // A handler that publishes goes on, and the error is reported.
    within(first.send("lost, too")).await.unwrap();
    assert_eq!(within(errors.recv()).await.unwrap(), "the broker is away");
    assert_eq!(topics.count("all"), 1);
    // A handler that would subscribe to another topic fails.
    let mut peer = Raw::open(server.address, "/?another").await;
    let (first_byte, close_payload) = peer.frame().await;
    assert_eq!((first_byte, close_payload), (0x88, 1011_u16.to_be_bytes().to_vec()));
    until(|| topics.count("another") == 0).await;
    // Who joins a topic that is subscribed to already needs no broker.
    let second = joins(&server, "/").await;
    // Nobody unsubscribes in vain, unheard.
    drop(second);
    until(|| topics.count("all") == 1).await;
    within(first.send(".")).await.unwrap();
    assert_eq!(reads(&mut first).await, "left");
    assert_eq!(within(errors.recv()).await.unwrap(), "the broker is away");

    broker.0.fails.store(false, Ordering::SeqCst);
    subscribed.lock().unwrap().clear();
    let mut third = joins(&server, "/").await;
    within(third.send("back")).await.unwrap();
    assert_eq!(reads(&mut third).await, "back");

    let dispatcher = dispatcher.lock().unwrap().clone().unwrap();
    dispatcher.missed(&"a gap".into());
    assert_eq!(within(errors.recv()).await.unwrap(), "a gap");
    // Nobody is there any more: the broker's task may end.
    drop((third, first, peer));
    server.end().await;
    drop(topics);
    let gone = async {
        while dispatcher.deliver("all", "?").await {
            tokio::task::yield_now().await;
        }
    };
    within(gone).await;
}

/// The messages of a broker wait for no session: a burst neither closes healthy readers nor stops because of one that reads
/// nothing.
#[tokio::test]
async fn a_burst_of_the_backplane_closes_no_healthy_reader() {
    // FEATURE: TS2
    const LEN: usize = 20_000;
    for when_full in [WhenFull::Wait, WhenFull::Disconnect] {
        let broker = Broker::default();
        let (topics, _, dispatcher) = broker.topics();
        let server = server_of(members(&topics).queue(1 << 20, when_full)).await;
        let mut healthy = Vec::new();
        for _ in 0..5 {
            healthy.push(joins(&server, "/").await);
        }
        let stuck = Raw::narrow(server.address).await.opens("/").await;
        until(|| topics.count("all") == 6).await;
        let dispatcher = dispatcher.lock().unwrap().clone().unwrap();
        let readers: Vec<_> = healthy
            .into_iter()
            .map(|mut ws| {
                tokio::spawn(async move {
                    for _ in 0..400 {
                        assert_eq!(within(ws.recv()).await.unwrap().unwrap().into_bytes().len(), LEN);
                    }
                    ws
                })
            })
            .collect();
        // 8 MB, as fast as they can be queued.
        let burst = async {
            for _ in 0..400 {
                assert!(dispatcher.deliver("all", vec![0x2a; LEN]).await);
            }
        };
        within(burst).await;
        for reader in readers {
            close(within(reader).await.unwrap()).await;
        }
        drop(stuck);
        server.end().await;
    }
}
