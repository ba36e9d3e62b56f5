//! A Redis server of our own.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::client::until;
use crate::serve::PREFIX;

pub struct Broker {
    child: Child,
    port: String,
    folder: PathBuf,
}

impl Broker {
    /// On a free port of loopback.
    pub async fn start(folder: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port().to_string();
        let mut broker = Self { child: Self::spawn(&port, folder)?, port, folder: folder.to_owned() };
        broker.wait().await?;
        Ok(broker)
    }

    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(fs::remove_file(self.folder.join("redis.pid"))?)
    }

    /// Again, on the same port.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = Self::spawn(&self.port, &self.folder)?;
        self.wait().await
    }

    /// `STOP`, `CONT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err("no signal was sent".into()) }
    }

    /// What Redis says to a command.
    pub fn ask(&self, command: &[&str]) -> Result<String> {
        self.ask_with(command, b"")
    }

    /// With bytes as the last argument, where there are any.
    fn ask_with(&self, command: &[&str], last: &[u8]) -> Result<String> {
        let mut asking = Command::new("timeout");
        asking.args(["5", "redis-cli", "-h", "127.0.0.1", "-p", &self.port]);
        if !last.is_empty() {
            asking.arg("-x");
        }
        let mut asking =
            asking.args(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut input) = asking.stdin.take() {
            input.write_all(last)?;
        }
        let output = asking.wait_with_output()?;
        if output.status.success() {
            Ok(String::from_utf8(output.stdout)?)
        } else {
            Err(format!("redis-cli: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
        }
    }

    /// Puts bytes on a topic's channel.
    pub fn publish(&self, topic: &str, bytes: &[u8]) -> Result<()> {
        self.ask_with(&["PUBLISH", &format!("{PREFIX}{topic}")], bytes).map(drop)
    }

    /// How many processes subscribe to a topic.
    pub fn subscribers(&self, topic: &str) -> Result<usize> {
        let answer = self.ask(&["PUBSUB", "NUMSUB", &format!("{PREFIX}{topic}")])?;
        Ok(answer.lines().nth(1).ok_or("no number")?.parse()?)
    }

    /// The channels that somebody subscribes to.
    pub fn channels(&self) -> Result<Vec<String>> {
        Ok(self.ask(&["PUBSUB", "CHANNELS"])?.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    fn spawn(port: &str, folder: &Path) -> Result<Child> {
        let options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning"];
        let child = Command::new("redis-server")
            .args(["--port", port, "--dir"])
            .arg(folder)
            .arg("--pidfile")
            .arg(folder.join("redis.pid"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(child)
    }

    async fn wait(&mut self) -> Result<()> {
        until("Redis answers", || {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("redis-server ended: {status}").into());
            }
            // Ours, and not another one on the same port.
            let id = format!("process_id:{}", self.child.id());
            Ok(self.ask(&["INFO", "server"]).is_ok_and(|answer| answer.lines().any(|line| line.trim() == id)))
        })
        .await
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
