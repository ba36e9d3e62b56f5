//! One server. `/topics/{topic}` subscribes to a topic, says `ready`, and publishes there whatever its client sends; what
//! cannot be published is answered with `refused`. On standard output, a line each:
//!
//! ```text
//! port N                at the start
//! missed ERROR          `Topics::on_error`
//! joined TOPIC COUNT    `Topics::on_join`
//! left TOPIC COUNT      `Topics::on_leave`
//! ```
//!
//! It ends when its standard input does.

use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::thread;

use bowsprit::server::{Redis, Router, Topics, WebSocket, websocket};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::Result;

pub const PREFIX: &str = "test:";

pub async fn serve(address: &str) -> Result<()> {
    let redis = Redis::connect(address).await?.prefix(PREFIX);
    let topics = Topics::with_backplane(redis)
        .on_error(|error| println!("missed {error}"))
        .on_join(|topic, _, count| println!("joined {topic} {count}"))
        .on_leave(|topic, _, count| println!("left {topic} {count}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("port {}", listener.local_addr()?.port());
    let router = Router::new().route("/topics/{topic}", websocket(move |ws| talk(ws, topics.clone())));
    let (ended, end) = oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(ended);
    });
    bowsprit::server::serve(listener, router, async { drop(end.await) }).await;
    Ok(())
}

async fn talk(mut ws: WebSocket, topics: Topics) -> Result<()> {
    let session = ws.session().clone();
    let topic = session.request().param("topic").ok_or("no topic")?;
    let _subscription = topics.subscribe(topic, &session).await?;
    session.send("ready").await?;
    while let Some(message) = ws.recv().await? {
        if topics.publish_confirmed(topic, message).await.is_err() {
            session.send("refused").await?;
        }
    }
    Ok(())
}
