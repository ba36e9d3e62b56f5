//! The chat, as a child.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

pub struct Server {
    program: PathBuf,
    child: Child,
    pub address: SocketAddr,
}

/// What a process has used.
#[derive(Clone, Copy)]
pub struct Used {
    pub cpu: Duration,
    /// The most memory that it had, in bytes.
    pub peak: u64,
}

impl Server {
    /// Starts it on a free port.
    pub fn start(program: &Path) -> Result<Self, Box<dyn Error>> {
        let (child, address) = start(program, "127.0.0.1:0")?;
        Ok(Self { program: program.into(), child, address })
    }

    /// As nothing ends that has time to say goodbye.
    pub fn kill(&mut self) -> Result<Used, Box<dyn Error>> {
        let used = self.used()?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(used)
    }

    /// Starts it again, on the same port.
    pub fn restart(&mut self) -> Result<(), Box<dyn Error>> {
        (self.child, _) = start(&self.program, &self.address.to_string())?;
        Ok(())
    }

    /// Asks it to end.
    pub fn end(&mut self) -> Result<ExitStatus, Box<dyn Error>> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        Ok(self.child.wait()?)
    }

    pub fn used(&self) -> Result<Used, Box<dyn Error>> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(folder.join("status"))?;
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        let stat = fs::read_to_string(folder.join("stat"))?;
        // Behind the name, which ends with the last parenthesis: state is the first field, utime and stime 12th and 13th.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        let cpu = Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
        Ok(Used { cpu, peak: peak.unwrap_or(0_u64) << 10 })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(program: &Path, address: &str) -> Result<(Child, SocketAddr), Box<dyn Error>> {
    let mut child = Command::new(program).arg(address).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    let address = line.trim().strip_prefix("chat: open http://").and_then(|rest| rest.strip_suffix('/'));
    match address.and_then(|address| address.parse().ok()) {
        Some(address) => Ok((child, address)),
        None => {
            let _ = child.kill();
            let _ = child.wait();
            Err(format!("the chat did not start: it says {line:?}").into())
        }
    }
}
