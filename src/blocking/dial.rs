//! The loop that dials: sockets, a resolver and TLS do what the dial machine says.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::string::String;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use std::vec::Vec;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};

use super::clock;
use super::io::{Own, drive};
use super::stream::Stream;
#[cfg(feature = "rustls")]
use super::tls::TlsStream;
use crate::Error;
#[cfg(feature = "rustls")]
use crate::adapter::Tls;
use crate::adapter::trace::Trace;
use crate::adapter::{not_dialled, opening_error, random};
use crate::dial::{AttemptId, Dial, DialAddress, DialStep};
use crate::driver::{Connecting, Drive};

/// What the caller does with a TCP connection before anything is sent over it.
pub(super) type TcpOptions = dyn Fn(&TcpStream) -> io::Result<()> + Send + Sync;

/// Resolves a host and a port.
pub(super) type Resolver = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// What the dial machine's steps are done with.
pub(super) struct Network<'a> {
    pub(super) tcp: &'a TcpOptions,
    pub(super) resolver: Option<Arc<Resolver>>,
    #[cfg(feature = "rustls")]
    pub(super) tls: Tls,
    pub(super) trace: &'a Trace,
}

impl Network<'_> {
    /// Dials, to the end of the opening handshake.
    pub(super) fn dial(&mut self, dial: &mut Dial) -> Result<(Stream, Connecting), Error> {
        let mut lookup = None;
        let mut attempts = Vec::new();
        let mut stream: Option<Stream> = None;
        let mut failed = None;
        loop {
            let step = dial.poll(clock::now());
            self.trace.dialling(&step);
            match step {
                DialStep::Resolve { host, port, .. } => lookup = Some(self.look_up(host, port)?),
                DialStep::Connect { attempt, address: DialAddress::Tcp(address), .. } => match Attempt::new(address) {
                    Ok(socket) => attempts.push((attempt, socket)),
                    Err(error) => dial.connect_failed(attempt, (&error).into()),
                },
                DialStep::Connect { attempt, address: DialAddress::Unix(path), .. } => {
                    match UnixStream::connect(path) {
                        Ok(unix) => stream = dial.connected(attempt).then(|| unix.into()),
                        Err(error) => dial.connect_failed(attempt, (&error).into()),
                    }
                }
                DialStep::Wait { until } => match &lookup {
                    Some(receiver) => {
                        if let Some(addresses) = received(receiver, until) {
                            lookup = None;
                            match addresses {
                                Ok(addresses) => dial.resolved(addresses),
                                Err(error) => dial.resolve_failed(error_text(&error)),
                            }
                        }
                    }
                    None => {
                        if let Some((attempt, connected)) = wait(&mut attempts, until)? {
                            match connected.and_then(|tcp| self.prepared(tcp)) {
                                Ok(tcp) if dial.connected(attempt) => {
                                    attempts.clear();
                                    stream = Some(tcp.into());
                                }
                                Ok(_) => {}
                                Err(error) => dial.connect_failed(attempt, (&error).into()),
                            }
                        }
                    }
                },
                DialStep::Tls { server_name, .. } => {
                    stream = Some(self.wrap(taken(&mut stream)?, &server_name)?);
                    // The handshake of TLS goes with the first reads and writes.
                    dial.tls_established();
                }
                DialStep::Tunnel => {
                    let mut tunnel = dial.tunnel();
                    stream = drive_to_end(taken(&mut stream)?, &mut tunnel, &mut failed);
                    dial.tunnel_finished(tunnel.result());
                }
                DialStep::Upgrade => {
                    let mut connecting = dial.connecting(random()?);
                    match drive_to_end(taken(&mut stream)?, &mut connecting, &mut failed) {
                        Some(stream) => return Ok((stream, connecting)),
                        None => dial.upgrade_failed(opening_error(connecting.result())),
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

    fn prepared(&self, tcp: TcpStream) -> io::Result<TcpStream> {
        tcp.set_nodelay(true)?;
        (self.tcp)(&tcp)?;
        Ok(tcp)
    }

    /// In a thread of its own, since the system's resolver takes as long as it likes. The thread ends with the lookup.
    fn look_up(&self, host: String, port: u16) -> io::Result<Receiver<io::Result<Vec<SocketAddr>>>> {
        let (sender, receiver) = channel();
        let resolver = self.resolver.clone();
        std::thread::Builder::new().name("resolver".into()).spawn(move || {
            let addresses = match resolver {
                Some(resolver) => resolver(&host, port),
                None => (&*host, port).to_socket_addrs().map(Iterator::collect),
            };
            // The caller may have given up.
            let _ = sender.send(addresses);
        })?;
        Ok(receiver)
    }
}

fn error_text(error: &io::Error) -> String {
    std::format!("{error}")
}

fn taken(stream: &mut Option<Stream>) -> io::Result<Stream> {
    stream.take().ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// Drives `machine`; the stream, if it is ready in the end. `failed` is how the stream failed first.
fn drive_to_end(mut stream: Stream, machine: &mut impl Drive, failed: &mut Option<io::Error>) -> Option<Stream> {
    *failed = None;
    match drive(&mut Own(machine), &mut stream, None, failed) {
        Ok(ready) => ready.then_some(stream),
        Err(paused) => {
            *failed = Some(paused);
            None
        }
    }
}

/// The result of a lookup, if it is there before the clock shows `until`.
fn received<T>(receiver: &Receiver<io::Result<T>>, until: Option<Duration>) -> Option<io::Result<T>> {
    let gone = || Err(io::Error::other("the resolver panicked"));
    match until {
        None => Some(receiver.recv().unwrap_or_else(|_| gone())),
        Some(until) => match receiver.recv_timeout(until.saturating_sub(clock::now())) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(gone()),
        },
    }
}

/// A TCP socket that is connecting.
struct Attempt(OwnedFd);

impl Attempt {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(Self(socket)),
            Err(error) => Err(error.into()),
        }
    }

    fn finish(self) -> io::Result<TcpStream> {
        sockopt::socket_error(&self.0)??;
        let tcp = TcpStream::from(self.0);
        tcp.set_nonblocking(false)?;
        Ok(tcp)
    }
}

/// Waits for one of the attempts, or until the clock shows `until`.
fn wait(
    attempts: &mut Vec<(AttemptId, Attempt)>,
    until: Option<Duration>,
) -> io::Result<Option<(AttemptId, io::Result<TcpStream>)>> {
    let left = until.map(|until| until.saturating_sub(clock::now()));
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    let ended = {
        let mut polled: Vec<PollFd<'_>> =
            attempts.iter().map(|(_, attempt)| PollFd::new(&attempt.0, PollFlags::OUT)).collect();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        polled.iter().position(|one| !one.revents().is_empty())
    };
    Ok(ended.map(|at| {
        let (id, attempt) = attempts.remove(at);
        (id, attempt.finish())
    }))
}
