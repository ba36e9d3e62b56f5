//! `identity`: what there is to try negotiation with.

use alloc::vec::Vec;

use crate::proto::extension::{Element, Extension, Negotiated, Param};

/// `identity`: every message passes as it is. Any parameters are right, and so is the name several times.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Identity;

impl Extension for Identity {
    fn name(&self) -> &str {
        "identity"
    }

    fn accept(&self, _: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        Some((Vec::new(), Negotiated::identity()))
    }

    fn agree(&self, _: &[&Element<'_>]) -> Option<Negotiated> {
        Some(Negotiated::identity())
    }
}
