//! TLS under the adapters, with an authority that is made as the tests run.

#![cfg(all(unix, feature = "blocking", feature = "rustls"))]

mod authority;
mod blocking;
mod configurations;
#[expect(dead_code, reason = "the tests of the blocking adapter need more of it")]
#[path = "../blocking/support.rs"]
mod support;
