//! The door `axum`: what its extractor refuses, and what it can be told. `servers` has the connections.

use std::sync::Arc;
use std::time::Duration;

use ::axum::Router;
use ::axum::extract::FromRequestParts;
use ::axum::response::{IntoResponse as _, Response};
use ::axum::routing::any;
use ::http::{Request, Version, request};
use bowsprit::handshake::{BuildError, ClientRequest, HeadError, OriginPolicy, RequestError};
use bowsprit::upgrade::axum::WebSocketUpgrade;
use bowsprit::{Chunks, Config, Error, HandshakeError, Message, upgrade};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::{Raw, within};

/// What the extractor makes of this request, which no hyper has received.
async fn extract(change: impl FnOnce(&mut Request<()>)) -> Result<WebSocketUpgrade, HandshakeError> {
    let asked = ClientRequest::try_from("ws://server.example.com/").expect("a URI");
    let asked = asked.subprotocol("chat").expect("a token");
    let (_, mut request) = upgrade::http::Handshake::start(&asked, [0; 16], Arc::default()).expect("it is short");
    change(&mut request);
    let (mut parts, ()): (request::Parts, ()) = request.into_parts();
    WebSocketUpgrade::from_request_parts(&mut parts, &()).await
}

#[tokio::test]
async fn a_rejection_is_a_response() {
    // RFC 8441: HTTP/2 would open a WebSocket in another way.
    let rejection = extract(|request| *request.version_mut() = Version::HTTP_2).await.expect_err("not yet");
    assert_eq!(rejection, HandshakeError::Request(RequestError::Head(HeadError::Version)));
    assert_eq!(rejection.into_response().status(), 505);

    let rejection = extract(|request| drop(request.headers_mut().remove("upgrade"))).await.expect_err("plain HTTP");
    let response = rejection.into_response();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["upgrade"]),
        (426, &"websocket".parse().expect("legal"))
    );
    assert_eq!(response.headers()["sec-websocket-version"], "13");

    // It keeps the rules, and no hyper stands behind it.
    let upgrade = extract(|_| ()).await.expect("it keeps the rules");
    let upgrade = upgrade.subprotocols(&["chat"]);
    assert_eq!(upgrade.selected_subprotocol(), Some("chat"));
    assert_eq!(upgrade.on_upgrade(|_| async {}).status(), 500);
}

#[tokio::test]
async fn a_handler_chooses() {
    let policy = |upgrade: WebSocketUpgrade, policy| upgrade.origin(policy).on_upgrade(|_| async {});
    let page = |request: &mut Request<()>| {
        drop(request.headers_mut().insert("origin", "https://other.example".parse().expect("legal")));
    };
    // 403 comes before 500.
    for (choice, status) in [(OriginPolicy::SameOrigin, 403), (OriginPolicy::Any, 500)] {
        let upgrade = extract(page).await.expect("it keeps the rules");
        assert_eq!(policy(upgrade, choice).status(), status);
    }
    let header = extract(|_| ()).await.expect("it keeps the rules").header("Sec-WebSocket-Accept", "x");
    assert!(matches!(header, Err(BuildError::ReservedHeader(_))));
}

#[tokio::test]
async fn what_was_chosen_reaches_the_connection() {
    async fn echo(upgrade: WebSocketUpgrade) -> Result<Response, HandshakeError> {
        let upgrade = upgrade.config(Config { max_unsent: 1 << 10, ..Config::default() });
        #[cfg(feature = "deflate")]
        let upgrade = upgrade.compression(bowsprit::Deflate::default());
        let chunks = Chunks { max_message: 4, max_fragments: 8 };
        Ok(upgrade.header("X-Room", "1")?.delivery(chunks).on_upgrade(|mut ws| async move {
            while let Ok(Some((chunk, out))) = ws.next().await {
                out.feed(chunk).await.expect("it is open");
            }
        }))
    }
    let address = serve(Router::new().route("/", any(echo))).await;
    let request = ClientRequest::try_from(&*address).expect("a URI");
    let config = Config {
        #[cfg(feature = "deflate")]
        compression: Some(bowsprit::Deflate::default()),
        ..Config::default()
    };
    let (mut ws, response) =
        within(bowsprit::tokio::Connector::new(request).config(config).connect()).await.expect("it opens");
    assert_eq!(response.headers().get("x-room"), Some("1"));
    #[cfg(feature = "deflate")]
    assert!(response.extensions().deflate().is_some());
    within(ws.send("four")).await.expect("it is open");
    let (message, _) = within(ws.next()).await.expect("it is open").expect("no Close");
    assert_eq!(message, Message::Text("four"));
    within(ws.send("5 and more")).await.expect("it is open");
    assert!(within(ws.next()).await.expect("a Close").is_none());
    assert_eq!(ws.end().expect("it has ended").code(), bowsprit::CloseCode::MESSAGE_TOO_BIG);
}

/// A page and a WebSocket on one route.
#[tokio::test]
async fn plain_http_may_be_the_handlers() {
    async fn either(upgrade: Option<WebSocketUpgrade>) -> Response {
        match upgrade {
            Some(upgrade) => upgrade.on_upgrade(|mut ws| async move { ws.send("hello").await.expect("it is open") }),
            None => "a page".into_response(),
        }
    }
    let address = serve(Router::new().route("/", any(either))).await;
    let mut ws = within(bowsprit::tokio::connect(&address)).await.expect("it opens");
    let (message, _) = within(ws.next()).await.expect("it is open").expect("no Close");
    assert_eq!(message, Message::Text("hello"));
    let address = address.split('/').nth(2).and_then(|address| address.parse().ok()).expect("an address");
    let mut raw = Raw::connect(address).await;
    raw.sends("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(raw.rest().await, b"a page");
    // What asks for WebSocket and breaks a rule is neither.
    let mut raw = Raw::connect(address).await;
    raw.sends("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 400 "));
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn a_handler_chooses_among_extensions() {
    async fn plain(upgrade: WebSocketUpgrade) -> Response {
        let upgrade = upgrade.compression(bowsprit::Deflate::default());
        upgrade.extensions(|request, _| request.query() == Some("deflate")).on_upgrade(|_| async {})
    }
    let address = serve(Router::new().route("/", any(plain))).await;
    for (query, compressed) in [("?deflate", true), ("?plain", false)] {
        let request = ClientRequest::try_from(&*format!("{address}{query}")).expect("a URI");
        let config = Config { compression: Some(bowsprit::Deflate::default()), ..Config::default() };
        let (_, response) =
            within(bowsprit::tokio::Connector::new(request).config(config).connect()).await.expect("it opens");
        assert_eq!(response.extensions().deflate().is_some(), compressed, "{query}");
    }
}

/// The response is held back for too long.
#[tokio::test]
async fn a_failed_upgrade_is_told() {
    async fn slow(upgrade: WebSocketUpgrade) -> Response {
        let (sender, failed) = oneshot::channel();
        let timeout = Some(Duration::from_millis(10));
        let response = upgrade
            .config(Config { handshake_timeout: timeout, ..Config::default() })
            .on_failed_upgrade(move |error| sender.send(error).expect("it is waited for"))
            .on_upgrade(|_| async { panic!("there is no connection") });
        let error = within(failed).await.expect("it is told");
        assert!(matches!(error, Error::Timeout(bowsprit::Timeout::Handshake, _)), "{error:?}");
        response
    }
    let address = serve(Router::new().route("/", any(slow))).await;
    let mut ws = within(bowsprit::tokio::connect(&address)).await.expect("the 101 comes");
    assert!(within(ws.next()).await.is_err(), "and nothing behind it");
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { ::axum::serve(listener, app).await });
    format!("ws://{address}/")
}
