//! A server of hyper: a page at `/`, and at `/echo` a WebSocket that sends back whatever comes.
//!
//! ```text
//! cargo run --features hyper --example hyper_server [-- ADDR]     127.0.0.1:9001 unless told otherwise
//! ```

use std::convert::Infallible;
use std::env;
use std::io;
use std::sync::Arc;

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
    let listener = TcpListener::bind(&address).await?;
    println!("a server of hyper: ws://{}/echo", listener.local_addr()?);
    let config = Arc::new(Config::default());
    loop {
        let (stream, peer) = listener.accept().await?;
        let config = Arc::clone(&config);
        let service = service_fn(move |request| serve(request, Arc::clone(&config)));
        tokio::spawn(async move {
            // With a timer, hyper waits 30 s for a request and no longer.
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            // Without `with_upgrades`, hyper keeps the connection to itself.
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
            let mut response = Response::new("There is nothing here.\n".to_owned());
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
