//! The limits and deadlines of a connection.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::proto::extension::Extension;

/// The limits and deadlines of a connection, shared by all connections of a listener in one `Arc`.
///
/// Every size, count and deadline is finite by default, except idle and keep-alive, which are off.
/// [`Config::UNLIMITED`] removes a limit, `None` a deadline.
///
/// ```
/// use bowsprit::Config;
///
/// let config = Config { max_message: 1 << 20, ..Config::default() };
/// assert_eq!(config.max_fragments, 131_072);
/// ```
///
/// End the expression with `..Config::default()`, always: features and minor releases add fields. For this reason the
/// struct is not `#[non_exhaustive]`, which would forbid that expression outside of this crate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The longest request or response head, in bytes. Default 16 KiB. Protects memory before the peer is known. A server
    /// answers a longer request with 431.
    pub max_head: usize,
    /// The most header fields in a head. Default 100, at most 1,024 (a larger value means 1,024). Protects memory and time
    /// before the peer is known. A server answers a request with more of them with 431.
    pub max_head_fields: usize,
    /// The longest message, in bytes over all its fragments. Default 64 MiB. Protects memory. A longer message fails the
    /// connection with 1009. [`Chunks`](crate::Chunks) delivery has its own limit.
    pub max_message: u64,
    /// The longest message that an extension has encoded, in bytes after decoding: with permessage-deflate, inflated.
    /// Default 4 MiB. A longer one fails the connection with 1009; [`max_message`](Self::max_message) holds too.
    ///
    /// Protects memory against a decompression bomb: a peer pays for an uncompressed message byte by byte, while 1 KiB of
    /// DEFLATE becomes 1 MiB, so that without this limit 65 KB and then silence would occupy 64 MiB on each connection.
    /// The reassembly buffer of a message in progress holds at most this much and the decompressor's 128 KiB, however
    /// little was received. It is a fixed size and no ratio, so that what passes depends neither on how well a message
    /// compresses nor on how it was cut into reads. [`Chunks`](crate::Chunks) delivery holds no message and does not have
    /// it.
    pub max_decoded_message: u64,
    /// The longest frame, in bytes. Default `None`: the limit of the message, in either delivery; for a frame that an
    /// extension has encoded, which may be longer than its content, twice that and 64 bytes. Protects memory. A longer
    /// frame fails the connection with 1009.
    pub max_frame: Option<u64>,
    /// The most fragments in one message. Default 131,072. Protects time. More fail the connection with 1008. A message in
    /// one frame has no fragments and passes with a limit of zero, which refuses every first fragment.
    /// [`Chunks`](crate::Chunks) delivery has its own limit.
    pub max_fragments: u32,
    /// The most empty fragments in a row, the last of a message included. Default 1,024. Protects time: they cost the peer
    /// little and never end a message. More fail the connection with 1008; with zero, the first one does, and `u16::MAX` is
    /// no limit.
    pub max_empty_fragments: u16,
    /// No message is accepted while so many bytes or more are unsent. Default 1 MiB; zero means one. Protects memory
    /// against a peer that does not read. A message is accepted whole while less is unsent, whatever its length; control
    /// frames have 264 bytes of their own above the limit.
    pub max_unsent: usize,
    /// Messages longer than this are sent in several frames of at most so many bytes. Default `None`: one frame a message;
    /// zero means one. Lets control frames pass between the fragments.
    pub fragment_size: Option<usize>,
    /// The longest time from the first byte to the open connection. Default 10 s. Protects against peers that connect and
    /// stay silent. `None`: no deadline.
    pub handshake_timeout: Option<Duration>,
    /// The longest time from the write of our Close, or from failing the connection, to the end of the transport. Default
    /// 10 s. Protects against peers that never answer a Close or never end the transport. `None`: no deadline.
    pub close_timeout: Option<Duration>,
    /// Ends the connection when the transport accepts no byte of the unsent output for this long, or less than 4 KiB once
    /// it is closing. Default 30 s. Protects against peers that stop reading. `None`: no deadline.
    pub write_timeout: Option<Duration>,
    /// Ends the connection with 1008 when a message in progress brings no payload byte for this long. Default 60 s.
    /// Protects memory against peers that begin messages and do not end them. `None`: no deadline.
    pub message_timeout: Option<Duration>,
    /// Ends the connection with 1001 when the peer sends no byte for this long. Default `None`: off. Protects against idle
    /// peers, also those that answer pings with nothing else to say.
    pub idle_timeout: Option<Duration>,
    /// Sends a keep-alive Ping each time that this much time has passed. Default `None`: off. Detects peers that have
    /// disappeared without a word, and keeps address translators from forgetting the connection.
    pub ping_interval: Option<Duration>,
    /// Ends the connection with 1001 when no Pong to a keep-alive Ping, and nothing else, arrives for this long. Default
    /// 20 s; without effect while `ping_interval` is `None`. `None`: no deadline.
    pub pong_timeout: Option<Duration>,
    /// Whether to offer or accept permessage-deflate (RFC 7692), and how. Default `None`: no compression.
    #[cfg(feature = "deflate")]
    pub compression: Option<crate::proto::extension::permessage_deflate::Deflate>,
    /// Custom extensions to offer or accept. Default: none. A client offers them after permessage-deflate, in this order.
    /// To offer something else on one connection, start its handshake with another `Config`.
    pub extensions: Vec<Arc<dyn Extension>>,
}

impl Config {
    /// A limit that nothing reaches, for [`max_message`](Self::max_message), [`max_decoded_message`](Self::max_decoded_message)
    /// and [`max_frame`](Self::max_frame).
    pub const UNLIMITED: u64 = u64::MAX;

    /// Whether no message is accepted while `unsent` bytes are unsent.
    #[inline]
    pub(in crate::proto) const fn is_full(&self, unsent: usize) -> bool {
        // At least one: with an empty output, a message is always accepted.
        unsent >= if self.max_unsent == 0 { 1 } else { self.max_unsent }
    }

    /// The most bytes that an extension may make of a message of `len` bytes: what does not compress grows.
    pub(in crate::proto) const fn max_encoded(len: u64) -> u64 {
        len.saturating_mul(2).saturating_add(64)
    }

    /// The largest value of [`max_head_fields`](Self::max_head_fields) that has an effect.
    pub const MAX_HEAD_FIELDS: usize = 1_024;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_head: 16 << 10,
            max_head_fields: 100,
            max_message: 64 << 20,
            max_decoded_message: 4 << 20,
            max_frame: None,
            max_fragments: 131_072,
            max_empty_fragments: 1_024,
            max_unsent: 1 << 20,
            fragment_size: None,
            handshake_timeout: Some(Duration::from_secs(10)),
            close_timeout: Some(Duration::from_secs(10)),
            write_timeout: Some(Duration::from_secs(30)),
            message_timeout: Some(Duration::from_secs(60)),
            idle_timeout: None,
            ping_interval: None,
            pong_timeout: Some(Duration::from_secs(20)),
            #[cfg(feature = "deflate")]
            compression: None,
            extensions: Vec::new(),
        }
    }
}
