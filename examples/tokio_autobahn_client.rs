//! The client that `autobahn/run client --adapter tokio` tests: echoes every case of a fuzzing server, then asks for its
//! report.
//!
//! ```text
//! cargo run --release --features tokio --example tokio_autobahn_client -- 127.0.0.1:9001
//! ```
//!
//! Offers permessage-deflate.

use std::env;
use std::error::Error;
use std::process::ExitCode;

use bowsprit::handshake::ClientRequest;
use bowsprit::tokio::{Connector, Stream, WebSocket};
use bowsprit::{Config, Deflate, HandshakeError, Message};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio_autobahn_client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).ok_or("usage: tokio_autobahn_client ADDR")?;

    let mut counter = connect(&format!("ws://{address}/getCaseCount")).await?;
    let cases: u32 = match counter.next().await? {
        Some((Message::Text(count), _)) => count.parse()?,
        _ => return Err("the server did not say how many cases it has".into()),
    };
    counter.close(None).await?;

    for case in 1..=cases {
        // Most cases break the protocol on purpose: the error is what they want.
        if let Err(error) = echo(&format!("ws://{address}/runCase?case={case}&agent=bowsprit")).await {
            println!("{case} of {cases}: {error}");
        }
    }
    echo(&format!("ws://{address}/updateReports?agent=bowsprit")).await?;
    Ok(())
}

async fn connect(uri: &str) -> Result<WebSocket<Stream>, bowsprit::Error> {
    let request = ClientRequest::try_from(uri).map_err(HandshakeError::from)?;
    let config = Config { compression: Some(Deflate::default()), ..Config::default() };
    Ok(Connector::new(request).config(config).connect().await?.0)
}

async fn echo(uri: &str) -> Result<(), bowsprit::Error> {
    let mut ws = connect(uri).await?;
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}
