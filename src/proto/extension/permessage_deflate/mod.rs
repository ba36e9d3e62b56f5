//! permessage-deflate (RFC 7692): messages travel compressed.
//!
//! | Module | |
//! |---|---|
//! | `negotiation` | offers, responses, what was agreed |
//! | `deflater` | messages to DEFLATE |
//! | `inflater` | DEFLATE to messages, as the bytes arrive |
//! | `pool` | engines that connections share |
//! | `window_bits` | the size of a window |
//!
//! Both engines are made when the first compressed message passes, and can be given back at any time: an empty window
//! is always legal to send from, and the window of what was received is kept apart.

mod deflater;
mod history;
mod inflater;
mod negotiation;
mod pool;
mod window_bits;

pub(in crate::proto) use deflater::Deflater;
pub(in crate::proto) use inflater::{InflateError, Inflater};
pub use negotiation::{Agreed, Parameters};
pub(in crate::proto) use negotiation::{NAME, accept, agree, offers};
pub use pool::Pool;
pub use window_bits::WindowBits;

use alloc::vec::Vec;

/// How to compress, and what to negotiate. [`Config::compression`](crate::Config::compression) switches it on.
///
/// ```
/// use bowsprit::{Config, Deflate};
///
/// let config = Config { compression: Some(Deflate { level: 1, ..Deflate::default() }), ..Config::default() };
/// # let _ = config;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deflate {
    /// 0 (store) to 9 (smallest). Default 6. A larger value means 9.
    pub level: u8,
    /// Messages shorter than this many bytes go uncompressed. Default 64: below that DEFLATE saves little.
    pub threshold: usize,
    /// What this end would like. A client offers it; a server agrees to no more than it.
    pub parameters: Parameters,
    /// What a client offers besides, in order of preference, for servers that decline the first offer.
    pub fallbacks: Vec<Parameters>,
    /// Where the directions without context takeover have their engines from. Default `None`: each connection has its
    /// own.
    pub pool: Option<Pool>,
}

impl Default for Deflate {
    fn default() -> Self {
        Self { level: 6, threshold: 64, parameters: Parameters::default(), fallbacks: Vec::new(), pool: None }
    }
}

/// How many bytes of `len` passed an engine, by its count before and after.
fn passed(before: u64, after: u64, len: usize) -> usize {
    usize::try_from(after - before).unwrap_or(len).min(len)
}
