//! The blocking adapter: over TCP, over Unix sockets, and over a stream that follows a script.
//!
//! No test sleeps where an event will do, and each ends, well or not, within the time of its watchdog.

#![cfg(all(unix, feature = "blocking"))]

mod chunks;
mod client;
#[cfg(feature = "deflate")]
mod compression;
mod deadlines;
mod ending;
mod leaving;
mod parts;
mod pauses;
mod script;
mod server;
mod split;
mod support;
