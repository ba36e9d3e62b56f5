//! Publish and subscribe, in one process and across several.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bowsprit::server::{Endpoint, Published, Session, Subscription, Topics, handler};
use bowsprit::session::{BoxError, Handler};
use bowsprit::tokio::{Stream, WhenFull};
use bowsprit::{Config, Message, OwnedMessage, Prepared};

use crate::slow::handed_out;
use crate::support::{Raw, Server, close, log, masked, server_of, timeless, until, within};

/// Subscribes to the topic of its query, and publishes what it is sent; `.` leaves.
struct Member {
    topics: Topics,
    subscription: Option<Subscription>,
}

impl Handler<Session> for Member {
    async fn on_open(&mut self, session: &Session) -> Result<Option<OwnedMessage>, BoxError> {
        let topic = session.request().query().unwrap_or("all");
        self.subscription = Some(self.topics.subscribe(topic, session).await?);
        session.try_send("joined")?;
        Ok(None)
    }

    async fn on_message(&mut self, session: &Session, message: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        if message == Message::Text(".") {
            self.subscription = None;
            return Ok(Some("left".into()));
        }
        let topic = session.request().query().unwrap_or("all");
        self.topics.publish(topic, message).await;
        Ok(None)
    }
}

pub(crate) fn members(topics: &Topics) -> Endpoint {
    let topics = topics.clone();
    handler(move |_| Member { topics: topics.clone(), subscription: None })
}

pub(crate) async fn joins(server: &Server, path: &str) -> bowsprit::tokio::WebSocket<Stream> {
    let mut ws = server.connect(path).await;
    assert_eq!(reads(&mut ws).await, "joined");
    ws
}

pub(crate) async fn reads(ws: &mut bowsprit::tokio::WebSocket<Stream>) -> String {
    within(ws.recv()).await.unwrap().unwrap().into_text().unwrap().as_str().to_owned()
}

#[tokio::test]
async fn joins_and_leaves_are_counted_and_called_back() {
    // FEATURE: HX10
    let (log, mut lines) = log();
    let (on_join, on_leave) = (log.clone(), log.clone());
    let topics = Topics::new()
        .on_join(move |topic, session, count| on_join.note(format!("join {topic} {} {count}", session.id())))
        .on_leave(move |topic, session, count| on_leave.note(format!("leave {topic} {} {count}", session.id())))
        .on_join(|_, _, _| panic!("the first counts"));
    let server = server_of(members(&topics)).await;
    let (mut open, mut ids) = (Vec::new(), Vec::new());
    for count in 1..=100 {
        open.push(joins(&server, "/?room").await);
        let line = lines.next().await;
        let mut words = line.split(' ');
        assert_eq!((words.next(), words.next()), (Some("join"), Some("room")));
        ids.push(words.next().unwrap().to_owned());
        assert_eq!(words.next(), Some(&*count.to_string()));
        assert_eq!(topics.count("room"), count);
    }
    assert_eq!(topics.count("another"), 0);
    let known: Vec<_> = topics.sessions("room").iter().map(|session| session.id().to_string()).collect();
    assert_eq!(known, ids, "in the order of their opening");

    // To all.
    let expected = Published { queued: 100, refused: 0 };
    assert_eq!(within(topics.publish("room", "to all")).await, expected);
    assert_eq!(within(topics.publish("another", "to nobody")).await, Published::default());
    for ws in &mut open {
        assert_eq!(reads(ws).await, "to all");
    }

    // By themselves, by a Close, and by vanishing.
    for (left, mut ws) in open.into_iter().enumerate().map(|(index, ws)| (index + 1, ws)) {
        match left % 3 {
            0 => drop(ws),
            1 => close(ws).await,
            _ => {
                within(ws.send(".")).await.unwrap();
                assert_eq!(reads(&mut ws).await, "left");
                close(ws).await;
            }
        }
        assert_eq!(lines.next().await, format!("leave room {} {}", ids[left - 1], 100 - left));
        assert_eq!(topics.count("room"), 100 - left);
    }
    server.end().await;
}

#[tokio::test]
async fn one_broadcast_reaches_all() {
    // FEATURE: HX6
    let topics = Topics::new();
    let server = server_of(members(&topics)).await;
    let mut open = Vec::new();
    for _ in 0..500 {
        open.push(joins(&server, "/").await);
    }
    let news = Prepared::text("to all");
    let published = within(topics.publish_prepared("all", &news)).await;
    assert_eq!(published, Published { queued: 500, refused: 0 });
    for ws in &mut open {
        assert_eq!(reads(ws).await, "to all");
    }
    assert_eq!(news.encodings(), 1);
}

#[tokio::test]
async fn a_session_that_subscribes_twice_is_there_once() {
    let (log, mut lines) = log();
    let (on_join, on_leave) = (log.clone(), log);
    let topics = Topics::new()
        .on_join(move |_, _, count| on_join.note(format!("join {count}")))
        .on_leave(move |_, _, count| on_leave.note(format!("leave {count}")));
    let server = server_of(members(&topics)).await;
    let mut ws = joins(&server, "/").await;
    assert_eq!(lines.next().await, "join 1");
    let [session] = &topics.sessions("all")[..] else { panic!("one session") };
    let twice = topics.subscribe("all", session).await.unwrap();
    let other = topics.subscribe("other", session).await.unwrap();
    assert_eq!((twice.topic(), other.topic()), ("all", "other"));
    assert_eq!(lines.next().await, "join 1", "of the other topic");
    assert_eq!(topics.publish("all", "once").await.queued, 1);
    within(ws.send(".")).await.unwrap();
    assert_eq!((reads(&mut ws).await, reads(&mut ws).await), ("once".into(), "left".into()));
    assert_eq!(topics.publish("all", "still").await.queued, 1);
    assert_eq!(reads(&mut ws).await, "still");
    drop(twice);
    assert_eq!(lines.next().await, "leave 0");
    assert_eq!(topics.publish("all", "no more").await, Published::default());
    // The other subscription ends with its session.
    close(ws).await;
    assert_eq!(lines.next().await, "leave 0");
    assert_eq!(topics.publish("other", "too late").await, Published::default());
    drop(other);
}

/// Keeps a subscription, and panics when it is told to.
struct Clumsy {
    topics: Topics,
    subscription: Option<Subscription>,
}

impl Handler<Session> for Clumsy {
    async fn on_open(&mut self, session: &Session) -> Result<Option<OwnedMessage>, BoxError> {
        self.subscription = Some(self.topics.subscribe("all", session).await?);
        Ok(None)
    }

    async fn on_message(&mut self, _: &Session, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        let _left_while_it_panics = self.subscription.take();
        panic!("in a handler");
    }
}

#[tokio::test]
async fn callbacks_of_topics_that_panic_take_nobody_down() {
    let topics = Topics::new()
        .on_join(|_, session, _| assert!(session.request().query() != Some("join"), "when told of one who joins"))
        .on_leave(|_, _, _| panic!("when told of one who leaves"));
    let of_topics = topics.clone();
    let server = server_of(handler(move |_| Clumsy { topics: of_topics.clone(), subscription: None })).await;
    let mut bystander = Raw::open(server.address, "/").await;
    until(|| topics.count("all") == 1).await;
    for (path, message) in [("/?join", None), ("/", Some(masked(0x81, "panic"))), ("/", None)] {
        let mut peer = Raw::open(server.address, path).await;
        match message {
            None if path == "/" => {
                until(|| topics.count("all") == 2).await;
                peer.sends(masked(0x88, 1000_u16.to_be_bytes())).await;
                assert_eq!(peer.frame().await, (0x88, 1000_u16.to_be_bytes().to_vec()));
            }
            message => {
                peer.sends(message.unwrap_or_default()).await;
                assert_eq!(peer.frame().await, (0x88, 1011_u16.to_be_bytes().to_vec()));
            }
        }
        drop(peer);
        until(|| topics.count("all") == 1).await;
    }
    assert_eq!(topics.publish("all", "to one").await, Published { queued: 1, refused: 0 });
    bystander.expect(b"\x81\x06to one").await;
    drop(bystander);
    server.end().await;
    assert_eq!(topics.count("all"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_subscribers_see_one_order() {
    for (queue, when_full) in [(1 << 20, WhenFull::Wait), (100, WhenFull::Wait)] {
        let topics = Topics::new();
        let server = server_of(members(&topics).queue(queue, when_full)).await;
        let mut open = Vec::new();
        for _ in 0..5 {
            open.push(joins(&server, "/").await);
        }
        let publishers: Vec<_> = (0..4)
            .map(|publisher| {
                let topics = topics.clone();
                tokio::spawn(async move {
                    for count in 0..200 {
                        let published = topics.publish("all", format!("{publisher} {count}")).await;
                        assert_eq!(published, Published { queued: 5, refused: 0 });
                    }
                })
            })
            .collect();
        let mut orders = Vec::new();
        for mut ws in open {
            let mut order = Vec::new();
            for _ in 0..800 {
                order.push(reads(&mut ws).await);
            }
            orders.push((order, ws));
        }
        for publisher in publishers {
            within(publisher).await.unwrap();
        }
        let (first, _) = &orders[0];
        for publisher in 0..4 {
            let own = first.iter().filter(|text| text.starts_with(&publisher.to_string()));
            assert!(own.eq(&(0..200).map(|count| format!("{publisher} {count}")).collect::<Vec<_>>()));
        }
        assert!(orders.iter().all(|(order, _)| order == first));
    }
}

#[tokio::test]
async fn a_subscription_ends_with_its_session() {
    // FEATURE: TS3
    let (log, mut lines) = log();
    let topics = Topics::new().on_leave(move |topic, _, count| log.note(format!("leave {topic} {count}")));
    let (endpoint, mut sessions) = handed_out(1 << 20, WhenFull::Wait);
    let server = server_of(endpoint).await;
    let mut ws = server.connect("/").await;
    let session = within(sessions.recv()).await.unwrap();
    // One is kept where nobody drops it, another one is detached.
    let kept = topics.subscribe("kept", &session).await.unwrap();
    topics.subscribe("detached", &session).await.unwrap().detach();
    assert_eq!(topics.publish("detached", "one").await, Published { queued: 1, refused: 0 });
    assert_eq!(reads(&mut ws).await, "one");
    close(ws).await;
    let mut left = [lines.next().await, lines.next().await];
    left.sort();
    assert_eq!(left, ["leave detached 0", "leave kept 0"]);
    assert_eq!((topics.count("kept"), topics.count("detached")), (0, 0));
    drop(kept);
    // A session that has ended subscribes to nothing.
    let late = topics.subscribe("late", &session).await.unwrap();
    assert_eq!(lines.next().await, "leave late 0");
    assert_eq!(topics.publish("late", "nobody").await, Published::default());
    drop(late);
    server.end().await;
    drop((topics, session));
    assert!(lines.rest().await.is_empty());
}

#[tokio::test]
async fn a_handler_that_is_a_subscriber_does_not_wait_for_itself() {
    // The way to the peer is full, and so is its own queue: it goes on publishing, and the queue is sent as the peer reads.
    let server = server_of(members(&Topics::new()).queue(1 << 20, WhenFull::Wait)).await;
    let peer = Raw::narrow(server.address).await.opens("/").await;
    let (mut reads, mut writes) = peer.0.into_split();
    let written = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        for _ in 0..1_000 {
            writes.write_all(&masked(0x82, [0x2a; 10_000])).await.unwrap();
        }
        writes
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let mut left = 1_000 * (10_000 + 4) + 8; // "joined" before
    let mut buffer = vec![0; 1 << 16];
    within(async {
        while left > 0 {
            let n = tokio::io::AsyncReadExt::read(&mut reads, &mut buffer).await.unwrap();
            assert!(n > 0 && n <= left);
            left -= n;
        }
    })
    .await;
    drop(within(written).await.unwrap());
}

#[tokio::test]
async fn a_slow_subscriber_that_is_disconnected_holds_up_nobody() {
    const LEN: usize = 50_000;
    let topics = Topics::new();
    let config = Config { close_timeout: Some(std::time::Duration::from_millis(100)), ..timeless() };
    let server = server_of(members(&topics).queue(200_000, WhenFull::Disconnect).config(config)).await;
    let slow = Raw::narrow(server.address).await.opens("/").await;
    let mut quick = joins(&server, "/").await;
    until(|| topics.count("all") == 2).await;
    let mut refused = 0;
    for _ in 0..1_000 {
        let published = within(topics.publish("all", vec![0x2a; LEN])).await;
        refused += published.refused;
        assert_eq!(within(quick.recv()).await.unwrap().unwrap().into_bytes().len(), LEN);
        if topics.count("all") == 1 {
            break;
        }
    }
    // It has left, although it does not read the Close.
    until(|| topics.count("all") == 1).await;
    assert!(refused > 0);
    assert_eq!(within(topics.publish("all", "on")).await, Published { queued: 1, refused: 0 });
    assert_eq!(reads(&mut quick).await, "on");
    drop(slow);
    close(quick).await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_leaving_and_publishing_at_once_gets_nowhere_stuck() {
    let topics = Topics::new();
    let server = server_of(members(&topics).queue(100, WhenFull::Wait)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let publishers: Vec<_> = (0..2)
        .map(|_| {
            let (topics, stop) = (topics.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    topics.publish("all", "to all").await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut stays = server.connect("/").await;
    for count in 0..100 {
        let mut comes = server.connect("/").await;
        reads(&mut comes).await;
        reads(&mut stays).await;
        if count % 2 == 0 { drop(comes) } else { close(comes).await }
    }
    stop.store(true, Ordering::Relaxed);
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = stays.recv().await {} });
    for publisher in publishers {
        within(publisher).await.unwrap();
    }
    until(|| topics.count("all") == 1).await;
    server.end().await;
    within(reading).await.unwrap();
    assert_eq!(topics.count("all"), 0);
}

/// At once, or not at all: also where the session would have senders wait.
#[tokio::test]
async fn what_is_tried_waits_for_nobody() {
    let topics = Topics::new();
    let (endpoint, mut sessions) = handed_out(1, WhenFull::Wait);
    let server = server_of(endpoint).await;
    let mut peer = Raw::open(server.address, "/").await;
    let session = within(sessions.recv()).await.unwrap();
    let _subscription = within(topics.subscribe("all", &session)).await.unwrap();
    let (one, two) = (Prepared::text("one"), Prepared::text("two"));
    // In one go, so that the queue is not looked at in between.
    assert_eq!(topics.try_publish_prepared("all", &one), Published { queued: 1, refused: 0 });
    assert_eq!(topics.try_publish_prepared("all", &two), Published { queued: 0, refused: 1 });
    assert_eq!(topics.try_publish_prepared("another", &two), Published::default());
    peer.expect(b"\x81\x03one").await;
    // It is not closed for that.
    within(session.send("three")).await.unwrap();
    peer.expect(b"\x81\x05three").await;
    drop(peer);
    server.end().await;
}
