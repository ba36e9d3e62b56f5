//! An axum server with a WebSocket route: `/echo` sends every message back, `/` says so as plain text.
//!
//! ```text
//! cargo run --release -p bowsprit-examples --features axum --bin axum_server [-- ADDR]     default: 127.0.0.1:9001
//! ```

use std::env;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get};
use bowsprit::upgrade::axum::{WebSocket, WebSocketUpgrade};
use bowsprit::{Config, Error};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    if ["--help", "-h"].contains(&&*address) {
        println!("usage: axum_server [ADDR]\n\nADDR is the address to listen on; the default is 127.0.0.1:9001.");
        return Ok(());
    }
    let listener = TcpListener::bind(&address).await?;
    let local = listener.local_addr()?;
    println!("axum echo server: ws://{local}/echo");
    println!("try it:   cargo run -p bowsprit-examples --bin tokio_client -- ws://{local}/echo");
    // Proxies cut connections that are idle for 60 s.
    let config = Config { ping_interval: Some(Duration::from_secs(25)), ..Config::default() };
    let app = Router::new()
        .route("/", get(async || "The WebSocket is at /echo.\n"))
        .route("/echo", any(upgrade))
        .with_state(Arc::new(config));
    axum::serve(listener, app).await
}

async fn upgrade(State(config): State<Arc<Config>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.config(config).on_failed_upgrade(|error| eprintln!("{error}")).on_upgrade(async |ws| {
        if let Err(error) = echo(ws).await {
            eprintln!("{error}");
        }
    })
}

async fn echo(mut ws: WebSocket) -> Result<(), Error> {
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}
