//! Peers that read slowly, or not at all, under each policy.

use std::time::Duration;

use bowsprit::server::{Endpoint, Published, Router, Session, Topics, WebSocket, handler, websocket};
use bowsprit::session::{BoxError, Closed, Event, Failure, Handler};
use bowsprit::tokio::WhenFull;
use bowsprit::{CloseCode, Config, Message, OwnedMessage, Prepared, SendError};
use hex_literal::hex;
use tokio::sync::mpsc;

use crate::support::{Log, Raw, Server, close, close_line, log, masked, server_of, timeless, until, within};
use crate::topics::{joins, members};

/// Sends itself a hundred messages that are longer than its queue, then replies.
struct Flood(Log);

impl Handler<Session> for Flood {
    async fn on_message(&mut self, session: &Session, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        let mut results = Vec::new();
        for count in 0..100 {
            results.push(session.send(format!("{count:02} {}", "x".repeat(10_000))).await);
        }
        let count = |wanted: Result<(), SendError>| results.iter().filter(|result| **result == wanted).count();
        let (sent, full, closing) = (count(Ok(())), count(Err(SendError::Full)), count(Err(SendError::Closing)));
        self.0.note(format!("{sent} {full} {closing} {}", session.sender().dropped()));
        Ok(Some("reply".into()))
    }

    async fn on_close(&mut self, _: &Session, closed: &Closed) {
        self.0.note(close_line(closed));
    }
}

fn flood(log: &Log, when_full: WhenFull) -> Endpoint {
    let log = log.clone();
    handler(move |_| Flood(log.clone())).queue(64, when_full)
}

async fn numbers(peer: &mut Raw) -> Vec<String> {
    let mut numbers = Vec::new();
    loop {
        let (first, payload) = peer.frame().await;
        if first == 0x88 || payload == b"reply" {
            numbers.push(if first == 0x88 { "close".into() } else { "reply".into() });
            return numbers;
        }
        assert_eq!((first, payload.len()), (0x81, 10_003));
        numbers.push(String::from_utf8(payload[..2].to_vec()).unwrap());
    }
}

#[tokio::test]
async fn a_callback_may_send_to_itself_under_each_policy() {
    for (when_full, told) in [
        (WhenFull::Wait, "100 0 0 0"),
        (WhenFull::DropNewest, "1 99 0 99"),
        (WhenFull::DropOldest, "100 0 0 99"),
        (WhenFull::Disconnect, "1 0 99 2"),
    ] {
        let (log, mut lines) = log();
        let server = server_of(flood(&log, when_full)).await;
        let mut peer = Raw::open(server.address, "/").await;
        peer.sends(masked(0x81, "go")).await;
        let read = numbers(&mut peer).await;
        let all: Vec<_> = (0..100).map(|count| format!("{count:02}")).chain(["reply".to_owned()]).collect();
        match when_full {
            WhenFull::Wait => assert_eq!(read, all),
            WhenFull::DropNewest => assert_eq!(read, ["00", "reply"]),
            WhenFull::DropOldest => assert_eq!(read, ["99", "reply"]),
            WhenFull::Disconnect => assert_eq!(read, ["close"]),
        }
        assert_eq!(lines.next().await, told, "{when_full:?}");
        drop(peer);
        assert!(lines.next().await.starts_with("close "));
        server.end().await;
    }
}

/// Hands its sessions to the test.
pub(crate) fn handed_out(queue: usize, when_full: WhenFull) -> (Endpoint, mpsc::UnboundedReceiver<Session>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let endpoint = handler(move |session: &Session| {
        sender.send(session.clone()).expect("the test listens");
        |_: &Session, _: Event<'_>| Ok::<_, BoxError>(None)
    });
    (endpoint.queue(queue, when_full), receiver)
}

const MESSAGE: usize = 10_000;
const QUEUE: usize = 100_000;

#[tokio::test]
async fn a_peer_that_reads_nothing_costs_its_queue() {
    for when_full in [WhenFull::Wait, WhenFull::DropNewest, WhenFull::DropOldest] {
        let (endpoint, mut sessions) = handed_out(QUEUE, when_full);
        let server = server_of(endpoint).await;
        let mut peer = Raw::narrow(server.address).await.opens("/").await;
        let session = within(sessions.recv()).await.unwrap();
        // Far more than what the system keeps on the way to the peer.
        let (mut sent, mut full) = (0, 0);
        for count in 0..2_000_u16 {
            let message = [&count.to_be_bytes()[..], &[0x2a; MESSAGE - 2]].concat();
            match session.try_send(message) {
                Ok(()) => sent += 1,
                Err(error) => {
                    assert_eq!(error, SendError::Full);
                    full += 1;
                }
            }
            assert!(session.sender().queued() < QUEUE + MESSAGE + 64, "{}", session.sender().queued());
            tokio::task::yield_now().await;
        }
        let dropped = usize::try_from(session.sender().dropped()).unwrap();
        match when_full {
            WhenFull::DropOldest => assert!(sent == 2_000 && full == 0 && dropped > 0),
            WhenFull::DropNewest => assert!(sent + full == 2_000 && full == dropped && full > 0),
            _ => assert!(sent + full == 2_000 && full > 0 && dropped == 0),
        }
        // One more waits, and is not sent when nobody waits with it.
        if when_full == WhenFull::Wait {
            let mut waiting = Box::pin(session.send("never mind"));
            assert!(tokio::time::timeout(Duration::from_millis(1), &mut waiting).await.is_err());
            drop(waiting);
        }
        let left = sent - if when_full == WhenFull::DropOldest { dropped } else { 0 };
        let mut last = None;
        for _ in 0..left {
            let (first, payload) = peer.frame().await;
            assert_eq!((first, payload.len()), (0x82, MESSAGE));
            let number = u16::from_be_bytes([payload[0], payload[1]]);
            assert!(last < Some(number), "{number} behind {last:?}");
            last = Some(number);
        }
        // There is room again.
        within(session.send("at last")).await.unwrap();
        peer.expect(b"\x81\x07at last").await;
        assert_eq!(session.sender().queued(), 0);
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_disconnected() {
    let (endpoint, mut sessions) = handed_out(QUEUE, WhenFull::Disconnect);
    let config = Config { close_timeout: Some(Duration::from_millis(100)), ..timeless() };
    let server = server_of(endpoint.config(config)).await;
    let peer = Raw::narrow(server.address).await.opens("/").await;
    let session = within(sessions.recv()).await.unwrap();
    while session.try_send(vec![0x2a; MESSAGE]).is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(session.try_send("more"), Err(SendError::Closing));
    assert_eq!((session.sender().queued(), session.sender().dropped() > 9), (0, true));
    // It ends although the peer does not read the Close: no other deadline is set.
    server.end().await;
    drop(peer);
}

#[tokio::test]
async fn a_slow_peer_reads_why_it_is_disconnected() {
    let (endpoint, mut sessions) = handed_out(QUEUE, WhenFull::Disconnect);
    let server = server_of(endpoint).await;
    let mut peer = Raw::narrow(server.address).await.opens("/").await;
    let session = within(sessions.recv()).await.unwrap();
    while session.try_send(vec![0x2a; MESSAGE]).is_ok() {
        tokio::task::yield_now().await;
    }
    loop {
        let (first, payload) = peer.frame().await;
        if first == 0x88 {
            assert_eq!(payload[..2], hex!("03f0")); // 1008
            break;
        }
        assert_eq!((first, payload.len()), (0x82, MESSAGE), "what was begun is whole");
    }
}

/// Waits for room that its peer never makes.
struct Stuck(Log);

impl Handler<Session> for Stuck {
    async fn on_message(&mut self, session: &Session, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        loop {
            session.send(vec![0x2a; MESSAGE]).await?;
        }
    }

    async fn on_error(&mut self, _: &Session, failure: &Failure) {
        self.0.note(format!("error {failure}"));
    }

    async fn on_close(&mut self, _: &Session, closed: &Closed) {
        self.0.note(close_line(closed));
    }
}

#[tokio::test]
async fn a_callback_that_waits_for_room_learns_of_the_end() {
    // FEATURE: FF9
    for reset in [true, false] {
        let (log, mut lines) = log();
        let write_timeout = if reset { None } else { Some(Duration::from_millis(100)) };
        let endpoint = handler(move |_| Stuck(log.clone())).queue(QUEUE, WhenFull::Wait);
        let server = server_of(endpoint.config(Config { write_timeout, ..timeless() })).await;
        let mut peer = Raw::narrow(server.address).await.opens("/").await;
        peer.sends(masked(0x81, "go")).await;
        let kept = if reset {
            tokio::time::sleep(Duration::from_millis(100)).await; // or later: it is all the same
            peer.resets();
            None
        } else {
            Some(peer)
        };
        assert!(lines.next().await.starts_with("error "));
        assert_eq!(lines.next().await, "close 1006 \"\" lost");
        drop(kept);
        server.end().await;
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_given_up() {
    // FEATURE: FF9
    async fn stuck(mut ws: WebSocket) -> Result<(), BoxError> {
        loop {
            ws.send(&[0x2a; MESSAGE][..]).await?;
        }
    }
    let (told, mut reports) = mpsc::unbounded_channel();
    let config = Config { write_timeout: Some(Duration::from_millis(100)), ..timeless() };
    let router = Router::new().route("/", websocket(stuck).config(config));
    let server = Server::start(router.on_error(move |_, failure| drop(told.send(failure.to_string())))).await;
    let _peer = Raw::narrow(server.address).await.opens("/").await;
    assert!(!within(reports.recv()).await.unwrap().is_empty());
    server.end().await;
}

#[tokio::test]
async fn a_message_that_fills_the_output_does_not_stop_the_next_one() {
    // A client masks: its messages go through the output, whole.
    let (log, mut lines) = log();
    let server = server_of(handler(move |_| {
        let log = log.clone();
        move |_: &Session, event: Event<'_>| {
            if let Event::Message(message) = event {
                log.note(message.as_bytes().len().to_string());
            }
            Ok::<_, BoxError>(None)
        }
    }))
    .await;
    let mut ws = server.connect("/").await;
    let sender = ws.sender(1 << 20, WhenFull::Wait);
    let reads = tokio::spawn(async move { ws.recv().await });
    for len in [1, 100_000, 2, 64 << 10, 3] {
        within(sender.send(vec![0x2a; len])).await.unwrap();
        assert_eq!(lines.next().await, len.to_string());
    }
    sender.close(Some(CloseCode::NORMAL.into())).unwrap();
    assert_eq!(within(reads).await.unwrap().unwrap(), None);
    server.end().await;
}

#[tokio::test]
async fn what_is_queued_leaves_beside_a_half_that_writes() {
    for _ in 0..3 {
        let (handed, mut sessions) = mpsc::unbounded_channel();
        let endpoint = websocket(move |ws: WebSocket| {
            handed.send(ws.session().clone()).expect("the test listens");
            async {
                let (mut reader, mut writer) = ws.into_inner().split();
                let writes = tokio::spawn(async move {
                    for _ in 0..50 {
                        writer.send(&[0x01; 100_000][..]).await?;
                    }
                    // It is not the half that ends it.
                    std::future::pending::<Result<(), bowsprit::Error>>().await
                });
                while reader.next().await?.is_some() {}
                writes.abort();
                Ok::<_, BoxError>(())
            }
        });
        let server = server_of(endpoint.queue(QUEUE, WhenFull::Wait)).await;
        let mut peer = Raw::narrow(server.address).await.opens("/").await;
        let session = within(sessions.recv()).await.unwrap();
        let sends = tokio::spawn(async move {
            for _ in 0..200 {
                session.send(vec![0x02; MESSAGE]).await.unwrap();
            }
            session
        });
        tokio::time::sleep(Duration::from_millis(50)).await; // all is full
        let mut counts = [0, 0];
        while counts != [50, 200] {
            let (first, payload) = peer.frame().await;
            assert_eq!(first, 0x82);
            counts[usize::from(payload[0]) - 1] += 1;
        }
        let session = within(sends).await.unwrap();
        session.try_send("and one more").unwrap();
        peer.expect(b"\x81\x0cand one more").await;
    }
}

/// A function that publishes to a topic of its own does not wait for itself: its queue is sent once it is back in `next`.
#[tokio::test]
async fn a_function_that_publishes_to_itself_does_not_wait_for_itself() {
    // FEATURE: TS1
    let publish = async |mut ws: WebSocket| {
        let topics = Topics::new();
        let _subscription = topics.subscribe("own", ws.session()).await?;
        ws.send("begin").await?;
        for text in ["one", "two", "three"] {
            assert_eq!(topics.publish("own", text).await, Published { queued: 1, refused: 0 });
        }
        while ws.next().await?.is_some() {}
        Ok::<_, BoxError>(())
    };
    let server = server_of(websocket(publish).queue(1, WhenFull::Wait)).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.expect(b"\x81\x05begin\x81\x03one\x81\x03two\x81\x05three").await;
    drop(peer);
    server.end().await;
}

// HOSTILE: 43
#[tokio::test]
async fn one_subscriber_that_reads_nothing_stops_nobody() {
    // FEATURE: TS1
    const LEN: usize = 50_000;
    const COUNT: usize = 120;
    let topics = Topics::new();
    let server = server_of(members(&topics)).await;
    let stuck = Raw::narrow(server.address).await.opens("/").await;
    let mut healthy = Vec::new();
    for _ in 0..99 {
        let mut ws = joins(&server, "/").await;
        healthy.push(tokio::spawn(async move {
            for _ in 0..COUNT {
                assert_eq!(within(ws.recv()).await.unwrap().unwrap().into_bytes().len(), LEN);
            }
            ws
        }));
    }
    until(|| topics.count("all") == 100).await;
    let message = Prepared::binary(&[0x2a; LEN]);
    let mut queued = 0;
    for _ in 0..COUNT {
        // Far below the write timeout, for which a publisher would wait.
        let publishing = tokio::time::timeout(Duration::from_secs(10), topics.publish_prepared("all", &message));
        queued += publishing.await.expect("it waits for nobody").queued;
    }
    assert!(queued >= 99 * COUNT, "{queued}");
    for reader in healthy {
        close(within(reader).await.unwrap()).await;
    }
    drop(stuck);
    server.end().await;
}
