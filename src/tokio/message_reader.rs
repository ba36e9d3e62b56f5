//! One incoming message as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::receiver::Receiver;
use super::writer::Writer;
use crate::{Chunk, Chunks, Error, Message};

/// One message, read as it arrives: from [`WebSocket::read_message`](super::WebSocket::read_message).
///
/// To read nothing is the end of the message, and nothing else is: a connection that ends inside it is an error
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

impl<'a, S: AsyncRead + AsyncWrite + Unpin> MessageReader<'a, S> {
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for MessageReader<'_, S> {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.rest().is_empty() && !this.is_last_piece() {
            this.at = 0;
            match ready!(this.receiver.poll_next(context)) {
                Ok(true) => {}
                Ok(false) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "a Close inside the message",
                    )));
                }
                Err(Error::Io(error)) => return Poll::Ready(Err(error)),
                Err(error @ Error::Timeout(..)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, error)));
                }
                Err(error) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
            }
        }
        Poll::Ready(Ok(this.rest()))
    }

    fn consume(mut self: Pin<&mut Self>, n: usize) {
        self.at += n.min(self.rest().len());
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for MessageReader<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = ready!(self.as_mut().poll_fill_buf(context))?;
        let n = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..n]);
        self.consume(n);
        Poll::Ready(Ok(()))
    }
}
