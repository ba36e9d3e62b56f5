//! A server process, and what it says.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs, thread};

use crate::Result;
use crate::client::{Client, until};

pub struct Process {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    port: String,
}

impl Process {
    pub async fn start(redis: &str) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["serve", redis])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&said);
        thread::spawn(move || {
            for line in output.lines().map_while(std::result::Result::ok) {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let mut process = Self { child, said, port: String::new() };
        let port = || process.said().iter().find_map(|line| line.strip_prefix("port ").map(str::to_owned));
        until("a server says its port", || Ok(port().is_some())).await?;
        process.port = port().ok_or("no port")?;
        Ok(process)
    }

    pub async fn client(&self, topic: &str) -> Result<Client> {
        Client::connect(&format!("ws://127.0.0.1:{}/topics/{topic}", self.port)).await
    }

    /// All lines.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many lines begin so.
    pub fn count(&self, start: &str) -> usize {
        self.said().iter().filter(|line| line.starts_with(start)).count()
    }

    /// The most memory that it had, in bytes.
    pub fn peak(&self) -> Result<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? << 10)
    }

    /// Whether it ends well once it is told to.
    pub async fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let mut status = None;
        until("a server ends", || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })
        .await?;
        if status.is_some_and(|status| status.success()) { Ok(()) } else { Err("a server failed".into()) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
