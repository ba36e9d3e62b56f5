//! Sends back whatever comes, on one thread.
//!
//! ```text
//! cargo run --release --features tokio --example tokio_echo [-- [--deflate] [ADDR]]     127.0.0.1:9001 unless told otherwise
//! ```
//!
//! Compresses with clients that offer permessage-deflate where it is told to.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::aio;
use bowsprit::handshake::server::Accept;
use bowsprit::{Config, Deflate, Error, Messages};
use tokio::net::{TcpListener, TcpStream};

fn main() -> ExitCode {
    let (options, addresses): (Vec<String>, Vec<String>) = env::args().skip(1).partition(|word| word.starts_with('-'));
    if addresses.len() > 1 || options.iter().any(|option| option != "--deflate") {
        eprintln!("usage: tokio_echo [--deflate] [ADDR]");
        eprintln!("ADDR is 127.0.0.1:9001 unless told otherwise; port 0 takes a free one");
        return ExitCode::FAILURE;
    }
    let address = addresses.first().map_or("127.0.0.1:9001", String::as_str);
    let compression = (!options.is_empty()).then(Deflate::default);
    let config = Arc::new(Config { compression, ..Config::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(address, config))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio_echo: cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One task for each connection. Whatever becomes of one, the others go on.
async fn serve(address: &str, config: Arc<Config>) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("bowsprit echo server: ws://{}", listener.local_addr()?);
    io::stdout().flush()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let config = config.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, config).await {
                        eprintln!("{peer}: {error}");
                    }
                });
            }
            Err(error) => {
                // No descriptor left: that passes when a connection ends.
                eprintln!("tokio_echo: cannot take a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, config: Arc<Config>) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut ws = aio::accept_with(stream, &Accept::new(), Messages, config).await?;
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}
