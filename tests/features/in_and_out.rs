//! A function for each connection of a path: it reads and writes as it likes.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::handshake::{BuildError, OriginPolicy};
use bowsprit::server::{Router, WebSocket, text, websocket};
use bowsprit::session::{BoxError, Failure};
use bowsprit::tokio::Connector;
use bowsprit::{Cause, Close, CloseCode, Config, Error, Exceeded, Initiator, Message, ProtocolError, Timeout};
use hex_literal::hex;
use tokio::sync::{Barrier, mpsc};

use crate::support::{
    Raw, Server, close, closing, log, masked, noting, opening, refused, request, server_of, timeless, within,
};

async fn echo(mut ws: WebSocket) -> Result<(), BoxError> {
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}

#[tokio::test]
async fn neither_half_waits_for_the_other() {
    // FEATURE: PL1
    let (log, mut lines) = log();
    let server = server_of(websocket(move |ws: WebSocket| {
        let log = log.clone();
        async move {
            let (mut reader, mut writer) = ws.into_inner().split();
            let (stuck, writes) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
            let written = tokio::spawn({
                let (stuck, writes) = (Arc::clone(&stuck), Arc::clone(&writes));
                async move {
                    stuck.wait().await;
                    for _ in 0..64 {
                        writer.send(&[0x2a; 1 << 20][..]).await?; // far more than the way to the peer holds
                    }
                    writes.wait().await;
                    writer.start_close(None).await
                }
            });
            stuck.wait().await;
            for _ in 0..10 {
                let message = reader.next().await?.expect("ten come");
                log.note(format!("{message:?}"));
            }
            writes.wait().await;
            while reader.next().await?.is_some() {}
            written.await??;
            Ok::<_, BoxError>(())
        }
    }))
    .await;
    let mut ws = server.connect("/").await;
    // It reads nothing, and is read.
    for count in 0..10 {
        within(ws.send(&*count.to_string())).await.unwrap();
        assert_eq!(lines.next().await, format!("Text(\"{count}\")"));
    }
    for _ in 0..64 {
        assert_eq!(within(ws.recv()).await.unwrap().unwrap().into_bytes().len(), 1 << 20);
    }
    assert_eq!(within(ws.recv()).await.unwrap(), None);
}

#[tokio::test]
async fn the_first_frame_may_be_the_server_s() {
    // FEATURE: PL2
    async fn hello(mut ws: WebSocket) -> Result<(), Error> {
        ws.send("Hello!").await
    }
    let server = Server::start(Router::new().route("/hello", websocket(hello))).await;
    let mut peer = Raw::open(server.address, "/hello").await;
    peer.expect(b"\x81\x06Hello!").await;
    peer.expect(hex!("88 02 03e8")).await; // the function has returned
}

#[tokio::test]
async fn a_server_writes_and_closes_whatever_it_is_sent() {
    // FEATURE: PL3
    let (log, mut lines) = log();
    let server = Server::start(Router::new().route(
        "/bye",
        websocket(move |mut ws: WebSocket| {
            let log = log.clone();
            async move {
                ws.send("Hello!").await?;
                let end = ws.close(Some(CloseCode::NORMAL.into())).await?;
                log.note(format!("{} {:?}", end.clean, end.by));
                Ok::<_, Error>(())
            }
        }),
    ))
    .await;
    let (mut reader, mut writer) = server.connect("/bye").await.split();
    let flood = tokio::spawn(async move { while writer.send("x".repeat(10_000).as_str()).await.is_ok() {} });
    assert_eq!(within(reader.recv()).await.unwrap(), Some("Hello!".into()));
    assert_eq!(within(reader.recv()).await.unwrap(), None);
    let end = reader.end().unwrap();
    assert_eq!((end.clean, end.received, end.by), (true, Some(CloseCode::NORMAL), Initiator::Remote));
    assert_eq!(lines.next().await, "true Local");
    within(flood).await.unwrap();
}

#[tokio::test]
async fn messages_arrive_in_order() {
    // FEATURE: PL4
    let server = server_of(websocket(echo)).await;
    let mut ws = server.connect("/").await;
    for count in 0..100 {
        within(ws.feed(&*count.to_string())).await.unwrap();
    }
    within(ws.flush()).await.unwrap();
    for count in 0..100 {
        assert_eq!(within(ws.recv()).await.unwrap(), Some(count.to_string().into()));
    }
    close(ws).await;
}

#[tokio::test]
async fn a_connection_that_is_lost_is_told_at_once() {
    // FEATURE: PL5
    let (log, mut lines) = log();
    // No deadline tells of it: only the loss itself can.
    let server = server_of(noting(&log, |_| None).config(timeless())).await;
    for reset in [true, false] {
        let peer = Raw::open(server.address, "/").await;
        assert_eq!(lines.next().await, "open");
        if reset {
            peer.resets();
        } else {
            drop(peer);
        }
        assert!(lines.next().await.starts_with("error "));
        assert_eq!(lines.next().await, "close 1006 \"\" lost");
    }
}

#[tokio::test]
async fn header_fields_and_cookies_are_read() {
    // FEATURE: PL6
    async fn asked(mut ws: WebSocket) -> Result<(), Error> {
        let asked = ws.session().request().clone();
        let cookies: Vec<_> = asked.cookies().collect();
        let text = format!("{:?} {:?} {cookies:?}", asked.header("USER-AGENT"), asked.cookie("seen"));
        ws.send(&*text).await
    }
    let server = server_of(websocket(asked)).await;
    let mut peer = Raw::connect(server.address).await;
    peer.sends(opening("/", "User-Agent: x\r\nCookie: seen=1;  b=\"two\" ; =; odd; c=a=b\r\nCookie: seen=2\r\n")).await;
    peer.head().await;
    let (_, payload) = peer.frame().await;
    let expected = r#"Some("x") Some("1") [("seen", "1"), ("b", "two"), ("", ""), ("c", "a=b"), ("seen", "2")]"#;
    assert_eq!(String::from_utf8(payload).unwrap(), expected);
}

#[tokio::test]
async fn path_parameters_and_the_query_are_read() {
    // FEATURE: PL7
    async fn asked(mut ws: WebSocket) -> Result<(), Error> {
        let asked = ws.session().request().clone();
        let text = format!("{:?} {:?} {:?}", asked.param("room"), asked.query(), asked.query_value("x"));
        ws.send(&*text).await
    }
    let router = Router::new().route("/chat/{room}", websocket(asked)).route("/files/{*room}", websocket(asked));
    let server = Server::start(router).await;
    for (path, expected) in [
        ("/chat/bob?x=1", r#"Some("bob") Some("x=1") Some("1")"#),
        ("/chat/bob", r#"Some("bob") None None"#),
        ("/chat/bob?", r#"Some("bob") Some("") None"#),
        (
            "/files/caf%C3%A9%2f%2e%2E?y=0&x=a+b%20%26&x=2",
            r#"Some("café/..") Some("y=0&x=a+b%20%26&x=2") Some("a b &")"#,
        ),
        ("/chat/%7B%7d?x=%ff", r#"Some("{}") Some("x=%ff") Some("�")"#),
        ("/chat/100%25?x", r#"Some("100%") Some("x") Some("")"#),
        ("/files/a/b%2fc/?x=/", r#"Some("a/b/c/") Some("x=/") Some("/")"#),
    ] {
        let mut peer = Raw::open(server.address, path).await;
        let (_, payload) = peer.frame().await;
        assert_eq!(String::from_utf8(payload).unwrap(), expected, "{path}");
    }
    for path in ["/chat/", "/chat", "/chat/a/b", "//chat/a"] {
        assert_eq!(refused(request(&server.uri(path))).await.0, 404, "{path}");
    }
    // A parameter is text, and one segment is one.
    for path in ["/chat/%00", "/chat/a%2fb", "/chat/%2e%2E", "/chat/%ff", "/chat/a%C3", "/files/%c0%80"] {
        assert_eq!(refused(request(&server.uri(path))).await.0, 400, "{path}");
    }
}

#[tokio::test]
async fn a_handshake_is_refused_with_any_response() {
    // FEATURE: PL8
    let endpoint = websocket(echo).accept(async |request, accept| match request.cookie("user") {
        Some(_) => Ok(accept),
        None => {
            let mut refusal = text(403, "sign in first\n");
            refusal.headers_mut().insert("X-Why", "no cookie".parse().expect("a value"));
            Err(refusal)
        }
    });
    let own = OriginPolicy::allow(["https://app.example"]).unwrap();
    let router = Router::new().route("/cookie", endpoint).route("/origin", websocket(echo).origin(own));
    let server = Server::start(router.route("/same", websocket(echo))).await;

    let mut peer = Raw::connect(server.address).await;
    peer.sends(opening("/cookie", "")).await;
    let answer = String::from_utf8(peer.rest().await).unwrap(); // the connection ends
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.contains("x-why: no cookie\r\n") && answer.ends_with("\r\n\r\nsign in first\n"), "{answer}");

    let uri = server.uri("/cookie");
    let cookie = request(&uri).header("Cookie", "user=ann").unwrap();
    close(within(Connector::new(cookie).connect()).await.unwrap().0).await;

    for (path, origin, status) in [
        ("/origin", "https://app.example", None),
        ("/origin", "https://app.example.evil", Some(403)),
        ("/same", "https://app.example", Some(403)),
        ("/same", "null", Some(403)),
        ("/same", &*format!("http://{}", server.address), None),
    ] {
        let request = request(&server.uri(path)).origin(origin).unwrap();
        match status {
            Some(status) => assert_eq!(refused(request).await.0, status, "{path} {origin}"),
            None => close(within(Connector::new(request).connect()).await.unwrap().0).await,
        }
    }
}

#[tokio::test]
async fn a_subprotocol_is_chosen() {
    // FEATURE: PL10
    let (told, mut reports) = mpsc::unbounded_channel();
    let own = websocket(echo).accept(async |_, accept| Ok(accept.subprotocol("c")));
    let router = Router::new().route("/", websocket(echo).subprotocols(&["x", "b", "a"])).route("/own", own);
    let server = Server::start(router.on_error(move |_, failure: &Failure| drop(told.send(failure.to_string())))).await;
    let offering = |path: &str, names: &[&str]| {
        names.iter().try_fold(request(&server.uri(path)), |request, name| request.subprotocol(name)).unwrap()
    };
    for (offered, chosen) in [(&["a", "b"][..], Some("b")), (&["a"], Some("a")), (&["B"], None), (&[], None)] {
        let request = offering("/", offered).require_subprotocol(false);
        let (ws, response) = within(Connector::new(request).connect()).await.unwrap();
        assert_eq!((response.subprotocol(), ws.subprotocol()), (chosen, chosen));
        close(ws).await;
    }
    // The server's author is told; the client is not.
    let (status, body) = refused(offering("/own", &["a", "b"])).await;
    assert_eq!((status, &*body), (500, ""));
    let report = within(reports.recv()).await.unwrap();
    assert_eq!(report, Error::from(BuildError::InvalidSubprotocol("c".into())).to_string());
}

#[tokio::test]
async fn what_does_not_upgrade_is_told_to() {
    // FEATURE: PL11
    let server = server_of(websocket(echo)).await;
    for method in ["GET", "HEAD", "POST", "DELETE"] {
        let mut peer = Raw::connect(server.address).await;
        peer.sends(format!("{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await;
        let head = peer.head().await;
        assert!(head.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{method}: {head}");
        for field in ["upgrade: websocket", "sec-websocket-version: 13"] {
            assert!(head.contains(&format!("\r\n{field}\r\n")), "{method}: {head}");
        }
        assert!(head.to_ascii_lowercase().contains("\r\nconnection: upgrade"), "{method}: {head}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_peer_is_pinged_and_a_dead_one_is_given_up() {
    // FEATURE: PL12
    let config = |pong_timeout| Config {
        ping_interval: Some(Duration::from_secs(2)),
        pong_timeout,
        idle_timeout: None,
        ..Config::default()
    };
    let (log, mut lines) = log();
    let idle = Config { idle_timeout: Some(Duration::from_secs(2)), ..Config::default() };
    let router = Router::new()
        .route("/pinged", noting(&log, |_| None).config(config(None)))
        .route("/given-up", noting(&log, |_| None).config(config(Some(Duration::from_secs(1)))))
        .route("/idle", noting(&log, |_| None).config(idle));
    let server = Server::start(router).await;

    let mut peer = Raw::open(server.address, "/pinged").await;
    let start = tokio::time::Instant::now();
    let mut pings = 0;
    while let Ok((first, payload)) = tokio::time::timeout_at(start + Duration::from_secs(9), peer.frame()).await {
        assert_eq!(first, 0x89);
        peer.sends(masked(0x8a, payload)).await;
        pings += 1;
    }
    assert_eq!(pings, 4);
    assert_eq!(lines.next().await, "open");
    drop(peer);
    assert!(lines.next().await.starts_with("error "));
    assert_eq!(lines.next().await, "close 1006 \"\" lost");

    for path in ["/given-up", "/idle"] {
        let _silent = Raw::open(server.address, path).await;
        assert_eq!(lines.next().await, "open");
        assert!(lines.next().await.starts_with("error "), "{path}");
        assert_eq!(lines.next().await, "close 1006 \"\" lost", "{path}");
    }
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    // FEATURE: PL13, FF9
    let (log, mut lines) = log();
    let config = Config { max_message: 16, ..Config::default() };
    let server = server_of(noting(&log, |message| Some(message.to_owned())).config(config)).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(masked(0x82, [0x07; 16])).await;
    peer.expect([&hex!("82 10")[..], &[0x07; 16]].concat()).await;
    peer.sends(masked(0x82, [0x07; 17])).await;
    let (first, close) = peer.frame().await;
    assert_eq!((first, &close[..2]), (0x88, &hex!("03f1")[..])); // 1009
    drop(peer);
    assert_eq!(lines.next().await, "open");
    assert!(lines.next().await.starts_with("binary "));
    assert_eq!(
        lines.next().await,
        format!("error {}", Error::from(ProtocolError::MessageTooLong(Exceeded::new(17, 16))))
    );
}

#[tokio::test]
async fn a_peer_that_does_not_close_is_waited_for_as_long_as_agreed() {
    // FEATURE: PL13
    let (told, mut ends) = mpsc::unbounded_channel();
    let endpoint = websocket(move |ws: WebSocket| {
        let told = told.clone();
        async move { drop(told.send(ws.close(Some(CloseCode::NORMAL.into())).await)) }
    });
    let config = Config { close_timeout: Some(Duration::from_millis(100)), ..timeless() };
    let server = server_of(endpoint.config(config)).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.expect(hex!("88 02 03e8")).await;
    let end = within(ends.recv()).await.unwrap().unwrap();
    assert_eq!((end.clean, end.cause, end.received), (false, Cause::Timeout(Timeout::Close), None));
    server.end().await;
}

#[tokio::test]
async fn a_server_that_shuts_down_says_so() {
    // FEATURE: PL13
    let (log, lines) = log();
    let router = Router::new().route("/told", noting(&log, |_| None)).route("/in", websocket(echo));
    let server = Server::start(router).await;
    drop(log);
    let peers = [Raw::open(server.address, "/told").await, Raw::open(server.address, "/in").await];
    let address = server.address;
    // A message that is on its way is answered, or not: nothing is said about it.
    let ends = server.begin_to_end();
    for mut peer in peers {
        peer.expect(hex!("88 02 03e9")).await;
        peer.sends(masked(0x88, closing(1001, ""))).await;
        assert_eq!(peer.rest().await, hex!(""));
    }
    within(ends).await.unwrap();
    assert_eq!(lines.rest().await, ["open", "close 1001 \"\" clean"]);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_function_may_fail_and_panic() {
    let (told, mut reports) = mpsc::unbounded_channel();
    async fn fails(ws: WebSocket) -> Result<(), BoxError> {
        match ws.session().request().query() {
            Some("error") => Err("no reason".into()),
            Some("panic") => panic!("no reason either"),
            Some("code") => Err(bowsprit::CloseError::new(CloseCode::from(4_000), "a reason").into()),
            _ => echo(ws).await,
        }
    }
    // The call itself panics, before there is a future.
    fn at_once(_: WebSocket) -> std::future::Ready<()> {
        panic!("at once")
    }
    let router = Router::new().route("/", websocket(fails)).route("/at-once", websocket(at_once));
    let server = Server::start(router.on_error(move |_, failure: &Failure| drop(told.send(failure.to_string())))).await;
    let mut bystander = Raw::open(server.address, "/").await;
    for (path, close, report) in [
        ("/?error", &b"\x88\x02\x03\xf3"[..], "the handler failed: no reason"),
        ("/?panic", b"\x88\x02\x03\xf3", "the handler panicked: no reason either"),
        ("/?code", b"\x88\x0a\x0f\xa0a reason", "the handler failed: a reason"),
        ("/at-once", b"\x88\x02\x03\xf3", "the handler panicked: at once"),
    ] {
        let mut peer = Raw::open(server.address, path).await;
        peer.expect(close).await;
        peer.sends(masked(0x88, "")).await;
        assert_eq!(peer.rest().await, hex!(""));
        assert_eq!(within(reports.recv()).await.unwrap(), report);
    }
    // The connection's own error, passed on.
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(hex!("c180 00000000")).await;
    assert_eq!(peer.frame().await.0, 0x88);
    drop(peer);
    let report = within(reports.recv()).await.unwrap();
    assert_eq!(report, Error::from(ProtocolError::ReservedBits).to_string());
    Raw::open(server.address, "/").await.resets();
    within(reports.recv()).await.unwrap();

    bystander.sends(masked(0x81, "here")).await;
    bystander.expect(b"\x81\x04here").await;
    drop(bystander);
    server.end().await;
}

#[tokio::test]
async fn what_a_function_queued_leaves_before_the_close_of_its_failure() {
    async fn fails(ws: WebSocket) -> Result<(), BoxError> {
        ws.session().try_send("what was queued")?;
        Err("and then it failed".into())
    }
    let server = server_of(websocket(fails)).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.expect(b"\x81\x0fwhat was queued\x88\x02\x03\xf3").await;
}

#[tokio::test]
async fn a_function_may_return_in_the_middle_of_a_message() {
    async fn leaves(mut ws: WebSocket) -> Result<(), Error> {
        ws.feed(bowsprit::Chunk { data: Message::Text("half a"), end: false }).await?;
        Ok(ws.session().try_send("queued behind it")?)
    }
    let server = server_of(websocket(leaves)).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.expect(b"\x01\x06half a\x88\x02\x03\xe8").await;
    peer.sends(masked(0x88, "")).await;
    assert_eq!(peer.rest().await, hex!(""));
    server.end().await;
}

#[tokio::test]
async fn a_connection_may_move_to_another_task() {
    let (log, mut lines) = log();
    async fn serves(mut ws: WebSocket) -> Result<(), Error> {
        while let Some((message, out)) = ws.next().await? {
            out.send(message).await?;
        }
        Ok(())
    }
    let moves = websocket(move |ws: WebSocket| {
        log.note("returned");
        drop(tokio::spawn(serves(ws)));
        std::future::ready(())
    });
    let inner = websocket(async |ws: WebSocket| {
        let mut inner = ws.into_inner();
        // Its session is as before.
        drop(tokio::spawn(async move {
            while let Ok(Some((message, out))) = inner.next().await {
                if out.send(message).await.is_err() {
                    break;
                }
            }
        }));
    });
    let server = Server::start(Router::new().route("/moves", moves).route("/inner", inner)).await;
    let mut moved = Raw::open(server.address, "/moves").await;
    assert_eq!(lines.next().await, "returned");
    moved.sends(masked(0x81, "there?")).await;
    moved.expect(b"\x81\x06there?").await;
    let mut inner = Raw::open(server.address, "/inner").await;
    inner.sends(masked(0x81, "there?")).await;
    inner.expect(b"\x81\x06there?").await;

    // The server waits for the first, and lets go of the second.
    let ends = server.begin_to_end();
    moved.expect(hex!("88 02 03e9")).await;
    inner.sends(masked(0x81, "still?")).await;
    inner.expect(b"\x81\x06still?").await;
    assert!(!ends.is_finished());
    moved.sends(masked(0x88, "")).await;
    assert_eq!(moved.rest().await, hex!(""));
    within(ends).await.unwrap();
    inner.sends(masked(0x81, "still?")).await;
    inner.expect(b"\x81\x06still?").await;
}

#[tokio::test]
async fn a_close_may_not_say_what_it_may_not() {
    let (log, mut lines) = log();
    let server = server_of(websocket(move |ws: WebSocket| {
        let log = log.clone();
        async move {
            let end = ws.close(Some(Close { code: CloseCode::from(1005), reason: "" })).await;
            log.note(format!("{end:?}"));
        }
    }))
    .await;
    let mut peer = Raw::open(server.address, "/").await;
    assert_eq!(lines.next().await, "Err(Send(InvalidCloseCode(CloseCode(1005))))");
    peer.expect(hex!("88 02 03e8")).await; // it was dropped then
}

#[tokio::test]
async fn what_comes_while_the_server_thinks_about_a_handshake_is_not_lost() {
    const COUNT: usize = 5_000;
    let slow = websocket(echo).accept(async |_, accept| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(accept)
    });
    let server = server_of(slow).await;
    // Far more than what is read together with the head.
    let text = |count: usize| format!("number {count:080}");
    let frames = (0..COUNT).flat_map(|count| masked(0x81, text(count)));
    let bytes: Vec<_> = opening("/", "").into_bytes().into_iter().chain(frames).chain(masked(0x88, "")).collect();
    let mut peer = Raw::connect(server.address).await;
    let (mut reads, mut writes) = peer.0.split();
    let sent = async { tokio::io::AsyncWriteExt::write_all(&mut writes, &bytes).await.unwrap() };
    let read = async {
        let mut whole = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut reads, &mut whole).await.unwrap();
        whole
    };
    let ((), whole) = within(async { tokio::join!(sent, read) }).await;
    let head = whole.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let expected = (0..COUNT).flat_map(|count| [&[0x81, 0x57][..], text(count).as_bytes()].concat());
    assert!(whole[head..].iter().copied().eq(expected.chain([0x88, 0x00])));
}
