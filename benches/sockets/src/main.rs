//! Echo servers over loopback, side by side, each in a process of its own: README.md.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("the floor is written for x86-64, and what a server costs is read from Linux's /proc");

mod batch;
mod broadcast;
mod contender;
mod cpu;
mod echo;
#[expect(
    clippy::needless_range_loop,
    clippy::semicolon_if_nothing_returned,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    unsafe_op_in_unsafe_fn,
    reason = "reference floor"
)]
mod floor;
mod load;
mod memory;
mod open_files;
mod server;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use broadcast::Publisher;
use contender::Contender;

const USAGE: &str = "usage: sockets [cpu | memory | broadcast] [--rounds N] [--only NAME].. [--row TEXT] [--smoke]
       sockets serve NAME ADDR
       sockets serve-broadcast (task | topic) ADDR";

/// What the command line asks for.
struct Options {
    rounds: usize,
    /// Contenders to measure; none is all.
    only: Vec<Contender>,
    /// What the name of a row of CPU time has to contain.
    row: String,
    /// Briefly, to see that it runs.
    smoke: bool,
}

impl Options {
    /// The floor, and those that are asked for.
    fn contenders(&self) -> Vec<Contender> {
        let all = Contender::ALL.into_iter();
        all.filter(|one| *one == Contender::Floor || self.only.is_empty() || self.only.contains(one)).collect()
    }
}

fn main() -> ExitCode {
    match run(env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sockets: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let mut options = Options { rounds: 15, only: Vec::new(), row: String::new(), smoke: false };
    let mut words = Vec::new();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--smoke" => (options.smoke, options.rounds) = (true, 1),
            "--rounds" => options.rounds = args.next().ok_or(USAGE)?.parse()?,
            "--only" => options.only.push(contender(&args.next().ok_or(USAGE)?)?),
            "--row" => options.row = args.next().ok_or(USAGE)?,
            _ => words.push(arg),
        }
    }
    if options.rounds == 0 {
        return Err("--rounds takes a number above 0".into());
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", name, address] => Ok(echo::serve(contender(name)?, address.parse()?)?),
        ["serve-broadcast", publisher, address] => {
            Ok(broadcast::serve(Publisher::from_name(publisher).ok_or(USAGE)?, address.parse()?)?)
        }
        ["cpu"] => Ok(cpu::run(&options)?),
        ["memory"] => Ok(memory::run(&options)?),
        ["broadcast"] => Ok(broadcast::run(&options)?),
        [] => {
            cpu::run(&options)?;
            memory::run(&options)?;
            broadcast::run(&options)?;
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

fn contender(name: &str) -> Result<Contender, String> {
    Contender::from_name(name).ok_or_else(|| format!("no contender is called {name}: {}", Contender::names()))
}
