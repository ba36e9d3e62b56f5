//! One TLS connection in memory: ciphertext on one side, plaintext on the other, no socket and no wait.

use std::io::{self, BufRead as _, ErrorKind, IoSlice, Read as _, Write};
use std::sync::{Arc, OnceLock};
use std::vec::Vec;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::{Roots, client_config};
use crate::handshake::UriError;
use crate::{Error, HandshakeError};

/// The most that is encrypted and not handed on, in bytes of plaintext: what one record holds (RFC 8446 section 5.1).
const RECORD: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Session {
    tls: Connection,
    /// Ciphertext that rustls did not take: it takes none while it holds more than 16 KiB of plaintext. Empty whenever
    /// there is no plaintext to read.
    rest: Vec<u8>,
    /// Whether it took none though it holds no plaintext: for a handshake message that never ends.
    is_full: bool,
}

impl Session {
    /// With [`Roots::Platform`] unless told otherwise.
    pub(crate) fn client(config: Option<Arc<ClientConfig>>, host: &str) -> Result<Self, HandshakeError> {
        let config = config.map_or_else(default_client_config, Ok)?;
        let connection = ClientConnection::new(config, server_name(host)?).map_err(HandshakeError::Tls)?;
        Ok(Self::new(connection.into()))
    }

    pub(crate) fn server(config: Arc<ServerConfig>) -> Result<Self, HandshakeError> {
        let connection = ServerConnection::new(config).map_err(HandshakeError::Tls)?;
        Ok(Self::new(connection.into()))
    }

    fn new(mut tls: Connection) -> Self {
        tls.set_buffer_limit(Some(RECORD));
        Self { tls, rest: Vec::new(), is_full: false }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.tls
    }

    /// Whether the peer has yet to prove who it is: nothing is encrypted for it before that.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Whether there is ciphertext to hand on.
    #[cfg(feature = "tokio")]
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    /// Whether a read gives something at once: plaintext, the end or what went wrong.
    #[cfg(feature = "blocking")]
    pub(crate) fn is_readable(&mut self) -> bool {
        self.take_rest();
        let read = self.tls.reader().fill_buf().map(drop);
        !matches!(self.or_failure(read), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Takes plaintext out. Zero: the peer has ended its side.
    ///
    /// # Errors
    ///
    /// `WouldBlock` while there is none, `UnexpectedEof` where the stream ended and the peer did not say so: somebody
    /// may have cut it off. What TLS itself failed with is an error again each time.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.take_rest();
        let read = self.tls.reader().read(buffer);
        self.or_failure(read)
    }

    /// Where there is nothing to read for now: what TLS has failed with, if it has.
    fn or_failure<T>(&mut self, read: io::Result<T>) -> io::Result<T> {
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(self.check().err().unwrap_or(error)),
            read => read,
        }
    }

    /// Takes ciphertext in, while there is nothing to read; no byte is the end of the stream.
    pub(crate) fn receive(&mut self, mut ciphertext: &[u8]) {
        while self.take_in(&mut ciphertext) {}
        self.rest.extend_from_slice(ciphertext);
    }

    /// As [`receive`](Self::receive), of the first `n` bytes of the buffer; and puts what plaintext fits in their place.
    /// How much.
    ///
    /// ```text
    ///   buffer:  | plaintext | taken in | ciphertext | room |
    ///            0         filled     taken          n
    /// ```
    pub(crate) fn receive_in_place(&mut self, buffer: &mut [u8], n: usize) -> usize {
        let (mut filled, mut taken) = (0, 0);
        loop {
            let mut ciphertext = &buffer[taken..n];
            let more = self.take_in(&mut ciphertext);
            taken = n - ciphertext.len();
            filled += self.tls.reader().read(&mut buffer[filled..taken]).unwrap_or(0);
            if !more {
                self.rest.extend_from_slice(&buffer[taken..n]);
                return filled;
            }
        }
    }

    fn take_rest(&mut self) {
        // Nearly always empty.
        while !self.rest.is_empty() && !self.is_full && self.tls.reader().fill_buf().is_err() {
            let rest = std::mem::take(&mut self.rest);
            self.receive(&rest);
        }
    }

    /// Takes a piece of ciphertext in. Whether it would take more of it.
    fn take_in(&mut self, ciphertext: &mut &[u8]) -> bool {
        match self.tls.read_tls(ciphertext) {
            Ok(1..) if self.check().is_ok() => !ciphertext.is_empty(),
            // What follows the end or a failure is nothing to anybody.
            Ok(_) => {
                *ciphertext = &[];
                false
            }
            Err(_) => {
                self.is_full = self.tls.reader().fill_buf().is_err();
                false
            }
        }
    }

    /// Nothing has arrived: rustls gives back the room that it took for large records. It does so where it would read on.
    pub(crate) fn shrink(&mut self) {
        struct Nothing;

        impl io::Read for Nothing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::WouldBlock.into())
            }
        }

        let _ = self.tls.read_tls(&mut Nothing);
    }

    /// That the handshake goes on.
    ///
    /// # Errors
    ///
    /// What TLS has failed with; `UnexpectedEof` where the peer has ended.
    pub(crate) fn check_handshake(&mut self) -> io::Result<()> {
        match self.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Encrypts what stands in `parts` behind the first `from` bytes, a record at the most; how much of it.
    pub(crate) fn encrypt(&mut self, parts: &[IoSlice<'_>], from: usize) -> io::Result<usize> {
        if from == 0 {
            return self.tls.writer().write_vectored(parts);
        }
        let mut parts = Vec::from(parts);
        let mut rest = &mut parts[..];
        IoSlice::advance_slices(&mut rest, from);
        self.tls.writer().write_vectored(rest)
    }

    /// Says that nothing more comes from here.
    pub(crate) fn close(&mut self) {
        self.tls.send_close_notify();
    }

    /// Hands ciphertext on, as much as the socket takes at once. Whether that was all.
    pub(crate) fn flush(&mut self, socket: &mut dyn Write) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// What TLS has failed with.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        if self.is_full {
            let error = rustls::Error::General("a handshake message is too long".into());
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        // It gives the same error again, and does nothing where there is nothing new.
        self.tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(())
    }
}

/// What a client uses that was given nothing, read once a process.
fn default_client_config() -> Result<Arc<ClientConfig>, HandshakeError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let config = client_config(Roots::default()).map_err(HandshakeError::Tls)?;
    Ok(CONFIG.get_or_init(|| config).clone())
}

/// Who the server has to prove to be. A name is sent as SNI too; an address is not (RFC 6066 section 3).
fn server_name(host: &str) -> Result<ServerName<'static>, HandshakeError> {
    match ServerName::try_from(host) {
        Ok(name) => Ok(name.to_owned()),
        // What a URI may call a host, but no certificate can.
        Err(_) => Err(HandshakeError::Uri(UriError::Host)),
    }
}

/// A failure of the stream during the opening handshake: one of TLS is a kind of its own.
pub(crate) fn handshake_error(error: io::Error) -> Error {
    match error.downcast::<rustls::Error>() {
        Ok(error) => HandshakeError::Tls(error).into(),
        Err(error) => error.into(),
    }
}
