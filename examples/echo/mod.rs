//! The part that both echo servers share: arguments, and the answer to a request.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::handshake::ServerRequest;
use bowsprit::{Close, CloseCode, Config, Deflate, Outbound};
use bytes::BytesMut;

const PAGE: &[u8] = include_bytes!("page.html");
const HTML: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");
const TEXT: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");

const OPTIONS: &str = "\
Sends every message back. The page at / is a client to try it with.

ADDR is the address to listen on. The default is 127.0.0.1:9001; port 0 stands for any free port.

  --deflate          compress with clients that offer permessage-deflate
  --no-deflate       never compress
  --tls CHAIN KEY    serve TLS with the certificates in the file CHAIN and the private key in the file KEY (PEM)
  --help             print this help";

/// The interval of keep-alive pings. Proxies cut connections that are idle for 60 s.
const PING_INTERVAL: Duration = Duration::from_secs(25);

#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) address: String,
    pub(crate) config: Arc<Config>,
    #[cfg(feature = "rustls")]
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

impl Arguments {
    /// Parses the arguments of the program `name`; `None` after printing the help. `deflate` is whether the program
    /// compresses by default.
    pub(crate) fn parse(
        name: &str,
        deflate: bool,
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Option<Self>, Box<dyn Error>> {
        let (mut address, mut tls, mut deflate) = (None, None, deflate);
        while let Some(argument) = arguments.next() {
            match &*argument {
                "--help" | "-h" => {
                    println!("usage: {name} [OPTION]... [ADDR]\n\n{OPTIONS}");
                    return Ok(None);
                }
                "--deflate" => deflate = true,
                "--no-deflate" => deflate = false,
                "--tls" => {
                    let files = arguments.next().zip(arguments.next());
                    tls = Some(files.ok_or("--tls needs two files (see --help)")?);
                }
                _ if argument.starts_with('-') => {
                    return Err(format!("unknown option {argument} (see --help)").into());
                }
                _ if address.is_none() => address = Some(argument),
                _ => return Err(format!("more than one address: {argument:?} (see --help)").into()),
            }
        }
        #[cfg(not(feature = "rustls"))]
        if tls.is_some() {
            return Err("this program was built without TLS; add `--features rustls` to the cargo command".into());
        }
        Ok(Some(Self {
            address: address.unwrap_or_else(|| "127.0.0.1:9001".to_owned()),
            config: Arc::new(Config {
                compression: deflate.then(Deflate::default),
                ping_interval: Some(PING_INTERVAL),
                ..Config::default()
            }),
            #[cfg(feature = "rustls")]
            tls: tls.map(|(chain, key)| identity(&chain, &key)).transpose()?,
        }))
    }

    /// Prints that the server is ready at `address`.
    pub(crate) fn announce(&self, address: SocketAddr) {
        #[cfg(feature = "rustls")]
        let s = if self.tls.is_some() { "s" } else { "" };
        #[cfg(not(feature = "rustls"))]
        let s = "";
        println!("bowsprit echo server: open http{s}://{address}/ (WebSocket: ws{s}://{address})");
    }
}

#[cfg(feature = "rustls")]
fn identity(chain: &str, key: &str) -> Result<Arc<rustls::ServerConfig>, Box<dyn Error>> {
    let read = |path| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    Ok(bowsprit::tls::server_config(&read(chain)?, &read(key)?)?)
}

/// The answer to a request.
pub(crate) enum Answer {
    /// A WebSocket that echoes.
    Echo,
    /// A WebSocket that is closed at once with this code and reason.
    Close(Option<(CloseCode, String)>),
    /// A plain HTTP response: status, header fields, body.
    Http(u16, &'static [(&'static str, &'static str)], Cow<'static, [u8]>),
}

impl Answer {
    pub(crate) fn to(request: &ServerRequest) -> Self {
        match (request.is_upgrade(), request.method(), request.path()) {
            (true, _, "/close") => Self::close(request),
            (true, ..) => Self::Echo,
            (false, "GET" | "HEAD", "/") => Self::Http(200, &[HTML], PAGE.into()),
            (false, _, "/") => {
                Self::Http(405, &[TEXT, ("Allow", "GET, HEAD")], b"Only GET and HEAD are supported here.\n".into())
            }
            _ => Self::text(426, "This path accepts WebSocket connections only. A page to try it with is at /"),
        }
    }

    fn close(request: &ServerRequest) -> Self {
        let code = match parameter(request, "code").map(|code| code.parse::<u16>()) {
            // A Close without a body.
            None => return Self::Close(None),
            Some(Ok(code)) => CloseCode::from(code),
            Some(Err(_)) => return Self::text(400, "A close code is a number."),
        };
        let reason = parameter(request, "reason").unwrap_or_default();
        // The protocol decides which codes a server may send.
        let close = Close { code, reason: &reason };
        match Outbound::server(Arc::default()).close(Some(close), &mut BytesMut::new()) {
            Ok(()) => Self::Close(Some((code, reason))),
            Err(error) => Self::text(400, &error.to_string()),
        }
    }

    fn text(status: u16, text: &str) -> Self {
        Self::Http(status, &[TEXT], format!("{text}\n").into_bytes().into())
    }
}

/// The error when a client does not answer our Close.
pub(crate) fn no_answer() -> bowsprit::Error {
    io::Error::other("the client did not answer the Close").into()
}

/// A parameter of the query, decoded from `application/x-www-form-urlencoded`.
fn parameter(request: &ServerRequest, name: &str) -> Option<String> {
    let pairs = request.query()?.split('&');
    let (_, value) = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    let value = value.replace('+', " ");
    let mut parts = value.split('%');
    let mut bytes = Vec::from(parts.next()?);
    for part in parts {
        // An invalid escape is taken literally.
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => bytes.extend([&[byte], &part.as_bytes()[2..]].concat()),
            None => bytes.extend([b"%", part.as_bytes()].concat()),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
