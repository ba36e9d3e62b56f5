//! The messages between server and clients: JSON, one object in each text message.
//!
//! ```text
//! client   {"type":"join","room":"tea","name":"ada","token":"s3cret","seen":{"epoch":"8f0c..","seq":7}}
//! server   {"type":"welcome","epoch":"8f0c..","seq":9,"resumed":"continued","missing":0,"members":["bob"]}
//!          {"type":"said","seq":8,"at":1792000000000,"name":"bob","text":"hello","id":23}
//!          {"type":"left","seq":9,"at":1792000000500,"name":"eve","lost":true}
//!          {"type":"joined","seq":10,"at":1792000000900,"name":"ada"}
//! client   {"type":"say","text":"hello","id":42}
//! server   {"type":"said","seq":11,"at":1792000001200,"name":"ada","text":"hello","id":42}
//!          {"type":"refused","reason":".."}      then a Close
//! ```
//!
//! Events of a room are numbered without gaps (`seq`). The numbers belong to one epoch of the room; the numbering starts
//! again, under another epoch, when the server has restarted or has dropped the room. A client that reconnects states the
//! last event it has `seen` and receives the events after it, as far as the room's history goes back. `seq` and `members`
//! of the welcome describe the room after these events.

use bowsprit::CloseCode;
use serde::{Deserialize, Serialize};

/// The longest name, in characters.
pub(crate) const MAX_NAME: usize = 32;
/// The longest name of a room, in characters.
pub(crate) const MAX_ROOM: usize = 64;
/// The longest token, in bytes.
pub(crate) const MAX_TOKEN: usize = 64;
/// The longest text, in bytes.
pub(crate) const MAX_TEXT: usize = 4 << 10;
/// The longest message of a client, in bytes: JSON may escape a byte of a text as six.
pub(crate) const MAX_MESSAGE: u64 = 32 << 10;

/// A message of a client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request {
    /// The first message, and sent only once.
    Join(Join),
    /// A text for all members of the room. `id` is a random number by which the sender recognizes its own text.
    Say { text: String, id: u64 },
}

#[derive(Deserialize)]
pub(crate) struct Join {
    pub(crate) room: String,
    pub(crate) name: String,
    /// A secret of the client. A connection with the same name and token takes over from an earlier one.
    pub(crate) token: String,
    /// The last event that the client has seen, if it reconnects.
    pub(crate) seen: Option<Seen>,
}

#[derive(Deserialize)]
pub(crate) struct Seen {
    pub(crate) epoch: String,
    pub(crate) seq: u64,
}

/// A message of the server.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Reply<'a> {
    /// The answer to a join. Events from the history follow.
    Welcome {
        epoch: &'a str,
        /// The number of the last event before this.
        seq: u64,
        resumed: Resumed,
        /// The number of missed events that the history no longer holds.
        missing: u64,
        /// The names of the members.
        members: Vec<&'a str>,
    },
    Joined {
        #[serde(flatten)]
        stamp: Stamp,
        name: &'a str,
    },
    Said {
        #[serde(flatten)]
        stamp: Stamp,
        name: &'a str,
        text: &'a str,
        id: u64,
    },
    Left {
        #[serde(flatten)]
        stamp: Stamp,
        name: &'a str,
        /// Whether the connection was lost rather than closed.
        lost: bool,
    },
    Refused {
        reason: &'a str,
    },
}

/// The number and time of an event.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Stamp {
    pub(crate) seq: u64,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
}

/// How the events that follow relate to those that the client has seen.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resumed {
    /// The client has seen nothing.
    New,
    /// The same epoch: exactly `missing` events are missing.
    Continued,
    /// Another epoch, for example after a restart of the server: the number of missed events is unknown.
    Unknown,
}

/// The reason why a connection is refused or ended. Sent as [`Reply::Refused`] and in the Close.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: CloseCode,
    pub(crate) reason: &'static str,
}

impl Refusal {
    pub(crate) const NAME_TAKEN: Self = Self::new(4001, "this name is taken in the room");
    pub(crate) const TAKEN_OVER: Self = Self::new(4002, "you joined from another connection");
    pub(crate) const ROOM_FULL: Self = Self::new(4003, "the room is full");
    pub(crate) const NO_ROOM_LEFT: Self = Self::new(4004, "there are too many rooms");
    pub(crate) const JOINED_ALREADY: Self = Self::new(4000, "you are in a room already");
    pub(crate) const NOT_JOINED: Self = Self::new(4000, "join a room first");
    pub(crate) const NAME: Self = Self::new(4000, "a name has 1 to 32 characters, none of them a control character");
    pub(crate) const ROOM: Self = Self::new(4000, "a room's name has 1 to 64 characters, no control characters");
    pub(crate) const TOKEN: Self = Self::new(4000, "a token has 1 to 64 bytes");
    pub(crate) const TEXT: Self = Self::new(4000, "a text has 1 to 4,096 bytes");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code: CloseCode(code), reason }
    }
}

impl Join {
    /// Checks the length and the characters of each field.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if !is_name(&self.name, MAX_NAME) {
            return Err(Refusal::NAME);
        }
        if !is_name(&self.room, MAX_ROOM) {
            return Err(Refusal::ROOM);
        }
        if self.token.is_empty() || self.token.len() > MAX_TOKEN {
            return Err(Refusal::TOKEN);
        }
        Ok(())
    }
}

fn is_name(name: &str, max: usize) -> bool {
    !name.is_empty() && name.trim() == name && name.chars().count() <= max && !name.contains(char::is_control)
}
