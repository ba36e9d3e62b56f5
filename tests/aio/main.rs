//! The tokio adapter.

mod cancel;
mod echo;
mod ending;
mod failing;
mod handshake;
mod leaving;
mod messages;
#[cfg(not(feature = "rustls"))]
mod secure;
mod shutdown;
mod split;
mod stream;
mod support;
mod timers;
