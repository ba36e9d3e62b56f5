//! Plain HTTP on the same port, and what may be wrong with a request.

use std::panic::catch_unwind;
use std::time::Duration;

use bowsprit::server::{
    Request, Response, Router, Session, WebSocket, delete, get, handler, html, post, put, text, websocket,
};
use bowsprit::session::{BoxError, Event, Failure};
use bowsprit::tokio::Connector;
use bowsprit::{Config, OwnedMessage};
use hex_literal::hex;
use tokio::sync::mpsc;

use crate::support::{Raw, Server, close, log, masked, noting, opening, refused, request, within};

async fn page(_: Request) -> Response {
    html("<title>a page</title>")
}

async fn echo(mut ws: WebSocket) -> Result<(), BoxError> {
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}

/// What one request is answered, on a connection of its own: the status, and all of it.
async fn answer(server: &Server, bytes: impl AsRef<[u8]>) -> (u16, String) {
    let mut peer = Raw::connect(server.address).await;
    peer.sends(bytes).await;
    let answer = String::from_utf8(peer.rest().await).expect("text");
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|answer| answer.get(..3)?.parse().ok());
    (status.unwrap_or_else(|| panic!("{answer:?}")), answer)
}

fn plain(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn one_port_serves_a_page_and_upgrades() {
    // FEATURE: HX1
    let router = Router::new().route("/", get(page).websocket(websocket(echo))).route("/page", get(page));
    let server = Server::start(router).await;
    let (status, whole) = answer(&server, plain("GET", "/")).await;
    assert_eq!(status, 200);
    assert!(whole.contains("content-type: text/html; charset=utf-8\r\n"), "{whole}");
    assert!(whole.ends_with("\r\n\r\n<title>a page</title>"), "{whole}");

    // The same path, and the same connection: first a page, then an upgrade.
    let mut peer = Raw::connect(server.address).await;
    peer.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(peer.head().await.starts_with("HTTP/1.1 200 "));
    peer.expect("<title>a page</title>").await;
    let mut peer = peer.opens("/").await;
    peer.sends(masked(0x81, "hello")).await;
    peer.expect(b"\x81\x05hello").await;

    // Where no WebSocket is, the page answers: an Upgrade may be ignored (RFC 9110 section 7.8).
    let (status, body) = refused(request(&server.uri("/page"))).await;
    assert_eq!((status, &*body), (200, "<title>a page</title>"));
}

#[tokio::test]
async fn a_message_is_echoed_as_a_page_expects_it() {
    // FEATURE: HX2, HX3
    let (log, mut lines) = log();
    let echo = |message: bowsprit::Message<'_>| {
        let bowsprit::Message::Text(text) = message else { return None };
        Some(OwnedMessage::from(format!("Echo: {text}")))
    };
    let server = Server::start(Router::new().route("/", get(page).websocket(noting(&log, echo)))).await;
    // As a browser asks.
    let fields = format!(
        "Origin: http://{}\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
         Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: x\r\n",
        server.address
    );
    let mut peer = Raw::connect(server.address).await;
    peer.sends(opening("/", &fields).replace("localhost", &server.address.to_string())).await;
    let head = peer.head().await;
    assert!(head.starts_with("HTTP/1.1 101 ") && !head.contains("sec-websocket-extensions"), "{head}");
    peer.sends(masked(0x81, "Hello, server!")).await;
    peer.expect(b"\x81\x14Echo: Hello, server!").await;
    peer.sends(hex!("8882 00000000 03e8")).await;
    assert_eq!(peer.rest().await, hex!("88 02 03e8"));
    for expected in ["open", "text Hello, server!", "close 1000 \"\" clean"] {
        assert_eq!(lines.next().await, expected);
    }
}

#[tokio::test]
async fn a_server_sees_fields_and_may_think_about_them() {
    // FEATURE: HX11
    let endpoint = websocket(async |mut ws: WebSocket| {
        let token = ws.session().request().header("x-token").map(str::to_owned);
        let _ = ws.send(&*format!("{token:?}")).await;
    })
    .subprotocols(&["chat"])
    .accept(async |request: Request, accept| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        match request.header("X-Token") {
            Some("secret") => Ok(accept.header("X-Seen", "yes").expect("a legal field")),
            _ => Err(text(403, "no\n")),
        }
    });
    let server = Server::start(Router::new().route("/", endpoint)).await;
    let with = |token| request(&server.uri("/")).subprotocol("chat").unwrap().header("X-Token", token).unwrap();
    assert_eq!(refused(with("guess")).await, (403, "no\n".into()));
    assert_eq!(refused(request(&server.uri("/"))).await, (403, "no\n".into()));
    let (mut ws, response) = within(Connector::new(with("secret")).connect()).await.unwrap();
    assert_eq!((response.subprotocol(), response.headers().get("x-seen")), (Some("chat"), Some("yes")));
    assert_eq!(within(ws.recv()).await.unwrap(), Some("Some(\"secret\")".into()));
}

fn hasty() -> Config {
    Config { handshake_timeout: Some(Duration::from_millis(100)), ..Config::default() }
}

#[tokio::test]
async fn who_takes_too_long_to_ask_is_dropped() {
    // FEATURE: HX12
    let never = websocket(echo).accept(async |_, accept| {
        std::future::pending::<()>().await;
        Ok(accept)
    });
    let router = Router::new().route("/", get(page).websocket(websocket(echo))).route("/post", post(page));
    let server = Server::start(router.route("/never", never).config(hasty())).await;
    // Silent; in the middle of a head; behind an answer.
    for begun in ["", "G", "GET / HTTP/1.1\r\nHost: local", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut peer = Raw::connect(server.address).await;
        peer.sends(begun).await;
        let answer = String::from_utf8(peer.rest().await).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{begun:?}: {answer}");
    }
    let mut idle = Raw::connect(server.address).await;
    idle.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(idle.rest().await.ends_with(b"a page</title>"));
    // In the middle of a body, and while the server thinks about a handshake.
    let body = "POST /post HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc";
    for begun in [body, &opening("/never", "")] {
        assert_eq!(answer(&server, begun).await.0, 408);
    }
    // What is open may take its time.
    let mut peer = Raw::open(server.address, "/").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    peer.sends(masked(0x81, "hello")).await;
    peer.expect(b"\x81\x05hello").await;
}

/// A request whose head has so many bytes.
fn head_of(len: usize, fields: &str) -> String {
    let rest = format!("\r\nConnection:close\r\n{fields}\r\n");
    let begin = "GET / HTTP/1.1\r\nHost:localhost\r\nX-Long:";
    format!("{begin}{}{rest}", "x".repeat(len - begin.len() - rest.len()))
}

#[tokio::test]
async fn a_head_has_its_bounds() {
    let server = Server::start(Router::new().route("/", get(page))).await;
    for len in [1_000, 8 << 10, 15 << 10, 16 << 10] {
        assert_eq!(answer(&server, head_of(len, "")).await.0, 200, "{len}");
    }
    for len in [(16 << 10) + 1, 20 << 10] {
        assert_eq!(answer(&server, head_of(len, "")).await.0, 431, "{len}");
    }
    // With Host and Connection.
    let fields = |count: usize| (0..count).map(|number| format!("X-{number}: \r\n")).collect::<String>();
    let head =
        |count: usize| format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n", fields(count - 2));
    assert_eq!(answer(&server, head(100)).await.0, 200);
    assert_eq!(answer(&server, head(101)).await.0, 431);
    server.end().await;

    let config = Config { max_head: 32 << 10, max_head_fields: 3, ..Config::default() };
    let server = Server::start(Router::new().route("/", get(page)).config(config)).await;
    assert_eq!(answer(&server, head_of(32 << 10, "")).await.0, 200);
    assert_eq!(answer(&server, head_of((32 << 10) + 1, "")).await.0, 431);
    assert_eq!(answer(&server, head(4)).await.0, 431);
}

#[tokio::test]
async fn a_body_has_its_bounds() {
    let lengths = async |request: Request| text(200, request.body().len().to_string());
    let server = Server::start(Router::new().route("/", post(lengths)).max_body(10)).await;
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    for (request, status, body) in [
        ("Content-Length: 10\r\n\r\n0123456789", 200, "10"),
        ("\r\n", 200, "0"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", 200, "10"),
        ("Content-Length: 11\r\n\r\n0123456789a", 413, "the body is too long\n"),
        ("Content-Length: 9007199254740991\r\n\r\n", 413, "the body is too long\n"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n", 413, "the body is too long\n"),
        ("Transfer-Encoding: chunked\r\n\r\nz\r\n", 400, "the body did not come whole\n"),
    ] {
        let (told, whole) = answer(&server, format!("{head}{request}")).await;
        assert_eq!(told, status, "{request}: {whole}");
        assert!(whole.ends_with(&format!("\r\n\r\n{body}")), "{request}: {whole}");
    }
}

#[tokio::test]
async fn a_path_answers_its_methods_alone() {
    let methods = async |request: Request| text(200, request.method().to_owned());
    let router = Router::new()
        .route("/get", get(methods))
        .route(
            "/all",
            get(methods).on(http::Method::GET, async |_| text(500, "the first counts")).on(http::Method::POST, methods),
        )
        .route("/put", put(methods))
        .route("/delete", delete(methods))
        .route("/ws", websocket(echo));
    let server = Server::start(router).await;
    for (method, path, status, allow) in [
        ("GET", "/get", 200, ""),
        ("HEAD", "/get", 200, ""),
        ("POST", "/get", 405, "GET, HEAD"),
        ("get", "/get", 405, "GET, HEAD"),
        ("GET", "/all", 200, ""),
        ("POST", "/all", 200, ""),
        ("PUT", "/all", 405, "GET, POST, HEAD"),
        ("PUT", "/put", 200, ""),
        ("GET", "/put", 405, "PUT"),
        ("DELETE", "/delete", 200, ""),
        ("HEAD", "/delete", 405, "DELETE"),
        ("POST", "/ws", 426, ""),
        ("GET", "/nope", 404, ""),
        ("BREW", "/nope", 404, ""),
    ] {
        let (told, whole) = answer(&server, plain(method, path)).await;
        assert_eq!(told, status, "{method} {path}: {whole}");
        assert_eq!(whole.contains(&format!("allow: {allow}\r\n")), !allow.is_empty(), "{method} {path}: {whole}");
        if method == "HEAD" {
            assert!(whole.ends_with("\r\n\r\n"), "no body: {whole}");
        }
    }
    // An upgrade asks by GET alone.
    let asked = opening("/ws", "").replace("GET ", "POST ");
    let (status, _) = answer(&server, asked).await;
    assert!(matches!(status, 400 | 405), "{status}");
}

#[tokio::test]
async fn odd_requests_are_answered() {
    let server = Server::start(Router::new().route("/{*path}", get(page).websocket(websocket(echo)))).await;
    for (request, statuses) in [
        ("GET http://localhost/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &[200][..]),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &[400, 404]),
        ("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &[400, 404]),
        ("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n", &[400]),
        ("GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", &[400]),
        ("GET /%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &[400]),
        ("GET /a\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", &[400]),
        ("GET /a HTTP/2.0\r\nHost: localhost\r\n\r\n", &[400, 505]),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03", &[400]),
        ("hello\r\n\r\n", &[400]),
    ] {
        let (status, whole) = answer(&server, request).await;
        assert!(statuses.contains(&status), "{request:?}: {whole}");
    }
    // HTTP/1.0 gets its page, and no WebSocket.
    let mut peer = Raw::connect(server.address).await;
    peer.sends("GET /a HTTP/1.0\r\n\r\n").await;
    assert!(peer.rest().await.ends_with(b"a page</title>"));
    let old = opening("/a", "").replace("HTTP/1.1", "HTTP/1.0");
    let mut peer = Raw::connect(server.address).await;
    peer.sends(old).await;
    assert!(!peer.rest().await.windows(3).any(|bytes| bytes == b"101"));
    // What breaks the rules of the handshake.
    for (from, to, status) in [
        ("Version: 13", "Version: 12", 426),
        ("Version: 13", "Version: x", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", 400),
        ("Host: localhost", "Host: local host", 400),
    ] {
        let (told, whole) = answer(&server, opening("/a", "").replace(from, to)).await;
        assert_eq!(told, status, "{to}: {whole}");
    }
}

#[tokio::test]
async fn bytes_after_a_refused_upgrade_are_not_read_as_a_request() {
    let (log, mut lines) = log();
    let noted = move |request: Request| {
        log.note(format!("{} {}", request.method(), request.path()));
        std::future::ready(text(200, ""))
    };
    let veto = websocket(echo).accept(async |_, _| Err(text(403, "no\n")));
    let panics = websocket(echo).accept(async |_, _| panic!("no choice"));
    let unoffered = websocket(echo).accept(async |_, accept| Ok(accept.subprotocol("unoffered")));
    let router = Router::new()
        .route("/veto", veto)
        .route("/panics", panics)
        .route("/unoffered", unoffered)
        .route("/ws", websocket(echo))
        .route("/post", post(page))
        .route("/seen", get(noted));
    let server = Server::start(router).await;
    let behind = "GET /seen HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // HOSTILE: 44
    for (path, change, status) in [
        ("/nowhere", ("", ""), 404),
        ("/seen", ("", ""), 200),
        ("/post", ("", ""), 405),
        ("/ws", ("Connection: Upgrade", "Connection: keep-alive"), 400),
        ("/veto", ("", ""), 403),
        ("/panics", ("", ""), 500),
        ("/unoffered", ("", ""), 500),
        ("/ws", ("Version: 13", "Version: 8"), 426),
        ("/ws", ("Upgrade: websocket", "Upgrade: other"), 426),
        ("/ws?x", ("Host: localhost", "Host: localhost\r\nOrigin: http://evil.example"), 403),
    ] {
        let asked =
            if change.0.is_empty() { opening(path, "") } else { opening(path, "").replacen(change.0, change.1, 1) };
        let (told, whole) = answer(&server, format!("{asked}{behind}")).await;
        assert_eq!(told, status, "{path} {change:?}");
        assert_eq!(whole.matches("HTTP/1.1 ").count(), 1, "{path} {change:?}: {whole}");
        assert!(whole.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{path} {change:?}: {whole}");
    }
    assert_eq!(lines.next().await, "GET /seen", "the one that was asked for with an Upgrade");
    // Plain requests may stand behind each other.
    let mut peer = Raw::connect(server.address).await;
    peer.sends(behind.repeat(2)).await;
    for _ in 0..2 {
        assert!(peer.head().await.starts_with("HTTP/1.1 200 "));
        assert_eq!(lines.next().await, "GET /seen");
    }
    drop(peer);
    server.end().await;
    assert!(lines.rest().await.is_empty());
}

#[tokio::test]
async fn a_panic_in_an_answer_takes_nobody_down() {
    let (told, mut reports) = mpsc::unbounded_channel();
    fn at_once(_: Request) -> std::future::Ready<Response> {
        panic!("at once")
    }
    let router = Router::new()
        .route("/", get(page).websocket(websocket(echo)))
        .route("/panics", get(async |_: Request| panic!("in an answer")))
        .route("/at-once", get(at_once))
        .route("/choosing", websocket(echo).accept(async |_, _| panic!("in a choice")))
        .fallback(async |_: Request| panic!("in the fallback"));
    let router = router.on_error(move |peer, failure: &Failure| {
        assert!(peer.ip().is_loopback());
        drop(told.send(failure.to_string()));
    });
    let server = Server::start(router).await;
    let mut bystander = Raw::open(server.address, "/").await;
    // On one connection: it goes on, but where a handshake failed.
    let mut peer = Raw::connect(server.address).await;
    for (path, report) in [("/panics", "in an answer"), ("/at-once", "at once"), ("/nope", "in the fallback")] {
        peer.sends(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert!(peer.head().await.starts_with("HTTP/1.1 500 "));
        assert_eq!(within(reports.recv()).await.unwrap(), format!("the handler panicked: {report}"));
    }
    peer.sends(opening("/choosing", "")).await;
    assert!(peer.rest().await.starts_with(b"HTTP/1.1 500 "));
    assert_eq!(within(reports.recv()).await.unwrap(), "the handler panicked: in a choice");
    bystander.sends(masked(0x81, "here")).await;
    bystander.expect(b"\x81\x04here").await;
}

#[tokio::test]
async fn a_panic_of_who_is_told_takes_nobody_down() {
    async fn panics(_: WebSocket) {
        panic!("in a function")
    }
    let router = Router::new()
        .route("/", websocket(echo))
        .route("/panics", websocket(panics))
        .route(
            "/made",
            handler(|_| if true { panic!("no handler") } else { |_: &Session, _: Event<'_>| Ok::<_, BoxError>(None) }),
        )
        .route("/page", get(async |_: Request| panic!("in an answer")))
        .on_error(|_, _| panic!("when told"));
    let server = Server::start(router).await;
    let mut bystander = Raw::open(server.address, "/").await;
    for path in ["/panics", "/made"] {
        let mut peer = Raw::open(server.address, path).await;
        peer.expect(hex!("88 02 03f3")).await;
        peer.sends(masked(0x88, "")).await;
        assert_eq!(peer.rest().await, hex!(""));
    }
    assert_eq!(answer(&server, plain("GET", "/page")).await.0, 500);
    bystander.sends(masked(0x81, "here")).await;
    bystander.expect(b"\x81\x04here").await;
    drop(bystander);
    server.end().await;
}

#[test]
fn paths_that_conflict_or_are_malformed_are_refused_at_once() {
    for paths in [&["/a", "/a"][..], &["/{x}", "/{y}"], &["/a/{*x}", "/a/{*y}"], &["/{x"], &["/x}"], &["/{}"]] {
        let made = catch_unwind(|| paths.iter().fold(Router::new(), |router, path| router.route(path, get(page))));
        assert!(made.is_err(), "{paths:?}");
    }
    // A literal segment comes before a parameter.
    drop(Router::new().route("/a/{x}", get(page)).route("/a/b", get(page)).route("/a/{x}/c", get(page)));
}

#[tokio::test]
async fn a_literal_segment_comes_before_a_parameter() {
    let which = |name: &'static str| {
        get(move |request: Request| std::future::ready(text(200, format!("{name} {:?}", request.param("x")))))
    };
    let router = Router::new().route("/a/{x}", which("one")).route("/a/b", which("two")).route("/{*x}", which("rest"));
    let server = Server::start(router).await;
    for (path, expected) in [
        ("/a/c", "one Some(\"c\")"),
        ("/a/b", "two None"),
        ("/a/%62", "one Some(\"b\")"),
        ("/a/", "rest Some(\"a/\")"),
        ("/a/b/c", "rest Some(\"a/b/c\")"),
        ("/a/b/../c", "rest Some(\"a/b/../c\")"),
    ] {
        let (status, whole) = answer(&server, plain("GET", path)).await;
        assert_eq!(status, 200);
        assert!(whole.ends_with(&format!("\r\n\r\n{expected}")), "{path}: {whole}");
    }
}

#[tokio::test]
async fn an_endpoint_is_found_by_its_name() {
    // FEATURE: DG8, DG9
    let named = handler(|session: &Session| {
        let name = session.request().param("name").unwrap_or_default().to_owned();
        move |_: &Session, event: Event<'_>| {
            let reply = match event {
                Event::Message(message) => Some(format!("{name}: {} bytes", message.as_bytes().len()).into()),
                _ => None,
            };
            Ok::<_, BoxError>(reply)
        }
    });
    let path = "/websockets/v4/service/{name}";
    let server = Server::start(Router::new().route(path, get(page).websocket(named))).await;
    let mut ws = server.connect("/websockets/v4/service/my-endpoint").await;
    within(ws.send("hello")).await.unwrap();
    assert_eq!(within(ws.recv()).await.unwrap(), Some("my-endpoint: 5 bytes".into()));
    close(ws).await;
    assert_eq!(refused(request(&server.uri("/websockets/v4/service"))).await.0, 404);
}

#[tokio::test]
async fn whatever_an_answer_says_the_next_connection_is_answered() {
    let with = |path: &str| {
        let status = path.trim_matches('/').parse().unwrap_or(0);
        match path {
            "/length" => {
                let mut lying = text(200, "four");
                lying.headers_mut().insert("Content-Length", "9".parse().expect("a value"));
                lying
            }
            "/chunked" => {
                let mut lying = text(200, "four");
                lying.headers_mut().insert("Transfer-Encoding", "chunked".parse().expect("a value"));
                lying
            }
            _ => text(status, "a body"),
        }
    };
    let veto = websocket(echo).accept(move |request: Request, _| std::future::ready(Err(with(request.path()))));
    let page = get(move |request: Request| std::future::ready(with(request.path())));
    let server = Server::start(Router::new().route("/{*path}", page.websocket(veto)).route("/", get(self::page))).await;
    for path in ["/101", "/100", "/103", "/204", "/304", "/200", "/999", "/0", "/length", "/chunked"] {
        for asked in [plain("GET", path), plain("HEAD", path), opening(path, "")] {
            let mut peer = Raw::connect(server.address).await;
            peer.sends(asked).await;
            let mut answer = Vec::new();
            // It ends, in whatever way.
            let _ = within(tokio::io::AsyncReadExt::read_to_end(&mut peer.0, &mut answer)).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{path}: {answer}");
        }
        assert_eq!(answer(&server, plain("GET", "/")).await.0, 200);
    }
    server.end().await;
}

#[tokio::test]
async fn a_handshake_has_no_body() {
    let server = Server::start(Router::new().route("/", websocket(echo))).await;
    for body in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
        let asked = opening("/", "");
        let (status, whole) = answer(&server, format!("{}{body}", asked.strip_suffix("\r\n").unwrap())).await;
        assert_eq!(status, 400, "{whole}");
    }
}

#[tokio::test]
async fn who_goes_while_the_server_thinks_is_forgotten() {
    let (asked, mut thinking) = mpsc::unbounded_channel();
    let endpoint = websocket(echo).accept(move |_, accept| {
        asked.send(()).expect("the test listens");
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(accept)
        }
    });
    let server = Server::start(Router::new().route("/", endpoint)).await;
    for resets in [true, false] {
        let mut peer = Raw::connect(server.address).await;
        peer.sends(opening("/", "")).await;
        within(thinking.recv()).await.unwrap();
        if resets {
            peer.resets();
        }
    }
    close(server.connect("/").await).await;
    server.end().await;
}

#[tokio::test]
async fn a_page_a_handshake_and_a_frame_may_come_in_one_segment() {
    let server = Server::start(Router::new().route("/", get(page).websocket(websocket(echo)))).await;
    let mut peer = Raw::connect(server.address).await;
    let asked = opening("/", "").replace("Connection: Upgrade", "Connection: keep-alive, Upgrade");
    let bytes = [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        asked.as_bytes(),
        &masked(0x81, "hello"),
        &masked(0x88, ""),
    ];
    peer.sends(bytes.concat()).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 200 "));
    peer.expect("<title>a page</title>").await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(peer.rest().await, b"\x81\x05hello\x88\x00");
    server.end().await;
}

/// A page that nobody reads is not held for ever.
#[tokio::test]
async fn who_reads_no_answer_is_dropped() {
    let page = get(async |_: Request| html(vec![b' '; 64 << 20]));
    let config = Config { write_timeout: Some(Duration::from_millis(100)), ..Config::default() };
    let server = Server::start(Router::new().route("/", page).config(config)).await;
    let mut peer = Raw::narrow(server.address).await;
    peer.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let head = peer.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    // It ends although the connection is open, and the page has not been read.
    server.end().await;
    assert!(peer.rest().await.len() < 64 << 20);
}

#[tokio::test]
async fn a_parameter_of_one_segment_is_one_and_one_of_several_is_the_callers_affair() {
    let segment = async |request: Request| text(200, format!("{:?}", request.param("name").unwrap()));
    let several = async |request: Request| text(200, format!("{:?}", request.param("path").unwrap()));
    let router = Router::new()
        .route("/one/{name}", get(segment))
        .route("/many/{*path}", get(several))
        .route("/both/{name}/{*path}", get(segment));
    let server = Server::start(router).await;
    for (path, status, body) in [
        ("/one/a%20b.c", 200, "\"a b.c\""),
        ("/one/...", 200, "\"...\""),
        ("/one/..", 400, ""),
        ("/one/%2e%2E", 400, ""),
        ("/one/.", 400, ""),
        ("/one/a%2fb", 400, ""),
        ("/one/a%5cb", 400, ""),
        ("/one/a%0d%0ab", 400, ""),
        ("/one/a%00b", 400, ""),
        ("/one/%c2%85", 400, ""),
        ("/both/../a", 400, ""),
        ("/both/a/%2e%2e", 200, "\"a\""),
        ("/many/a/../%2e%2e%2fb%00", 200, "\"a/../../b\\0\""),
    ] {
        let (told, whole) = answer(&server, plain("GET", path)).await;
        assert_eq!(told, status, "{path}: {whole}");
        assert!(status == 400 || whole.ends_with(&format!("\r\n\r\n{body}")), "{path}: {whole}");
    }
}

/// What hyper reads and the parser of this crate does not: as the documentation of `server` lists it.
#[tokio::test]
async fn lenient_heads_are_read_as_hyper_reads_them() {
    let path = async |request: Request| text(200, request.path().to_owned());
    let server = Server::start(Router::new().route("/a", get(path).websocket(websocket(echo)))).await;
    for head in [
        "GET /a HTTP/1.1\nHost: localhost\nConnection: close\n\n",
        "\nGET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "\r\nGET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let (status, whole) = answer(&server, head).await;
        assert_eq!(status, 200, "{head:?}: {whole}");
        assert!(whole.ends_with("/a"), "{head:?}: {whole}");
        // A WebSocket opens likewise.
        let asked = if head.contains("1.1\n") {
            opening("/a", "").replace("\r\n", "\n")
        } else {
            let line = head.split("HTTP").next().unwrap();
            opening("/a", "").replacen("GET /a ", line, 1)
        };
        let mut peer = Raw::connect(server.address).await;
        peer.sends(asked).await;
        assert!(peer.head().await.starts_with("HTTP/1.1 101 "), "{head:?}");
    }
}
