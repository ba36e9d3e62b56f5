//! A server: echoes messages, or distributes them.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowsprit::handshake::AcceptOptions;
use bowsprit::tls::rustls::ServerConfig;
use bowsprit::tokio::{Sender, Shutdown, Stream, TlsStream, WhenFull, accept_with};
use bowsprit::{Config, Deflate, Messages};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;
use crate::arguments::Listen;

/// Who is connected.
type Clients = Arc<Mutex<HashMap<SocketAddr, Sender>>>;

pub(crate) async fn run(arguments: Listen) -> Result<Outcome, Box<dyn Error>> {
    let tls = match &arguments.tls {
        Some(files) => {
            let read =
                |at: usize| std::fs::read(&files[at]).map_err(|error| format!("{}: {error}", files[at].display()));
            Some(bowsprit::tls::server_config(&read(0)?, &read(1)?)?)
        }
        None => None,
    };
    let config = Arc::new(Config {
        ping_interval: Some(Duration::from_secs(25)),
        compression: arguments.deflate.then(Deflate::default),
        ..Config::default()
    });
    let listener =
        TcpListener::bind(&arguments.address).await.map_err(|error| format!("{}: {error}", arguments.address))?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    eprintln!("listening on {scheme}://{}/", listener.local_addr()?);
    let clients = arguments.broadcast.then(Clients::default);
    let shutdown = Arc::new(Shutdown::new());
    loop {
        let (tcp, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, perhaps: they come back.
                    eprintln!("bowsprit: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            signal = tokio::signal::ctrl_c() => {
                signal?;
                break;
            }
        };
        let (tls, config, clients, shutdown) = (tls.clone(), config.clone(), clients.clone(), shutdown.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(tcp, peer, tls, config, clients, &shutdown).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
    shutdown.begin();
    tokio::select! {
        () = shutdown.finished() => {}
        _ = tokio::signal::ctrl_c() => std::process::exit(130),
    }
    Ok(Outcome::Closed)
}

async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    config: Arc<Config>,
    clients: Option<Clients>,
    shutdown: &Shutdown,
) -> Result<(), bowsprit::Error> {
    tcp.set_nodelay(true)?;
    let stream: Stream = match tls {
        Some(tls) => TlsStream::server(tcp, tls)?.into(),
        None => tcp.into(),
    };
    let mut ws = accept_with(stream, &AcceptOptions::new(), Messages, config).await?;
    shutdown.watch(&mut ws);
    let Some(clients) = clients else {
        while let Some((message, out)) = ws.next().await? {
            out.feed(message).await?;
        }
        return Ok(());
    };
    let lock = || clients.lock().unwrap_or_else(PoisonError::into_inner);
    // A client that reads too slowly is closed: it must not hold up the others.
    lock().insert(peer, ws.sender(1 << 20, WhenFull::Disconnect));
    let mut serving = async || {
        while let Some((message, _)) = ws.next().await? {
            let others: Vec<Sender> =
                lock().iter().filter(|(other, _)| **other != peer).map(|(_, sender)| sender.clone()).collect();
            for other in others {
                let _ = other.try_send(message.to_owned()); // it may be leaving
            }
        }
        Ok(())
    };
    let served = serving().await;
    lock().remove(&peer);
    served
}
