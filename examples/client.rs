//! A line client: what is typed goes out, what comes in is printed.
//!
//! ```text
//! cargo run --example client -- ws://127.0.0.1:9001/
//! cargo run --example client --features rustls -- --root authority.pem wss://localhost:9001/
//! ```

use std::env;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::thread;

use bowsprit::blocking::{Connector, Stream, WebSocketReader, WebSocketWriter};
use bowsprit::handshake::client::Request;
use bowsprit::{CloseCode, Config, Deflate, End, Error, HandshakeError, Initiator, Message, SendError};

const USAGE: &str = "\
usage: client [OPTION]... ws[s]://HOST[:PORT][/PATH]

What is typed goes out as text, a line a message; what comes in is printed. Control-D closes the connection.

  --header 'NAME: VALUE'   sends a header field with the request; may be repeated
  --subprotocol NAME       offers a subprotocol, the preferred one first; may be repeated
  --origin ORIGIN          says which page asks, as a browser does
  --no-deflate             offers no compression
  --root FILE              trusts the authorities in this file (PEM) for wss://, instead of the system's
  --help                   prints this";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let Some(Arguments { request, config, root }) = parse(env::args().skip(1))? else {
        println!("{USAGE}");
        return Ok(());
    };
    let mut connector = Connector::new(request.clone()).config(config);
    if let Some(root) = root {
        connector = trust(connector, &root).map_err(|error| format!("{root}: {error}"))?;
    }
    let (ws, _) = connector.connect().map_err(|error| explain(&request, &error))?;
    match ws.subprotocol() {
        Some(subprotocol) => eprintln!("connected, subprotocol {subprotocol}"),
        None => eprintln!("connected"),
    }

    let (mut reader, writer) = ws.split()?;
    // Nothing ends a read from a terminal: this thread ends with the program.
    let typing = thread::spawn(move || send_lines(writer));
    let received = print_messages(&mut reader);
    if let Some(end) = reader.end() {
        eprintln!("{}", describe(end));
    }
    received?;
    if typing.is_finished() {
        typing.join().map_err(|_| "the thread that sends has panicked")??;
    }
    Ok(())
}

struct Arguments {
    request: Request,
    config: Config,
    /// A file with authorities to trust.
    root: Option<String>,
}

/// What the arguments ask for; `None` when that is help.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, Box<dyn std::error::Error>> {
    let mut config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let (mut uri, mut origin, mut root, mut subprotocols, mut headers) = (None, None, None, Vec::new(), Vec::new());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value (see --help)"));
        match &*argument {
            "--help" | "-h" => return Ok(None),
            "--header" => headers.push(value()?),
            "--subprotocol" => subprotocols.push(value()?),
            "--no-deflate" => config.compression = None,
            "--origin" => origin = Some(value()?),
            "--root" => root = Some(value()?),
            _ if argument.starts_with('-') => return Err(format!("there is no option {argument} (see --help)").into()),
            _ if uri.is_none() => uri = Some(argument),
            _ => return Err(format!("one address, please; there is also {argument:?} (see --help)").into()),
        }
    }
    let uri = uri.ok_or("where to? An address is missing, as ws://127.0.0.1:9001/ (see --help)")?;
    let mut request = Request::new(uri.parse().map_err(|error| format!("{uri}: {error}"))?);
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
    Ok(Some(Arguments { request, config, root }))
}

#[cfg(feature = "rustls")]
fn trust(connector: Connector, root: &str) -> Result<Connector, Box<dyn std::error::Error>> {
    let roots = bowsprit::tls::Roots::from_pem(&std::fs::read(root)?)?;
    Ok(connector.tls(bowsprit::tls::client_config(roots)?))
}

#[cfg(not(feature = "rustls"))]
fn trust(_: Connector, _: &str) -> Result<Connector, Box<dyn std::error::Error>> {
    Err("this program was built without TLS (cargo run --features rustls)".into())
}

fn explain(request: &Request, error: &Error) -> String {
    let mut words = format!("cannot connect to {}: {error}", request.uri());
    // What a refusing server says of it, if it says it for people.
    if let Error::Handshake(HandshakeError::Refused(response)) = error
        && response.fields().get("Content-Type").is_some_and(|kind| kind.starts_with("text/plain"))
        && let Some(line) = String::from_utf8_lossy(response.body()).lines().next()
    {
        words += &format!(" ({})", printable(line));
    }
    words
}

fn print_messages(reader: &mut WebSocketReader<Stream>) -> Result<(), Error> {
    let mut stdout = io::stdout();
    let escape = stdout.is_terminal();
    while let Some(message) = reader.next()? {
        match message {
            Message::Text(text) if escape => writeln!(stdout, "{}", printable(text))?,
            Message::Text(text) => writeln!(stdout, "{text}")?,
            Message::Binary(bytes) => writeln!(stdout, "{}", dump(bytes))?,
        }
    }
    Ok(())
}

/// Sends each line, then a Close.
fn send_lines(mut writer: WebSocketWriter<Stream>) -> Result<(), Error> {
    let mut lines = io::stdin().lock().lines();
    let sent = lines.try_for_each(|line| match line {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(io::Error::other("what was typed is not UTF-8, so it cannot be sent as text").into())
        }
        line => writer.send(&*line?),
    });
    let closed = writer.start_close(Some(CloseCode::NORMAL.into()));
    match sent.and(closed) {
        // The server was faster; the reader tells how it ended.
        Err(Error::Send(SendError::Closing)) => Ok(()),
        result => result,
    }
}

fn describe(end: End) -> String {
    let by = match end.by {
        Initiator::Local => "this side",
        Initiator::Remote => "the server",
    };
    // Of two codes, the one that came in is what a page would be told (RFC 6455 section 7.1.5).
    let code = match end.received.or(end.sent) {
        None => "without a Close".to_owned(),
        Some(CloseCode::NO_STATUS) => "no code".to_owned(),
        Some(code) => format!("code {code}"),
    };
    format!("closed by {by}: {code}, {}", if end.clean { "clean" } else { "not clean" })
}

/// Without what could command a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && !"\n\t".contains(char) { '\u{fffd}' } else { char }).collect()
}

fn dump(bytes: &[u8]) -> String {
    const SHOWN: usize = 32;
    let hex: String = bytes.iter().take(SHOWN).map(|byte| format!(" {byte:02x}")).collect();
    let more = if bytes.len() > SHOWN { " ..." } else { "" };
    format!("<{} bytes>{hex}{more}", bytes.len())
}
