//! An echo server on smol: `futures_io_echo ADDR`. It compresses with clients that offer permessage-deflate.

use std::error::Error;
use std::io;
use std::sync::Arc;

use bowsprit::handshake::AcceptOptions;
use bowsprit::{Config, Deflate, Messages, futures_io};
use smol::net::{TcpListener, TcpStream};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: futures_io_echo ADDR")?;
    Ok(smol::block_on(serve(&address))?)
}

async fn serve(address: &str) -> io::Result<()> {
    let config = Arc::new(Config { compression: Some(Deflate::default()), ..Config::default() });
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let config = config.clone();
        let connection = async move {
            if let Err(error) = echo(stream, config).await {
                eprintln!("{peer}: {error}");
            }
        };
        smol::spawn(connection).detach();
    }
}

async fn echo(stream: TcpStream, config: Arc<Config>) -> Result<(), bowsprit::Error> {
    stream.set_nodelay(true)?;
    let mut ws = futures_io::accept_with(stream, &AcceptOptions::new(), Messages, config).await?;
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}
