//! The end under test. Reads commands from standard input, a line each, and answers on standard output:
//!
//! ```text
//! serve CORPUS [PARAMETER]...        port N          one connection is echoed, then: end CODE REASON
//! connect CORPUS URL [PARAMETER]...                  sends the files of CORPUS, then: end CODE REASON
//! ```
//!
//! PARAMETER: `deflate`, `level=N`, and the four of permessage-deflate as RFC 7692 section 7.1 spells them. `asked`
//! says that the server is the one that closes. What went wrong is told as `failed TEXT`.

use std::error::Error;
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::blocking::{WebSocket, accept_with, connect_with};
use bowsprit::extension::permessage_deflate::Parameters;
use bowsprit::handshake::client::Request;
use bowsprit::handshake::server::Accept;
use bowsprit::{Chunk, Close, CloseCode, Config, Deflate, Message, Messages};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// As the peers' programs have it.
const PLEASE_CLOSE: &str = "close, please";
const CLIENT_CLOSES: Close<'_> = Close { code: CloseCode(4001), reason: "the client is through: κόσμε" };
const SERVER_CLOSES: Close<'_> = Close { code: CloseCode(4002), reason: "the server is through: κόσμε" };

fn main() -> Result<()> {
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let ended = match words[..] {
            ["serve", _, ref parameters @ ..] => serve(config(parameters)?),
            ["connect", corpus, url, ref parameters @ ..] => {
                connect(Path::new(corpus), url, parameters.contains(&"asked"), config(parameters)?)
            }
            _ => return Err(format!("what is {line:?}?").into()),
        };
        match ended {
            Ok((code, reason)) => println!("end {} {reason}", code.0),
            Err(error) => println!("failed {error}"),
        }
    }
    Ok(())
}

fn config(words: &[&str]) -> Result<Config> {
    let mut deflate = Deflate::default();
    deflate.parameters.client_max_window_bits = None;
    let Parameters { server_no_context_takeover, client_no_context_takeover, .. } = &mut deflate.parameters;
    *server_no_context_takeover = words.contains(&"server_no_context_takeover");
    *client_no_context_takeover = words.contains(&"client_no_context_takeover");
    for word in words {
        match word.split_once('=').unwrap_or((word, "15")) {
            ("server_max_window_bits", bits) => deflate.parameters.server_max_window_bits = bits.parse()?,
            ("client_max_window_bits", bits) => deflate.parameters.client_max_window_bits = Some(bits.parse()?),
            ("level", level) => deflate.level = level.parse()?,
            _ => {}
        }
    }
    let compression = words.contains(&"deflate").then_some(deflate);
    Ok(Config { compression, idle_timeout: Some(Duration::from_secs(20)), ..Config::default() })
}

/// Echoes one connection. The code and the reason of the client's Close.
fn serve(config: Config) -> Result<(CloseCode, String)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("port {}", listener.local_addr()?.port());
    let (stream, _) = listener.accept()?;
    let mut ws = accept_with(stream, &Accept::new(), Messages, Arc::new(config))?;
    ws.ping(b"from the server")?;
    let mut fragment = false;
    while let Some((message, out)) = ws.next()? {
        if message == Message::Text(PLEASE_CLOSE) {
            return closed(ws, SERVER_CLOSES);
        }
        if fragment {
            for chunk in thirds(message) {
                out.feed_chunk(chunk)?;
            }
        } else {
            out.feed(message)?;
        }
        fragment = !fragment;
    }
    let end = ws.end().ok_or("no end")?;
    Ok((end.code(), ws.close_reason().to_owned()))
}

/// Sends the files one by one and wants each back. The code and the reason of the server's Close.
fn connect(corpus: &Path, url: &str, asked: bool, config: Config) -> Result<(CloseCode, String)> {
    let (mut ws, _) = connect_with(&Request::new(url.parse()?), Messages, Arc::new(config))?;
    ws.ping(b"from the client")?;
    let mut names: Vec<_> = fs::read_dir(corpus)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    names.sort();
    for (at, name) in names.iter().enumerate() {
        let bytes = fs::read(name)?;
        let message = match name.extension() {
            Some(extension) if extension == "txt" => Message::Text(str::from_utf8(&bytes)?),
            _ => Message::Binary(&bytes),
        };
        if at % 2 == 0 {
            ws.send(message)?;
        } else {
            thirds(message).into_iter().try_for_each(|chunk| ws.feed_chunk(chunk))?;
        }
        let (echo, _) = ws.next()?.ok_or("closed early")?;
        if echo != message {
            return Err(format!("{name:?}: {} other bytes came back", echo.as_bytes().len()).into());
        }
    }
    if !asked {
        return closed(ws, CLIENT_CLOSES);
    }
    ws.send(PLEASE_CLOSE)?;
    if ws.next()?.is_some() {
        return Err("a message, and no Close".into());
    }
    let end = ws.end().ok_or("no end")?;
    Ok((end.code(), ws.close_reason().to_owned()))
}

fn closed(ws: WebSocket<TcpStream>, close: Close<'_>) -> Result<(CloseCode, String)> {
    let end = ws.close(Some(close))?;
    if end.clean { Ok((end.code(), String::new())) } else { Err(format!("not clean: {end:?}").into()) }
}

/// Three pieces, the last one empty where the message is.
fn thirds(message: Message<'_>) -> [Chunk<'_>; 3] {
    let length = message.as_bytes().len();
    let [from, to] = [length / 3, length / 3 * 2].map(|cut| match message {
        Message::Text(text) => (0..=cut).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0),
        Message::Binary(_) => cut,
    });
    [(0, from, false), (from, to, false), (to, length, true)].map(|(from, to, end)| Chunk {
        data: match message {
            Message::Text(text) => Message::Text(&text[from..to]),
            Message::Binary(bytes) => Message::Binary(&bytes[from..to]),
        },
        end,
    })
}
