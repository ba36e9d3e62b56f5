//! Who is dialled, where, and in which phase.

use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;

/// Who is dialled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DialPeer {
    /// The proxy.
    Proxy,
    /// The server of the WebSocket.
    Server,
}

impl fmt::Display for DialPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxy => "the proxy",
            Self::Server => "the server",
        })
    }
}

/// Names one connection attempt. A machine uses none twice, so that a late report is recognized.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AttemptId(pub(super) u64);

/// Where to connect.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum DialAddress {
    /// A TCP port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(String),
}

impl fmt::Display for DialAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => fmt::Display::fmt(address, f),
            Self::Unix(path) => write!(f, "{path:?}"),
        }
    }
}

/// The part of dialling that is going on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DialPhase {
    /// A name is being resolved.
    Resolve(DialPeer),
    /// Addresses are being tried.
    Connect(DialPeer),
    /// TLS is being established.
    Tls(DialPeer),
    /// The proxy is asked for a tunnel.
    Tunnel,
    /// The server is asked for the upgrade.
    Upgrade,
}
