//! A line client on tokio: sends each line of standard input, prints each message.
//!
//! ```text
//! cargo run -p bowsprit-examples --bin tokio_client -- ws://127.0.0.1:9001/
//! cargo run -p bowsprit-examples --features rustls --bin tokio_client -- --root authority.pem wss://localhost:9001/
//! ```

mod line;

use std::error::Error;
use std::process::ExitCode;
use std::{env, io, thread};

use bowsprit::tokio::{Connector, Stream, WebSocketReader, WebSocketWriter};
use bowsprit::{CloseCode, SendError};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio_client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let Some(arguments) = line::parse("tokio_client", env::args().skip(1))? else { return Ok(()) };
    let connector = Connector::new(arguments.request.clone()).config(arguments.config);
    #[cfg(feature = "rustls")]
    let connector = match arguments.tls {
        Some(tls) => connector.tls(tls),
        None => connector,
    };
    let (ws, response) = connector.connect().await.map_err(|error| line::explain(&arguments.request, &error))?;
    line::greet(&response);

    let (mut reader, writer) = ws.split();
    let typing = tokio::spawn(send_lines(writer));
    let received = print_messages(&mut reader).await;
    if let Some(end) = reader.end() {
        eprintln!("{}", line::describe(end));
    }
    received?;
    if typing.is_finished() {
        typing.await??;
    }
    Ok(())
}

async fn print_messages(reader: &mut WebSocketReader<Stream>) -> Result<(), bowsprit::Error> {
    while let Some(message) = reader.next().await? {
        line::print(message)?;
    }
    Ok(())
}

/// Sends each line, then a Close.
async fn send_lines(mut writer: WebSocketWriter<Stream>) -> Result<(), bowsprit::Error> {
    let sent = send_each(typed(), &mut writer).await;
    let closed = writer.start_close(Some(CloseCode::NORMAL.into())).await;
    match sent.and(closed) {
        // The server closed first; the reader reports how the connection ended.
        Err(bowsprit::Error::Send(SendError::Closing)) => Ok(()),
        result => result,
    }
}

async fn send_each(
    mut lines: mpsc::Receiver<io::Result<String>>,
    writer: &mut WebSocketWriter<Stream>,
) -> Result<(), bowsprit::Error> {
    while let Some(line) = lines.recv().await {
        writer.send(&*line.map_err(line::unreadable)?).await?;
    }
    Ok(())
}

/// The lines of standard input. A read from a terminal cannot be interrupted: the thread that reads ends with the program.
fn typed() -> mpsc::Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lines() {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
