//! A line client with threads: sends each line of standard input, prints each message.
//!
//! ```text
//! cargo run -p bowsprit-examples --bin client -- ws://127.0.0.1:9001/
//! cargo run -p bowsprit-examples --features rustls --bin client -- --root authority.pem wss://localhost:9001/
//! ```

mod line;

use std::error::Error;
use std::process::ExitCode;
use std::{env, io, thread};

use bowsprit::blocking::{Connector, Stream, WebSocketReader, WebSocketWriter};
use bowsprit::{CloseCode, SendError};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(arguments) = line::parse("client", env::args().skip(1))? else { return Ok(()) };
    let connector = Connector::new(arguments.request.clone()).config(arguments.config);
    #[cfg(feature = "rustls")]
    let connector = match arguments.tls {
        Some(tls) => connector.tls(tls),
        None => connector,
    };
    let (ws, response) = connector.connect().map_err(|error| line::explain(&arguments.request, &error))?;
    line::greet(&response);

    let (mut reader, writer) = ws.split()?;
    // A read from a terminal cannot be interrupted: this thread ends with the program.
    let typing = thread::spawn(move || send_lines(writer));
    let received = print_messages(&mut reader);
    if let Some(end) = reader.end() {
        eprintln!("{}", line::describe(end));
    }
    received?;
    if typing.is_finished() {
        typing.join().map_err(|_| "the sending thread panicked")??;
    }
    Ok(())
}

fn print_messages(reader: &mut WebSocketReader<Stream>) -> Result<(), bowsprit::Error> {
    while let Some(message) = reader.next()? {
        line::print(message)?;
    }
    Ok(())
}

/// Sends each line, then a Close.
fn send_lines(mut writer: WebSocketWriter<Stream>) -> Result<(), bowsprit::Error> {
    let sent = io::stdin().lines().try_for_each(|line| writer.send(&*line.map_err(line::unreadable)?));
    let closed = writer.start_close(Some(CloseCode::NORMAL.into()));
    match sent.and(closed) {
        // The server closed first; the reader reports how the connection ended.
        Err(bowsprit::Error::Send(SendError::Closing)) => Ok(()),
        result => result,
    }
}
