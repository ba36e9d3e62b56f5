//! What the halves of a split connection owe each other in time.

#![cfg(all(feature = "blocking", unix))]

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bowsprit::blocking::{Parts, WebSocket};
use bowsprit::{Cause, CloseCode, Config, Connection, Error, Messages, Timeout};
use bytes::BytesMut;

fn pair(config: Config) -> (WebSocket<UnixStream>, WebSocket<UnixStream>) {
    let (server, client) = UnixStream::pair().expect("the system gives a pair of sockets");
    let config = Arc::new(config);
    (
        open(server, Connection::server(Messages, config.clone())),
        open(client, Connection::client(Messages, config, [7; 32])),
    )
}

fn open(socket: UnixStream, connection: Connection) -> WebSocket<UnixStream> {
    let (input, output) = (BytesMut::new(), BytesMut::new());
    WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol: None })
}

#[test]
fn the_writers_ping_is_measured_while_the_reader_waits() {
    let (mut server, client) = pair(Config::default());
    let echo = thread::spawn(move || while let Ok(Some(_)) = server.next() {});
    let (mut reader, mut writer) = client.split().unwrap();
    let typing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100)); // the reader waits by then
        writer.ping(b"now").unwrap();
        writer.start_close(None).unwrap();
    });
    assert_eq!(reader.next().unwrap(), None);
    assert!(reader.latency().is_some());
    typing.join().unwrap();
    drop(reader);
    echo.join().unwrap();
}

#[test]
fn the_close_deadline_counts_from_the_writers_close() {
    let timeout = Duration::from_secs(1);
    let (_silent, client) = pair(Config { close_timeout: Some(timeout), ..Config::default() });
    let (mut reader, mut writer) = client.split().unwrap();
    let typing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        writer.start_close(Some(CloseCode::NORMAL.into())).unwrap();
        Instant::now()
    });
    assert!(matches!(reader.next(), Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::TimedOut));
    let waited = typing.join().unwrap().elapsed();
    assert_eq!(reader.end().map(|end| end.cause), Some(Cause::Timeout(Timeout::Close)));
    // Counted from the reader's next look it would be 1.8 times as long.
    assert!(waited < timeout * 3 / 2, "{waited:?}");
}
