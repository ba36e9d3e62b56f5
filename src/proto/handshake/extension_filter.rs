//! Which extensions a server accepts, decided by a function of the caller's.

use alloc::sync::Arc;
use core::fmt;

use super::server::ServerRequest;
use crate::proto::extension::Element;

/// Called once for each offer of an extension that the configuration has.
#[derive(Clone)]
pub(super) struct ExtensionFilter(Arc<Accepts>);

type Accepts = dyn Fn(&ServerRequest, &Element<'_>) -> bool + Send + Sync;

impl ExtensionFilter {
    pub(super) fn new(accepts: impl Fn(&ServerRequest, &Element<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(accepts))
    }

    pub(super) fn accepts(&self, request: &ServerRequest, offer: &Element<'_>) -> bool {
        (self.0)(request, offer)
    }
}

/// Equal when it is the same function.
impl PartialEq for ExtensionFilter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ExtensionFilter {}

impl fmt::Debug for ExtensionFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExtensionFilter")
    }
}
