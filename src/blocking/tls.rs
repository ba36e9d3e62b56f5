//! A stream inside TLS.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::{ClientConfig, Connection, ServerConfig};

use super::transport::{Duplicate, Interest, Ready, Transport};
use crate::HandshakeError;
use crate::tls::Session;

/// TLS over a stream: what [`connect`](super::connect()) uses for `wss://`, and what a server puts around what it accepts.
///
/// To make one does nothing yet. The handshake of TLS goes with the first reads and writes, so that it counts into
/// [`Config::handshake_timeout`](crate::Config::handshake_timeout) together with the opening handshake; what fails in it
/// is [`HandshakeError::Tls`].
///
/// ```no_run
/// use bowsprit::{blocking, tls};
///
/// let config = tls::server_config(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
/// let (tcp, _) = std::net::TcpListener::bind("127.0.0.1:9001")?.accept()?;
/// let mut ws = blocking::accept(blocking::TlsStream::server(tcp, config)?)?;
/// ws.send("nobody else can read this")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Deadlines are kept as the stream inside keeps them, also towards a peer that stalls in the middle of a record. Of a
/// stream that is [`Duplicate`] the halves share the keys under a lock, which nobody holds while waiting. The end says
/// `close_notify`; a peer that ends without one gives `UnexpectedEof`.
#[derive(Debug)]
pub struct TlsStream<S> {
    socket: S,
    shared: Arc<Mutex<Shared>>,
}

/// The most that is taken in without a wait, in rounds of up to 16 KiB: of records that hold nothing there may be a flood,
/// and deadlines are to be judged.
const ROUNDS: usize = 16;

#[derive(Debug)]
struct Shared {
    session: Session,
    /// Bytes that were encrypted, and not reported as written: their ciphertext is not all with the socket.
    begun: usize,
}

impl<S> TlsStream<S> {
    /// The same over another stream, which this one becomes.
    pub(super) fn map<T>(self, change: impl FnOnce(S) -> T) -> TlsStream<T> {
        TlsStream { socket: change(self.socket), shared: self.shared }
    }
}

impl<S: Transport> TlsStream<S> {
    /// A client's side, which talks to this host and nobody else: a name, or an IP address without brackets, as
    /// [`Uri::host`](crate::handshake::Uri::host) gives it.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Uri`] for a host that no certificate can name; [`HandshakeError::Tls`] for a configuration that
    /// does not work.
    pub fn client(socket: S, config: Arc<ClientConfig>, host: &str) -> Result<Self, HandshakeError> {
        Ok(Self::new(socket, Session::client(Some(config), host)?))
    }

    /// A server's side.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Tls`] for a configuration that does not work.
    pub fn server(socket: S, config: Arc<ServerConfig>) -> Result<Self, HandshakeError> {
        Ok(Self::new(socket, Session::server(config)?))
    }

    pub(super) fn new(socket: S, session: Session) -> Self {
        Self { socket, shared: Arc::new(Mutex::new(Shared { session, begun: 0 })) }
    }

    /// The stream inside.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// The stream inside. Reading from it or writing to it breaks the connection.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Looks at the TLS connection: the peer's certificates, the version, the protocol that was agreed on.
    pub fn inspect<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(self.lock().session.connection())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic of rustls leaves it as broken for both halves as for one.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, and the socket beside it.
    fn parts(&mut self) -> (MutexGuard<'_, Shared>, Sink<'_, S>) {
        (self.shared.lock().unwrap_or_else(PoisonError::into_inner), Sink(&mut self.socket))
    }

    /// One round: hands on what TLS has to say, waits, takes in what has arrived. And whether anything had.
    fn wait_once(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<(Ready, bool)> {
        let left = self.push();
        let (readable, handshaking) = {
            let mut shared = self.lock();
            (shared.session.is_readable(), shared.session.is_handshaking())
        };
        if readable && (interest.read || handshaking) {
            return Ok((Ready { read: interest.read, write: interest.write }, false));
        }
        // In the handshake, to write takes reading, and the other way round.
        let inside = Interest { read: interest.read || handshaking, write: left || (interest.write && !handshaking) };
        let ready = self.socket.wait(inside, timeout)?;
        if ready == Ready::default() {
            self.lock().session.shrink();
        }
        if ready.read {
            let mut ciphertext = [0; 16 << 10];
            let n = self.socket.read(&mut ciphertext)?;
            self.lock().session.receive(&ciphertext[..n]);
        }
        self.push();
        let write = interest.write && ready.write;
        Ok((Ready { read: interest.read && self.lock().session.is_readable(), write }, ready.read))
    }

    /// Hands ciphertext on. Whether some is left; what fails is for the next write to meet, since what the peer sent
    /// before may still be read.
    fn push(&mut self) -> bool {
        let (mut shared, mut socket) = self.parts();
        shared.session.flush(&mut socket).is_ok_and(|all| !all)
    }
}

impl<S: Transport> Read for TlsStream<S> {
    /// The ciphertext goes through the same buffer, for TLS has none of its own to read into: give room for some KiB.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.push();
            match self.lock().session.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if left {
                let patience = self.socket.read_patience()?;
                let ready = self.socket.wait(Interest { read: true, write: true }, patience)?;
                if ready == Ready::default() && patience.is_some() {
                    return Err(ErrorKind::WouldBlock.into());
                } else if !ready.read {
                    continue;
                }
            }
            // Without the lock: this may wait.
            let n = self.socket.read(buffer).inspect_err(|_| self.lock().session.shrink())?;
            let filled = self.lock().session.receive_in_place(buffer, n);
            if filled > 0 {
                return Ok(filled);
            }
        }
    }
}

impl<S: Transport> Write for TlsStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.try_write(&[IoSlice::new(bytes)]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait(Interest { read: false, write: true }, None)?;
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Whatever was reported as written is with the socket. What is left is TLS talking to itself.
        let (mut shared, mut socket) = self.parts();
        shared.session.flush(&mut socket)?;
        drop(shared);
        self.socket.flush()
    }
}

impl<S: Transport> Transport for TlsStream<S> {
    /// What was encrypted counts as written once all its ciphertext is with the socket. So deadlines and the bound on
    /// unsent output mean here what they mean elsewhere.
    fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = parts.iter().map(|part| part.len()).sum();
        let (mut shared, mut socket) = self.parts();
        let mut written = 0;
        while shared.session.flush(&mut socket)? {
            written += std::mem::take(&mut shared.begun);
            if written >= total {
                return Ok(total);
            }
            if shared.session.is_handshaking() {
                shared.session.check_handshake()?;
                break;
            }
            shared.begun = shared.session.encrypt(parts, written)?;
            if shared.begun == 0 {
                // The keys are used up.
                return Err(ErrorKind::WriteZero.into());
            }
        }
        if written > 0 { Ok(written) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    /// Ciphertext that is no plaintext yet does not count as something to read, so that a read never waits behind this.
    /// Without a wait it takes in all that is there: whoever is told that there is nothing may not ask again before more
    /// arrives.
    fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<Ready> {
        for _ in 0..ROUNDS {
            let (ready, progress) = self.wait_once(interest, timeout)?;
            if !progress || ready != Ready::default() || timeout != Some(Duration::ZERO) {
                return Ok(ready);
            }
        }
        Ok(Ready::default())
    }

    fn read_patience(&self) -> io::Result<Option<Duration>> {
        self.socket.read_patience()
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        let (mut shared, mut socket) = self.parts();
        shared.session.close();
        if !shared.session.flush(&mut socket)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        drop(shared);
        self.socket.shutdown_write()
    }

    fn shutdown_both(&mut self) -> io::Result<()> {
        self.socket.shutdown_both()
    }

    fn set_nodelay(&mut self) -> io::Result<()> {
        self.socket.set_nodelay()
    }
}

impl<S: Duplicate> Duplicate for TlsStream<S> {
    /// As the stream inside; and `NotConnected` before the handshake of TLS, which takes one that both reads and writes.
    fn duplicate(&self) -> io::Result<Self> {
        if self.lock().session.is_handshaking() {
            return Err(ErrorKind::NotConnected.into());
        }
        Ok(Self { socket: self.socket.duplicate()?, shared: self.shared.clone() })
    }
}

/// Where ciphertext goes: to the socket, without a wait.
struct Sink<'a, S>(&'a mut S);

impl<S: Transport> Write for Sink<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
