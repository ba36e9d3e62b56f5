//! One message, encoded once, to many idle connections.

use std::env;
use std::io::{self, BufRead as _, Write as _};
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bowsprit::aio::accept;
use bowsprit::{Config, Error, Outbound, Prepared};
use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

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

pub fn run(options: &Options) -> io::Result<()> {
    let connections = if options.smoke { SMOKE_CONNECTIONS } else { CONNECTIONS };
    open_files::allow(connections)?;
    let mut command = Command::new(env::current_exe()?);
    command.args(["serve-broadcast", "127.0.0.1:0"]);
    let (mut load, mut server) = (Load::new()?, Server::start(command)?);
    let empty = server.resident()?;
    for _ in 0..connections {
        load.connect(server.address)?;
    }
    thread::sleep(PAUSE);
    let before = server.resident()?;

    let mut frame = BytesMut::new();
    Outbound::server(Config::default().into()).binary(&NEWS, &mut frame).map_err(io::Error::other)?;
    let mut times = Vec::new();
    let cpu = server.cpu()?;
    for _ in 0..options.rounds {
        let start = Instant::now();
        server.input().write_all(b"\n")?;
        load.receive(&frame)?;
        times.push(start.elapsed());
        thread::sleep(PAUSE);
    }
    let cpu = (server.cpu()? - cpu).as_secs_f64() / (options.rounds * connections) as f64;
    let after = server.resident()?;

    times.sort();
    println!("broadcast of {} B to {connections} idle connections, {} times", NEWS.len(), options.rounds);
    let median = times[times.len() / 2];
    println!("  to the last receipt    {median:.1?} (median; {:.1?} to {:.1?})", times[0], times[times.len() - 1]);
    println!("  server CPU             {:.2} us a connection", cpu * 1e6);
    println!("  resident before        {} B a connection", (before - empty) / connections as u64);
    println!("  resident after         {:+} B", after.cast_signed() - before.cast_signed());
    Ok(())
}

/// Publishes once for each line of standard input, until the process is ended.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let (publish, news) = watch::channel(Prepared::binary(&[]));
    thread::spawn(move || {
        for _ in io::stdin().lock().lines() {
            publish.send_replace(Prepared::binary(&NEWS));
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("broadcast listens on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(subscribe(stream, news.clone()));
        }
    })
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
                ws.send_prepared(&prepared).await?;
            }
        }
    }
}
