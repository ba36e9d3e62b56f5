//! How much memory one connection can hold.

use crate::proto::config::Config;
use crate::proto::driver;

impl Config {
    /// The most heap, in bytes, that a connection with these limits holds at any moment, whatever its peer sends and
    /// however little it reads; on 64-bit targets, in [`Messages`](crate::Messages) delivery. `longest_sent` is the length
    /// of the longest message that this end sends.
    ///
    /// It covers a [`Driver`](crate::driver::Driver) with buffers of its own, through every growth of a buffer: where one
    /// grows, the old and the new one exist side by side. [`Chunks`](crate::Chunks) delivery reassembles nothing, and stays
    /// below. Not covered are what [`extensions`](Self::extensions) of others hold themselves, messages that the caller
    /// keeps, a [`Prepared`](crate::Prepared) message, which its connections share, and TLS. The adapters take their
    /// buffers from the thread, which keeps a few between two uses, once for all its connections.
    ///
    /// ```
    /// use bowsprit::Config;
    ///
    /// // The defaults allow messages of 64 MiB; this listener's connections hold less than 1 MiB each.
    /// let config = Config { max_message: 128 << 10, max_unsent: 64 << 10, ..Config::default() };
    /// assert_eq!(config.max_memory(16 << 10), 639_560);
    /// ```
    #[must_use]
    pub fn max_memory(&self, longest_sent: usize) -> u64 {
        let [block, room_behind] = [driver::BLOCK, driver::BEHIND].map(to_u64);
        // A whole message lies in the block that it was read into; while that grows, in two.
        let whole = self.max_message.saturating_add(room_behind + MAX_HEADER).max(block);
        let read = whole.saturating_mul(2);
        // The buffer of a fragmented message, or of a decoded one, or of a piece of that.
        let reassembled = if self.encodes() { self.max_message.max(PIECE) } else { self.max_message };
        // What waits, as frames: a buffer may be twice as long as what is in it.
        let unsent =
            to_u64(self.max_unsent).saturating_add(self.max_encoded_frames(longest_sent)).saturating_add(CONTROL);
        let queued = unsent.saturating_mul(2);
        [read, reassembled, queued, self.compression_memory(), BOOKKEEPING].into_iter().fold(0, u64::saturating_add)
    }

    /// A message of this length as it goes out.
    fn max_encoded_frames(&self, len: usize) -> u64 {
        let len = to_u64(len);
        let encoded = match (self.encodes(), self.extensions.is_empty()) {
            (true, false) => Self::max_encoded(len),
            (true, true) => len.saturating_add(len / 8 + 64), // what DEFLATE makes of what does not compress
            (false, _) => len,
        };
        let frames = self.fragment_size.map_or(1, |size| encoded.div_ceil(to_u64(size.max(1))).max(1));
        // An encoder writes to a buffer of its own first.
        let copies = if self.encodes() { 2 } else { 1 };
        encoded.saturating_mul(copies).saturating_add(frames.saturating_mul(MAX_HEADER))
    }

    #[cfg(feature = "deflate")]
    fn encodes(&self) -> bool {
        self.compression.is_some() || !self.extensions.is_empty()
    }

    #[cfg(not(feature = "deflate"))]
    fn encodes(&self) -> bool {
        !self.extensions.is_empty()
    }

    #[cfg(feature = "deflate")]
    fn compression_memory(&self) -> u64 {
        if self.compression.is_some() { ENGINES } else { 0 }
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "the same call with and without the feature")]
    fn compression_memory(&self) -> u64 {
        0
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The header of a frame at its longest.
const MAX_HEADER: u64 = 14;

/// The room that control frames have beside messages.
const CONTROL: u64 = (16 << 10) + 264;

/// What comes out of an encoded message at a time where it is handed out in pieces, in a buffer that doubles.
const PIECE: u64 = 2 * 512 * 1_032;

/// Deadlines, unanswered Pings, a client's generator of masking keys, the peer's close reason, the agreement.
const BOOKKEEPING: u64 = 16 << 10;

/// One engine each way, with their windows, and the window of what was received.
#[cfg(feature = "deflate")]
const ENGINES: u64 = 640 << 10;
