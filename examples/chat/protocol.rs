//! What the server and its clients say to each other: JSON, a text message each.
//!
//! ```text
//! client   {"type":"join","room":"tea","name":"ada","token":"s3cret","seen":{"epoch":"8f0c..","seq":7}}
//! server   {"type":"welcome","epoch":"8f0c..","seq":9,"resumed":"continued","missing":0,"members":["bob"]}
//!          {"type":"said","seq":8,"at":1792000000000,"name":"bob","text":"hello","id":23}
//!          {"type":"left","seq":9,"at":1792000000500,"name":"eve","lost":true}
//!          {"type":"joined","seq":10,"at":1792000000900,"name":"ada"}
//! client   {"type":"say","text":"hello","id":42}
//! server   {"type":"said","seq":11,"at":1792000001200,"name":"ada","text":"hello","id":42}
//!          {"type":"refused","reason":".."}      and a Close
//! ```
//!
//! Every event of a room has a number, one more than the one before. The numbers hold for one epoch of the room, the time
//! that the server remembers it: another epoch counts anew. A client that comes back says what it has `seen`, and is
//! welcomed with what it missed, as far as the room's history goes back; events up to the `seq` of the welcome are of the
//! past, and `members` knows of them.

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
/// The longest message of a client, in bytes: JSON may spell a byte of a text in six.
pub(crate) const MAX_MESSAGE: u64 = 32 << 10;

/// What a client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request {
    /// First of all, and once.
    Join(Join),
    /// To everybody in the room. `id` is a number that the sender chose at random, to know his own words by.
    Say { text: String, id: u64 },
}

#[derive(Deserialize)]
pub(crate) struct Join {
    pub(crate) room: String,
    pub(crate) name: String,
    /// A secret of the client: who knows it may take the name over from a connection that is lost.
    pub(crate) token: String,
    /// The last event that the client has seen, if it was here before.
    pub(crate) seen: Option<Seen>,
}

#[derive(Deserialize)]
pub(crate) struct Seen {
    pub(crate) epoch: String,
    pub(crate) seq: u64,
}

/// What the server says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Reply<'a> {
    /// The answer to a join. The events of the past follow.
    Welcome {
        epoch: &'a str,
        /// The number of the last event before this.
        seq: u64,
        resumed: Resumed,
        /// How many events were missed and are in no history any more.
        missing: u64,
        /// Who is there.
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
        /// The connection was lost, and not closed.
        lost: bool,
    },
    Refused {
        reason: &'a str,
    },
}

/// Which event, and when.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Stamp {
    pub(crate) seq: u64,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
}

/// How what follows goes together with what the client has seen.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resumed {
    /// It has seen nothing.
    New,
    /// The same epoch: `missing` events are missing, and no more.
    Continued,
    /// Another epoch, as after a restart of the server: nobody knows how much was missed.
    Unknown,
}

/// Why somebody is not let in, or not any more: told as [`Reply::Refused`], and in the Close.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: CloseCode,
    pub(crate) reason: &'static str,
}

impl Refusal {
    pub(crate) const NAME_TAKEN: Self = Self::new(4001, "somebody of this name is in the room");
    pub(crate) const TAKEN_OVER: Self = Self::new(4002, "you came in again somewhere else");
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
    /// Its own bounds.
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
