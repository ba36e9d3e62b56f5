//! Which extensions a server accepts, chosen by code of its own.

use alloc::sync::Arc;
use core::fmt;

use super::server::Request;
use crate::proto::extension::Element;

/// Asked once for each offer of an extension that the configuration knows.
#[derive(Clone)]
pub(super) struct Choice(Arc<Choose>);

type Choose = dyn Fn(&Request, &Element<'_>) -> bool + Send + Sync;

impl Choice {
    pub(super) fn new(choose: impl Fn(&Request, &Element<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(choose))
    }

    pub(super) fn takes(&self, request: &Request, offer: &Element<'_>) -> bool {
        (self.0)(request, offer)
    }
}

/// The same function.
impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Choice {}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Choice")
    }
}
