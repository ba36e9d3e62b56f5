//! Sends back whatever comes, on any path. Serves a page to try it with at `/`, on the same port.
//!
//! ```text
//! cargo run --release --example echo_server [-- [--no-deflate] [ADDR]]     127.0.0.1:9001 unless told otherwise
//! ```
//!
//! Compresses with clients that offer permessage-deflate, unless told not to.
//!
//! `/close?code=4002&reason=bye` sends that Close as soon as the connection is open.

use std::env;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bowsprit::blocking::{Incoming, receive_request};
use bowsprit::handshake::server::{Accept, Request};
use bowsprit::{Close, Config, Deflate, Error, Messages, Outbound};
use bytes::BytesMut;

const PAGE: &[u8] = include_bytes!("echo_server.html");
const HTML: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");
const TEXT: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");

fn main() -> ExitCode {
    let (options, addresses): (Vec<String>, Vec<String>) = env::args().skip(1).partition(|word| word.starts_with('-'));
    if addresses.len() > 1 || options.iter().any(|option| option != "--no-deflate") {
        eprintln!("usage: echo_server [--no-deflate] [ADDR]");
        eprintln!("ADDR is 127.0.0.1:9001 unless told otherwise; port 0 takes a free one");
        return ExitCode::FAILURE;
    }
    let address = addresses.first().map_or("127.0.0.1:9001", String::as_str);
    let compression = options.is_empty().then(Deflate::default);
    match serve(address, Config { compression, ..Config::default() }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One thread for each connection. Whatever becomes of one, the others go on.
fn serve(address: &str, config: Config) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    println!("bowsprit echo server: open http://{address}/ (WebSocket: ws://{address})");
    io::stdout().flush()?;

    let config = Arc::new(config);
    loop {
        let config = Arc::clone(&config);
        let started = listener.accept().and_then(|(stream, peer)| {
            thread::Builder::new().spawn(move || {
                if let Err(error) = answer(stream, config) {
                    eprintln!("{peer}: {error}");
                }
            })
        });
        if let Err(error) = started {
            // No descriptor or no thread left: that passes when a connection ends.
            eprintln!("echo_server: cannot take a connection: {error}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn answer(stream: TcpStream, config: Arc<Config>) -> Result<(), Error> {
    let incoming = receive_request(stream, config)?;
    if !incoming.request().is_upgrade() {
        return answer_http(incoming);
    }
    if incoming.request().path() == "/close" {
        return answer_with_close(incoming);
    }
    let mut ws = incoming.accept(&Accept::new(), Messages)?;
    while let Some((message, out)) = ws.next()? {
        out.feed(message)?;
    }
    Ok(())
}

fn answer_http(incoming: Incoming<TcpStream>) -> Result<(), Error> {
    match (incoming.request().method(), incoming.request().path()) {
        ("GET" | "HEAD", "/") => incoming.respond(200, &[HTML], PAGE),
        (_, "/") => incoming.respond(405, &[TEXT, ("Allow", "GET, HEAD")], b"This page can only be read.\n"),
        _ => incoming.respond(426, &[TEXT], b"Here is a WebSocket to connect to. A page to try it with is at /\n"),
    }
}

fn answer_with_close(incoming: Incoming<TcpStream>) -> Result<(), Error> {
    let reason = parameter(incoming.request(), "reason").unwrap_or_default();
    let close = match parameter(incoming.request(), "code").map(|code| code.parse::<u16>()) {
        // An empty Close.
        None => None,
        Some(Ok(code)) => Some(Close { code: code.into(), reason: &reason }),
        Some(Err(_)) => return incoming.respond(400, &[TEXT], b"A close code is a number.\n"),
    };
    // Whether a server may send it is for the machine to say.
    if let Err(error) = Outbound::server(Arc::default()).close(close, &mut BytesMut::new()) {
        return incoming.respond(400, &[TEXT], format!("{error}\n").as_bytes());
    }
    let end = incoming.accept(&Accept::new(), Messages)?.close(close)?;
    if end.clean { Ok(()) } else { Err(io::Error::other("the client did not answer the Close").into()) }
}

/// A parameter of the query, as a form encodes it.
fn parameter(request: &Request, name: &str) -> Option<String> {
    let pairs = request.query()?.split('&');
    let (_, value) = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    let value = value.replace('+', " ");
    let mut parts = value.split('%');
    let mut bytes = Vec::from(parts.next()?);
    for part in parts {
        // What is not percent-encoded stands for itself.
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => bytes.extend([&[byte], &part.as_bytes()[2..]].concat()),
            None => bytes.extend([b"%", part.as_bytes()].concat()),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
