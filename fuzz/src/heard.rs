//! What a receiver was told, comparable however it was delivered.

use bowsprit::{Chunk, Close, Event, Message};

/// An event, kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl Told {
    /// A whole message.
    ///
    /// # Panics
    ///
    /// Where text is no UTF-8.
    pub fn message(text: bool, data: Vec<u8>) -> Self {
        if text { Self::Text(String::from_utf8(data).expect("text is UTF-8")) } else { Self::Binary(data) }
    }

    pub fn close(close: Option<Close<'_>>) -> Self {
        Self::Close(close.map(|close| (close.code.0, close.reason.to_owned())))
    }
}

/// Listens to a receiver: the pieces of a message are one event, where the last of them is.
#[derive(PartialEq, Eq, Default, Debug)]
pub struct Heard {
    pub events: Vec<Told>,
    /// The message whose last piece has not come.
    piece: Vec<u8>,
}

impl Heard {
    pub fn hear<'a, T: Into<Chunk<'a>>>(&mut self, event: Event<'a, T>) {
        assert!(!matches!(self.events.last(), Some(Told::Close(_))), "nothing follows a Close");
        self.events.push(match event {
            Event::Data(data) => {
                let chunk = data.into();
                let data = chunk.data.as_bytes();
                assert!(chunk.end || !data.is_empty(), "a piece before the last is not empty");
                self.piece.extend_from_slice(data);
                if !chunk.end {
                    return;
                }
                Told::message(matches!(chunk.data, Message::Text(_)), std::mem::take(&mut self.piece))
            }
            Event::Ping(payload) => Told::Ping(payload.to_owned()),
            Event::Pong(payload) => Told::Pong(payload.to_owned()),
            Event::Close(close) => Told::close(close),
        });
    }
}
