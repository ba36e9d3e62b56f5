//! A client of a server, and patience with bounds.

use std::time::{Duration, Instant};

use bowsprit::OwnedMessage;
use bowsprit::tokio::{Stream, WebSocket, connect};
use tokio::time::{sleep, timeout};

use crate::Result;

/// For each thing that is awaited.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client {
    pub ws: WebSocket<Stream>,
}

impl Client {
    /// One that is subscribed.
    pub async fn connect(address: &str) -> Result<Self> {
        let mut client = Self { ws: timeout(PATIENCE, connect(address)).await?? };
        client.expect("ready").await?;
        Ok(client)
    }

    pub async fn send<'a>(&mut self, message: impl Into<bowsprit::Outgoing<'a>>) -> Result<()> {
        Ok(timeout(PATIENCE, self.ws.send(message)).await??)
    }

    pub async fn receive(&mut self) -> Result<OwnedMessage> {
        timeout(PATIENCE, self.ws.recv()).await??.ok_or_else(|| "the server closed the connection".into())
    }

    pub async fn expect(&mut self, message: impl Into<OwnedMessage>) -> Result<()> {
        let (expected, received) = (message.into(), self.receive().await?);
        if received == expected { Ok(()) } else { Err(format!("{received:.80?} instead of {expected:.80?}").into()) }
    }

    pub async fn close(self) -> Result<()> {
        timeout(PATIENCE, self.ws.close(None)).await??;
        Ok(())
    }
}

/// Waits until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !is_so()? {
        if start.elapsed() > PATIENCE {
            return Err(format!("not within {PATIENCE:?}: {what}").into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
