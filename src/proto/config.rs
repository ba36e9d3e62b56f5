//! Every bound of a connection, in one place.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::proto::extension::Extension;

/// The bounds and deadlines of a connection, shared by all connections of a listener in one `Arc`.
///
/// Every size, count and deadline is finite by default, apart from idle and keep-alive, which are off.
/// [`Config::UNLIMITED`] and `None` lift a bound explicitly.
///
/// ```
/// use bowsprit::Config;
///
/// let config = Config { max_message: 1 << 20, ..Config::default() };
/// assert_eq!(config.max_fragments, 131_072);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The longest request or response head in bytes. Default 16 KiB. Protects memory before anybody
    /// has said who he is; a longer request is answered 431.
    pub max_head: usize,
    /// The most header fields in a head. Default 100, at most 1,024 (a larger value means 1,024).
    pub max_head_fields: usize,
    /// The longest message in bytes, over all its fragments. Default 64 MiB. A longer one fails the
    /// connection with 1009. [`Chunks`](crate::Chunks) delivery states its own.
    pub max_message: u64,
    /// The longest message in bytes that an extension has encoded, as it is once it is decoded: of permessage-deflate,
    /// inflated. Default 4 MiB. A longer one fails the connection with 1009; [`max_message`](Self::max_message) holds too.
    ///
    /// A peer pays for an uncompressed message byte by byte, while 1 KiB of DEFLATE becomes 1 MiB: without this limit 65 KB
    /// and then silence would occupy 64 MiB on each connection. So the reassembly buffer of a message in progress holds
    /// at most this much and the decompressor's 128 KiB, however little was received. It is a fixed size, and no
    /// ratio, so that what passes depends neither on how well a message compresses nor on how it was cut into reads.
    /// [`Chunks`](crate::Chunks) delivery holds no message and does not have it.
    pub max_decoded_message: u64,
    /// The longest frame in bytes. A longer one fails the connection with 1009. Default `None`: as the message, in either
    /// delivery; one that an extension encodes, which may be longer than what it holds, twice that and 64 bytes.
    pub max_frame: Option<u64>,
    /// The most fragments in one message. Default 131,072. More fail the connection with 1008. A message in one frame has
    /// none, and so passes under zero, which refuses every first fragment.
    /// [`Chunks`](crate::Chunks) delivery states its own.
    pub max_fragments: u32,
    /// The most empty fragments in a row, the last of a message among them. Default 1,024. More fail the connection with
    /// 1008; under zero, the first one does.
    pub max_empty_fragments: u32,
    /// Unsent output in bytes from which on no message is accepted. Default 1 MiB. A message is accepted
    /// whole while less is waiting; control frames have 264 bytes of their own above it. Zero means one.
    pub max_unsent: usize,
    /// Messages longer than this many bytes are sent in several frames. Default `None`: one frame a message.
    /// Zero means one.
    pub fragment_size: Option<usize>,
    /// From the first byte to the open connection. Default 10 s.
    pub handshake_timeout: Option<Duration>,
    /// From our Close, or our failing the connection, to the end of the transport. Default 10 s.
    pub close_timeout: Option<Duration>,
    /// Unsent output of which the transport takes no byte for this long ends the connection. Default 30 s.
    pub write_timeout: Option<Duration>,
    /// A message in progress that brings no payload byte for this long ends the connection. Default 60 s.
    pub message_timeout: Option<Duration>,
    /// A peer that sends no byte at all for this long is closed with 1001. Default `None`: off.
    pub idle_timeout: Option<Duration>,
    /// A ping goes out each time that this much time has passed. Default `None`: off.
    pub ping_interval: Option<Duration>,
    /// How long the pong to such a ping may take. Default 20 s; nothing to wait for while pings are off.
    pub pong_timeout: Option<Duration>,
    /// Whether to offer or accept permessage-deflate (RFC 7692), and how. Default `None`: messages travel as they are.
    #[cfg(feature = "deflate")]
    pub compression: Option<crate::proto::extension::permessage_deflate::Deflate>,
    /// Extensions of one's own, to offer or to accept. Default: none. A client offers them behind permessage-deflate, in
    /// this order; who wants to offer something else this time starts its handshake with another `Config`.
    pub extensions: Vec<Arc<dyn Extension>>,
}

impl Config {
    /// As a limit: none.
    pub const UNLIMITED: u64 = u64::MAX;

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
