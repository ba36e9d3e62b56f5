//! One message as a stream of bytes.

use std::io::{self, BufRead, Read};

use super::receiver::Receiver;
use super::transport::Transport;
use super::writer::Writer;
use crate::{Chunk, Chunks, Error, Message};

/// One message, read as it arrives: from [`WebSocket::read_message`](super::WebSocket::read_message).
///
/// `Ok(0)` is the end of the message, and nothing else is: a connection that ends inside it is an error
/// (`UnexpectedEof`), and so is what [`WebSocket::next`](super::WebSocket::next) fails with; a broken rule of the protocol
/// stands as `InvalidData` around its [`ProtocolError`](crate::ProtocolError).
///
/// The bytes of a text are valid UTF-8 as a whole, validated as they arrive; a small buffer may cut a character.
#[derive(Debug)]
pub struct MessageReader<'a, S> {
    receiver: &'a mut Receiver<Writer<S>, Chunks>,
    text: bool,
    /// How much of the piece at hand has been read.
    at: usize,
}

impl<'a, S: Transport> MessageReader<'a, S> {
    pub(super) fn new(receiver: &'a mut Receiver<Writer<S>, Chunks>) -> Self {
        let text = receiver.receive.item().is_some_and(|piece| matches!(piece.data, Message::Text(_)));
        Self { receiver, text, at: 0 }
    }

    /// Whether the message is text; else it is binary.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        self.text
    }

    /// The piece at hand; none once a further one was looked for in vain.
    fn piece(&self) -> Option<Chunk<'_>> {
        self.receiver.receive.item()
    }

    /// What is unread of the piece at hand.
    fn rest(&self) -> &[u8] {
        self.piece().map_or(&[], |piece| &piece.data.as_bytes()[self.at..])
    }

    fn is_last_piece(&self) -> bool {
        self.piece().is_some_and(|piece| piece.end)
    }
}

impl<S: Transport> BufRead for MessageReader<'_, S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.rest().is_empty() && !self.is_last_piece() {
            self.at = 0;
            match self.receiver.next() {
                Ok(true) => {}
                Ok(false) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a Close inside the message")),
                Err(Error::Io(error)) => return Err(error),
                Err(error @ Error::Timeout(..)) => return Err(io::Error::new(io::ErrorKind::TimedOut, error)),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(self.rest())
    }

    fn consume(&mut self, n: usize) {
        self.at += n.min(self.rest().len());
    }
}

impl<S: Transport> Read for MessageReader<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}
