//! A chat: rooms, names, and pages that come back by themselves and tell what they missed.
//!
//! ```text
//! cargo run --release --features server --example chat [-- [ADDR]]     127.0.0.1:9001 unless told otherwise
//! ```
//!
//! Open the address that it prints, in as many tabs as you like. On a phone in the same network, open the address of this
//! machine, with ADDR `0.0.0.0:9001`.
//!
//! `protocol` is what is said, `room` who is there and in which order things happen, `member` one connection.

mod member;
mod protocol;
mod room;

use std::env;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::permessage_deflate::{Parameters, Pool};
use bowsprit::server::{Request, Router, get, handler, html, serve};
use bowsprit::tokio::WhenFull;
use bowsprit::{Config, Deflate};
use member::Member;
use room::Rooms;
use tokio::net::TcpListener;

/// The queue of a member, in bytes: whoever has read less is disconnected. More than the history of a room.
const QUEUE: usize = 1 << 20;

#[tokio::main]
async fn main() -> ExitCode {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    if address.starts_with('-') {
        println!("usage: chat [ADDR]\n\nADDR is 127.0.0.1:9001 unless told otherwise; port 0 takes a free one.");
        return ExitCode::SUCCESS;
    }
    match run(&address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(address: &str) -> io::Result<()> {
    let rooms = Arc::new(Rooms::default());
    let chat = handler(move |session| Member::new(Arc::clone(&rooms), session)).queue(QUEUE, WhenFull::Disconnect);
    let router = Router::new()
        .route("/", get(async |_: Request| html(include_str!("page.html"))))
        .route("/chat", chat)
        .config(config())
        .shutdown_timeout(Duration::from_secs(5))
        .on_error(|peer, failure| eprintln!("{peer}: {failure}"));

    let listener = TcpListener::bind(address).await?;
    let ends = ends()?;
    println!("chat: open http://{}/", listener.local_addr()?);
    serve(listener, router, ends).await;
    Ok(())
}

fn config() -> Config {
    // Each message on its own: a connection that waits holds no engine, and an event is compressed once for all.
    let alone =
        Parameters { server_no_context_takeover: true, client_no_context_takeover: true, ..Parameters::default() };
    Config {
        max_message: protocol::MAX_MESSAGE,
        compression: Some(Deflate { parameters: alone, pool: Some(Pool::new(4 << 20)), ..Deflate::default() }),
        // Who is gone without a word has left the room after 25 s.
        ping_interval: Some(Duration::from_secs(15)),
        pong_timeout: Some(Duration::from_secs(10)),
        ..Config::default()
    }
}

/// Done when somebody ends the program: by Ctrl-C, or as a service manager does.
#[cfg(unix)]
fn ends() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Done when somebody ends the program by Ctrl-C.
#[cfg(not(unix))]
fn ends() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
