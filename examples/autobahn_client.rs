//! The blocking client that `autobahn/run client` tests: echoes every case of the testsuite's server, then requests the
//! report.
//!
//! ```text
//! cargo run --release -p bowsprit-examples --bin autobahn_client -- 127.0.0.1:9001
//! ```
//!
//! Offers permessage-deflate.

use std::env;
use std::error::Error;
use std::process::ExitCode;

use bowsprit::blocking::{Connector, Stream, WebSocket};
use bowsprit::handshake::ClientRequest;
use bowsprit::{Config, Deflate, HandshakeError, Message};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    const USAGE: &str = "usage: autobahn_client ADDR      (the address of the testsuite's server)";
    let address = env::args().nth(1).ok_or(USAGE)?;
    if ["--help", "-h"].contains(&&*address) {
        println!("{USAGE}");
        return Ok(());
    }

    let mut counter = connect(&format!("ws://{address}/getCaseCount"))?;
    let cases: u32 = match counter.next()? {
        Some((Message::Text(count), _)) => count.parse()?,
        _ => return Err("the server did not say how many cases it has".into()),
    };
    counter.close(None)?;

    for case in 1..=cases {
        // Most cases break the protocol on purpose, so an error is the expected result.
        if let Err(error) = echo(&format!("ws://{address}/runCase?case={case}&agent=bowsprit")) {
            println!("{case} of {cases}: {error}");
        }
    }
    echo(&format!("ws://{address}/updateReports?agent=bowsprit"))?;
    Ok(())
}

fn connect(uri: &str) -> Result<WebSocket<Stream>, bowsprit::Error> {
    let request = ClientRequest::try_from(uri).map_err(HandshakeError::from)?;
    let config = Config { compression: Some(Deflate::default()), ..Config::default() };
    Ok(Connector::new(request).config(config).connect()?.0)
}

fn echo(uri: &str) -> Result<(), bowsprit::Error> {
    let mut ws = connect(uri)?;
    while let Some((message, out)) = ws.next()? {
        out.feed(message)?;
    }
    Ok(())
}
