//! Extensions (RFC 6455 section 9). Today: the [`grammar`] of their negotiation. None is offered or accepted yet.

pub mod grammar;

pub use grammar::{Extension, MalformedExtensions, Param};
