//! Extensions of one's own (RFC 6455 section 9): one that works on messages, two that work on frames, alone, together,
//! and together with permessage-deflate.

#[cfg(all(feature = "blocking", unix))]
mod adapter;
#[cfg(feature = "deflate")]
mod deflate;
mod frames;
#[cfg(feature = "deflate")]
mod limits;
mod negotiation;
mod properties;
mod receiving;
mod sending;
mod support;
mod xor;
