//! A chat with rooms and names. A page that loses its connection reconnects by itself and shows what it missed.
//!
//! ```text
//! cargo run --release -p bowsprit-examples --features server --bin chat [-- [ADDR]]     default: 127.0.0.1:9001
//! ```
//!
//! Open the address that it prints in several tabs. To use a phone in the same network, listen on `0.0.0.0:9001` and open
//! the address of this computer.
//!
//! Modules: `protocol` is the messages as JSON, `room` the members and the order of events, `member` one connection.

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

/// The queue of a member, in bytes. A member whose queue is full is disconnected. It holds more than the history of a room.
const QUEUE: usize = 1 << 20;

#[tokio::main]
async fn main() -> ExitCode {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    if address.starts_with('-') {
        println!(
            "usage: chat [ADDR]\n\nRooms with names. Open the address that it prints in several tabs.\n\nADDR is the address to listen on. The default is 127.0.0.1:9001; port 0 stands for any free port."
        );
        return if ["--help", "-h"].contains(&&*address) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
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
    let shutdown = shutdown_signal()?;
    println!("chat: open http://{}/", listener.local_addr()?);
    serve(listener, router, shutdown).await;
    Ok(())
}

fn config() -> Config {
    // Without context takeover, an idle connection holds no compressor, and an event is compressed once for all members.
    let parameters =
        Parameters { server_no_context_takeover: true, client_no_context_takeover: true, ..Parameters::default() };
    Config {
        max_message: protocol::MAX_MESSAGE,
        compression: Some(Deflate { parameters, pool: Some(Pool::new(4 << 20)), ..Deflate::default() }),
        // Proxies cut connections that are idle for 60 s. A member that vanished leaves the room after 30 s.
        ping_interval: Some(Duration::from_secs(20)),
        pong_timeout: Some(Duration::from_secs(10)),
        ..Config::default()
    }
}

/// Resolves on SIGINT (Ctrl-C) or SIGTERM (a service manager).
#[cfg(unix)]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves on Ctrl-C.
#[cfg(not(unix))]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
