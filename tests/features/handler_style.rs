//! A handler for each connection of a path.

use bowsprit::server::{Router, Session, handler};
use bowsprit::session::{BoxError, Closed, Event, Failure, Handler};
use bowsprit::{Close, CloseCode, CloseError, Initiator, Message, OwnedMessage, SendError};
use hex_literal::hex;
use tokio::sync::mpsc;

use crate::support::{
    Log, Raw, Server, close, close_line, closing, log, masked, noting, opening, refused, request, server_of, within,
};

#[tokio::test]
async fn a_path_has_its_handler_and_no_other_has() {
    // FEATURE: FL1
    let (log, lines) = log();
    let server = Server::start(Router::new().route("/ws", noting(&log, |_| None))).await;
    drop(log);
    close(server.connect("/ws").await).await;
    for path in ["/nope", "/", "/ws/", "/wsx", "/WS", "/ws/more"] {
        let (status, body) = refused(request(&server.uri(path))).await;
        assert_eq!((status, &*body), (404, "there is nothing here\n"), "{path}");
    }
    server.end().await;
    assert_eq!(lines.rest().await, ["open", "close 1000 \"\" clean"]);
}

#[tokio::test]
async fn the_opening_is_told_before_a_message_of_the_same_segment() {
    // FEATURE: FL2
    let (log, lines) = log();
    let server = server_of(noting(&log, |_| None)).await;
    drop(log);
    let mut peer = Raw::connect(server.address).await;
    let head = opening("/", "");
    peer.sends([head.as_bytes(), &hex!("8185 00000000 68656c6c6f"), &hex!("8880 00000000")].concat()).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    assert_eq!(peer.rest().await, hex!("8800"));
    server.end().await;
    assert_eq!(lines.rest().await, ["open", "text hello", "close 1005 \"\" clean"]);
}

#[tokio::test]
async fn a_text_is_replied_to() {
    // FEATURE: FL3, DG9
    let (log, mut lines) = log();
    let server = server_of(noting(&log, |_| Some("I received your message!".into()))).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(hex!("8185 37fa213d 7f9f4d5158")).await; // "Hello", section 5.7
    peer.expect(b"\x81\x18I received your message!").await;
    assert_eq!(lines.next().await, "open");
    assert_eq!(lines.next().await, "text Hello");
}

#[tokio::test]
async fn bytes_are_replied_to() {
    // FEATURE: FL4
    let (log, _lines) = log();
    let reversed = |message: Message<'_>| {
        let mut bytes = message.as_bytes().to_vec();
        bytes.reverse();
        Some(OwnedMessage::from(bytes))
    };
    let server = server_of(noting(&log, reversed)).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(hex!("8285 00000000 0102030405")).await;
    peer.expect(hex!("8205 0504030201")).await;
}

#[tokio::test]
async fn a_close_of_the_peer_is_told_once() {
    // FEATURE: FL5
    let (log, lines) = log();
    let server = server_of(noting(&log, |_| None)).await;
    drop(log);
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(hex!("8883 00000000 0fa1 78")).await; // 4001, "x"
    peer.expect(hex!("88 02 0fa1")).await;
    assert_eq!(peer.rest().await, hex!(""), "the server ends the transport first");
    let ws = server.connect("/").await;
    let end = within(ws.close(Some(Close { code: CloseCode::from(4001), reason: "x" }))).await.unwrap();
    assert!(end.clean);
    assert_eq!((end.by, end.received), (Initiator::Local, Some(CloseCode::from(4001))));
    server.end().await;
    assert_eq!(lines.rest().await, ["open", "close 4001 \"x\" clean", "open", "close 4001 \"x\" clean"]);
}

#[tokio::test]
async fn a_broken_rule_is_an_error_and_then_one_close() {
    // FEATURE: FL6
    let (log, lines) = log();
    let server = server_of(noting(&log, |_| None)).await;
    drop(log);
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(hex!("c180 00000000")).await; // RSV1, and nobody agreed on an extension
    peer.expect(hex!("88")).await;
    let rest = peer.rest().await;
    assert_eq!(rest[1..3], 1002_u16.to_be_bytes());
    server.end().await;
    let lines = lines.rest().await;
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!((&*lines[0], &*lines[2]), ("open", "close 1006 \"\" lost"));
    assert!(lines[1].starts_with("error "), "{lines:?}");
}

#[tokio::test]
async fn a_reset_is_an_error_and_then_one_close() {
    // FEATURE: FL6
    let (log, mut lines) = log();
    let server = server_of(noting(&log, |_| None)).await;
    drop(log);
    let peer = Raw::open(server.address, "/").await;
    assert_eq!(lines.next().await, "open");
    peer.resets();
    assert!(lines.next().await.starts_with("error "));
    assert_eq!(lines.next().await, "close 1006 \"\" lost");
    server.end().await;
    assert!(lines.rest().await.is_empty());
}

#[tokio::test]
async fn a_server_closes_with_a_code_and_a_reason() {
    // FEATURE: FL7
    let (log, mut lines) = log();
    let server = server_of(handler(move |_| {
        let log = log.clone();
        move |session: &Session, event: Event<'_>| {
            match event {
                Event::Open => {
                    let long = "r".repeat(124);
                    let close = |code, reason| session.close(Some(Close { code: CloseCode::from(code), reason }));
                    assert_eq!(close(4000, &*long), Err(SendError::ReasonTooLong));
                    for code in [1005, 1006, 1015, 0, 999, 5000] {
                        assert_eq!(close(code, ""), Err(SendError::InvalidCloseCode(CloseCode::from(code))));
                    }
                    // Nothing has happened yet.
                    session.try_send("still open").unwrap();
                    assert_eq!(close(4002, &long[..123]), Ok(()));
                    assert_eq!(close(4003, "again"), Err(SendError::Closing));
                    assert_eq!(session.try_send("too late"), Err(SendError::Closing));
                }
                event => log.event(event),
            }
            Ok::<_, BoxError>(None)
        }
    }))
    .await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.expect(b"\x81\x0astill open").await;
    peer.expect([&hex!("88 7d 0fa2")[..], &[b'r'; 123]].concat()).await;
    peer.sends(masked(0x88, closing(4002, ""))).await;
    assert_eq!(peer.rest().await, hex!(""));
    assert_eq!(lines.next().await, "close 4002 \"\" clean");
}

#[tokio::test]
async fn a_session_knows_where_its_peer_is_and_what_it_asked() {
    // FEATURE: FL8, FL10
    let server = server_of(handler(|_| {
        |session: &Session, event: Event<'_>| {
            let request = session.request();
            let reply = matches!(event, Event::Message(_)).then(|| {
                let (method, path) = (request.method(), request.path());
                format!("{} {method} {path} {:?}", session.peer_address(), request.header("x-Color"))
            });
            Ok::<_, BoxError>(reply.map(OwnedMessage::from))
        }
    }))
    .await;
    let mut peer = Raw::connect(server.address).await;
    let local = peer.0.local_addr().unwrap();
    peer.sends(opening("/", "X-Color: blue\r\n")).await;
    peer.head().await;
    peer.sends(masked(0x81, "?")).await;
    let (first, payload) = peer.frame().await;
    assert_eq!(first, 0x81);
    assert_eq!(String::from_utf8(payload).unwrap(), format!("{local} GET / Some(\"blue\")"));
}

#[tokio::test]
async fn a_thousand_sessions_have_a_thousand_ids() {
    // FEATURE: FL9
    let server = server_of(handler(|_| {
        |session: &Session, event: Event<'_>| {
            if let Event::Open = event {
                session.try_send(session.id().to_string())?;
            }
            Ok::<_, BoxError>(None)
        }
    }))
    .await;
    let (mut open, mut ids) = (Vec::new(), std::collections::BTreeSet::new());
    for count in 0..1_000 {
        let mut peer = Raw::open(server.address, "/").await;
        let (_, id) = peer.frame().await;
        assert!(ids.insert(String::from_utf8(id).unwrap()), "number {count} is not the first of its id");
        // Some stay, some go: no id is given again.
        if count % 10 == 0 {
            open.push(peer);
        }
    }
    assert_eq!(ids.len(), 1_000);
}

/// Fails or panics in one of its callbacks, and notes all.
struct Faulty {
    log: Log,
    fails_in: &'static str,
    panics: bool,
}

impl Faulty {
    fn told(&self, name: &str) -> Result<(), BoxError> {
        if self.fails_in == name {
            assert!(!self.panics, "a panic in {name}");
            return Err(format!("an error in {name}").into());
        }
        Ok(())
    }
}

impl Handler<Session> for Faulty {
    async fn on_open(&mut self, _: &Session) -> Result<Option<OwnedMessage>, BoxError> {
        self.log.note("open");
        self.told("on_open").map(|()| None)
    }

    async fn on_message(&mut self, _: &Session, message: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        self.log.note("message");
        // A panic behind an await is no other panic.
        tokio::task::yield_now().await;
        self.told("on_message")?;
        if message == Message::Text("fail") {
            return Err(CloseError::new(CloseCode::from(4_444), "told to").into());
        }
        Ok(Some(message.to_owned()))
    }

    async fn on_error(&mut self, _: &Session, error: &Failure) {
        self.log.note(format!("error {error}"));
        tokio::task::yield_now().await;
        drop(self.told("on_error"));
    }

    async fn on_close(&mut self, _: &Session, closed: &Closed) {
        self.log.note(close_line(closed));
        drop(self.told("on_close"));
    }
}

#[tokio::test]
async fn what_fails_in_a_callback_ends_one_connection_and_is_told_once() {
    for (fails_in, panics) in [("on_open", false), ("on_open", true), ("on_message", false), ("on_message", true)] {
        let (log, mut lines) = log();
        let router = Router::new().route("/", noting(&log, |message| Some(message.to_owned()))).route(
            "/faulty",
            handler({
                let log = log.clone();
                move |_| Faulty { log: log.clone(), fails_in, panics }
            }),
        );
        let server = Server::start(router).await;
        drop(log);
        let mut bystander = Raw::open(server.address, "/").await;
        assert_eq!(lines.next().await, "open");

        let mut peer = Raw::open(server.address, "/faulty").await;
        peer.sends(masked(0x81, "hello")).await;
        peer.expect(hex!("88 02 03f3")).await; // 1011, and nothing of what went wrong
        peer.sends(hex!("8882 00000000 03f3")).await;
        assert_eq!(peer.rest().await, hex!(""));
        assert_eq!(lines.next().await, "open");
        if fails_in == "on_message" {
            assert_eq!(lines.next().await, "message");
        }
        let failed =
            if panics { "error the handler panicked: a panic in" } else { "error the handler failed: an error in" };
        assert_eq!(lines.next().await, format!("{failed} {fails_in}"));
        assert_eq!(lines.next().await, "close 1011 \"\" clean");

        bystander.sends(masked(0x81, "here")).await;
        bystander.expect(b"\x81\x04here").await;
        drop(bystander);
        server.end().await;
        assert_eq!(lines.rest().await.len(), 3, "of the bystander: a message, an error, a close");
    }
}

#[tokio::test]
async fn a_panic_at_the_end_takes_nobody_down() {
    for fails_in in ["on_error", "on_close"] {
        let (log, mut lines) = log();
        let server = server_of(handler(move |_| Faulty { log: log.clone(), fails_in, panics: true })).await;
        for _ in 0..2 {
            let mut peer = Raw::open(server.address, "/").await;
            peer.sends(masked(0x81, "fail")).await;
            peer.expect(b"\x88\x09\x11\x5ctold to").await;
            peer.sends(hex!("8880 00000000")).await;
            assert_eq!(peer.rest().await, hex!(""));
            assert_eq!(lines.next().await, "open");
            assert_eq!(lines.next().await, "message");
            assert_eq!(lines.next().await, "error the handler failed: told to");
            assert_eq!(lines.next().await, "close 1005 \"\" clean");
        }
        server.end().await;
        assert!(lines.rest().await.is_empty());
    }
}

/// Panics when it is dropped, and with what is no text.
struct Bomb;

impl Handler<Session> for Bomb {
    async fn on_message(&mut self, _: &Session, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        std::panic::panic_any(5)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("when it is dropped");
    }
}

#[tokio::test]
async fn a_handler_whose_drop_panics_takes_nobody_down() {
    let server = server_of(handler(|_| Bomb)).await;
    for _ in 0..2 {
        let mut peer = Raw::open(server.address, "/").await;
        peer.sends(masked(0x81, "")).await;
        peer.expect(hex!("88 02 03f3")).await;
        peer.sends(masked(0x88, "")).await;
        assert_eq!(peer.rest().await, hex!(""));
    }
    server.end().await;
}

#[tokio::test]
async fn a_handler_that_cannot_be_made_closes_its_connection() {
    let (told, mut reports) = mpsc::unbounded_channel();
    let endpoint = handler(|session: &Session| {
        assert!(session.request().query() != Some("panic"), "no handler for this one");
        |_: &Session, _: Event<'_>| Ok::<_, BoxError>(None)
    });
    let router = Router::new().route("/", endpoint);
    let server = Server::start(router.on_error(move |_, failure| drop(told.send(failure.to_string())))).await;
    let mut peer = Raw::open(server.address, "/?panic").await;
    peer.expect(hex!("88 02 03f3")).await;
    peer.sends(hex!("8882 00000000 03f3")).await;
    assert_eq!(peer.rest().await, hex!(""));
    assert_eq!(within(reports.recv()).await.unwrap(), "the handler panicked: no handler for this one");
    close(server.connect("/").await).await;
    server.end().await;
}

/// Sends to itself, and replies.
struct Chatty;

impl Handler<Session> for Chatty {
    async fn on_open(&mut self, session: &Session) -> Result<Option<OwnedMessage>, BoxError> {
        session.send("opened").await?;
        Ok(None)
    }

    async fn on_message(&mut self, session: &Session, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        session.send("first").await?;
        tokio::task::yield_now().await;
        session.try_send("second")?;
        Ok(Some("reply".into()))
    }
}

#[tokio::test]
async fn what_a_callback_sends_comes_before_its_reply() {
    let server = server_of(handler(|_| Chatty)).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.expect(b"\x81\x06opened").await;
    for _ in 0..2 {
        peer.sends(masked(0x81, "?")).await;
        peer.expect(b"\x81\x05first\x81\x06second\x81\x05reply").await;
    }
}

#[tokio::test]
async fn a_close_in_a_callback_comes_before_its_reply() {
    let server = server_of(handler(|_| {
        |session: &Session, event: Event<'_>| {
            if let Event::Message(_) = event {
                session.close(None)?;
            }
            Ok::<_, BoxError>(Some("a reply to all".into()))
        }
    }))
    .await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.expect(b"\x81\x0ea reply to all").await;
    peer.sends([masked(0x81, "1"), masked(0x81, "2"), masked(0x88, "")].concat()).await;
    assert_eq!(peer.rest().await, hex!("8800"), "nothing behind the Close, and no reply to the close");
}

/// Queues a message, and fails.
struct Farewell;

impl Handler<Session> for Farewell {
    async fn on_message(&mut self, session: &Session, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        session.try_send("what was queued")?;
        Err("and then it failed".into())
    }

    async fn on_error(&mut self, session: &Session, _: &Failure) {
        // Nobody sends any more: it does not wait for room that nobody makes.
        let sent = session.send("of the error").await;
        assert_eq!(sent, Err(SendError::Closing));
    }
}

#[tokio::test]
async fn what_a_callback_queued_leaves_before_the_close_of_its_failure() {
    let endpoint = handler(|_| Farewell).queue(1, bowsprit::tokio::WhenFull::Wait);
    let server = server_of(endpoint).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(masked(0x81, "?")).await;
    peer.expect(b"\x81\x0fwhat was queued\x88\x02\x03\xf3").await;
    peer.sends(hex!("8880 00000000")).await;
    assert_eq!(peer.rest().await, hex!(""));
    server.end().await;
}

/// Panics before there is a future to await.
struct Eager(Log);

impl Handler<Session> for Eager {
    fn on_message(
        &mut self,
        _: &Session,
        message: Message<'_>,
    ) -> impl Future<Output = Result<Option<OwnedMessage>, BoxError>> + Send {
        assert!(message.as_bytes().is_empty(), "a panic in the call itself");
        std::future::ready(Ok(None))
    }

    async fn on_error(&mut self, _: &Session, error: &Failure) {
        self.0.note(error.to_string());
    }

    async fn on_close(&mut self, _: &Session, closed: &Closed) {
        self.0.note(close_line(closed));
    }
}

#[tokio::test]
async fn a_panic_in_the_call_of_a_callback_is_one_of_the_callback() {
    let (log, mut lines) = log();
    let server = server_of(handler(move |_| Eager(log.clone()))).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(masked(0x81, "now")).await;
    peer.expect(hex!("8802 03f3")).await;
    peer.sends(masked(0x88, hex!("03f3"))).await;
    assert_eq!(peer.rest().await, hex!(""));
    assert_eq!(lines.next().await, "the handler panicked: a panic in the call itself");
    assert_eq!(lines.next().await, "close 1011 \"\" clean");
    server.end().await;
}
