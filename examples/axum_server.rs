//! A server of axum: a page at `/`, and at `/echo` a WebSocket that sends back whatever comes.
//!
//! ```text
//! cargo run --features axum --example axum_server [-- ADDR]     127.0.0.1:9001 unless told otherwise
//! ```

use std::env;
use std::io;
use std::sync::Arc;

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
    let listener = TcpListener::bind(&address).await?;
    println!("a server of axum: ws://{}/echo", listener.local_addr()?);
    let app = Router::new()
        .route("/", get(async || "The WebSocket is at /echo.\n"))
        .route("/echo", any(upgrade))
        .with_state(Arc::new(Config::default()));
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
