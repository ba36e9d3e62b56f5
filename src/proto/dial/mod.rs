//! From an address to an open connection, without I/O.

mod attempts;
mod error;
mod http_connect;
mod location;
mod machine;
mod options;
mod proxy;
mod socks5;
mod step;
mod tunnel;

pub use attempts::FailedAttempt;
pub use error::{DialError, DialFailure};
pub use http_connect::HttpConnect;
pub use location::{RedirectError, redirect, resolve_location};
pub use machine::Dial;
pub use options::{ChooseProxy, DialOptions, ProxyChoice};
pub use proxy::{Proxy, ProxyScheme, ProxyUriError};
pub use socks5::{Socks5, SocksError};
pub use step::{AttemptId, DialAddress, DialPeer, DialPhase, DialStep};
pub use tunnel::{ProxyError, Tunnel};
