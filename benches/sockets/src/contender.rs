//! The echo servers that are compared.

use std::env;
use std::io;
use std::process::Command;

use crate::server::Server;

/// An echo server. All run on tokio's current-thread runtime, set `TCP_NODELAY` and compress nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contender {
    Floor,
    /// Ours, lent: `next`, then `feed`.
    Lent,
    /// Ours, owned, as a `Stream` and a `Sink`: `feed` while messages are there, then `flush`.
    Owned,
    /// The example of the crate, which is the lent loop.
    TokioEcho,
    /// Ours, under the server layer: a handler that returns its reply.
    Session,
    FastWebSockets,
    /// `next`, then `send`.
    Tungstenite,
    /// `feed` while messages are there, then `flush`.
    TungsteniteFeed,
}

impl Contender {
    /// The floor first: the others are divided by it.
    pub const ALL: [Self; 8] = [
        Self::Floor,
        Self::Lent,
        Self::Owned,
        Self::TokioEcho,
        Self::Session,
        Self::FastWebSockets,
        Self::Tungstenite,
        Self::TungsteniteFeed,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Lent => "lent",
            Self::Owned => "owned",
            Self::TokioEcho => "tokio_echo",
            Self::Session => "session",
            Self::FastWebSockets => "fastwebsockets",
            Self::Tungstenite => "tungstenite",
            Self::TungsteniteFeed => "tungstenite-feed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contender| contender.name() == name)
    }

    /// All names, for whoever gave another one.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Starts it in a process of its own, on a free port.
    pub fn start(self) -> io::Result<Server> {
        if self != Self::TokioEcho {
            let mut command = Command::new(env::current_exe()?);
            command.args(["serve", self.name(), "127.0.0.1:0"]);
            return Server::start(command);
        }
        // Cargo becomes the program that it runs.
        let mut command = Command::new("cargo");
        command.args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "bowsprit-examples",
            "--features",
            "tokio",
            "--bin",
            "tokio_echo",
        ]);
        command.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")]);
        command.args(["--", "127.0.0.1:0"]);
        Server::start(command)
    }
}
