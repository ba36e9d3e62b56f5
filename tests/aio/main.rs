//! The tokio adapter.

mod echo;
#[cfg(not(feature = "rustls"))]
mod secure;
