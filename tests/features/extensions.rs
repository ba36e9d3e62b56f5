//! Callbacks on both sides, extensions, limits, and how it ended.

#[path = "../extensions/xor.rs"]
pub(crate) mod xor;

use std::sync::Arc;
use std::time::Duration;

use bowsprit::server::{Session, WebSocket, handler, websocket};
use bowsprit::session::{BoxError, Closed, Event, Handler};
use bowsprit::tokio::{Connector, Parts, WebSocket as Inner, WhenFull};
use bowsprit::{
    Cause, CloseCode, Config, End, Initiator, Message, OpCode, Outgoing, OwnedMessage, ProtocolError, Timeout,
};
use hex_literal::hex;
use tokio::sync::mpsc;
use xor::Xor;

use crate::support::{Raw, close, log, masked, noting, opening, request, server_of, timeless, within};

#[tokio::test]
async fn both_sides_have_callbacks() {
    // FEATURE: FF1
    let (log, mut lines) = log();
    let told = log.clone();
    let endpoint = handler(move |_| {
        let (log, mut count) = (told.clone(), 0);
        move |session: &Session, event: Event<'_>| {
            match event {
                Event::Message(message) => {
                    log.note(format!("server {message:?}"));
                    session.try_send(format!("back {count}"))?;
                    count += 1;
                }
                Event::Close(closed) => log.note(format!("server {} {}", closed.code().0, closed.is_clean())),
                _ => {}
            }
            Ok::<_, BoxError>(None)
        }
    });
    let endpoint = endpoint.accept(async |request, accept| {
        tokio::task::yield_now().await;
        if request.query() == Some("yes") { Ok(accept) } else { Err(bowsprit::server::text(403, "no\n")) }
    });
    let server = server_of(endpoint).await;
    assert_eq!(crate::support::refused(request(&server.uri("/?no"))).await, (403, "no\n".into()));
    let mut ws = server.connect("/?yes").await;
    for count in 0..10 {
        within(ws.send(&*format!("there {count}"))).await.unwrap();
    }
    for count in 0..10 {
        assert_eq!(within(ws.recv()).await.unwrap(), Some(format!("back {count}").into()));
        assert_eq!(lines.next().await, format!("server Text(\"there {count}\")"));
    }
    close(ws).await;
    assert_eq!(lines.next().await, "server 1000 true");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_send_through_one_session() {
    // FEATURE: FF6
    for (max, when_full) in [(1, WhenFull::Wait), (64 << 10, WhenFull::Wait), (64 << 20, WhenFull::DropNewest)] {
        let (handed, mut sessions) = mpsc::unbounded_channel();
        let endpoint = handler(move |session: &Session| {
            handed.send(session.clone()).expect("the test listens");
            |_: &Session, _: Event<'_>| Ok::<_, BoxError>(None)
        });
        let server = server_of(endpoint.queue(max, when_full)).await;
        let mut ws = server.connect("/").await;
        let session = within(sessions.recv()).await.unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let session = session.clone();
                tokio::spawn(async move {
                    for count in 0..1_000 {
                        session.send(format!("{task} {count} {}", "x".repeat(count))).await.expect("there is room");
                    }
                })
            })
            .collect();
        let mut next = [0; 8];
        for _ in 0..8_000 {
            let text = within(ws.recv()).await.unwrap().unwrap().into_text().unwrap();
            let mut words = text.as_str().split(' ');
            let mut number = || words.next().unwrap().parse::<usize>().unwrap();
            let (task, count) = (number(), number());
            assert_eq!(words.next().unwrap().len(), count, "it is whole");
            assert_eq!(next[task], count, "each task's are in order");
            next[task] += 1;
        }
        for task in tasks {
            within(task).await.unwrap();
        }
        close(ws).await;
    }
}

#[tokio::test]
async fn texts_bytes_and_frames_leave_as_they_are() {
    // FEATURE: FF8
    async fn sends(mut ws: WebSocket) -> Result<(), BoxError> {
        ws.send("text").await?;
        ws.session().send(vec![0x00, 0xff]).await?;
        drop(ws.recv().await?); // what the session sends leaves meanwhile
        let mut parts = ws.into_inner().into_parts();
        let mut frame = |opcode, fin, payload: &[u8]| {
            let len = u64::try_from(payload.len()).expect("it is short");
            let header = bowsprit::Header { fin, ..bowsprit::Header::new(opcode, len) };
            parts.connection.send(Outgoing::frame(header, payload), &mut parts.output)
        };
        frame(OpCode::Binary, false, &[0x01, 0x02])?;
        frame(OpCode::Ping, true, b"in between")?;
        frame(OpCode::Continuation, true, &[0x03])?;
        let mut ws = Inner::from_parts(Parts { ..parts });
        ws.flush().await?;
        ws.close(None).await?;
        Ok(())
    }
    let server = server_of(websocket(sends)).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.expect(hex!("81 04 74657874 82 02 00ff")).await;
    peer.sends(masked(0x82, "")).await;
    peer.expect(hex!("02 02 0102")).await;
    peer.expect(b"\x89\x0ain between").await;
    peer.expect(hex!("80 01 03 88 00")).await;
    peer.sends(masked(0x88, "")).await;
    assert_eq!(peer.rest().await, hex!(""));
}

#[tokio::test]
async fn limits_end_a_connection_each_with_its_code() {
    // FEATURE: FF9
    let (log, mut lines) = log();
    let config = Config {
        max_message: 10,
        idle_timeout: Some(Duration::from_millis(100)),
        close_timeout: Some(Duration::from_millis(100)),
        ..Config::default()
    };
    let server = server_of(noting(&log, |_| None).config(config)).await;
    // Longer than a message may be, over its fragments.
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends([masked(0x02, [0; 8]), masked(0x80, [0; 8])].concat()).await;
    let (first, close) = peer.frame().await;
    assert_eq!((first, &close[..2]), (0x88, &hex!("03f1")[..])); // 1009
    drop(peer);
    for expected in ["open", "error ", "close 1006 \"\" lost"] {
        assert!(lines.next().await.starts_with(expected));
    }
    // Silent.
    let mut peer = Raw::open(server.address, "/").await;
    let (first, close) = peer.frame().await;
    assert_eq!((first, &close[..2]), (0x88, &hex!("03e9")[..])); // 1001
    for expected in ["open", "error ", "close 1006 \"\" lost"] {
        assert!(lines.next().await.starts_with(expected));
    }
}

/// Tells the test how it ended.
struct Ends(mpsc::UnboundedSender<End>);

impl Handler<Session> for Ends {
    async fn on_message(&mut self, session: &Session, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        session.close(Some(CloseCode::from(4_000).into()))?;
        Ok(None)
    }

    async fn on_close(&mut self, _: &Session, closed: &Closed) {
        let _ = self.0.send(closed.end);
    }
}

#[tokio::test]
async fn it_is_told_how_a_connection_ended_and_by_whom() {
    // FEATURE: FF10
    let (sender, mut ends) = mpsc::unbounded_channel();
    let config = Config { close_timeout: Some(Duration::from_millis(100)), ..timeless() };
    let server = server_of(handler(move |_| Ends(sender.clone())).config(config)).await;
    let (ours, theirs) = (CloseCode::from(4_000), CloseCode::from(4_001));
    let mut end = async || within(ends.recv()).await.unwrap();

    // By the peer, clean.
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(masked(0x88, hex!("0fa1"))).await;
    peer.rest().await;
    let sent = Some(theirs);
    let expected = End { sent, received: Some(theirs), by: Initiator::Remote, clean: true, cause: Cause::Close };
    assert_eq!(end().await, expected);

    // By us, clean.
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends([masked(0x81, ""), masked(0x88, hex!("0fa1"))].concat()).await;
    peer.rest().await;
    let told = end().await;
    assert!(told.clean);
    assert_eq!(told.received, Some(theirs));

    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(masked(0x81, "")).await;
    peer.expect(hex!("88 02 0fa0")).await;
    peer.sends(masked(0x88, hex!("0fa0"))).await;
    peer.rest().await;
    let sent = Some(ours);
    let expected = End { sent, received: Some(ours), by: Initiator::Local, clean: true, cause: Cause::Close };
    assert_eq!(end().await, expected);

    // By the peer, or the network, unclean.
    drop(Raw::open(server.address, "/").await);
    let expected = End { sent: None, received: None, by: Initiator::Remote, clean: false, cause: Cause::Disconnected };
    assert_eq!(end().await, expected);

    // By us, unclean: the peer broke a rule, or did not answer.
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(hex!("8100")).await;
    peer.rest().await;
    let told = end().await;
    assert_eq!((told.clean, told.by, told.received), (false, Initiator::Local, None));
    assert_eq!(told.cause, Cause::Protocol(ProtocolError::Unmasked));
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(masked(0x81, "")).await;
    let expected =
        End { sent, received: None, by: Initiator::Local, clean: false, cause: Cause::Timeout(Timeout::Close) };
    assert_eq!(end().await, expected);
}

#[tokio::test]
async fn an_extension_of_one_s_own_is_plugged_in() {
    // FEATURE: FF11
    let (log, mut lines) = log();
    let config = Config { extensions: vec![Arc::new(Xor(0x20))], ..Config::default() };
    let server = server_of(noting(&log, |message| Some(message.to_owned())).config(config.clone())).await;
    let mut peer = Raw::connect(server.address).await;
    peer.sends(opening("/", "Sec-WebSocket-Extensions: x-unknown, x-xor; key=32\r\n")).await;
    let head = peer.head().await;
    assert!(head.contains("\r\nsec-websocket-extensions: x-xor; key=32\r\n"), "{head}");
    peer.sends(masked(0x81, "hELLO")).await; // each letter of "Hello", with 0x20
    peer.expect(b"\x81\x05hELLO").await;
    assert_eq!(lines.next().await, "open");
    assert_eq!(lines.next().await, "text Hello");

    let connector = Connector::new(request(&server.uri("/"))).config(config);
    let (mut ws, _) = within(connector.connect()).await.unwrap();
    assert_eq!(ws.extensions().names().collect::<Vec<_>>(), ["x-xor"]);
    for text in ["", "Hello", &"long ".repeat(10_000)] {
        within(ws.send(text)).await.unwrap();
        assert_eq!(within(ws.recv()).await.unwrap(), Some(text.into()));
    }
    close(ws).await;
}
