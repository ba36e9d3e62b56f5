//! [`DialOptions`]: how to reach a server.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use super::proxy::Proxy;
use crate::proto::handshake::Uri;

/// How to reach a server: through which proxy, at which addresses, over how many redirects.
///
/// ```
/// use bowsprit::dial::{DialOptions, ProxyChoice};
///
/// let options = DialOptions {
///     proxy: ProxyChoice::Always("socks5h://127.0.0.1:1080".parse()?),
///     redirects: 5,
///     ..DialOptions::default()
/// };
/// assert!(options.unix_path.is_none());
/// # Ok::<(), bowsprit::dial::ProxyUriError>(())
/// ```
///
/// End the expression with `..DialOptions::default()`, always: minor releases add fields.
#[derive(Clone, Debug)]
pub struct DialOptions {
    /// The proxy. Default: none.
    pub proxy: ProxyChoice,
    /// The most redirects to follow. Default zero: a redirect is a refusal, which names its `Location`. Bounds loops.
    pub redirects: u32,
    /// How long one connection attempt is given before the next one starts beside it (RFC 8305 section 5). Default 250 ms;
    /// less than 10 ms means 10 ms. Protects networks against attempts all at once.
    pub attempt_delay: Duration,
    /// Addresses for hosts that are then not resolved, a proxy's host included: a name without regard to case, and its
    /// addresses, where port 0 means the port that was asked for. Default: none.
    pub addresses: Vec<(String, Vec<SocketAddr>)>,
    /// Connects to the Unix socket at this path instead of the network, without a proxy, whatever the host is; also after a
    /// redirect. Default `None`.
    pub unix_path: Option<String>,
    /// Whether the caller can do TLS. Default true. When false, a server or a proxy that needs it is an error before
    /// anything is dialled.
    pub tls: bool,
}

impl DialOptions {
    /// The most addresses of one host that are tried.
    pub const MAX_ADDRESSES: usize = 64;

    /// The shortest [`attempt_delay`](Self::attempt_delay) that has an effect (RFC 8305 section 5).
    pub const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

    /// The addresses of a host that is not to be resolved.
    pub(super) fn fixed(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let (_, addresses) = self.addresses.iter().find(|(name, _)| name.eq_ignore_ascii_case(host))?;
        let port_of = |address: &SocketAddr| if address.port() == 0 { port } else { address.port() };
        Some(addresses.iter().map(|address| with_port(*address, port_of(address))).collect())
    }
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

impl Default for DialOptions {
    fn default() -> Self {
        Self {
            proxy: ProxyChoice::None,
            redirects: 0,
            attempt_delay: Duration::from_millis(250),
            addresses: Vec::new(),
            unix_path: None,
            tls: true,
        }
    }
}

/// Which proxy to use. It is asked once for each address that is dialled, so that a redirect may take another way.
#[derive(Clone, Default)]
pub enum ProxyChoice {
    /// None.
    #[default]
    None,
    /// This one, for every address.
    Always(Proxy),
    /// The one that a function chooses for an address: it may look at the environment.
    By(Arc<ChooseProxy>),
}

/// Chooses a proxy for an address, or none.
pub type ChooseProxy = dyn Fn(&Uri) -> Option<Proxy> + Send + Sync;

impl ProxyChoice {
    pub(super) fn choose(&self, uri: &Uri) -> Option<Proxy> {
        match self {
            Self::None => None,
            Self::Always(proxy) => Some(proxy.clone()),
            Self::By(choose) => choose(uri),
        }
    }
}

impl From<Proxy> for ProxyChoice {
    fn from(proxy: Proxy) -> Self {
        Self::Always(proxy)
    }
}

impl fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Always(proxy) => f.debug_tuple("Always").field(proxy).finish(),
            Self::By(_) => f.write_str("By(..)"),
        }
    }
}
