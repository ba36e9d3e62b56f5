//! The echo servers that are compared.

use std::env;
use std::io;
use std::process::Command;

use crate::server::Server;

/// An echo server. All run on tokio's current-thread runtime, set `TCP_NODELAY` and compress nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contender {
    Floor,
    FastWebSockets,
    /// `next`, then `send`.
    Tungstenite,
    /// `feed` while messages are there, then `flush`.
    TungsteniteFeed,
}

impl Contender {
    /// The floor first: the others are divided by it.
    pub const ALL: [Self; 4] = [Self::Floor, Self::FastWebSockets, Self::Tungstenite, Self::TungsteniteFeed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
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
        let mut command = Command::new(env::current_exe()?);
        command.args(["serve", self.name(), "127.0.0.1:0"]);
        Server::start(command)
    }
}
