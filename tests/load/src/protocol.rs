//! The messages of the chat, as `examples/chat/protocol.rs` defines them, from the client's side.

use serde::{Deserialize, Serialize};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request<'a> {
    Join { room: &'a str, name: &'a str, token: &'a str, seen: Option<&'a Seen> },
    Say { text: &'a str, id: u64 },
}

/// The last event that a user has seen.
#[derive(Clone, Serialize)]
pub struct Seen {
    pub epoch: String,
    pub seq: u64,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    Welcome { epoch: String, seq: u64, resumed: Resumed, missing: u64 },
    Joined { seq: u64 },
    Said { seq: u64, name: String, text: String, id: u64 },
    Left { seq: u64 },
    Refused { reason: String },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resumed {
    New,
    Continued,
    Unknown,
}
