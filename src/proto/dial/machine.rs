//! [`Dial`]: the state machine.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};
use core::time::Duration;

use super::attempts::{Attempts, interleave};
use super::error::{DialError, DialFailure};
use super::location::{RedirectError, redirect};
use super::options::DialOptions;
use super::peer::{AttemptId, DialAddress, DialPeer, DialPhase};
use super::proxy::{Proxy, ProxyScheme};
use super::proxy_error::ProxyError;
use super::step::DialStep;
use super::tunnel::Tunnel;
use crate::proto::config::Config;
use crate::proto::driver::{Connecting, OpeningError, TransportError};
use crate::proto::error::HandshakeError;
use crate::proto::handshake::authority::Host;
use crate::proto::handshake::text::Excerpt;
use crate::proto::handshake::{ClientRequest, Uri};
use crate::proto::timers::Timeout;

/// Dials a server: names, addresses, a proxy, TLS, the upgrade, redirects, under one deadline.
///
/// [`poll`](Self::poll), do what the [`DialStep`] says, report, poll again. The module's documentation has a whole loop.
///
/// Reports about what the machine does not wait for, such as an attempt that was abandoned, are ignored.
#[derive(Debug)]
pub struct Dial {
    options: Arc<DialOptions>,
    config: Arc<Config>,
    start: Duration,
    deadline: Option<Duration>,
    request: ClientRequest,
    proxy: Option<Proxy>,
    redirects: u32,
    /// What is going on, and what follows. Never empty.
    phases: VecDeque<DialPhase>,
    /// Whether the step of the current phase was given.
    announced: bool,
    proxy_addresses: Vec<SocketAddr>,
    server_addresses: Vec<SocketAddr>,
    attempts: Attempts,
    next_attempt: AttemptId,
    failed: Option<DialError>,
}

impl Dial {
    /// Dials the address of `request`. [`Config::handshake_timeout`] starts at `now` and is one deadline over everything,
    /// redirects included; `now` is on the clock of [`poll`](Self::poll).
    #[must_use]
    pub fn new(request: ClientRequest, options: Arc<DialOptions>, config: Arc<Config>, now: Duration) -> Self {
        let deadline = config.handshake_timeout.and_then(|limit| now.checked_add(limit));
        let mut dial = Self {
            options,
            config,
            start: now,
            deadline,
            request,
            proxy: None,
            redirects: 0,
            phases: VecDeque::new(),
            announced: false,
            proxy_addresses: Vec::new(),
            server_addresses: Vec::new(),
            attempts: Attempts::new([], Duration::ZERO),
            next_attempt: AttemptId(0),
            failed: None,
        };
        dial.begin();
        dial
    }

    /// The next step. `now` never goes back.
    pub fn poll(&mut self, now: Duration) -> DialStep {
        if self.failed.is_none() && self.deadline.is_some_and(|deadline| deadline <= now) {
            self.time_out();
        }
        loop {
            if let Some(error) = &self.failed {
                return DialStep::Failed(error.clone());
            }
            if !core::mem::replace(&mut self.announced, true) {
                if let Some(step) = self.announce() {
                    return step;
                }
                continue;
            }
            let DialPhase::Connect(peer) = self.phase() else { return DialStep::Wait { until: self.deadline } };
            let attempt = self.next_attempt;
            if let Some(address) = self.attempts.start(now, attempt) {
                self.next_attempt = AttemptId(attempt.0 + 1);
                return DialStep::Connect { peer, attempt, address };
            }
            if !self.attempts.are_over() {
                return DialStep::Wait { until: self.poll_timeout() };
            }
            let attempts = self.attempts.take_unsuccessful();
            self.fail(DialFailure::Connect(attempts));
        }
    }

    /// When to poll at the latest: the deadline, or the next connection attempt. `None` when there is neither.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        if self.failed.is_some() {
            return None;
        }
        let attempt = match self.phase() {
            DialPhase::Connect(_) => self.attempts.next_at(),
            _ => None,
        };
        [self.deadline, attempt].into_iter().flatten().min()
    }

    /// What is going on.
    #[must_use]
    pub fn phase(&self) -> DialPhase {
        // Only `begin` fills the list, and `advance` leaves the last one in it.
        self.phases.front().copied().unwrap_or(DialPhase::Upgrade)
    }

    /// The request of the current address: after a redirect, that which follows it.
    #[must_use]
    pub const fn request(&self) -> &ClientRequest {
        &self.request
    }

    /// The proxy on the way to the current address.
    #[must_use]
    pub const fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// How many redirects were followed.
    #[must_use]
    pub const fn redirects(&self) -> u32 {
        self.redirects
    }

    /// The name has these addresses, in the resolver's order. At most [`DialOptions::MAX_ADDRESSES`] are used.
    pub fn resolved(&mut self, addresses: impl IntoIterator<Item = SocketAddr>) {
        if let DialPhase::Resolve(peer) = self.phase()
            && self.is_awaited()
        {
            self.take_addresses(peer, addresses);
        }
    }

    /// The name could not be resolved; `error` is what the resolver said, for people.
    pub fn resolve_failed(&mut self, error: impl Into<String>) {
        if matches!(self.phase(), DialPhase::Resolve(_)) && self.is_awaited() {
            self.fail(DialFailure::Resolve(error.into()));
        }
    }

    /// This attempt has connected. Returns whether its transport is the one to go on with: then drop all other attempts;
    /// otherwise drop this one.
    #[must_use]
    pub fn connected(&mut self, attempt: AttemptId) -> bool {
        // None is running once the machine has failed.
        let wins = self.attempts.is_running(attempt);
        if wins {
            self.attempts = Attempts::new([], Duration::ZERO);
            self.advance();
        }
        wins
    }

    /// This attempt has failed.
    pub fn connect_failed(&mut self, attempt: AttemptId, error: TransportError) {
        self.attempts.fail(attempt, error);
    }

    /// TLS is established.
    pub fn tls_established(&mut self) {
        if matches!(self.phase(), DialPhase::Tls(_)) && self.is_awaited() {
            self.advance();
        }
    }

    /// TLS failed: with [`OpeningError::Handshake`], or a failure of the transport.
    pub fn tls_failed(&mut self, error: OpeningError) {
        if matches!(self.phase(), DialPhase::Tls(_)) && self.is_awaited() {
            self.fail_opening(error);
        }
    }

    /// The handshake with the proxy, at [`DialStep::Tunnel`].
    ///
    /// # Panics
    ///
    /// Where the way to the server leads through no proxy.
    #[must_use]
    pub fn tunnel(&self) -> Tunnel {
        let Some(proxy) = &self.proxy else { panic!("there is no proxy") };
        let address = self.server_addresses.first().copied();
        Tunnel::new(self.request.uri(), address, proxy, self.config.clone(), self.start)
    }

    /// The handshake with the proxy is over: [`Tunnel::result`]. After an error, drop the transport.
    ///
    /// A SOCKS5 proxy that was given an address and cannot reach it is asked for the next one, over a new connection.
    pub fn tunnel_finished(&mut self, result: Result<(), ProxyError>) {
        if self.phase() != DialPhase::Tunnel || !self.is_awaited() {
            return;
        }
        match result {
            Ok(()) => self.advance(),
            Err(ProxyError::Timeout(_)) => self.time_out(),
            Err(ProxyError::Socks(error)) if error.is_of_address() && self.server_addresses.len() > 1 => {
                self.server_addresses.remove(0);
                self.phases = self.route();
                self.phases.retain(|phase| !matches!(phase, DialPhase::Resolve(_)));
                self.enter();
            }
            Err(error) => self.fail(DialFailure::Proxy(error)),
        }
    }

    /// The opening handshake with the server, at [`DialStep::Upgrade`]. `nonce` is 16 bytes from a random source, fresh for
    /// each call.
    #[must_use]
    pub fn connecting(&self, nonce: [u8; 16]) -> Connecting {
        Connecting::new(&self.request, nonce, self.config.clone(), self.start)
    }

    /// The server has not opened the connection: the error of [`Connecting::result`]. A redirect is followed if
    /// [`DialOptions::redirects`] allows it: [`poll`](Self::poll) goes on.
    pub fn upgrade_failed(&mut self, error: OpeningError) {
        if self.phase() != DialPhase::Upgrade || !self.is_awaited() {
            return;
        }
        match self.redirected(&error) {
            Ok(Some(request)) => {
                self.request = request;
                self.redirects += 1;
                self.begin();
            }
            Ok(None) => self.fail_opening(error),
            Err(error) => self.fail(DialFailure::Redirect(error)),
        }
    }

    /// The request that follows a redirect; `None` when the error is none, or redirects are off.
    fn redirected(&self, error: &OpeningError) -> Result<Option<ClientRequest>, RedirectError> {
        let OpeningError::Handshake(HandshakeError::Refused(response)) = error else { return Ok(None) };
        let limit = self.options.redirects;
        if limit == 0 {
            return Ok(None);
        }
        let followed = redirect(&self.request, response)?;
        if followed.is_some() && self.redirects >= limit {
            let location = response.headers().get("Location").unwrap_or_default();
            return Err(RedirectError::TooMany { limit, location: format!("{}", Excerpt(location.as_bytes())) });
        }
        Ok(followed)
    }

    /// Begins to dial the address of the request.
    fn begin(&mut self) {
        self.proxy = match self.options.unix_path {
            Some(_) => None,
            None => self.options.proxy.choose(self.request.uri()),
        };
        self.phases = self.route();
        (self.proxy_addresses, self.server_addresses) = (Vec::new(), Vec::new());
        // RFC 6455 section 10.6: never in plain text what was meant for TLS. Before anything is dialled.
        let tls = self.phases.iter().copied().find(|phase| matches!(phase, DialPhase::Tls(_)));
        if let Some(phase) = tls.filter(|_| !self.options.tls) {
            self.phases = [phase].into();
            self.fail(DialFailure::TlsUnavailable);
            return;
        }
        self.enter();
    }

    fn route(&self) -> VecDeque<DialPhase> {
        route(self.request.uri(), self.proxy.as_ref(), self.options.unix_path.is_some())
    }

    /// Begins the phase at the front of the list; passes over the resolver where it is not needed.
    fn enter(&mut self) {
        self.announced = false;
        if let DialPhase::Resolve(peer) = self.phase() {
            let (host, port) = self.host_of(peer);
            if let Some(addresses) = known_addresses(host, port, &self.options) {
                self.take_addresses(peer, addresses);
            }
        }
    }

    /// The step of a phase that begins; `None` where it is over at once, or has several.
    fn announce(&mut self) -> Option<DialStep> {
        match self.phase() {
            DialPhase::Resolve(peer) => {
                let (host, port) = self.host_of(peer);
                let host = match host.zone() {
                    Some(zone) => format!("{}%{zone}", host.bare()),
                    None => host.bare().into(),
                };
                Some(DialStep::Resolve { peer, host, port })
            }
            DialPhase::Connect(peer) => {
                let addresses = match (&self.options.unix_path, peer) {
                    (Some(path), _) => vec![DialAddress::Unix(path.clone())],
                    (None, DialPeer::Proxy) => self.proxy_addresses.iter().copied().map(DialAddress::Tcp).collect(),
                    (None, DialPeer::Server) => self.server_addresses.iter().copied().map(DialAddress::Tcp).collect(),
                };
                self.attempts = Attempts::new(addresses, self.options.attempt_delay);
                None
            }
            DialPhase::Tls(peer) => {
                let (host, _) = self.host_of(peer);
                Some(DialStep::Tls { peer, server_name: host.bare().into() })
            }
            DialPhase::Tunnel => Some(DialStep::Tunnel),
            DialPhase::Upgrade => Some(DialStep::Upgrade),
        }
    }

    fn take_addresses(&mut self, peer: DialPeer, addresses: impl IntoIterator<Item = SocketAddr>) {
        let addresses = interleave(addresses);
        if addresses.is_empty() {
            self.fail(DialFailure::NoAddresses);
            return;
        }
        match peer {
            DialPeer::Proxy => self.proxy_addresses = addresses,
            DialPeer::Server => self.server_addresses = addresses,
        }
        self.advance();
    }

    fn advance(&mut self) {
        if self.phases.len() > 1 {
            self.phases.pop_front();
            self.enter();
        }
    }

    /// Whether the machine waits for the report of the current phase.
    const fn is_awaited(&self) -> bool {
        self.announced && self.failed.is_none()
    }

    fn host_of(&self, peer: DialPeer) -> (&Host, u16) {
        match (peer, &self.proxy) {
            (DialPeer::Proxy, Some(proxy)) => (proxy.dial_host(), proxy.port()),
            _ => (self.request.uri().dial_host(), self.request.uri().port()),
        }
    }

    /// A deadline of the handshake is the machine's own.
    fn fail_opening(&mut self, error: OpeningError) {
        match error {
            OpeningError::Timeout(Timeout::Handshake, _) | OpeningError::Handshake(HandshakeError::TimedOut(_)) => {
                self.time_out();
            }
            error => self.fail(DialFailure::Opening(error)),
        }
    }

    fn time_out(&mut self) {
        let attempts = self.attempts.take_unsuccessful();
        self.fail(DialFailure::Timeout { limit: self.config.handshake_timeout.unwrap_or_default(), attempts });
    }

    fn fail(&mut self, failure: DialFailure) {
        let (phase, uri) = (self.phase(), self.request.uri().clone());
        let proxy = self.proxy.as_ref().map(|proxy| format!("the proxy {}", proxy.authority()));
        let peer = match phase {
            DialPhase::Resolve(DialPeer::Proxy) | DialPhase::Connect(DialPeer::Proxy) => proxy,
            DialPhase::Tls(DialPeer::Proxy) | DialPhase::Tunnel => proxy,
            _ => None,
        };
        let peer = peer.unwrap_or_else(|| uri.authority());
        self.failed = Some(DialError { phase, uri, peer, failure });
    }
}

/// What has to be done to reach `uri`, in order.
fn route(uri: &Uri, proxy: Option<&Proxy>, unix: bool) -> VecDeque<DialPhase> {
    use DialPeer::{Proxy as ProxyPeer, Server};
    let mut phases = VecDeque::new();
    match proxy.map(Proxy::scheme) {
        None if unix => phases.push_back(DialPhase::Connect(Server)),
        None => phases.extend([DialPhase::Resolve(Server), DialPhase::Connect(Server)]),
        Some(scheme) => {
            if scheme == ProxyScheme::Socks5 {
                phases.push_back(DialPhase::Resolve(Server));
            }
            phases.extend([DialPhase::Resolve(ProxyPeer), DialPhase::Connect(ProxyPeer)]);
            if scheme == ProxyScheme::Https {
                phases.push_back(DialPhase::Tls(ProxyPeer));
            }
            phases.push_back(DialPhase::Tunnel);
        }
    }
    if uri.is_secure() {
        phases.push_back(DialPhase::Tls(Server));
    }
    phases.push_back(DialPhase::Upgrade);
    phases
}

/// The addresses of a host that needs no resolver.
fn known_addresses(host: &Host, port: u16, options: &DialOptions) -> Option<Vec<SocketAddr>> {
    let fixed = options.fixed(host.bare(), port);
    fixed.or_else(|| {
        Some(vec![match (host.bare().parse().ok()?, host.zone()) {
            (address, None) => SocketAddr::new(address, port),
            // RFC 4007 section 11.2: a zone may be the number of the interface itself.
            (IpAddr::V6(address), Some(zone)) => SocketAddrV6::new(address, port, 0, zone.parse().ok()?).into(),
            (IpAddr::V4(_), Some(_)) => return None,
        }])
    })
}
