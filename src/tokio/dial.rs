//! The loop that dials: sockets, a resolver and TLS do what the dial machine says.

use std::boxed::Box;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::string::{String, ToString as _};
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec::Vec;

use tokio::net::TcpSocket;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::clock;
use super::io::Io;
use super::socket::Stream;
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use crate::Error;
#[cfg(feature = "rustls")]
use crate::adapter::Tls;
use crate::adapter::trace::Trace;
use crate::adapter::{not_dialled, opening_error, random};
use crate::dial::{AttemptId, Dial, DialAddress, DialStep};
use crate::driver::{Connecting, Drive};

/// What a resolver returns: the addresses of a host.
pub type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

pub(super) type Resolver = dyn Fn(&str, u16) -> Lookup + Send + Sync;
pub(super) type TcpOptions = dyn Fn(&TcpSocket) -> io::Result<()> + Send + Sync;
type Attempt = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

/// What the dial machine's steps are done with.
pub(super) struct Network<'a> {
    pub(super) tcp: &'a TcpOptions,
    pub(super) resolver: Option<&'a Resolver>,
    #[cfg(feature = "rustls")]
    pub(super) tls: Tls,
    pub(super) trace: &'a Trace,
}

impl Network<'_> {
    /// Dials, to the end of the opening handshake.
    pub(super) async fn dial(&mut self, dial: &mut Dial) -> Result<(Stream, Connecting), Error> {
        let mut pending = Pending::default();
        let mut stream: Option<Stream> = None;
        let mut failed = None;
        loop {
            let step = dial.poll(clock::now());
            self.trace.dialling(&step);
            match step {
                DialStep::Resolve { host, port, .. } => pending.lookup = Some(self.look_up(host, port)),
                DialStep::Connect { attempt, address, .. } => pending.attempts.push((attempt, self.connect(address))),
                DialStep::Wait { until } => match poll_fn(|context| pending.poll(until, context)).await {
                    Outcome::TimePassed => {}
                    Outcome::Resolved(Ok(addresses)) => dial.resolved(addresses),
                    Outcome::Resolved(Err(error)) => dial.resolve_failed(error.to_string()),
                    Outcome::Connected(attempt, Ok(connected)) => {
                        if dial.connected(attempt) {
                            pending.attempts.clear();
                            stream = Some(connected);
                        }
                    }
                    Outcome::Connected(attempt, Err(error)) => dial.connect_failed(attempt, (&error).into()),
                },
                DialStep::Tls { server_name, .. } => {
                    stream = Some(self.wrap(taken(&mut stream)?, &server_name)?);
                    // The handshake of TLS goes with the first reads and writes.
                    dial.tls_established();
                }
                DialStep::Tunnel => {
                    let mut tunnel = dial.tunnel();
                    let opened;
                    (opened, stream, failed) = drive(taken(&mut stream)?, &mut tunnel).await;
                    if !opened {
                        stream = None;
                    }
                    dial.tunnel_finished(tunnel.result());
                }
                DialStep::Upgrade => {
                    let mut connecting = dial.connecting(random()?);
                    let opened;
                    (opened, stream, failed) = drive(taken(&mut stream)?, &mut connecting).await;
                    match (opened, stream.take()) {
                        (true, Some(stream)) => return Ok((stream, connecting)),
                        _ => dial.upgrade_failed(opening_error(connecting.result())),
                    }
                }
                DialStep::Failed(error) => return Err(not_dialled(error, failed)),
            }
        }
    }

    #[cfg(feature = "rustls")]
    fn wrap(&mut self, stream: Stream, server_name: &str) -> Result<Stream, Error> {
        Ok(TlsStream::new(stream, self.tls.session(server_name)?).into())
    }

    #[cfg(not(feature = "rustls"))]
    fn wrap(&self, _: Stream, _: &str) -> Result<Stream, Error> {
        Err(crate::HandshakeError::TlsUnavailable.into())
    }

    fn look_up(&self, host: String, port: u16) -> Lookup {
        match self.resolver {
            Some(resolver) => resolver(&host, port),
            None => Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }),
        }
    }

    fn connect(&self, address: DialAddress) -> Attempt {
        match address {
            DialAddress::Tcp(address) => {
                let socket = self.socket(address);
                Box::pin(async move { Ok(socket?.connect(address).await?.into()) })
            }
            #[cfg(unix)]
            DialAddress::Unix(path) => Box::pin(async move { Ok(UnixStream::connect(path).await?.into()) }),
            #[cfg(not(unix))]
            DialAddress::Unix(_) => Box::pin(async { Err(io::ErrorKind::Unsupported.into()) }),
        }
    }

    fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_nodelay(true)?;
        (self.tcp)(&socket)?;
        Ok(socket)
    }
}

/// The stream that has connected: the machine asks for TLS, a tunnel and the upgrade only then.
fn taken(stream: &mut Option<Stream>) -> io::Result<Stream> {
    stream.take().ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// Drives `machine` to its end. Whether it is ready, the stream, and how that failed first.
async fn drive(stream: Stream, machine: &mut impl Drive) -> (bool, Option<Stream>, Option<io::Error>) {
    let (mut io, mut error) = (Io::new(stream), None);
    let ready = poll_fn(|context| io.poll_drive_with(machine, context, &mut error)).await;
    (ready, Some(io.socket), error)
}

/// What is going on in the network.
#[derive(Default)]
struct Pending {
    lookup: Option<Lookup>,
    attempts: Vec<(AttemptId, Attempt)>,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

enum Outcome {
    Resolved(io::Result<Vec<SocketAddr>>),
    Connected(AttemptId, io::Result<Stream>),
    TimePassed,
}

impl Pending {
    fn poll(&mut self, until: Option<Duration>, context: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(lookup) = &mut self.lookup
            && let Poll::Ready(addresses) = lookup.as_mut().poll(context)
        {
            self.lookup = None;
            return Poll::Ready(Outcome::Resolved(addresses));
        }
        for at in 0..self.attempts.len() {
            let (id, attempt) = &mut self.attempts[at];
            if let Poll::Ready(connected) = attempt.as_mut().poll(context) {
                let id = *id;
                drop(self.attempts.remove(at));
                return Poll::Ready(Outcome::Connected(id, connected));
            }
        }
        let Some(at) = until.and_then(clock::instant) else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(context).map(|()| Outcome::TimePassed)
    }
}
