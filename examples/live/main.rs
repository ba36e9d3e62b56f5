//! Live updates: what is posted to `/news` appears on all pages that are open.
//!
//! ```text
//! cargo run --release --features server --example live [-- [ADDR]]     127.0.0.1:9001 unless told otherwise
//! ```
//!
//! It prints the address to open and the command that posts.

use std::env;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use bowsprit::Config;
use bowsprit::server::{Request, Response, Router, Topics, WebSocket, get, html, post, serve, text, websocket};
use bowsprit::session::BoxError;
use bowsprit::tokio::WhenFull;
use tokio::net::TcpListener;

const TOPIC: &str = "news";

#[tokio::main]
async fn main() -> ExitCode {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    if address.starts_with('-') {
        println!("usage: live [ADDR]\n\nADDR is 127.0.0.1:9001 unless told otherwise; port 0 takes a free one.");
        return ExitCode::SUCCESS;
    }
    match run(&address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("live: cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(address: &str) -> io::Result<()> {
    let topics = Topics::new();
    let pages = topics.clone();
    let news = post(move |request| publish(topics.clone(), request))
        .websocket(websocket(move |ws| subscribe(pages.clone(), ws)).queue(64 << 10, WhenFull::Disconnect));
    let router = Router::new()
        .route("/", get(async |_: Request| html(include_str!("page.html"))))
        .route("/news", news)
        .config(Config { ping_interval: Some(Duration::from_secs(15)), ..Config::default() })
        .max_body(16 << 10)
        .shutdown_timeout(Duration::from_secs(5));

    let listener = TcpListener::bind(address).await?;
    let ends = ends()?;
    let address = listener.local_addr()?;
    println!("live: open http://{address}/");
    println!("live: then   curl --data-binary 'hello' http://{address}/news");
    serve(listener, router, ends).await;
    Ok(())
}

/// A page: it hears what is published until it goes.
async fn subscribe(topics: Topics, mut ws: WebSocket) -> Result<(), BoxError> {
    let _subscription = topics.subscribe(TOPIC, ws.session()).await?;
    while ws.next().await?.is_some() {}
    Ok(())
}

/// One request, to all pages.
async fn publish(topics: Topics, request: Request) -> Response {
    let Ok(news) = str::from_utf8(request.body()) else { return text(400, "this is no text\n") };
    match topics.publish_confirmed(TOPIC, news).await {
        Ok(published) => text(200, format!("{} pages\n", published.queued)),
        Err(error) => text(503, format!("{error}\n")),
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
