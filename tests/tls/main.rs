//! TLS under the adapters, with an authority that is made as the tests run.

#![cfg(all(unix, feature = "rustls"))]

mod authority;
#[cfg(feature = "blocking")]
mod blocking;
mod configurations;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod sizes;
#[cfg(feature = "blocking")]
#[expect(dead_code, reason = "the tests of the blocking adapter need more of it")]
#[path = "../blocking/support.rs"]
mod support;
#[cfg(feature = "tokio")]
mod tokio;
