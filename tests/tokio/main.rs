//! The tokio adapter.

mod cancel;
#[cfg(feature = "deflate")]
mod compression;
mod echo;
mod ending;
mod failing;
mod handshake;
mod leaving;
mod messages;
#[cfg(not(feature = "rustls"))]
mod secure;
mod sender;
mod shutdown;
mod split;
mod stream;
mod support;
mod timers;
