//! Clients that come back, and the registry of outgoing connections.

#[cfg(feature = "rustls")]
#[path = "../tls/authority.rs"]
mod authority;
mod backoff;
mod callbacks;
mod cancel;
mod holding;
mod losses;
mod refusals;
mod registry;
mod restarts;
mod support;
