//! Which extensions a server accepts, decided by a function of the caller's.

use alloc::sync::Arc;
use core::fmt;

use crate::proto::extension::Element;

/// Called once for each offer of an extension that the configuration has.
pub(super) struct ExtensionFilter<R>(Arc<Accepts<R>>);

type Accepts<R> = dyn Fn(&R, &Element<'_>) -> bool + Send + Sync;

impl<R> ExtensionFilter<R> {
    pub(super) fn new(accepts: impl Fn(&R, &Element<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(accepts))
    }

    pub(super) fn accepts(&self, request: &R, offer: &Element<'_>) -> bool {
        (self.0)(request, offer)
    }
}

impl<R> Clone for ExtensionFilter<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Equal when it is the same function.
impl<R> PartialEq for ExtensionFilter<R> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<R> Eq for ExtensionFilter<R> {}

impl<R> fmt::Debug for ExtensionFilter<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExtensionFilter")
    }
}
