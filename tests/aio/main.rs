//! The tokio adapter.

mod cancel;
mod echo;
mod failing;
mod leaving;
mod messages;
#[cfg(not(feature = "rustls"))]
mod secure;
mod split;
mod support;
mod timers;
