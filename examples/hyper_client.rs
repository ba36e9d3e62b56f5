//! Upgrades a connection of hyper's client, sends one message over it and prints the answer.
//!
//! ```text
//! cargo run --release -p bowsprit-examples --features hyper --bin hyper_client [-- URI]     default: ws://127.0.0.1:9001/echo
//! ```

use std::env;
use std::sync::Arc;

use bowsprit::handshake::ClientRequest;
use bowsprit::{CloseCode, Config, Messages, upgrade};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let uri = env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/echo".to_owned());
    if ["--help", "-h"].contains(&&*uri) {
        println!(
            "usage: hyper_client [URI]\n\nURI is the address to connect to; the default is ws://127.0.0.1:9001/echo."
        );
        return Ok(());
    }
    let request = ClientRequest::try_from(&*uri)?;
    let stream = TcpStream::connect((request.uri().host(), request.uri().port())).await?;
    let (mut sender, connection) = http1::handshake::<_, String>(TokioIo::new(stream)).await?;
    // Drives the connection until the upgrade takes it over.
    tokio::spawn(connection.with_upgrades());

    let (mut ws, _) = upgrade::hyper::connect(&mut sender, &request, Messages, Arc::new(Config::default())).await?;
    ws.send("hello").await?;
    if let Some((message, _)) = ws.next().await? {
        println!("received {message:?}");
    }
    let end = ws.close(Some(CloseCode::NORMAL.into())).await?;
    println!("closed with {}, {}", end.code(), if end.clean { "clean" } else { "not clean" });
    Ok(())
}
