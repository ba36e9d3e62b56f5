//! Callbacks that take long, or for ever, while their connection ends.

use std::future::pending;
use std::time::Duration;

use bowsprit::handshake::ClientRequest;
use bowsprit::server::{Session, handler};
use bowsprit::session::{self, BoxError, Closed, Failure, Handler};
use bowsprit::tokio::{Connector, Sender, WebSocket, WhenFull};
use bowsprit::{CloseCode, Config, Message, OwnedMessage};
use tokio::io::DuplexStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::support::{Log, Raw, close_line, log, masked, server_of, timeless, within};

/// Waits for the end of its connection.
struct Patient(Log);

impl Handler<Session> for Patient {
    async fn on_message(&mut self, session: &Session, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        self.0.note("message");
        session.closed().await;
        self.0.note("closed");
        Ok(Some("nobody reads this".into()))
    }

    async fn on_close(&mut self, _: &Session, closed: &Closed) {
        self.0.note(close_line(closed));
    }
}

#[tokio::test]
async fn a_callback_learns_that_its_peer_has_left() {
    // FEATURE: TS5
    let (log, mut lines) = log();
    let server = server_of(handler(move |_| Patient(log.clone())).config(timeless())).await;
    for how in ["end", "reset", "close", "more, then end"] {
        let mut peer = Raw::open(server.address, "/").await;
        peer.sends(masked(0x81, "go")).await;
        assert_eq!(lines.next().await, "message");
        // What it has sent before does not hide its end.
        match how {
            "close" => peer.sends(masked(0x88, "")).await,
            "more, then end" => peer.sends(masked(0x82, [0x2a; 60_000])).await,
            _ => {}
        }
        if how == "reset" {
            peer.resets();
        } else {
            drop(peer);
        }
        assert_eq!(lines.next().await, "closed", "{how}");
        assert!(lines.next().await.starts_with("close "), "{how}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_callback_learns_that_the_server_shuts_down() {
    // FEATURE: TS5
    let (log, mut lines) = log();
    let server = server_of(handler(move |_| Patient(log.clone())).config(timeless())).await;
    let mut peer = Raw::open(server.address, "/").await;
    peer.sends(masked(0x81, "go")).await;
    assert_eq!(lines.next().await, "message");
    let ended = server.begin_to_end();
    peer.expect([0x88, 0x02, 0x03, 0xe9]).await; // 1001, although the callback runs
    assert_eq!(lines.next().await, "closed");
    peer.sends(masked(0x88, [0x03, 0xe9])).await;
    drop(peer);
    assert_eq!(lines.next().await, "close 1001 \"\" clean");
    within(ended).await.unwrap();
}

/// Never returns from this callback.
struct Hangs {
    callback: &'static str,
    log: Log,
    /// Dropped with the future of a callback.
    dropped: &'static Semaphore,
}

struct Permit(&'static Semaphore);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

impl Hangs {
    async fn reach(&self, callback: &str) {
        let _permit = Permit(self.dropped);
        self.log.note(callback);
        if callback == self.callback {
            pending::<()>().await;
        }
    }
}

impl Handler<Sender> for Hangs {
    async fn on_open(&mut self, _: &Sender) -> Result<Option<OwnedMessage>, BoxError> {
        self.reach("on_open").await;
        Ok(None)
    }

    async fn on_message(&mut self, _: &Sender, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        self.reach("on_message").await;
        Err("it fails".into())
    }

    async fn on_error(&mut self, _: &Sender, failure: &Failure) {
        self.log.note(failure.to_string());
        self.reach("on_error").await;
    }

    async fn on_close(&mut self, _: &Sender, _: &Closed) {
        self.reach("on_close").await;
    }
}

async fn pair() -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let config = Config { ping_interval: None, ..Config::default() };
    let connector = Connector::new(ClientRequest::try_from("ws://server/").unwrap()).config(config);
    let (opened, accepted) = tokio::join!(connector.connect_on(near), bowsprit::tokio::accept(far));
    (opened.unwrap().0, accepted.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_hangs_is_dropped_and_its_socket_closed() {
    // FEATURE: TS4, TS5
    let timeout = "the handler was still running 10 s after the end of its connection";
    for (callback, expected) in [
        ("on_open", vec!["on_open", timeout, "on_error", "on_close"]),
        ("on_message", vec!["on_open", "on_message", timeout, "on_error", "on_close"]),
        ("on_error", vec!["on_open", "on_message", "the handler failed: it fails", "on_error", "on_close"]),
        ("on_close", vec!["on_open", "on_message", "the handler failed: it fails", "on_error", "on_close"]),
    ] {
        let (mut client, mut ws) = pair().await;
        let sender = ws.sender(1 << 10, WhenFull::Wait);
        let (log, lines) = log();
        let dropped = Box::leak(Box::new(Semaphore::new(0)));
        let mut handler = Hangs { callback, log, dropped };
        let served = tokio::spawn({
            let sender = sender.clone();
            async move {
                let closed = session::drive(&mut ws, &sender, &mut handler).await;
                drop((ws, handler));
                closed
            }
        });
        client.send("go").await.unwrap();
        // For as long as the connection is open, a callback may take its time.
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let start = Instant::now();
        let _ = sender.close(Some(CloseCode::GOING_AWAY.into()));
        let reads = tokio::spawn(async move { while let Ok(Some(_)) = client.recv().await {} });
        served.await.expect("it does not panic");
        assert!(start.elapsed() <= Duration::from_secs(25), "{callback}: {:?}", start.elapsed());
        reads.await.unwrap();
        assert_eq!(dropped.available_permits(), expected.iter().filter(|line| line.starts_with("on_")).count());
        assert_eq!(lines.rest().await, expected, "{callback}");
    }
}
