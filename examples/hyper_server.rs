//! A hyper server with a WebSocket path: `/echo` sends every message back, `/` says so as plain text.
//!
//! ```text
//! cargo run --release -p bowsprit-examples --features hyper --bin hyper_server [-- ADDR]     default: 127.0.0.1:9001
//! ```

use std::convert::Infallible;
use std::env;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::handshake::AcceptOptions;
use bowsprit::upgrade::hyper::{Opening, receive};
use bowsprit::{Config, Error, HandshakeError, Messages, upgrade};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    if ["--help", "-h"].contains(&&*address) {
        println!("usage: hyper_server [ADDR]\n\nADDR is the address to listen on; the default is 127.0.0.1:9001.");
        return Ok(());
    }
    let listener = TcpListener::bind(&address).await?;
    let local = listener.local_addr()?;
    println!("hyper echo server: ws://{local}/echo");
    println!("try it:   cargo run -p bowsprit-examples --features hyper --bin hyper_client -- ws://{local}/echo");
    // Proxies cut connections that are idle for 60 s.
    let config = Arc::new(Config { ping_interval: Some(Duration::from_secs(25)), ..Config::default() });
    loop {
        let (stream, peer) = listener.accept().await?;
        let config = Arc::clone(&config);
        let service = service_fn(move |request| serve(request, Arc::clone(&config)));
        tokio::spawn(async move {
            // Without a timer, hyper has no deadline for a request; with one, the deadline is 30 s.
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            // Without `with_upgrades`, hyper does not give the connection up.
            if let Err(error) = connection.with_upgrades().await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve(mut request: Request<Incoming>, config: Arc<Config>) -> Result<Response<String>, Infallible> {
    Ok(answer(&mut request, config).unwrap_or_else(|error| upgrade::http::refuse(&error)))
}

fn answer(request: &mut Request<Incoming>, config: Arc<Config>) -> Result<Response<String>, HandshakeError> {
    match request.uri().path() {
        "/" => return Ok(Response::new("The WebSocket is at /echo.\n".to_owned())),
        "/echo" => {}
        _ => {
            let mut response = Response::new("Not found.\n".to_owned());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    }
    let (response, opening) = receive(request, config)?.accept(&AcceptOptions::new(), Messages)?;
    tokio::spawn(async move {
        if let Err(error) = echo(opening).await {
            eprintln!("{error}");
        }
    });
    Ok(response)
}

async fn echo(opening: Opening) -> Result<(), Error> {
    let mut ws = opening.open().await?;
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}
