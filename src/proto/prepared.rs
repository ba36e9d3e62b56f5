//! Messages that are encoded once and sent on many connections.

#[cfg(feature = "deflate")]
use alloc::boxed::Box;
use alloc::sync::Arc;
#[cfg(feature = "deflate")]
use alloc::vec::Vec;
use core::fmt;
#[cfg(feature = "deflate")]
use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};

use crate::proto::extension::coding::Encoder;
#[cfg(feature = "deflate")]
use crate::proto::extension::permessage_deflate::{Deflate, Deflater, Pool};
#[cfg(feature = "deflate")]
use crate::proto::frame::Rsv;
use crate::proto::frame::{Header, OpCode};
use crate::proto::message::Message;

/// A message encoded once, to be sent to many: for a server its frame as it goes out, for a client its payload,
/// which each connection masks with a key of its own.
///
/// One pointer. Clones share what it points to, and with it every form that was encoded for one of them, so that a
/// clone can wait in each of many queues. Two are equal where kind, payload and level of compression are.
///
/// ```
/// use bowsprit::Prepared;
///
/// let news = Prepared::text("news");
/// assert_eq!(news.payload(), b"news");
/// assert_eq!(news.clone().payload().as_ptr(), news.payload().as_ptr());
/// ```
#[derive(Clone)]
pub struct Prepared(Arc<Shared>);

struct Shared {
    uncompressed: Encoded,
    #[cfg(feature = "deflate")]
    deflated: Option<Box<Forms>>,
}

/// The compressed forms.
#[cfg(feature = "deflate")]
struct Forms {
    /// 0 to 9.
    level: u8,
    /// For windows of 9 to 15 bits, made when the first connection asks; `None` in it where nothing would be gained.
    by_window: [OnceLock<Option<Encoded>>; 7],
}

/// A whole frame.
#[derive(Clone, Debug)]
pub(in crate::proto) struct Encoded {
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
        Self(Arc::new(Shared {
            uncompressed: Encoded::new(Header::new(message.opcode(), 0), message.as_bytes()),
            #[cfg(feature = "deflate")]
            deflated: None,
        }))
    }

    /// Has the message go out compressed where that was agreed on: with `level`, 0 to 9 (a larger value means 9).
    ///
    /// Nothing is compressed yet. The first connection that agreed on permessage-deflate with some window for this
    /// sender has a form made for that window. All others with that window send the same one, also from clones and
    /// other threads, which wait while it is made. So there are at most seven, for windows of 9 to 15 bits. (A window of
    /// 8 bits holds the form for 9.)
    ///
    /// A message is compressed on its own: a window that is kept from message to message starts empty after it. Where the
    /// compressed payload would not be smaller, the uncompressed form is sent, and the window stays as it is. Connections
    /// without permessage-deflate send the uncompressed form, too; those with a
    /// [custom extension](crate::extension::Extension) encode the payload themselves, each for itself.
    ///
    /// What compresses is kept for the next forms that the process makes, in at most 1 MiB.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use bowsprit::extension::permessage_deflate::Agreed;
    /// use bowsprit::{Config, Connection, Messages, Prepared};
    /// use bytes::BytesMut;
    ///
    /// let news = Prepared::text(&"news ".repeat(1_000)).deflated(6);
    /// let config = Arc::new(Config::default());
    /// for server_max_window_bits in [15, 15, 12, 15] {
    ///     let agreed = Agreed {
    ///         server_no_context_takeover: false,
    ///         client_no_context_takeover: false,
    ///         server_max_window_bits,
    ///         client_max_window_bits: 15,
    ///     };
    ///     let mut server = Connection::server(Messages, config.clone()).with_extensions(&agreed.into());
    ///     let mut output = BytesMut::new();
    ///     server.send(&news, &mut output)?;
    ///     assert!(output.len() < 100);
    /// }
    /// assert_eq!(news.encodings(), 3);
    /// # Ok::<(), bowsprit::SendError>(())
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflated(self, level: u8) -> Self {
        // Clones may have been made, and stay as they are.
        let uncompressed = self.0.uncompressed.clone();
        let forms = Forms { level: level.min(9), by_window: Default::default() };
        Self(Arc::new(Shared { uncompressed, deflated: Some(Box::new(forms)) }))
    }

    /// The message's payload, as it was given.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.0.uncompressed.payload()
    }

    /// How often the message has been encoded so far, for this one and its clones: 1 for the uncompressed form, and 1 for each
    /// size of window that it has been compressed for, whether or not that made it smaller. At most 8. It shows that a
    /// broadcast encodes once for all who agreed on the same, however many they are.
    ///
    /// What connections with extensions of their own encode is theirs, and not counted.
    #[must_use]
    pub fn encodings(&self) -> usize {
        #[cfg(feature = "deflate")]
        if let Some(forms) = &self.0.deflated {
            return 1 + forms.by_window.iter().filter(|form| form.get().is_some()).count();
        }
        1
    }

    pub(in crate::proto) fn opcode(&self) -> OpCode {
        self.0.uncompressed.header.opcode
    }

    /// The form to send on a connection with this encoder, whose state follows from it.
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "there is only one form"))]
    pub(in crate::proto) fn form(&self, uncompressed: bool, encoder: &mut Encoder) -> &Encoded {
        #[cfg(feature = "deflate")]
        if !uncompressed
            && let Some(forms) = &self.0.deflated
            && let Some(window_bits) = encoder.window_bits()
            && let Some(smaller) = forms.of(&self.0.uncompressed, window_bits)
        {
            encoder.passes_deflated();
            return smaller;
        }
        &self.0.uncompressed
    }

    /// The level of compression.
    fn level(&self) -> Option<u8> {
        #[cfg(feature = "deflate")]
        return self.0.deflated.as_ref().map(|forms| forms.level);
        #[cfg(not(feature = "deflate"))]
        None
    }
}

impl PartialEq for Prepared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.opcode(), self.level(), self.payload()) == (other.opcode(), other.level(), other.payload())
    }
}

impl Eq for Prepared {}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Encoded { header, frame } = &self.0.uncompressed;
        f.debug_struct("Prepared")
            .field("opcode", &header.opcode)
            .field("payload", &frame.slice(header.encode().len()..))
            .field("level", &self.level())
            .field("encodings", &self.encodings())
            .finish()
    }
}

/// What made the last forms, for the next ones of the process. An engine is large, and what is made with it small and
/// kept: one engine for each form would leave the heap full of holes.
#[cfg(feature = "deflate")]
static ENGINES: OnceLock<Pool> = OnceLock::new();

/// The most that is kept of them, in bytes: two, with a window of 15 bits.
#[cfg(feature = "deflate")]
const KEPT: usize = 1 << 20;

#[cfg(feature = "deflate")]
impl Forms {
    /// The form for a window of 9 to 15 bits; `None` where it is not smaller than the uncompressed one.
    fn of(&self, uncompressed: &Encoded, window_bits: u8) -> Option<&Encoded> {
        // As many as there are windows.
        let form = &self.by_window[usize::from(window_bits) - 9];
        form.get_or_init(|| {
            let mut payload = Vec::new();
            let pool = Some(ENGINES.get_or_init(|| Pool::new(KEPT)).clone());
            let wishes = Deflate { level: self.level, pool, ..Deflate::default() };
            Deflater::new(&wishes, (true, window_bits)).push(uncompressed.payload(), true, &mut payload);
            let smaller = payload.len() < uncompressed.payload().len();
            smaller.then(|| Encoded::new(Header { rsv: Rsv::RSV1, ..uncompressed.header }, &payload))
        })
        .as_ref()
    }
}

impl Encoded {
    fn new(header: Header, payload: &[u8]) -> Self {
        let header = Header { len: payload.len() as u64, ..header };
        let mut frame = BytesMut::new();
        header.append(payload, &mut frame);
        Self { header, frame: frame.freeze() }
    }

    pub(in crate::proto) const fn header(&self) -> Header {
        self.header
    }

    pub(in crate::proto) fn frame(&self) -> &[u8] {
        &self.frame
    }

    pub(in crate::proto) fn payload(&self) -> &[u8] {
        // The payload ends the frame, and is as long as its header says.
        &self.frame[self.header.encode().len()..]
    }
}
