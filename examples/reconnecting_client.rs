//! A client that comes back: prints what comes in, what is lost and when it tries again. What is typed goes out, as far as
//! a connection is open. Control-D closes.
//!
//! ```text
//! cargo run --features tokio --example reconnecting_client -- ws://127.0.0.1:9001/
//! cargo run --features tokio,rustls --example reconnecting_client -- --root authority.pem wss://localhost:9001/
//! ```

mod line;

use std::error::Error;
use std::process::ExitCode;
use std::{env, io, thread};

use bowsprit::CloseCode;
use bowsprit::client::{ClientEvent, DisconnectReason, Handle, Reconnecting};
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
    while let Some(event) = client.next().await.map_err(|lost| why(&request, &lost))? {
        match event {
            ClientEvent::Connected { response, .. } => line::greet(response),
            ClientEvent::Message(message, _) => line::print(message)?,
            ClientEvent::Disconnected { reason: lost, delay, .. } => {
                eprintln!("{}; again in {:.1} s", why(&request, lost), delay.as_secs_f32());
            }
        }
    }
    if let Some(lost) = client.last_disconnect() {
        eprintln!("{}", why(&request, lost));
    }
    Ok(())
}

fn why(request: &ClientRequest, lost: &DisconnectReason) -> String {
    match lost {
        DisconnectReason::ConnectFailed(Failure::Connection(error)) => line::explain(request, error),
        DisconnectReason::ConnectFailed(failure) => failure.to_string(),
        DisconnectReason::Closed(closed) => line::describe(closed.end),
        other => other.to_string(),
    }
}

/// Sends each line, then a Close. Nothing ends a read from a terminal: this thread ends with the program.
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
    // Closed by the server already, perhaps.
    let _ = handle.close(Some(CloseCode::NORMAL.into()));
}
