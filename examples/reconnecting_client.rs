//! A line client that reconnects: prints each message, each lost connection and the delay before the next attempt. Sends
//! each line of standard input while a connection is open. Control-D closes it.
//!
//! ```text
//! cargo run -p bowsprit-examples --bin reconnecting_client -- ws://127.0.0.1:9001/
//! cargo run -p bowsprit-examples --features rustls --bin reconnecting_client -- --root authority.pem wss://localhost:9001/
//! ```

mod line;

use std::error::Error;
use std::process::ExitCode;
use std::{env, io, thread};

use bowsprit::CloseCode;
use bowsprit::client::{Handle, Incident, Lost, Reconnecting};
use bowsprit::handshake::ClientRequest;
use bowsprit::session::Failure;
use bowsprit::tokio::Connector;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reconnecting_client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let Some(arguments) = line::parse("reconnecting_client", env::args().skip(1))? else { return Ok(()) };
    let request = arguments.request;
    let connector = Connector::new(request.clone()).config(arguments.config);
    #[cfg(feature = "rustls")]
    let connector = match arguments.tls {
        Some(tls) => connector.tls(tls),
        None => connector,
    };
    let mut client = Reconnecting::new(connector);
    let handle = client.handle();
    thread::spawn(move || send_lines(&handle));
    while let Some(incident) = client.next().await.map_err(|lost| why(&request, &lost))? {
        match incident {
            Incident::Open { response, .. } => line::greet(response),
            Incident::Message(message, _) => line::print(message)?,
            Incident::Lost { lost, delay, .. } => {
                eprintln!("{}; again in {:.1} s", why(&request, lost), delay.as_secs_f32());
            }
        }
    }
    if let Some(lost) = client.lost() {
        eprintln!("{}", why(&request, lost));
    }
    Ok(())
}

fn why(request: &ClientRequest, lost: &Lost) -> String {
    match lost {
        Lost::NotOpened(Failure::Connection(error)) => line::explain(request, error),
        Lost::NotOpened(failure) => failure.to_string(),
        Lost::Closed(closed) => line::describe(closed.end),
    }
}

/// Sends each line, then a Close. A read from a terminal cannot be interrupted: this thread ends with the program.
fn send_lines(handle: &Handle) {
    for line in io::stdin().lines() {
        let sent = line.map_err(line::unreadable).map(|line| handle.try_send(line));
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("not sent: {error}"),
            Err(error) => {
                eprintln!("{error}");
                break;
            }
        }
    }
    // An error: the connection is closed already.
    let _ = handle.close(Some(CloseCode::NORMAL.into()));
}
