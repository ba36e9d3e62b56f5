//! One message, encoded once, to many idle connections.

use std::env;
use std::io::{self, BufRead as _, Write as _};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bowsprit::handshake::{AcceptOptions, ServerHandshake};
use bowsprit::server::{self, Router, Topics, WebSocket, websocket};
use bowsprit::session::BoxError;
use bowsprit::tokio::accept;
use bowsprit::{Config, Connection, Deflate, Error, Messages, Prepared};
use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::Options;
use crate::load::Load;
use crate::open_files;
use crate::server::Server;

const CONNECTIONS: usize = 10_000;
const SMOKE_CONNECTIONS: usize = 100;

/// What is published.
const NEWS: [u8; 1 << 10] = [b'n'; 1 << 10];

/// Until a server that has answered has done all that it does behind an answer.
const PAUSE: Duration = Duration::from_millis(200);

/// Who publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Publisher {
    /// A task for each connection, which waits for its peer and for news: the adapter alone.
    Task,
    /// A topic of the server layer, to which each session subscribes. Every other client has agreed on
    /// permessage-deflate.
    Topic,
}

impl Publisher {
    const ALL: [Self; 2] = [Self::Task, Self::Topic];

    const fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Topic => "topic",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|publisher| publisher.name() == name)
    }
}

pub fn run(options: &Options) -> io::Result<()> {
    Publisher::ALL.into_iter().try_for_each(|publisher| measure(options, publisher))
}

fn measure(options: &Options, publisher: Publisher) -> io::Result<()> {
    let connections = if options.smoke { SMOKE_CONNECTIONS } else { CONNECTIONS };
    open_files::allow(connections)?;
    let mut command = Command::new(env::current_exe()?);
    command.args(["serve-broadcast", publisher.name(), "127.0.0.1:0"]);
    let (mut load, mut server) = (Load::new()?, Server::start(command)?);
    let empty = server.resident()?;
    let (plain, deflated) = (frame(None)?, frame(Some(OFFER))?);
    let clients: &[(&str, &[u8])] = match publisher {
        Publisher::Task => &[("", &plain)],
        Publisher::Topic => &[("", &plain), (OFFER, &deflated)],
    };
    for &(lines, _) in clients.iter().cycle().take(connections) {
        load.connect_with(server.address, lines)?;
    }
    thread::sleep(PAUSE);
    let before = server.resident()?;

    let frames: Vec<_> = clients.iter().map(|&(_, frame)| frame).collect();
    let mut times = Vec::new();
    let cpu = server.cpu()?;
    for _ in 0..options.rounds {
        let start = Instant::now();
        server.input().write_all(b"\n")?;
        load.receive(&frames)?;
        times.push(start.elapsed());
        thread::sleep(PAUSE);
    }
    let cpu = (server.cpu()? - cpu).as_secs_f64() / (options.rounds * connections) as f64;
    let after = server.resident()?;

    times.sort();
    println!(
        "broadcast by a {} of {} B to {connections} clients, {} times",
        publisher.name(),
        NEWS.len(),
        options.rounds
    );
    let median = times[times.len() / 2];
    println!("  to the last receipt    {median:.1?} (median; {:.1?} to {:.1?})", times[0], times[times.len() - 1]);
    println!("  server CPU             {:.2} us a client", cpu * 1e6);
    println!("  resident before        {} B a client", (before - empty) / connections as u64);
    println!("  resident after         {:+} B", after.cast_signed() - before.cast_signed());
    if publisher == Publisher::Topic {
        let mut said = String::new();
        server.output().read_line(&mut said)?;
        println!("  encodings a message    {}", said.trim());
    }
    Ok(())
}

/// What an offer of permessage-deflate looks like.
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";

fn compressing() -> Config {
    Config { compression: Some(Deflate::default()), ..Config::default() }
}

/// The news, as a client gets them that made this offer.
fn frame(offer: Option<&str>) -> io::Result<Vec<u8>> {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{}\r\n",
        offer.unwrap_or_default()
    );
    let config = Arc::new(compressing());
    let mut handshake = ServerHandshake::new(config.clone(), Duration::ZERO);
    let request = handshake.receive(&mut BytesMut::from(&*head)).map_err(io::Error::other)?;
    let request = request.ok_or_else(|| io::Error::other("the head is whole"))?;
    let accepted = request.accept(&AcceptOptions::new(), &mut BytesMut::new()).map_err(io::Error::other)?;
    let mut connection = Connection::server(Messages, config).with_extensions(accepted.extensions());
    let (news, mut output) = (Prepared::binary(&NEWS).deflated(Deflate::default().level), BytesMut::new());
    connection.send(&news, &mut output).map_err(io::Error::other)?;
    Ok(output.to_vec())
}

/// Publishes once for each line of standard input, until the process is ended. Says then into how many forms the last
/// message was encoded.
pub fn serve(publisher: Publisher, address: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match publisher {
        Publisher::Task => runtime.block_on(serve_tasks(address)),
        Publisher::Topic => runtime.block_on(serve_topic(address)),
    }
}

async fn serve_topic(address: SocketAddr) -> io::Result<()> {
    let (publish, mut news) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for _ in io::stdin().lock().lines() {
            // Nobody there: the process ends.
            let _ = publish.send(());
        }
    });
    let topics = Topics::new();
    let to = topics.clone();
    tokio::spawn(async move {
        let mut encodings = 0;
        while news.recv().await.is_some() {
            let prepared = Prepared::binary(&NEWS).deflated(Deflate::default().level);
            let published = to.publish_prepared("news", &prepared).await;
            // Behind the last of them, which has been queued before.
            tokio::time::sleep(PAUSE / 2).await;
            if encodings != prepared.encodings() {
                encodings = prepared.encodings();
                println!("{encodings} for {} sessions", published.queued);
            }
        }
    });
    let subscribe = move |mut ws: WebSocket| {
        let topics = topics.clone();
        async move {
            let _subscription = topics.subscribe("news", ws.session()).await?;
            while ws.next().await?.is_some() {}
            Ok::<_, BoxError>(())
        }
    };
    let router = Router::new().route("/", websocket(subscribe)).config(compressing());
    let listener = TcpListener::bind(address).await?;
    println!("broadcast listens on {}", listener.local_addr()?);
    server::serve(listener, router, std::future::pending()).await;
    Ok(())
}

async fn serve_tasks(address: SocketAddr) -> io::Result<()> {
    let (publish, news) = watch::channel(Prepared::binary(&[]));
    thread::spawn(move || {
        for _ in io::stdin().lock().lines() {
            publish.send_replace(Prepared::binary(&NEWS));
        }
    });
    let listener = TcpListener::bind(address).await?;
    println!("broadcast listens on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(subscribe(stream, news.clone()));
    }
}

/// Sends what is published to one client, and answers its Pings and its Close meanwhile.
async fn subscribe(stream: TcpStream, mut news: watch::Receiver<Prepared>) -> Result<(), Error> {
    let mut ws = accept(stream).await?;
    loop {
        tokio::select! {
            received = ws.next() => if received?.is_none() { return Ok(()) },
            changed = news.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let prepared = news.borrow_and_update().clone();
                ws.send(&prepared).await?;
            }
        }
    }
}
