//! A WebSocket client and server for the command line.

mod arguments;
mod connect;
mod input;
mod listen;
mod report;
mod trust;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::{CommandFactory as _, Parser as _};

/// How the program ends, for scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Closed with 1000 or 1001, or without a code.
    Closed = 0,
    /// The connection could not be opened.
    NotOpened = 1,
    /// Closed with another code.
    ClosedWithCode = 3,
    /// The connection broke: no Close, a broken rule, a deadline.
    Broken = 4,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome as u8)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match (arguments.command, arguments.connect.url.is_some()) {
        (Some(Command::Listen(options)), _) => listen::run(options).await,
        (None, true) => connect::run(arguments.connect).await,
        (None, false) => {
            // What clap does for a missing argument.
            Arguments::command().error(clap::error::ErrorKind::MissingRequiredArgument, "which URL?").exit()
        }
    };
    // A read from a terminal cannot be interrupted: end the process, not only the runtime.
    match outcome {
        Ok(outcome) => std::process::exit(outcome as i32),
        Err(error) => {
            eprintln!("bowsprit: {error}");
            ExitCode::from(Outcome::NotOpened)
        }
    }
}
