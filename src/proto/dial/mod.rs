//! From an address to an open connection, without I/O: names, connection attempts, a proxy, TLS, the upgrade, redirects.
//!
//! ```text
//!  Resolve ──> Connect ──> Tls ──> Tunnel ──> Tls ──> Upgrade ──> open
//!     ^        (RFC 8305)  with      CONNECT,  with        │
//!     │                    a proxy   SOCKS5    the server  │
//!     └────────────────────── redirect ────────────────────┘
//! ```
//!
//! [`Dial`] says what is next, one [`DialStep`] at a time, and its owner reports the result. The owner resolves names, opens
//! sockets and speaks TLS; the state machine decides which address is tried when, which name a certificate has to be for,
//! what is said to a proxy, which redirects are followed, and when the time is up. Time is an argument: the same reports
//! give the same steps.
//!
//! | Type | |
//! |---|---|
//! | [`Dial`], [`DialStep`] | the state machine, and its steps |
//! | [`DialOptions`] | proxy, redirects, fixed addresses, a Unix socket |
//! | [`DialError`] | what was going on, with whom, and what failed |
//! | [`Proxy`] | a proxy's address |
//! | [`Tunnel`] | a proxy's handshake over a transport, a [`Drive`](crate::driver::Drive) like the opening handshake |
//! | [`HttpConnect`], [`Socks5`] | the two protocols of proxies: bytes in, bytes out |
//! | [`redirect`], [`resolve_location`] | the policy of redirects |
//!
//! # Rules
//!
//! - **One deadline** over everything: [`Config::handshake_timeout`](crate::Config::handshake_timeout), from
//!   [`Dial::new`] to the open connection, redirects included.
//! - **Addresses** (RFC 8305): the families take turns, beginning with that of the resolver's first address. The next
//!   attempt starts 250 ms after the last one, or at once when one fails; the first that connects wins. Of that RFC,
//!   the part about separate lookups for A and AAAA is left to the resolver.
//! - **Credentials** of a proxy go to that proxy alone, and those of an address to its origin alone. Neither `Debug` nor
//!   `Display` of [`Proxy`], [`Uri`](crate::handshake::Uri), [`DialStep`] and [`DialError`] shows them.
//! - **A proxy sees** the name and port of the server; of a `wss` address nothing else, for TLS begins inside the tunnel.
//! - **Redirects** are off by default: the refusal then names the `Location`.
//!
//! # A dial loop
//!
//! Here the network is simulated. The proxy has two addresses, of which one never answers; the server redirects once.
//!
//! ```
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use bowsprit::dial::{Dial, DialAddress, DialOptions, DialStep, Proxy};
//! use bowsprit::driver::{Drive, OwnBuffers, Step};
//! use bowsprit::handshake::{ClientRequest, key};
//! use bowsprit::{Config, Messages};
//!
//! /// What the proxy and the server answer.
//! fn answer(request: &str) -> String {
//!     let key = request.split_once("Sec-WebSocket-Key: ").map_or("", |(_, rest)| &rest[..24]);
//!     match request.split(' ').nth(1) {
//!         Some("example.com:443") => "HTTP/1.1 200 Connected\r\n\r\n".into(), // to CONNECT
//!         Some("/old") => "HTTP/1.1 307 Temporary Redirect\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n".into(),
//!         _ => format!(
//!             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//!              Sec-WebSocket-Accept: {}\r\n\r\n",
//!             String::from_utf8_lossy(&key::accept(key.as_bytes()))
//!         ),
//!     }
//! }
//!
//! /// Drives a handshake over a transport, which here is two buffers. Returns whether it succeeded.
//! fn drive(machine: &mut impl Drive, now: Duration) -> bool {
//!     let (mut request, mut response) = (Vec::new(), Vec::new());
//!     loop {
//!         match machine.poll(|| now) {
//!             Step::Ready => return true,
//!             Step::Closed => return false,
//!             Step::Write => {
//!                 request.extend_from_slice(machine.to_write());
//!                 machine.written(machine.to_write().len());
//!             }
//!             Step::Flush => machine.flushed(),
//!             Step::Read if response.is_empty() => machine.read_blocked(),
//!             Step::Read => {
//!                 let buffer = machine.read_buffer();
//!                 let n = buffer.len().min(response.len());
//!                 buffer[..n].copy_from_slice(&response[..n]);
//!                 response.drain(..n);
//!                 machine.received(n);
//!             }
//!             Step::ShutdownWrite => machine.write_shut_down(),
//!             Step::Wait { .. } => response = answer(&String::from_utf8_lossy(&request)).into(), // the other end's turn
//!         }
//!     }
//! }
//!
//! let mut now = Duration::ZERO; // from a clock, each time
//! let request = ClientRequest::try_from("wss://example.com/old")?;
//! let proxy: Proxy = "http://me:secret@proxy.example:3128".parse()?;
//! let options = DialOptions { proxy: proxy.into(), redirects: 1, ..DialOptions::default() };
//! let mut dial = Dial::new(request, options.into(), Arc::new(Config::default()), now);
//!
//! let mut attempts = Vec::new(); // sockets that are connecting
//! let mut log = Vec::new();
//! let (driver, response) = loop {
//!     let step = dial.poll(now);
//!     log.push(step.to_string());
//!     match step {
//!         DialStep::Resolve { host, port, .. } => {
//!             assert_eq!(host, "proxy.example");
//!             dial.resolved([([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], port).into(), ([192, 0, 2, 1], port).into()]);
//!         }
//!         DialStep::Connect { attempt, address, .. } => attempts.push((attempt, address)),
//!         DialStep::Wait { until } => {
//!             // A poller waits for the attempts and the time. Here, IPv4 connects at once, and IPv6 never answers.
//!             let answers = |address: &DialAddress| matches!(address, DialAddress::Tcp(SocketAddr::V4(_)));
//!             match attempts.iter().find(|(_, address)| answers(address)) {
//!                 Some((attempt, _)) if dial.connected(*attempt) => attempts.clear(), // drop the others
//!                 _ => now = until.expect("there is a deadline"),
//!             }
//!         }
//!         DialStep::Tls { .. } => dial.tls_established(), // the work of a TLS library
//!         DialStep::Tunnel => {
//!             let mut tunnel = dial.tunnel();
//!             drive(&mut tunnel, now);
//!             dial.tunnel_finished(tunnel.result());
//!         }
//!         DialStep::Upgrade => {
//!             let mut connecting = dial.connecting([1; 16]); // the nonce, from your random source
//!             if drive(&mut connecting, now) {
//!                 break connecting.into_driver(Messages, [2; 32], OwnBuffers); // and the seed
//!             }
//!             if let Err(error) = connecting.result() {
//!                 dial.upgrade_failed(error);
//!             }
//!         }
//!         DialStep::Failed(error) => return Err(error.into()),
//!     }
//! };
//! assert_eq!(response.status(), 101);
//! assert_eq!(dial.request().uri().to_string(), "wss://example.com/new");
//! let first = [
//!     "resolve proxy.example (the proxy)",
//!     "connect to [2001:db8::1]:3128 (the proxy)",
//!     "wait until 250ms",
//!     "connect to 192.0.2.1:3128 (the proxy)",
//!     "wait until 10s",
//!     "ask the proxy for a tunnel",
//!     "establish TLS with example.com (the server)",
//!     "ask the server for the upgrade",
//! ];
//! assert_eq!(log[..first.len()], first);
//! # drop(driver);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attempts;
mod error;
mod http_connect;
mod location;
mod machine;
mod options;
mod peer;
mod proxy;
mod proxy_error;
mod socks5;
mod step;
mod tunnel;

pub use attempts::FailedAttempt;
pub use error::{DialError, DialFailure};
pub use http_connect::HttpConnect;
pub use location::{RedirectError, redirect, resolve_location};
pub use machine::Dial;
pub use options::{ChooseProxy, DialOptions, ProxyChoice};
pub use peer::{AttemptId, DialAddress, DialPeer, DialPhase};
pub use proxy::{Proxy, ProxyScheme, ProxyUriError};
pub use proxy_error::{ProxyError, SocksError};
pub use socks5::Socks5;
pub use step::DialStep;
pub use tunnel::Tunnel;
