//! The end under test. Reads commands from standard input, a line each, and answers on standard output:
//!
//! ```text
//! serve CORPUS [WORD]...            port N          one connection is echoed, then: end CODE REASON
//! connect CORPUS URL [WORD]...                      sends the files of CORPUS, then: end CODE REASON
//! ```
//!
//! CODE and REASON are of the peer's Close. WORD: `tokio`, for that adapter instead of the blocking one; `asked`, for a
//! server that is the one to close; `tls=FOLDER`, where `tests/certificates` has put its files; `deflate`, `level=N`, and
//! the four parameters of permessage-deflate as RFC 7692 section 7.1 spells them. What went wrong is told as
//! `failed TEXT`.

mod blocking;
mod tokio_adapter;

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::permessage_deflate::{Parameters, WindowBits};
use bowsprit::tls::rustls::{ClientConfig, ServerConfig};
use bowsprit::tls::{Roots, client_config, server_config};
use bowsprit::{Chunk, Close, CloseCode, Config, Deflate, End, Message};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// As the peers' programs have it.
const PLEASE_CLOSE: &str = "close, please";
const CLIENT_CLOSES: Close<'_> = Close { code: CloseCode(4001), reason: "the client is through: κόσμε" };
const SERVER_CLOSES: Close<'_> = Close { code: CloseCode(4002), reason: "the server is through: κόσμε" };

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let session = Session::new(&words)?;
        let ended = match (&words[..], session.tokio) {
            (["serve", ..], false) => blocking::serve(&session),
            (["serve", ..], true) => runtime.block_on(tokio_adapter::serve(&session)),
            (["connect", corpus, url, ..], false) => blocking::connect(&session, Path::new(corpus), url),
            (["connect", corpus, url, ..], true) => {
                runtime.block_on(tokio_adapter::connect(&session, Path::new(corpus), url))
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

/// What is said of one connection.
struct Session {
    tokio: bool,
    asked: bool,
    tls: Option<PathBuf>,
    config: Arc<Config>,
}

impl Session {
    fn new(words: &[&str]) -> Result<Self> {
        let mut deflate = Deflate::default();
        deflate.parameters.client_max_window_bits = None;
        let Parameters { server_no_context_takeover, client_no_context_takeover, .. } = &mut deflate.parameters;
        *server_no_context_takeover = words.contains(&"server_no_context_takeover");
        *client_no_context_takeover = words.contains(&"client_no_context_takeover");
        for word in words {
            match word.split_once('=').unwrap_or((word, "15")) {
                ("server_max_window_bits", bits) => {
                    deflate.parameters.server_max_window_bits = window(bits)?;
                }
                ("client_max_window_bits", bits) => {
                    deflate.parameters.client_max_window_bits = Some(window(bits)?);
                }
                ("level", level) => deflate.level = level.parse()?,
                _ => {}
            }
        }
        let compression = words.contains(&"deflate").then_some(deflate);
        let config = Config { compression, idle_timeout: Some(Duration::from_secs(20)), ..Config::default() };
        Ok(Self {
            tokio: words.contains(&"tokio"),
            asked: words.contains(&"asked"),
            tls: words.iter().find_map(|word| word.strip_prefix("tls=")).map(PathBuf::from),
            config: Arc::new(config),
        })
    }

    fn server_tls(&self) -> Result<Option<Arc<ServerConfig>>> {
        let Some(folder) = &self.tls else { return Ok(None) };
        let [chain, key] = ["chain.pem", "key.pem"].map(|name| fs::read(folder.join(name)));
        Ok(Some(server_config(&chain?, &key?)?))
    }

    /// Trusts the private authority, and nobody else.
    fn client_tls(&self) -> Result<Option<Arc<ClientConfig>>> {
        let Some(folder) = &self.tls else { return Ok(None) };
        let roots = Roots::from_pem(&fs::read(folder.join("root.pem"))?)?;
        Ok(Some(client_config(roots)?))
    }
}

/// The code and the reason of the peer's Close.
type Ended = (CloseCode, String);

/// After the peer has closed.
fn window(bits: &str) -> Result<WindowBits> {
    WindowBits::new(bits.parse()?).ok_or_else(|| "a window has 8 to 15 bits".into())
}

fn ended(end: Option<End>, reason: &str) -> Result<Ended> {
    Ok((end.ok_or("no end")?.code(), reason.to_owned()))
}

/// After this end has closed. An echo holds no reason that counts.
fn closed(end: End) -> Result<Ended> {
    if end.clean { Ok((end.code(), String::new())) } else { Err(format!("not clean: {end:?}").into()) }
}

struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl File {
    fn message(&self) -> Result<Message<'_>> {
        Ok(match self.path.extension() {
            Some(extension) if extension == "txt" => Message::Text(str::from_utf8(&self.bytes)?),
            _ => Message::Binary(&self.bytes),
        })
    }
}

/// The files of `folder`, in order.
fn corpus(folder: &Path) -> Result<Vec<File>> {
    let mut paths: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    paths.into_iter().map(|path| Ok(File { bytes: fs::read(&path)?, path })).collect()
}

fn compare(sent: &File, echo: Message<'_>) -> Result<()> {
    if echo == sent.message()? {
        return Ok(());
    }
    Err(format!("{:?}: {} other bytes came back", sent.path, echo.as_bytes().len()).into())
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
