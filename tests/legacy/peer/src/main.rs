//! The end under test, one connection:
//!
//! ```text
//! serve EXTENSIONS AGREED          port N, then echoes
//! connect PORT EXTENSIONS AGREED   sends messages, and wants each back
//! ```
//!
//! EXTENSIONS: names joined by `+`; behind a name of `deflate-frame` may stand `:N`, the window bits that the peer is
//! asked for. AGREED: the names that both ends have to agree on, or `none`. Prints what stood in the heads, and which
//! frames went which way.

mod tape;

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bowsprit::blocking::{Connector, Plain, WebSocket, accept_with};
use bowsprit::extension::Extension;
use bowsprit::extension::legacy::{DeflateFrame, Fragment, Identity};
use bowsprit::extension::permessage_deflate::WindowBits;
use bowsprit::handshake::{AcceptOptions, ClientRequest};
use bowsprit::{Chunk, CloseCode, Config, Deflate, Message, Messages};

use crate::tape::{Recorder, Tapes};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let tapes = Tapes::default();
    let agreed = match arguments[..] {
        ["serve", extensions, agreed] => {
            serve(config(extensions)?, &tapes)?;
            agreed
        }
        ["connect", port, extensions, agreed] => {
            connect(port, config(extensions)?, &tapes)?;
            agreed
        }
        _ => return Err("serve EXTENSIONS AGREED, or connect PORT EXTENSIONS AGREED".into()),
    };
    let (read, written) = (tapes.read.frames()?, tapes.written.frames()?);
    println!("ours received {read}");
    println!("ours sent     {written}");
    let compresses = agreed != "none";
    if (read.compressed > 0) != compresses || (written.compressed > 0) != compresses {
        return Err("who agrees on compression compresses, and nobody else".into());
    }
    if agreed.ends_with("deflate-frame") && written.compressed_fragments > 0 {
        return Err("a fragment went out compressed".into());
    }
    Ok(())
}

fn config(extensions: &str) -> Result<Config> {
    let mut config = Config { idle_timeout: Some(Duration::from_secs(20)), ..Config::default() };
    for extension in extensions.split('+') {
        let (name, bits) = extension.split_once(':').unwrap_or((extension, ""));
        let asking = |mut one: DeflateFrame| -> Result<Arc<dyn Extension>> {
            if !bits.is_empty() {
                one = one.max_window_bits(WindowBits::new(bits.parse()?).ok_or("a window has 8 to 15 bits")?);
            }
            Ok(Arc::new(one))
        };
        let extension = match name {
            "deflate-frame" => asking(DeflateFrame::new())?,
            "x-webkit-deflate-frame" => asking(DeflateFrame::webkit())?,
            "fragment" => Arc::new(Fragment { max_length: Some(1_000) }),
            "identity" => Arc::new(Identity),
            "permessage-deflate" => {
                config.compression = Some(Deflate::default());
                continue;
            }
            other => return Err(format!("what is {other}?").into()),
        };
        config.extensions.push(extension);
    }
    Ok(config)
}

fn agreed_on<S>(ws: &WebSocket<S>) -> Result<()>
where
    S: bowsprit::blocking::Transport,
{
    let names: Vec<&str> = ws.extensions().names().collect();
    let agreed = if names.is_empty() { "none".to_owned() } else { names.join("+") };
    let wanted = std::env::args().next_back().unwrap_or_default();
    if agreed == wanted { Ok(()) } else { Err(format!("agreed on {agreed}, not on {wanted}").into()) }
}

/// A stream that nothing waits for longer than this.
fn record(tcp: TcpStream, tapes: &Tapes) -> Result<Plain<Recorder>> {
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
    tcp.set_write_timeout(Some(Duration::from_secs(20)))?;
    Ok(Plain(tapes.record(tcp)))
}

fn serve(config: Config, tapes: &Tapes) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("port {}", listener.local_addr()?.port());
    let (tcp, _) = listener.accept()?;
    let mut ws = accept_with(record(tcp, tapes)?, &AcceptOptions::new(), Messages, Arc::new(config))?;
    println!("ours was offered: {}", tapes.read.extensions()?);
    println!("ours answered:    {}", tapes.written.extensions()?);
    agreed_on(&ws)?;
    let mut count = 0;
    while let Some((message, out)) = ws.next()? {
        // Every fourth in fragments, which go uncompressed.
        if count % 4 == 3 {
            for chunk in halves(message) {
                out.feed(chunk)?;
            }
        } else {
            out.feed(message)?;
        }
        count += 1;
    }
    let end = ws.end().ok_or("no end")?;
    if end.clean && end.code() == CloseCode::NORMAL { Ok(()) } else { Err(format!("{end:?}").into()) }
}

fn connect(port: &str, config: Config, tapes: &Tapes) -> Result<()> {
    let tcp = TcpStream::connect(("127.0.0.1", port.parse()?))?;
    let request = ClientRequest::new(format!("ws://127.0.0.1:{port}/").parse()?);
    let (mut ws, _) = Connector::new(request).config(config).connect_on(record(tcp, tapes)?)?;
    println!("ours offered:      {}", tapes.written.extensions()?);
    println!("ours was answered: {}", tapes.read.extensions()?);
    agreed_on(&ws)?;
    let mut count = 0;
    for size in SIZES {
        let digits: String = (0..size).map(|at: usize| char::from(b"0123456"[at.wrapping_mul(at) % 7])).collect();
        let noise = noise(size);
        for message in [Message::Text(&digits), Message::Binary(&noise), Message::Binary(digits.as_bytes())] {
            if count % 4 == 3 {
                for chunk in halves(message) {
                    ws.feed(chunk)?;
                }
            } else {
                ws.feed(message)?;
            }
            count += 1;
            let (echo, _) = ws.next()?.ok_or("closed early")?;
            if echo != message {
                return Err(format!("{} other bytes came back for {size}", echo.as_bytes().len()).into());
            }
        }
    }
    println!("ours has {count} messages back");
    let end = ws.close(Some(CloseCode::NORMAL.into()))?;
    if end.clean { Ok(()) } else { Err(format!("{end:?}").into()) }
}

/// Of messages that are text, noise and digits by turns.
const SIZES: [usize; 8] = [0, 1, 5, 126, 4_096, 40_000, 65_536, 1 << 20];

fn halves(message: Message<'_>) -> [Chunk<'_>; 2] {
    let cut = message.as_bytes().len() / 2;
    match message {
        Message::Text(text) => {
            let cut = (0..=cut).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            let (first, last) = text.split_at(cut);
            [Chunk { data: Message::Text(first), end: false }, Chunk { data: Message::Text(last), end: true }]
        }
        Message::Binary(bytes) => {
            let (first, last) = bytes.split_at(cut);
            [Chunk { data: Message::Binary(first), end: false }, Chunk { data: Message::Binary(last), end: true }]
        }
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    })
    .take(len)
    .collect()
}
