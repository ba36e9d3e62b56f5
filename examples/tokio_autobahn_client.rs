//! The tokio client that `autobahn/run client --adapter tokio` tests: echoes every case of the testsuite's server, then
//! requests the report.
//!
//! ```text
//! cargo run --release -p bowsprit-examples --bin tokio_autobahn_client -- 127.0.0.1:9001
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
    const USAGE: &str = "usage: tokio_autobahn_client ADDR      (the address of the testsuite's server)";
    let address = env::args().nth(1).ok_or(USAGE)?;
    if ["--help", "-h"].contains(&&*address) {
        println!("{USAGE}");
        return Ok(());
    }

    let mut counter = connect(&format!("ws://{address}/getCaseCount")).await?;
    let cases: u32 = match counter.next().await? {
        Some((Message::Text(count), _)) => count.parse()?,
        _ => return Err("the server did not say how many cases it has".into()),
    };
    counter.close(None).await?;

    for case in 1..=cases {
        // Most cases break the protocol on purpose, so an error is the expected result.
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
