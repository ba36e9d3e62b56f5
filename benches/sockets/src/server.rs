//! A server under test, in a process of its own: started, observed through `/proc`, and ended.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};

/// A running server. It ends when this is dropped, and when this process ends in whatever way.
pub struct Server {
    process: Child,
    /// Held open: a server may go on printing.
    output: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Server {
    /// Starts `command` and waits until it prints where it listens.
    pub fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
        let mut process = command.spawn()?;
        let stdout = process.stdout.take().expect("standard output is piped");
        let mut output = BufReader::new(stdout);
        let mut line = String::new();
        while output.read_line(&mut line)? > 0 {
            if let Some(address) = address(&line) {
                return Ok(Self { process, output, address });
            }
            line.clear();
        }
        process.wait()?;
        Err(io::Error::other(format!("{command:?} ended before it listened")))
    }

    /// Where the server reads what it is told.
    pub fn input(&mut self) -> &mut ChildStdin {
        self.process.stdin.as_mut().expect("standard input is piped, and never taken")
    }

    /// What the server prints.
    pub fn output(&mut self) -> &mut BufReader<ChildStdout> {
        &mut self.output
    }

    /// CPU time of all its threads up to now.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = schedstat.split(' ').next().and_then(|field| field.parse::<u64>().ok());
            nanoseconds += first.ok_or_else(|| io::Error::other("schedstat begins with no number"))?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process.id()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
        let kibibytes = line.and_then(|field| field.trim().parse::<u64>().ok());
        Ok(kibibytes.ok_or_else(|| io::Error::other("smaps_rollup tells no resident memory"))? << 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended by itself cannot be ended once more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first thing in `line` that is the address of a socket.
fn address(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| c.is_whitespace() || c == '/').find_map(|word| word.parse().ok())
}
