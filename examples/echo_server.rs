//! An echo server with a thread for each connection: sends every message back, on any path. `/` serves a page to try it
//! with, on the same port.
//!
//! ```text
//! cargo run --release -p bowsprit-examples --bin echo_server [-- [--no-deflate] [ADDR]]     default: 127.0.0.1:9001
//! cargo run --release -p bowsprit-examples --features rustls --bin echo_server -- --tls chain.pem key.pem
//! ```
//!
//! Compresses with clients that offer permessage-deflate; `--no-deflate` switches that off.
//!
//! `/close?code=4002&reason=bye` sends this Close as soon as the connection is open.

mod echo;

use std::env;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bowsprit::blocking::{Stream, receive_request};
use bowsprit::handshake::AcceptOptions;
use bowsprit::{Close, Error, Messages};
use echo::{Answer, Arguments};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let Some(arguments) = Arguments::parse("echo_server", true, env::args().skip(1))? else { return Ok(()) };
    serve(&arguments).map_err(|error| format!("cannot listen on {}: {error}", arguments.address).into())
}

/// One thread for each connection. An error ends its own connection only.
fn serve(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind(&arguments.address)?;
    arguments.announce(listener.local_addr()?);
    io::stdout().flush()?;
    loop {
        let arguments = arguments.clone();
        let started = listener.accept().and_then(|(tcp, peer)| {
            thread::Builder::new().spawn(move || {
                if let Err(error) = answer(tcp, arguments) {
                    eprintln!("{peer}: {error}");
                }
            })
        });
        if let Err(error) = started {
            // Out of file descriptors or threads: some are free again when a connection ends.
            eprintln!("echo_server: cannot accept a connection: {error}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn answer(tcp: TcpStream, arguments: Arguments) -> Result<(), Error> {
    #[cfg(feature = "rustls")]
    let stream = match arguments.tls {
        Some(tls) => bowsprit::blocking::TlsStream::server(tcp, tls)?.into(),
        None => Stream::from(tcp),
    };
    #[cfg(not(feature = "rustls"))]
    let stream = Stream::from(tcp);

    let incoming = receive_request(stream, arguments.config)?;
    match Answer::to(incoming.request()) {
        Answer::Http(status, headers, body) => incoming.respond(status, headers, &body),
        Answer::Close(close) => {
            let close = close.as_ref().map(|(code, reason)| Close { code: *code, reason });
            let end = incoming.accept(&AcceptOptions::new(), Messages)?.close(close)?;
            if end.clean { Ok(()) } else { Err(echo::no_answer()) }
        }
        Answer::Echo => {
            let mut ws = incoming.accept(&AcceptOptions::new(), Messages)?;
            while let Some((message, out)) = ws.next()? {
                out.feed(message)?;
            }
            Ok(())
        }
    }
}
