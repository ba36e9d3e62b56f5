//! The end of a server, and of those who do not want to end.

use std::time::Duration;

use bowsprit::server::{Request, Router, Session, WebSocket, get, handler, html, websocket};
use bowsprit::session::{BoxError, Handler};
use bowsprit::{CloseCode, Message, OwnedMessage};
use hex_literal::hex;

use crate::support::{Log, Raw, Server, log, masked, noting, timeless, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sessions_end_with_their_server() {
    // FEATURE: PL13
    let (log, lines) = log();
    let router = Router::new().route("/", noting(&log, |_| None)).config(timeless());
    let server = Server::start(router.shutdown_timeout(Duration::from_secs(600))).await;
    drop(log);
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut ws = server.connect("/").await;
        clients.push(tokio::spawn(async move {
            assert_eq!(ws.recv().await.unwrap(), None);
            ws.end().unwrap()
        }));
    }
    server.end().await;
    for client in clients {
        let end = within(client).await.unwrap();
        assert!(end.clean);
        assert_eq!(end.received, Some(CloseCode::GOING_AWAY));
    }
    let lines = lines.rest().await;
    assert_eq!(lines.iter().filter(|line| **line == "open").count(), 1_000);
    assert_eq!(lines.iter().filter(|line| **line == "close 1001 \"\" clean").count(), 1_000);
    assert_eq!(lines.len(), 2_000);
}

struct Never(Log);

impl Handler<Session> for Never {
    async fn on_message(&mut self, session: &Session, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        session.send("queued").await?;
        self.0.note("waits");
        std::future::pending().await
    }
}

impl Drop for Never {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

#[tokio::test]
async fn who_does_not_end_is_dropped() {
    let (log, mut lines) = log();
    let told = log.clone();
    let never = handler(move |_| Never(told.clone()));
    let function = websocket(move |ws: WebSocket| {
        let never = Never(log.clone());
        async move {
            never.0.note("waits");
            std::future::pending::<()>().await;
            drop((never, ws));
        }
    });
    let page = get(async |_: Request| {
        std::future::pending::<()>().await;
        html("")
    });
    let router = Router::new().route("/handler", never).route("/function", function).route("/page", page);
    let server = Server::start(router.config(timeless()).shutdown_timeout(Duration::from_millis(200))).await;
    let mut page = Raw::connect(server.address).await;
    page.sends("GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut told = Raw::open(server.address, "/handler").await;
    told.sends(masked(0x81, "")).await;
    told.expect(b"\x81\x06queued").await; // it leaves while the callback waits
    assert_eq!(lines.next().await, "waits");
    let function = Raw::open(server.address, "/function").await;
    assert_eq!(lines.next().await, "waits");
    server.end().await;
    // A handler's queue leaves meanwhile, the Close with it; nobody but the function sends for a function.
    assert_eq!(told.rest().await, hex!("88 02 03e9"));
    assert_eq!(function.rest().await, hex!(""));
    assert_eq!(page.rest().await, hex!(""));
    assert_eq!((&*lines.next().await, &*lines.next().await), ("dropped", "dropped"));
}

#[tokio::test]
async fn what_is_queued_leaves_before_the_end() {
    let greets = handler(|_| {
        |session: &Session, event: bowsprit::session::Event<'_>| {
            if let bowsprit::session::Event::Message(_) = event {
                for count in 0..10 {
                    session.try_send(vec![count; 100_000])?;
                }
            }
            Ok::<_, BoxError>(None)
        }
    });
    let server = Server::start(Router::new().route("/", greets)).await;
    let mut peer = Raw::narrow(server.address).await.opens("/").await;
    peer.sends(masked(0x81, "go")).await;
    let (_, first) = peer.frame().await;
    assert_eq!(first, vec![0; 100_000]);
    let ends = server.begin_to_end();
    for count in 1..10 {
        assert_eq!(peer.frame().await, (0x82, vec![count; 100_000]));
    }
    peer.expect(hex!("88 02 03e9")).await;
    peer.sends(masked(0x88, "")).await;
    assert_eq!(peer.rest().await, hex!(""));
    within(ends).await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_being_answered_is_answered() {
    let (log, mut lines) = log();
    let slow = get(move |_: Request| {
        log.note("asked");
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            html("answered")
        }
    });
    let server = Server::start(Router::new().route("/", slow)).await;
    let mut idle = Raw::connect(server.address).await;
    idle.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(idle.head().await.starts_with("HTTP/1.1 200 "));
    idle.expect("answered").await;
    let mut peer = Raw::connect(server.address).await;
    peer.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!((&*lines.next().await, &*lines.next().await), ("asked", "asked"));
    let ends = server.begin_to_end();
    assert!(peer.rest().await.ends_with(b"\r\n\r\nanswered"));
    assert_eq!(idle.rest().await, b"");
    within(ends).await.unwrap();
}

/// Sends and sends, and never looks at what comes.
async fn ticks(mut ws: WebSocket) -> Result<(), BoxError> {
    loop {
        ws.send("tick").await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_function_that_only_sends_is_closed() {
    let (log, lines) = log();
    let router = Router::new().route("/", websocket(ticks)).on_error(move |_, error| log.note(error.to_string()));
    let server = Server::start(router.shutdown_timeout(Duration::from_secs(600)).config(timeless())).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.expect(b"\x81\x04tick").await;
    let ends = server.begin_to_end();
    let close = loop {
        let (first, payload) = peer.frame().await;
        if first == 0x88 {
            break payload;
        }
        assert_eq!((first, &payload[..]), (0x81, &b"tick"[..]));
    };
    assert_eq!(close, hex!("03e9"));
    peer.sends(masked(0x88, hex!("03e9"))).await;
    assert_eq!(peer.rest().await, hex!(""));
    within(ends).await.unwrap();
    assert_eq!(lines.rest().await, [""; 0], "to be closed is no failure");
}
