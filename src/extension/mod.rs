//! Extensions (RFC 6455 section 9).
//!
//! | Module | |
//! |---|---|
//! | [`grammar`] | `Sec-WebSocket-Extensions`, whatever it names |
//! | `negotiation` | what is offered, answered and agreed on |
//! | `permessage_deflate` | compressed messages (RFC 7692), with the feature `deflate` |
//! | `coding` | what the agreed extension does to messages, as the machines see it |

pub(crate) mod coding;
pub mod grammar;
mod negotiation;
#[cfg(feature = "deflate")]
pub mod permessage_deflate;

pub use grammar::{Element, MalformedExtensions, Param};
pub use negotiation::Agreement;
pub(crate) use negotiation::{agree, answer, offer};
