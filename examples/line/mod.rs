//! The part that all line clients share: arguments and output.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};

use bowsprit::handshake::{ClientRequest, ClientResponse};
use bowsprit::{CloseCode, Config, Deflate, End, HandshakeError, Initiator, Message};

const OPTIONS: &str = "\
Sends each line of standard input as a text message and prints each message received. Control-D closes the connection.

  --header 'NAME: VALUE'   send this header field with the request; may be repeated
  --subprotocol NAME       offer this subprotocol, the preferred one first; may be repeated
  --origin ORIGIN          send this Origin, as a browser does
  --no-deflate             do not offer compression
  --root FILE              trust the root certificates in this file (PEM) for wss://, in place of the system's
  --help                   print this help";

pub(crate) struct Arguments {
    pub(crate) request: ClientRequest,
    pub(crate) config: Config,
    /// In place of the system's root certificates.
    #[cfg(feature = "rustls")]
    pub(crate) tls: Option<std::sync::Arc<rustls::ClientConfig>>,
}

/// Parses the arguments of the program `name`; `None` after printing the help.
pub(crate) fn parse(
    name: &str,
    mut arguments: impl Iterator<Item = String>,
) -> Result<Option<Arguments>, Box<dyn Error>> {
    let mut config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let (mut uri, mut origin, mut root, mut subprotocols, mut headers) = (None, None, None, Vec::new(), Vec::new());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value (see --help)"));
        match &*argument {
            "--help" | "-h" => {
                println!("usage: {name} [OPTION]... ws[s]://HOST[:PORT][/PATH]\n\n{OPTIONS}");
                return Ok(None);
            }
            "--header" => headers.push(value()?),
            "--subprotocol" => subprotocols.push(value()?),
            "--no-deflate" => config.compression = None,
            "--origin" => origin = Some(value()?),
            "--root" => root = Some(value()?),
            _ if argument.starts_with('-') => return Err(format!("unknown option {argument} (see --help)").into()),
            _ if uri.is_none() => uri = Some(argument),
            _ => return Err(format!("more than one address: {argument:?} (see --help)").into()),
        }
    }
    let uri = uri.ok_or("the address is missing, for example ws://127.0.0.1:9001/ (see --help)")?;
    let mut request = ClientRequest::new(uri.parse().map_err(|error| format!("{uri}: {error}"))?);
    for header in headers {
        let (name, value) = header.split_once(':').ok_or_else(|| format!("no colon in the header {header:?}"))?;
        request = request.header(name, value)?;
    }
    for subprotocol in subprotocols {
        request = request.subprotocol(&subprotocol)?;
    }
    if let Some(origin) = origin {
        request = request.origin(&origin)?;
    }
    #[cfg(not(feature = "rustls"))]
    if root.is_some() {
        return Err("this program was built without TLS; add `--features rustls` to the cargo command".into());
    }
    Ok(Some(Arguments {
        request,
        config,
        #[cfg(feature = "rustls")]
        tls: root.map(|root| trust(&root).map_err(|error| format!("{root}: {error}"))).transpose()?,
    }))
}

#[cfg(feature = "rustls")]
fn trust(root: &str) -> Result<std::sync::Arc<rustls::ClientConfig>, Box<dyn Error>> {
    let roots = bowsprit::tls::Roots::from_pem(&std::fs::read(root)?)?;
    Ok(bowsprit::tls::client_config(roots)?)
}

/// The text for a connection that could not be opened.
pub(crate) fn explain(request: &ClientRequest, error: &bowsprit::Error) -> String {
    let mut words = format!("cannot connect to {}: {error}", request.uri());
    // The first line of the server's response, if it is text.
    if let bowsprit::Error::Handshake(HandshakeError::Refused(response)) = error
        && response.headers().get("Content-Type").is_some_and(|kind| kind.starts_with("text/plain"))
        && let Some(line) = String::from_utf8_lossy(response.body()).lines().next()
    {
        words += &format!(" ({})", printable(line));
    }
    words
}

pub(crate) fn greet(response: &ClientResponse) {
    match response.subprotocol() {
        Some(subprotocol) => eprintln!("connected, subprotocol {subprotocol}"),
        None => eprintln!("connected"),
    }
}

pub(crate) fn print(message: Message<'_>) -> io::Result<()> {
    let mut stdout = io::stdout();
    match message {
        Message::Text(text) if stdout.is_terminal() => writeln!(stdout, "{}", printable(text)),
        Message::Text(text) => writeln!(stdout, "{text}"),
        Message::Binary(bytes) => writeln!(stdout, "{}", dump(bytes)),
    }
}

/// The error for a line of standard input that could not be read.
pub(crate) fn unreadable(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidData => io::Error::other("the line is not UTF-8, so it cannot be sent as text"),
        _ => error,
    }
}

/// How the connection ended, in words.
pub(crate) fn describe(end: End) -> String {
    let by = match end.by {
        Initiator::Local => "this side",
        Initiator::Remote => "the server",
    };
    // The code received comes first: it is the one that a browser reports (RFC 6455 section 7.1.5).
    let code = match end.received.or(end.sent) {
        None => "without a Close".to_owned(),
        Some(CloseCode::NO_STATUS) => "no code".to_owned(),
        Some(code) => format!("code {code}"),
    };
    format!("closed by {by}: {code}, {}", if end.clean { "clean" } else { "not clean" })
}

/// Replaces control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && !"\n\t".contains(char) { '\u{fffd}' } else { char }).collect()
}

fn dump(bytes: &[u8]) -> String {
    const SHOWN: usize = 32;
    let hex: String = bytes.iter().take(SHOWN).map(|byte| format!(" {byte:02x}")).collect();
    let more = if bytes.len() > SHOWN { " ..." } else { "" };
    format!("<{} bytes>{hex}{more}", bytes.len())
}
