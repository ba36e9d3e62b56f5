//! An echo server on tokio, with one thread: sends every message back, on any path. `/` serves a page to try it with, on
//! the same port.
//!
//! ```text
//! cargo run --release -p bowsprit-examples --bin tokio_echo [-- [--deflate] [ADDR]]     default: 127.0.0.1:9001
//! cargo run --release -p bowsprit-examples --features rustls --bin tokio_echo -- --tls chain.pem key.pem
//! ```
//!
//! With `--deflate` it compresses with clients that offer permessage-deflate.
//!
//! `/close?code=4002&reason=bye` sends this Close as soon as the connection is open.

mod echo;

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::handshake::AcceptOptions;
use bowsprit::tokio::{Stream, WebSocket, receive_request};
use bowsprit::{Close, Error, Messages};
use echo::{Answer, Arguments};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let Some(arguments) = Arguments::parse("tokio_echo", false, env::args().skip(1))? else { return Ok(()) };
    let arguments = Arc::new(arguments);
    serve(&arguments).await.map_err(|error| format!("cannot listen on {}: {error}", arguments.address).into())
}

/// One task for each connection. An error ends its own connection only.
async fn serve(arguments: &Arc<Arguments>) -> io::Result<()> {
    let listener = TcpListener::bind(&arguments.address).await?;
    arguments.announce(listener.local_addr()?);
    io::stdout().flush()?;
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                let arguments = arguments.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(tcp, arguments).await {
                        eprintln!("{peer}: {error}");
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors: one is free again when a connection ends.
                eprintln!("tokio_echo: cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(tcp: TcpStream, arguments: Arc<Arguments>) -> Result<(), Error> {
    tcp.set_nodelay(true)?;
    // A task is as large as the largest future it awaits: the box of the handshake is freed when the connection is open.
    let Some(mut ws) = Box::pin(open(tcp, arguments)).await? else { return Ok(()) };
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}

/// The connection; `None` when the request has been answered without one that stays open.
async fn open(tcp: TcpStream, arguments: Arc<Arguments>) -> Result<Option<WebSocket<Stream>>, Error> {
    #[cfg(feature = "rustls")]
    let stream = match &arguments.tls {
        Some(tls) => bowsprit::tokio::TlsStream::server(tcp, tls.clone())?.into(),
        None => Stream::from(tcp),
    };
    #[cfg(not(feature = "rustls"))]
    let stream = Stream::from(tcp);

    let incoming = receive_request(stream, arguments.config.clone()).await?;
    let answer = Answer::to(incoming.request());
    if let Answer::Http(status, headers, body) = answer {
        incoming.respond(status, headers, &body).await?;
        return Ok(None);
    }
    let ws = incoming.accept(&AcceptOptions::new(), Messages).await?;
    let Answer::Close(close) = answer else { return Ok(Some(ws)) };
    let close = close.as_ref().map(|(code, reason)| Close { code: *code, reason });
    if ws.close(close).await?.clean { Ok(None) } else { Err(echo::no_answer()) }
}
