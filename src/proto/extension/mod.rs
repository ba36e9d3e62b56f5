//! Extensions (RFC 6455 section 9).
//!
//! | Module | |
//! |---|---|
//! | [`grammar`] | `Sec-WebSocket-Extensions`, whatever it names |
//! | `custom` | extensions of one's own: [`Extension`], [`Negotiated`], [`Encode`], [`Decode`] |
//! | `negotiation` | what is offered, answered and agreed on |
//! | `permessage_deflate` | compressed messages (RFC 7692), with the feature `deflate` |
//! | `legacy` | those from before RFC 7692, with the feature `legacy-extensions` |
//! | `chain` | several at once, or extensions of one's own: one after the other |
//! | `coding` | what the agreed extensions do to messages, as the machines see it |

mod chain;
pub(in crate::proto) mod coding;
mod custom;
pub mod grammar;
#[cfg(feature = "legacy-extensions")]
pub mod legacy;
mod negotiation;
#[cfg(feature = "deflate")]
pub mod permessage_deflate;

pub(in crate::proto) use chain::{Ends, grow};
pub use custom::{Decode, Encode, Extension, IncomingUnit, Negotiated, OutgoingUnit};
pub use grammar::{Element, MalformedExtensions, Param};
pub use negotiation::Agreement;
pub(in crate::proto) use negotiation::{agree, answer, offer};
