//! permessage-deflate over the machines (RFC 7692 section 7.2).
#![cfg(feature = "deflate")]

mod decoder;
mod engine;
mod heard;
mod mixed;
mod pool;
mod prepared;
mod receiving;
mod rfc;
mod support;
mod there_and_back;
mod vectors;
mod windows;
