//! Which end of the connection.

/// Which end of the connection this is: who masks (RFC 6455 section 5.1) and who ends the transport first
/// (section 7.1.1) follow from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Opened the connection; masks every frame.
    Client,
    /// Accepted it; masks none.
    Server,
}

impl Role {
    /// The other end's.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}
