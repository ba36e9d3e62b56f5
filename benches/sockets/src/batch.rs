//! What a client writes at once, and what comes back for it.

use std::sync::Arc;

use bowsprit::{Config, Message, Outbound, SendError};
use bytes::BytesMut;

/// Messages of one length, as a client sends them and as a server echoes them.
pub struct Batch {
    /// How many messages it holds.
    pub messages: u64,
    /// Each frame masked with a key of its own.
    pub sent: BytesMut,
    pub echoed: BytesMut,
}

impl Batch {
    /// A batch of `messages` messages of `size` bytes; the same `number` gives the same bytes, another one others.
    pub fn new(number: u8, messages: u64, size: usize, text: bool) -> Result<Self, SendError> {
        let config = Arc::new(Config { max_unsent: usize::MAX, ..Config::default() });
        let mut client = Outbound::client(Arc::clone(&config), [number; 32]);
        let mut server = Outbound::server(config);
        let mut batch = Self { messages, sent: BytesMut::new(), echoed: BytesMut::new() };
        let mut state = 0x9e37_79b9_7f4a_7c15 ^ u64::from(number);
        for _ in 0..messages {
            // A letter, or any byte.
            let payload: Vec<u8> =
                (0..size).map(|_| next(&mut state)).map(|byte| if text { b'A' + byte % 26 } else { byte }).collect();
            let message = match str::from_utf8(&payload) {
                Ok(letters) if text => Message::Text(letters),
                _ => Message::Binary(&payload),
            };
            client.send(message, &mut batch.sent)?;
            server.send(message, &mut batch.echoed)?;
        }
        Ok(batch)
    }
}

/// The next byte of an xorshift generator.
fn next(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.to_le_bytes()[7]
}
