//! The routes that the rows of features with a page need: `features.py` says what is expected of each.

use std::env;
use std::error::Error;
use std::future::pending;

use bowsprit::server::{Request, Router, Session, WebSocket, get, handler, html, serve, websocket};
use bowsprit::session::{BoxError, Closed, Handler};
use bowsprit::{Close, CloseCode, Message, OwnedMessage};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).ok_or("usage: browser_rows ADDR")?;
    let router = Router::new()
        .route("/", get(async |_: Request| html(include_str!("page.html"))))
        .route("/ws", handler(|_| Told))
        .route("/echo", websocket(echo))
        .route("/close", websocket(close))
        .route("/cookie", websocket(cookie))
        .route("/protocol", websocket(wait).accept(async |_, accept| Ok(accept.subprotocol("b"))))
        .route("/websockets/v4/service/my-endpoint", websocket(echo));
    let listener = TcpListener::bind(&*address).await?;
    println!("listening on {address}");
    serve(listener, router, pending()).await;
    Ok(())
}

/// Tells standard output of what is received, and of the end.
struct Told;

impl Handler<Session> for Told {
    async fn on_message(&mut self, session: &Session, message: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        println!("{}: {message:?}", session.id());
        Ok(Some("I received your message!".into()))
    }

    async fn on_close(&mut self, session: &Session, closed: &Closed) {
        println!("{}: closed {} {:?} clean={}", session.id(), closed.code().0, closed.reason, closed.is_clean());
    }
}

async fn echo(mut ws: WebSocket) -> Result<(), BoxError> {
    while let Some((message, out)) = ws.next().await? {
        let text: &str = message.try_into()?;
        out.feed(&*format!("Echo: {text}")).await?;
    }
    Ok(())
}

/// Closes with what may be sent, once it was refused to close with what may not.
async fn close(mut ws: WebSocket) -> Result<(), BoxError> {
    let long = "x".repeat(124);
    let wrong = [(4002, &*long), (1005, ""), (1006, ""), (1015, "")];
    for (code, reason) in wrong {
        let refused = ws.session().close(Some(Close { code: CloseCode(code), reason })).is_err();
        let told = format!("{code} {}", if refused { "refused" } else { "taken" });
        ws.send(&*told).await?;
    }
    ws.close(Some(Close { code: CloseCode(4002), reason: "bye" })).await?;
    Ok(())
}

async fn cookie(mut ws: WebSocket) -> Result<(), BoxError> {
    let cookie = ws.session().request().cookie("user").unwrap_or("none").to_owned();
    ws.send(&*cookie).await?;
    Ok(())
}

async fn wait(mut ws: WebSocket) -> Result<(), BoxError> {
    while ws.next().await?.is_some() {}
    Ok(())
}
