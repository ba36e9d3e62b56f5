//! The client that `autobahn/run client` tests: echoes every case of a fuzzing server, then asks for its report.
//!
//! ```text
//! cargo run --release --example autobahn_client -- 127.0.0.1:9001
//! ```

use std::env;
use std::error::Error;
use std::process::ExitCode;

use bowsprit::Message;
use bowsprit::blocking::connect;

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
    let address = env::args().nth(1).ok_or("usage: autobahn_client ADDR")?;

    let mut counter = connect(&format!("ws://{address}/getCaseCount"))?;
    let cases: u32 = match counter.next()? {
        Some((Message::Text(count), _)) => count.parse()?,
        _ => return Err("the server did not say how many cases it has".into()),
    };
    counter.close(None)?;

    for case in 1..=cases {
        // Most cases break the protocol on purpose: the error is what they want.
        if let Err(error) = echo(&format!("ws://{address}/runCase?case={case}&agent=bowsprit")) {
            println!("{case} of {cases}: {error}");
        }
    }
    echo(&format!("ws://{address}/updateReports?agent=bowsprit"))?;
    Ok(())
}

fn echo(uri: &str) -> Result<(), bowsprit::Error> {
    let mut ws = connect(uri)?;
    while let Some((message, out)) = ws.next()? {
        out.feed(message)?;
    }
    Ok(())
}
