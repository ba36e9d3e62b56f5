//! Messages that are encoded once and sent to many.

use bytes::{Bytes, BytesMut};

use crate::extension::coding::Encoder;
#[cfg(feature = "deflate")]
use crate::extension::permessage_deflate::{Deflate, Deflater};
#[cfg(feature = "deflate")]
use crate::frame::Rsv;
use crate::frame::{Header, OpCode};
use crate::message::Message;

/// A message encoded once, to be sent to many: for a server its frame as it goes out, for a client its payload,
/// which each connection masks with a key of its own. Cloning shares it.
///
/// ```
/// use bowsprit::Prepared;
///
/// let news = Prepared::text("news");
/// assert_eq!(news.payload(), b"news");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    plain: Encoded,
    #[cfg(feature = "deflate")]
    deflated: Option<Encoded>,
}

/// A whole frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Encoded {
    /// Of an unmasked frame.
    header: Header,
    /// Header and payload.
    frame: Bytes,
}

impl Prepared {
    /// Encodes a text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::message(Message::Text(text))
    }

    /// Encodes a binary message.
    #[must_use]
    pub fn binary(bytes: &[u8]) -> Self {
        Self::message(Message::Binary(bytes))
    }

    /// Encodes a message.
    #[must_use]
    pub fn message(message: Message<'_>) -> Self {
        Self {
            plain: Encoded::new(Header::new(message.opcode(), 0), message.as_bytes()),
            #[cfg(feature = "deflate")]
            deflated: None,
        }
    }

    /// Compresses the message, too: with `level`, 0 to 9, and on its own, so that every peer can inflate it. Connections
    /// that agreed on permessage-deflate with a window of 15 bits for this sender send the smaller form, the others
    /// the plain one. A window that is kept from message to message starts empty behind it.
    ///
    /// ```
    /// use bowsprit::Prepared;
    ///
    /// let news = Prepared::text(&"news ".repeat(1_000)).deflated(6);
    /// # let _ = news;
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflated(mut self, level: u8) -> Self {
        let mut payload = alloc::vec::Vec::new();
        let wishes = Deflate { level, ..Deflate::default() };
        Deflater::new(&wishes, (true, 15)).push(self.payload(), true, &mut payload);
        self.deflated = Some(Encoded::new(Header { rsv: Rsv::RSV1, ..self.plain.header }, &payload));
        self
    }

    /// The message's payload, as it was given.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.plain.payload()
    }

    pub(crate) const fn opcode(&self) -> OpCode {
        self.plain.header.opcode
    }

    /// The form for a connection with this encoder, which is told of it.
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "there is one form alone"))]
    pub(crate) fn encoded(&self, encoder: &mut Encoder) -> &Encoded {
        #[cfg(feature = "deflate")]
        if let Some(deflated) = &self.deflated
            && encoder.passes_deflated()
        {
            return deflated;
        }
        &self.plain
    }
}

impl Encoded {
    fn new(header: Header, payload: &[u8]) -> Self {
        let header = Header { len: payload.len() as u64, ..header };
        let mut frame = BytesMut::new();
        header.append(payload, &mut frame);
        Self { header, frame: frame.freeze() }
    }

    pub(crate) const fn header(&self) -> Header {
        self.header
    }

    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }

    pub(crate) fn payload(&self) -> &[u8] {
        // The payload ends the frame, and is as long as its header says.
        &self.frame[self.header.encode().len()..]
    }
}
