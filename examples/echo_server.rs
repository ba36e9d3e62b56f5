//! Sends back whatever comes, on any path. Serves a page to try it with at `/`, on the same port.
//!
//! ```text
//! cargo run --release --example echo_server [-- [--no-deflate] [ADDR]]     127.0.0.1:9001 unless told otherwise
//! cargo run --release --example echo_server --features rustls -- --tls chain.pem key.pem
//! ```
//!
//! Compresses with clients that offer permessage-deflate, unless told not to.
//!
//! `/close?code=4002&reason=bye` sends that Close as soon as the connection is open.

use std::env;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bowsprit::blocking::{Incoming, Stream, receive_request};
use bowsprit::handshake::server::{Accept, Request};
use bowsprit::{Close, Config, Deflate, Error, Messages, Outbound};
use bytes::BytesMut;

const PAGE: &[u8] = include_bytes!("echo_server.html");
const HTML: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");
const TEXT: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");

const USAGE: &str = "\
usage: echo_server [OPTION]... [ADDR]

ADDR is 127.0.0.1:9001 unless told otherwise; port 0 takes a free one.

  --no-deflate       compresses with nobody
  --tls CHAIN KEY    speaks TLS, with the certificates in the file CHAIN and the private key in the file KEY (PEM)";

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
    let (mut address, mut tls) = (None, None);
    let mut config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--no-deflate" => config.compression = None,
            "--tls" => match (arguments.next(), arguments.next()) {
                (Some(chain), Some(key)) => tls = Some(tls::load(&chain, &key)?),
                _ => return Err(USAGE.into()),
            },
            _ if argument.starts_with('-') || address.is_some() => return Err(USAGE.into()),
            _ => address = Some(argument),
        }
    }
    let address = address.unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    serve(&address, config, tls).map_err(|error| format!("cannot listen on {address}: {error}").into())
}

/// One thread for each connection. Whatever becomes of one, the others go on.
fn serve(address: &str, config: Config, tls: Option<tls::Config>) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let s = if tls.is_some() { "s" } else { "" };
    println!("bowsprit echo server: open http{s}://{address}/ (WebSocket: ws{s}://{address})");
    io::stdout().flush()?;

    let config = Arc::new(config);
    loop {
        let (config, tls) = (config.clone(), tls.clone());
        let started = listener.accept().and_then(|(tcp, peer)| {
            thread::Builder::new().spawn(move || {
                let stream = match tls {
                    Some(tls) => tls::around(tcp, tls),
                    None => Ok(tcp.into()),
                };
                if let Err(error) = stream.and_then(|stream| answer(stream, config)) {
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

fn answer(stream: Stream, config: Arc<Config>) -> Result<(), Error> {
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

fn answer_http(incoming: Incoming<Stream>) -> Result<(), Error> {
    match (incoming.request().method(), incoming.request().path()) {
        ("GET" | "HEAD", "/") => incoming.respond(200, &[HTML], PAGE),
        (_, "/") => incoming.respond(405, &[TEXT, ("Allow", "GET, HEAD")], b"This page can only be read.\n"),
        _ => incoming.respond(426, &[TEXT], b"Here is a WebSocket to connect to. A page to try it with is at /\n"),
    }
}

fn answer_with_close(incoming: Incoming<Stream>) -> Result<(), Error> {
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

#[cfg(feature = "rustls")]
mod tls {
    use std::net::TcpStream;
    use std::sync::Arc;

    use bowsprit::blocking::{Stream, TlsStream};
    use bowsprit::tls::{rustls, server_config};

    pub(crate) type Config = Arc<rustls::ServerConfig>;

    pub(crate) fn load(chain: &str, key: &str) -> Result<Config, Box<dyn std::error::Error>> {
        let read = |path| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
        Ok(server_config(&read(chain)?, &read(key)?)?)
    }

    pub(crate) fn around(tcp: TcpStream, config: Config) -> Result<Stream, bowsprit::Error> {
        Ok(TlsStream::server(tcp, config)?.into())
    }
}

#[cfg(not(feature = "rustls"))]
mod tls {
    use std::net::TcpStream;

    use bowsprit::blocking::Stream;

    /// There is none.
    #[derive(Clone)]
    pub(crate) enum Config {}

    pub(crate) fn load(_: &str, _: &str) -> Result<Config, Box<dyn std::error::Error>> {
        Err("this program was built without TLS (cargo run --features rustls)".into())
    }

    pub(crate) fn around(_: TcpStream, config: Config) -> Result<Stream, bowsprit::Error> {
        match config {}
    }
}
