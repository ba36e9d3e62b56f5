//! One entry of the registry.

use std::boxed::Box;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::handle::Handle;
use crate::handshake::Uri;

/// An outgoing connection that a [`Handler`](crate::session::Handler) is told of: who it is, and, as a [`Handle`], how to
/// reach it. Clones are the same client.
#[derive(Clone)]
pub struct Client(Arc<Entry>);

struct Entry {
    id: u64,
    name: Box<str>,
    uri: Option<Uri>,
    handle: Handle,
}

impl Client {
    pub(super) fn new(id: u64, name: &str, uri: Option<&Uri>, handle: Handle) -> Self {
        Self(Arc::new(Entry { id, name: name.into(), uri: uri.cloned(), handle }))
    }

    /// A number that no other client of the process has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The name that it was opened with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The address; `None` where a [`Connect`](super::Connect) does not tell it.
    #[must_use]
    pub fn uri(&self) -> Option<&Uri> {
        self.0.uri.as_ref()
    }
}

impl Deref for Client {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0.handle
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { id, name, uri, handle } = &*self.0;
        let state = handle.state();
        f.debug_struct("Client")
            .field("id", id)
            .field("name", name)
            .field("uri", uri)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
