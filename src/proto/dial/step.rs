//! [`DialStep`]: what a dial machine and its owner say to each other.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use super::error::DialError;
use super::peer::{AttemptId, DialAddress, DialPeer};

/// What to do next. Each step but [`Wait`](Self::Wait) and [`Failed`](Self::Failed) is given once, and answered with a
/// report. `Display` names it, for a log; credentials are never part of it.
///
/// The enum is complete: an adapter has to do each of these.
#[derive(Clone, PartialEq, Debug)]
pub enum DialStep {
    /// Resolve the name of `peer` and report with [`resolved`](super::Dial::resolved) or
    /// [`resolve_failed`](super::Dial::resolve_failed).
    Resolve {
        /// Whose name it is.
        peer: DialPeer,
        /// The name; or an IPv6 address with a zone that is a name (`fe80::1%eth0`), as `getaddrinfo` takes it.
        host: String,
        /// The port for the addresses.
        port: u16,
    },
    /// Begin to connect to this address, beside all attempts that are going on; report with
    /// [`connected`](super::Dial::connected) or [`connect_failed`](super::Dial::connect_failed), and poll again without
    /// a wait for either.
    Connect {
        /// Whose address it is.
        peer: DialPeer,
        /// Names this attempt in the reports.
        attempt: AttemptId,
        /// Where to connect.
        address: DialAddress,
    },
    /// Establish TLS over the transport, inside the TLS of a proxy if there is one, and report with
    /// [`tls_established`](super::Dial::tls_established) or [`tls_failed`](super::Dial::tls_failed).
    Tls {
        /// Who is at the other end.
        peer: DialPeer,
        /// The name, or the IP address, that the certificate has to be for.
        server_name: String,
    },
    /// Drive [`tunnel`](super::Dial::tunnel) over the transport and report with
    /// [`tunnel_finished`](super::Dial::tunnel_finished).
    Tunnel,
    /// Drive [`connecting`](super::Dial::connecting) over the transport. When it opens the connection, the dial machine has
    /// done its work; otherwise drop the transport and report with [`upgrade_failed`](super::Dial::upgrade_failed).
    Upgrade,
    /// Wait for the result of what is going on, or until the clock shows `until`, then poll again.
    Wait {
        /// When to poll at the latest, on the clock that [`poll`](super::Dial::poll) was given.
        until: Option<Duration>,
    },
    /// There is no connection: drop every transport, and stop what is going on.
    Failed(DialError),
}

impl fmt::Display for DialStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { host, peer, .. } => write!(f, "resolve {host} ({peer})"),
            Self::Connect { address, peer, .. } => write!(f, "connect to {address} ({peer})"),
            Self::Tls { server_name, peer } => write!(f, "establish TLS with {server_name} ({peer})"),
            Self::Tunnel => f.write_str("ask the proxy for a tunnel"),
            Self::Upgrade => f.write_str("ask the server for the upgrade"),
            Self::Wait { until: Some(until) } => write!(f, "wait until {until:?}"),
            Self::Wait { until: None } => f.write_str("wait"),
            Self::Failed(error) => fmt::Display::fmt(error, f),
        }
    }
}
