//! [`Tunnel`]: a proxy's handshake over a connected transport.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::BytesMut;

use super::http_connect::HttpConnect;
use super::proxy::{Proxy, ProxyScheme};
use super::proxy_error::ProxyError;
use super::socks5::Socks5;
use crate::proto::config::Config;
use crate::proto::driver::clock::Clock;
use crate::proto::driver::opening::{Exchange, report_to_exchange};
use crate::proto::driver::refusal::Refusal;
use crate::proto::driver::{Drive, Step, TransportError};
use crate::proto::handshake::Uri;

/// A proxy's handshake over a transport that is connected to the proxy: `CONNECT` or SOCKS5.
///
/// [`Step::Ready`] means that the transport now leads to the server. [`Step::Closed`] means that it does not;
/// [`result`](Self::result) says why. The body of a refusal is read for up to one second, up to 64 KiB.
///
/// Bytes that arrive together with the proxy's agreement are an error: a client speaks first, in TLS as in WebSocket, so no
/// server has sent them.
pub struct Tunnel {
    exchange: Exchange,
    protocol: Protocol,
    phase: Phase,
    deadline: Option<Duration>,
    limit: Duration,
}

#[derive(Debug)]
enum Protocol {
    HttpConnect(HttpConnect),
    Socks5(Socks5),
}

#[derive(Debug)]
enum Phase {
    Asking,
    Open,
    /// The body of a refusal is being read.
    Refused(Refusal),
    Closed(ProxyError),
}

impl Tunnel {
    /// Asks `proxy` for a tunnel to the host of `server`; for `socks5`, to `address`, if there is one.
    /// [`Config::handshake_timeout`] starts at `now`.
    #[must_use]
    pub fn new(server: &Uri, address: Option<SocketAddr>, proxy: &Proxy, config: Arc<Config>, now: Duration) -> Self {
        let deadline = config.handshake_timeout.and_then(|limit| now.checked_add(limit));
        let limit = config.handshake_timeout.unwrap_or_default();
        let mut output = BytesMut::new();
        let protocol = match proxy.scheme() {
            ProxyScheme::Http | ProxyScheme::Https => {
                Protocol::HttpConnect(HttpConnect::start(server, proxy, config, now, &mut output))
            }
            ProxyScheme::Socks5 => Protocol::Socks5(Socks5::start(server, address, proxy, &mut output)),
            ProxyScheme::Socks5h => Protocol::Socks5(Socks5::start(server, None, proxy, &mut output)),
        };
        Self { exchange: Exchange::new(output), protocol, phase: Phase::Asking, deadline, limit }
    }

    /// Whether the tunnel is open, after [`Step::Ready`] or [`Step::Closed`].
    ///
    /// # Errors
    ///
    /// [`ProxyError`] after [`Step::Closed`]; before either, [`TransportError::UnexpectedEof`].
    pub fn result(self) -> Result<(), ProxyError> {
        match self.phase {
            Phase::Open if !self.exchange.output.has_unsent() && self.exchange.output.failed.is_none() => Ok(()),
            Phase::Closed(error) => Err(error),
            Phase::Refused(refusal) => Err(ProxyError::Refused(refusal.into_response())),
            Phase::Asking | Phase::Open => Err(ProxyError::Transport(TransportError::UnexpectedEof)),
        }
    }

    fn close(&mut self, error: ProxyError) {
        self.exchange.output.throw_away();
        self.phase = Phase::Closed(error);
    }

    /// The transport's first failure, else `error`.
    fn fail(&mut self, error: ProxyError) {
        let failed = self.exchange.output.failed.map(ProxyError::Transport);
        self.close(failed.unwrap_or(error));
    }

    fn ask(&mut self, clock: &mut Clock<impl FnOnce() -> Duration>) -> Option<Step> {
        if core::mem::take(&mut self.exchange.has_news) {
            let Exchange { input, output, .. } = &mut self.exchange;
            let open = match &mut self.protocol {
                Protocol::HttpConnect(connect) => connect.receive(input),
                Protocol::Socks5(socks) => socks.receive(input, &mut output.bytes),
            };
            match open {
                Ok(false) if !self.exchange.peer_ended => {}
                Ok(false) => {
                    self.fail(ProxyError::Transport(TransportError::UnexpectedEof));
                    return None;
                }
                // Whoever sent more than the agreement is not the server.
                Ok(true) if !self.exchange.input.is_empty() => {
                    self.close(ProxyError::EarlyBytes);
                    return None;
                }
                Ok(true) => {
                    self.phase = Phase::Open;
                    return None;
                }
                Err(ProxyError::Refused(response)) => {
                    self.phase = Phase::Refused(Refusal::new(response, &mut self.exchange));
                    return None;
                }
                Err(error) => {
                    self.fail(error);
                    return None;
                }
            }
        }
        if let Some(step) = self.exchange.output.step() {
            return Some(step);
        }
        let step = self.exchange.read_or_wait(self.deadline, clock);
        if step.is_none() {
            self.fail(ProxyError::Timeout(self.limit));
        }
        step
    }

    /// The proxy may have agreed before the request was written whole.
    fn finish(&mut self, clock: &mut Clock<impl FnOnce() -> Duration>) -> Option<Step> {
        if let Some(error) = self.exchange.output.failed {
            self.close(ProxyError::Transport(error));
            return None;
        }
        if let Some(step) = self.exchange.output.step() {
            return Some(step);
        }
        if !self.exchange.output.has_unsent() {
            return Some(Step::Ready);
        }
        let step = self.exchange.wait_to_write(self.deadline, clock);
        if step.is_none() {
            self.close(ProxyError::Timeout(self.limit));
        }
        step
    }

    fn read_body(&mut self, clock: &mut Clock<impl FnOnce() -> Duration>) -> Option<Step> {
        let Phase::Refused(refusal) = &mut self.phase else { return None };
        let step = refusal.read(&mut self.exchange, self.deadline, clock);
        if step.is_none() {
            self.refused();
        }
        step
    }

    /// Reports the refusal with what has arrived of its body.
    fn refused(&mut self) {
        if let Phase::Refused(refusal) = core::mem::replace(&mut self.phase, Phase::Asking) {
            self.close(ProxyError::Refused(refusal.into_response()));
        }
    }
}

/// Without what is sent: it may hold a user name and a password.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, phase, deadline, .. } = self;
        f.debug_struct("Tunnel")
            .field("protocol", protocol)
            .field("phase", phase)
            .field("deadline", deadline)
            .finish_non_exhaustive()
    }
}

impl Drive for Tunnel {
    fn poll(&mut self, clock: impl FnOnce() -> Duration) -> Step {
        let mut clock = Clock::new(clock);
        loop {
            let step = match &self.phase {
                Phase::Asking => self.ask(&mut clock),
                Phase::Open => self.finish(&mut clock),
                Phase::Refused(_) => self.read_body(&mut clock),
                Phase::Closed(_) if self.exchange.output.take_last_shutdown() => Some(Step::ShutdownWrite),
                Phase::Closed(_) => Some(Step::Closed),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Asking | Phase::Open => self.deadline,
            Phase::Refused(refusal) => refusal.poll_timeout(self.deadline),
            Phase::Closed(_) => None,
        }
    }

    report_to_exchange!();

    fn read_failed(&mut self, error: TransportError) {
        match self.phase {
            Phase::Refused(_) => self.refused(),
            Phase::Closed(_) => {}
            Phase::Asking | Phase::Open => {
                self.fail(ProxyError::Transport(error));
                self.exchange.output.shut_down = true;
            }
        }
    }

    fn write_failed(&mut self, error: TransportError) {
        // A proxy that refuses may not read the request to its end: the response may be there all the same.
        self.exchange.output.fail(error);
    }
}
