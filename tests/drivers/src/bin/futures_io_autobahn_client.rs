//! The client of the Autobahn testsuite on smol: echoes every case of its server, then requests the report.
//! `futures_io_autobahn_client ADDR`. It offers permessage-deflate.

use std::error::Error;

use bowsprit::handshake::ClientRequest;
use bowsprit::{Config, Deflate, HandshakeError, Message, Messages, futures_io};
use smol::net::TcpStream;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: futures_io_autobahn_client ADDR")?;
    smol::block_on(run(&address))
}

async fn run(address: &str) -> Result<(), Box<dyn Error>> {
    let mut counter = connect(address, "getCaseCount").await?;
    let cases: u32 = match counter.next().await? {
        Some((Message::Text(count), _)) => count.parse()?,
        _ => return Err("the server did not say how many cases it has".into()),
    };
    counter.close(None).await?;

    for case in 1..=cases {
        // Most cases break the protocol on purpose, so an error is the expected result.
        if let Err(error) = echo(address, &format!("runCase?case={case}&agent=bowsprit")).await {
            println!("{case} of {cases}: {error}");
        }
    }
    Ok(echo(address, "updateReports?agent=bowsprit").await?)
}

async fn connect(address: &str, resource: &str) -> Result<futures_io::WebSocket<TcpStream>, bowsprit::Error> {
    let request = ClientRequest::try_from(&*format!("ws://{address}/{resource}")).map_err(HandshakeError::from)?;
    let config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(futures_io::connect_on(stream, &request, Messages, config.into()).await?.0)
}

async fn echo(address: &str, resource: &str) -> Result<(), bowsprit::Error> {
    let mut ws = connect(address, resource).await?;
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}
