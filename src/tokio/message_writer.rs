//! One outgoing message as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::writer::Writer;
use crate::driver::Goal;
use crate::{Chunk, Error, Message, SendError};

/// The most of one write that becomes a frame, in bytes; and from so much unsent output on, a write waits for the socket.
const PIECE: usize = 64 << 10;

/// One message, sent as it is written: from [`Writer::stream_text`] and [`Writer::stream_binary`]. Each write of up to
/// 64 KiB becomes a frame, so wrap it into a `BufWriter` where writes are small.
///
/// `shutdown` ends the message, and writes it out; dropped before, the message stays unfinished: nothing but the end of
/// the connection can follow then ([`SendError::MessageInProgress`](crate::SendError::MessageInProgress)), for the peer
/// must never take a part for the whole.
///
/// ```no_run
/// use tokio::io::AsyncWriteExt as _;
///
/// # async fn example() -> Result<(), bowsprit::Error> {
/// let mut ws = bowsprit::tokio::connect("ws://127.0.0.1:9001/backup").await?;
/// let mut file = tokio::io::repeat(0x61); // or a file
/// let mut message = ws.stream_binary();
/// tokio::io::copy(&mut tokio::io::AsyncReadExt::take(&mut file, 1 << 30), &mut message).await?;
/// message.shutdown().await?;
/// # Ok(())
/// # }
/// ```
///
/// Errors are those of [`Writer::send`]; what is not the transport's stands as `InvalidInput` around its
/// [`SendError`](crate::SendError). A text that is no UTF-8 is `InvalidData`, and nothing of the bad write is sent.
#[derive(Debug)]
pub struct MessageWriter<'w, S> {
    writer: &'w mut Writer<S>,
    text: bool,
    begun: bool,
    ended: bool,
    /// The first bytes of a character that was cut off.
    character: Character,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// One outgoing text message as a stream of bytes.
    pub fn stream_text(&mut self) -> MessageWriter<'_, S> {
        MessageWriter { writer: self, text: true, begun: false, ended: false, character: Character::default() }
    }

    /// One outgoing binary message as a stream of bytes.
    pub fn stream_binary(&mut self) -> MessageWriter<'_, S> {
        MessageWriter { writer: self, text: false, begun: false, ended: false, character: Character::default() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> MessageWriter<'_, S> {
    fn poll_piece(&mut self, context: &mut Context<'_>, data: Message<'_>, end: bool) -> Poll<io::Result<()>> {
        // One that was left unfinished is not gone on with.
        if !self.begun && self.writer.send.is_message_in_progress() {
            return Poll::Ready(Err(into_io(SendError::MessageInProgress.into())));
        }
        ready!(self.writer.poll_feed(context, Chunk { data, end }.into())).map_err(into_io)?;
        self.begun = true;
        Poll::Ready(Ok(()))
    }

    /// Sends what is whole of `text`, and keeps the beginning of a character.
    fn poll_text(&mut self, context: &mut Context<'_>, text: &[u8]) -> Poll<io::Result<usize>> {
        if self.character.len > 0 {
            let (character, taken) = self.character.with(text[0])?;
            if let Some(whole) = character.whole() {
                ready!(self.poll_piece(context, Message::Text(whole), false))?;
                self.character = Character::default();
            } else {
                self.character = character;
            }
            return Poll::Ready(Ok(taken));
        }
        let whole = match str::from_utf8(text) {
            Ok(whole) => whole,
            Err(error) if error.error_len().is_some() => return Poll::Ready(Err(no_utf8())),
            // Valid up to there, by the error's word.
            Err(error) => str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default(),
        };
        if !whole.is_empty() {
            ready!(self.poll_piece(context, Message::Text(whole), false))?;
        }
        for &byte in &text[whole.len()..] {
            (self.character, _) = self.character.with(byte)?;
        }
        Poll::Ready(Ok(text.len()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MessageWriter<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, "the message has ended")));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.writer.send.unsent() >= PIECE {
            ready!(self.writer.poll_until(Goal::Flushed, context)).map_err(into_io)?;
        }
        let piece = &bytes[..bytes.len().min(PIECE)];
        if self.text {
            return self.poll_text(context, piece);
        }
        ready!(self.poll_piece(context, Message::Binary(piece), false))?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.poll_until(Goal::Flushed, context).map_err(into_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            if self.character.len > 0 {
                return Poll::Ready(Err(no_utf8()));
            }
            let data = if self.text { Message::Text("") } else { Message::Binary(&[]) };
            ready!(self.poll_piece(context, data, true))?;
            self.ended = true;
        }
        self.poll_flush(context)
    }
}

/// Up to four bytes of one.
#[derive(Clone, Copy, Debug, Default)]
struct Character {
    bytes: [u8; 4],
    len: usize,
}

impl Character {
    /// With one more byte; and that one was taken.
    fn with(mut self, byte: u8) -> io::Result<(Self, usize)> {
        self.bytes[self.len] = byte;
        self.len += 1;
        match str::from_utf8(&self.bytes[..self.len]) {
            Err(error) if error.error_len().is_some() => Err(no_utf8()),
            // Four bytes are a whole character, or none; so `len` stays below.
            Ok(_) | Err(_) => Ok((self, 1)),
        }
    }

    fn whole(&self) -> Option<&str> {
        str::from_utf8(&self.bytes[..self.len]).ok()
    }
}

fn no_utf8() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the text is no UTF-8")
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error @ Error::Timeout(..) => io::Error::new(io::ErrorKind::TimedOut, error),
        error => io::Error::new(io::ErrorKind::InvalidInput, error),
    }
}
