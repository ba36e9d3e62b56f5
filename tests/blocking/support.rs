//! What the tests share: pairs of streams, connections without a handshake, frames, and the watchdog.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bowsprit::blocking::{Parts, Transport, WebSocket};
use bowsprit::{Config, Connection, Delivery, Error, Messages, OwnedMessage};
use bytes::BytesMut;

/// Far more than any test needs.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs a test, and fails it when it hangs.
pub(crate) fn within<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = channel();
    let thread = thread::spawn(move || {
        let result = test();
        let _ = done.send(());
        result
    });
    match wait.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("hangs"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => join(thread),
    }
}

/// What the thread returned; its panic is ours.
pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Two ends of a TCP connection.
pub(crate) fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

pub(crate) fn server<S: Transport>(socket: S) -> WebSocket<S> {
    server_with(socket, Messages, Config::default())
}

/// The server's end of a connection that is open already.
pub(crate) fn server_with<S: Transport, D: Delivery>(socket: S, delivery: D, config: Config) -> WebSocket<S, D> {
    from_connection(socket, Connection::server(delivery, Arc::new(config)))
}

pub(crate) fn client<S: Transport>(socket: S) -> WebSocket<S> {
    client_with(socket, Messages, Config::default())
}

/// The client's end of a connection that is open already.
pub(crate) fn client_with<S: Transport, D: Delivery>(socket: S, delivery: D, config: Config) -> WebSocket<S, D> {
    from_connection(socket, Connection::client(delivery, Arc::new(config), [7; 32]))
}

pub(crate) fn from_connection<S: Transport, D: Delivery>(socket: S, connection: Connection<D>) -> WebSocket<S, D> {
    let (input, output) = (BytesMut::new(), BytesMut::new());
    WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol: None })
}

/// Sends all that comes back, until the connection ends.
pub(crate) fn echo<S: Transport>(ws: &mut WebSocket<S>) -> Result<(), Error> {
    while let Some((message, out)) = ws.next()? {
        out.feed(message)?;
    }
    Ok(())
}

/// Reads exactly this.
pub(crate) fn expect(peer: &mut impl Read, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    peer.read_exact(&mut read).unwrap();
    assert_eq!(read, bytes);
}

/// Reads to the end.
pub(crate) fn rest(peer: &mut impl Read) -> Vec<u8> {
    let mut read = Vec::new();
    peer.read_to_end(&mut read).unwrap();
    read
}

/// Sends this, and ends the writing side.
pub(crate) fn send_all(peer: &mut TcpStream, bytes: &[u8]) {
    peer.write_all(bytes).unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
}

/// Reads up to the blank line behind a head of HTTP.
pub(crate) fn head(peer: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        peer.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

pub(crate) fn text(message: Option<OwnedMessage>) -> String {
    message.expect("a message").into_text().expect("text").to_string()
}

/// A binary frame of a server: no mask.
pub(crate) fn unmasked(payload: &[u8]) -> Vec<u8> {
    frame(0x82, 0, payload)
}

/// A binary frame of a client, with a masking key that changes nothing.
pub(crate) fn masked(payload: &[u8]) -> Vec<u8> {
    frame(0x82, 0x80, payload)
}

fn frame(first: u8, mask: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u64;
    let mut frame = match len {
        0..126 => vec![first, mask | u8::try_from(len).unwrap()],
        126..0x1_0000 => [&[first, mask | 126][..], &len.to_be_bytes()[6..]].concat(),
        _ => [&[first, mask | 127][..], &len.to_be_bytes()[..]].concat(),
    };
    if mask != 0 {
        frame.extend([0; 4]);
    }
    frame.extend(payload);
    frame
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 16).to_le_bytes()[0]).collect()
}

/// Whether the connection timed out.
pub(crate) fn timed_out(error: &Error) -> bool {
    matches!(error, Error::Timeout(..))
}

/// Of what kind this failure of the stream is.
pub(crate) fn kind(error: &Error) -> std::io::ErrorKind {
    match error {
        Error::Io(error) => error.kind(),
        Error::Dial(error) => error.io_kind().expect("an address was tried"),
        // A deadline of ours; a stream's own is never met in the tests that ask for this kind.
        Error::Timeout(..) => std::io::ErrorKind::TimedOut,
        error => panic!("{error:?} is no failure of the stream"),
    }
}

pub(crate) fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}
