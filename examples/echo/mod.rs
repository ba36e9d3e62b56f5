//! What the echo servers share: their arguments, and what they answer to a request.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bowsprit::handshake::ServerRequest;
use bowsprit::{Close, CloseCode, Config, Deflate, Outbound};
use bytes::BytesMut;

const PAGE: &[u8] = include_bytes!("page.html");
const HTML: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");
const TEXT: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");

const OPTIONS: &str = "\
ADDR is 127.0.0.1:9001 unless told otherwise; port 0 takes a free one.

  --deflate          compresses with clients that offer permessage-deflate
  --no-deflate       compresses with nobody
  --tls CHAIN KEY    speaks TLS, with the certificates in the file CHAIN and the private key in the file KEY (PEM)
  --help             prints this";

#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) address: String,
    pub(crate) config: Arc<Config>,
    #[cfg(feature = "rustls")]
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

impl Arguments {
    /// The arguments of the program `name`; `None` when they asked for help, which is printed. `deflate`: whether it
    /// compresses unless told otherwise.
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
                    return Err(format!("there is no option {argument} (see --help)").into());
                }
                _ if address.is_none() => address = Some(argument),
                _ => return Err(format!("one address, please; there is also {argument:?} (see --help)").into()),
            }
        }
        #[cfg(not(feature = "rustls"))]
        if tls.is_some() {
            return Err("this program was built without TLS (cargo run --features rustls)".into());
        }
        Ok(Some(Self {
            address: address.unwrap_or_else(|| "127.0.0.1:9001".to_owned()),
            config: Arc::new(Config { compression: deflate.then(Deflate::default), ..Config::default() }),
            #[cfg(feature = "rustls")]
            tls: tls.map(|(chain, key)| identity(&chain, &key)).transpose()?,
        }))
    }

    /// Says that the server is ready at `address`.
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

/// What is answered to a request.
pub(crate) enum Answer {
    /// A WebSocket that echoes.
    Echo,
    /// A WebSocket that closes at once, with this code and reason.
    Close(Option<(CloseCode, String)>),
    /// A status, fields and a body of plain HTTP.
    Http(u16, &'static [(&'static str, &'static str)], Cow<'static, [u8]>),
}

impl Answer {
    pub(crate) fn to(request: &ServerRequest) -> Self {
        match (request.is_upgrade(), request.method(), request.path()) {
            (true, _, "/close") => Self::close(request),
            (true, ..) => Self::Echo,
            (false, "GET" | "HEAD", "/") => Self::Http(200, &[HTML], PAGE.into()),
            (false, _, "/") => {
                Self::Http(405, &[TEXT, ("Allow", "GET, HEAD")], b"This page can only be read.\n".into())
            }
            _ => Self::text(426, "Here is a WebSocket to connect to. A page to try it with is at /"),
        }
    }

    fn close(request: &ServerRequest) -> Self {
        let code = match parameter(request, "code").map(|code| code.parse::<u16>()) {
            // An empty Close.
            None => return Self::Close(None),
            Some(Ok(code)) => CloseCode::from(code),
            Some(Err(_)) => return Self::text(400, "A close code is a number."),
        };
        let reason = parameter(request, "reason").unwrap_or_default();
        // Whether a server may send it is for the machine to say.
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

/// The client was sent a Close and did not send its own.
pub(crate) fn no_answer() -> bowsprit::Error {
    io::Error::other("the client did not answer the Close").into()
}

/// A parameter of the query, as a form encodes it.
fn parameter(request: &ServerRequest, name: &str) -> Option<String> {
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
