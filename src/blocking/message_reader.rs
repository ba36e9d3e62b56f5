//! One message as a stream of bytes.

use std::io::{self, BufRead, Read};

use super::reading::{Data, Reading};
use super::transport::Transport;
use super::writer::Writer;
use crate::proto::error::Error;
use crate::proto::message::Chunks;

/// One message, read as it arrives: from [`WebSocket::read_message`](super::WebSocket::read_message).
///
/// `Ok(0)` is the end of the message, and nothing else is: a connection that ends inside it is an error
/// (`UnexpectedEof`), and so is what [`WebSocket::next`](super::WebSocket::next) fails with; a broken rule of the protocol
/// stands as `InvalidData` around its [`ProtocolError`](crate::ProtocolError).
///
/// The bytes of a text are valid UTF-8 as a whole, validated as they arrive; a small buffer may cut a character.
#[derive(Debug)]
pub struct MessageReader<'a, S> {
    reading: &'a mut Reading<Writer<S>, Chunks>,
    text: bool,
    /// The piece at hand; none once a further one was looked for in vain, for the input has moved.
    piece: Option<Data>,
    /// How much of it has been read.
    at: usize,
}

impl<'a, S: Transport> MessageReader<'a, S> {
    pub(super) fn new(reading: &'a mut Reading<Writer<S>, Chunks>, piece: Data) -> Self {
        let (text, ..) = piece;
        Self { reading, text, piece: Some(piece), at: 0 }
    }

    /// Whether the message is text; else it is binary.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.text
    }

    /// What is unread of the piece at hand.
    fn rest(&self) -> &[u8] {
        self.piece.map_or(&[], |piece| &self.reading.lend(piece).data.as_bytes()[self.at..])
    }

    fn is_last_piece(&self) -> bool {
        matches!(self.piece, Some((_, true, _)))
    }
}

impl<S: Transport> BufRead for MessageReader<'_, S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.rest().is_empty() && !self.is_last_piece() {
            (self.piece, self.at) = (None, 0);
            self.piece = match self.reading.find() {
                Ok(Some(piece)) => Some(piece),
                Ok(None) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a Close inside the message")),
                Err(Error::Io(error)) => return Err(error),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            };
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
