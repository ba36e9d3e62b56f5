//! The adapter for `futures-io`, over a pipe in memory.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bowsprit::futures_io::{WebSocket, accept, accept_with, connect_on, connect_with, receive_request};
use bowsprit::handshake::{AcceptOptions, ClientRequest, UriError};
use bowsprit::{
    Chunks, Close, CloseCode, Config, Error, HandshakeError, Message, Messages, Outgoing, OwnedMessage, ProtocolError,
    SendError, Timeout,
};
use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::future::{block_on, or, poll_once, zip};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use hex_literal::hex;

/// One direction of a pipe, which holds at most `capacity` bytes.
#[derive(Debug)]
struct Half {
    bytes: VecDeque<u8>,
    capacity: usize,
    ended: bool,
    /// Who waits for bytes, or for capacity.
    wakers: Vec<Waker>,
}

#[derive(Debug)]
struct Pipe {
    incoming: Arc<Mutex<Half>>,
    outgoing: Arc<Mutex<Half>>,
}

fn pipe(capacity: usize) -> (Pipe, Pipe) {
    let half = || Arc::new(Mutex::new(Half { bytes: VecDeque::new(), capacity, ended: false, wakers: Vec::new() }));
    let (one, other) = (half(), half());
    (Pipe { incoming: one.clone(), outgoing: other.clone() }, Pipe { incoming: other, outgoing: one })
}

impl Half {
    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<io::Result<T>> {
        self.wakers.push(context.waker().clone());
        Poll::Pending
    }

    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut half = self.incoming.lock().unwrap();
        if half.bytes.is_empty() && !half.ended {
            return half.wait(context);
        }
        let n = io::Read::read(&mut half.bytes, buffer)?;
        half.wake();
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut half = self.outgoing.lock().unwrap();
        let n = bytes.len().min(half.capacity - half.bytes.len());
        if half.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if n == 0 {
            return half.wait(context);
        }
        half.bytes.extend(&bytes[..n]);
        half.wake();
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut half = self.outgoing.lock().unwrap();
        half.ended = true;
        half.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for half in [&self.incoming, &self.outgoing] {
            let mut half = half.lock().unwrap();
            half.ended = true;
            half.wake();
        }
    }
}

/// What `work` resolves to, within 30 seconds.
fn run<T>(work: impl Future<Output = T>) -> T {
    let limit = async {
        async_io::Timer::after(Duration::from_secs(30)).await;
        panic!("it takes too long")
    };
    block_on(or(work, limit))
}

/// A client and a server, connected.
async fn connected(capacity: usize, config: Config) -> (WebSocket<Pipe>, WebSocket<Pipe>) {
    let (client, server) = pipe(capacity);
    let config = Arc::new(config);
    let request = ClientRequest::try_from("ws://example.com/chat").unwrap();
    let options = AcceptOptions::new();
    let opening = connect_on(client, &request, Messages, config.clone());
    let (client, server) = zip(opening, accept_with(server, &options, Messages, config)).await;
    (client.unwrap().0, server.unwrap())
}

/// A server, and the client's end of its pipe.
async fn raw_client(capacity: usize, config: Config) -> (Pipe, WebSocket<Pipe>) {
    let (client, server) = connected(capacity, config).await;
    (client.into_parts().socket, server)
}

#[test]
fn messages_are_echoed_until_the_close() {
    run(async {
        let (mut client, mut server) = connected(64, Config::default()).await;
        let echo = async {
            while let Some((message, out)) = server.next().await? {
                out.feed(message).await?;
            }
            Ok::<_, Error>(server)
        };
        let talk = async {
            client.send("hello").await?;
            assert_eq!(client.recv().await?, Some(OwnedMessage::from(Message::Text("hello"))));
            client.ping(b"?").await?;
            client.feed(&vec![7; 20]).await?;
            client.try_feed("and").unwrap();
            client.flush().await?;
            assert!(matches!(client.next().await?, Some((Message::Binary(bytes), _)) if bytes == [7; 20]));
            assert!(matches!(client.next().await?, Some((Message::Text("and"), _))));
            // The time of the Pong, which came before the messages, is known once the stream is read again.
            client.send("and then").await?;
            assert!(matches!(client.next().await?, Some((Message::Text("and then"), _))));
            assert!(client.latency().is_some());
            client.close(Some(Close { code: CloseCode::NORMAL, reason: "bye" })).await
        };
        let (server, end) = zip(echo, talk).await;
        let (server, end) = (server.unwrap(), end.unwrap());
        assert!(end.clean && end.code() == CloseCode::NORMAL);
        assert!(server.end().unwrap().clean);
        assert_eq!(server.close_reason(), "bye");
    });
}

#[test]
fn nothing_is_sent_after_a_close() {
    run(async {
        let (mut client, mut server) = connected(1 << 10, Config::default()).await;
        client.start_close(None).await.unwrap();
        assert!(matches!(client.send("late").await, Err(Error::Send(SendError::Closing))));
        let (client_next, server_next) = zip(client.next(), server.next()).await;
        assert!(client_next.unwrap().is_none() && server_next.unwrap().is_none());
        // And a code that may not be sent leaves the stream without a Close.
        let (client, mut server) = connected(1 << 10, Config::default()).await;
        let forbidden = client.close(Some(CloseCode(1005).into())).await;
        assert!(matches!(forbidden, Err(Error::Send(SendError::InvalidCloseCode(_)))));
        assert!(matches!(server.next().await, Err(Error::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof));
    });
}

#[test]
fn a_broken_rule_is_answered_and_reported() {
    run(async {
        let (mut peer, mut server) = raw_client(1 << 10, Config::default()).await;
        peer.write_all(&hex!("8101 61")).await.unwrap();
        let answer = async {
            let mut answer = Vec::new();
            peer.read_to_end(&mut answer).await.unwrap();
            drop(peer);
            answer
        };
        let (result, answer) = zip(server.next(), answer).await;
        assert!(matches!(result, Err(Error::Protocol(ProtocolError::Unmasked))));
        assert_eq!(answer, hex!("8802 03ea"));
    });
}

#[test]
fn a_dropped_next_loses_nothing() {
    run(async {
        let (mut peer, mut server) = raw_client(1 << 10, Config::default()).await;
        let wire = hex!("8185 00000000 68656c6c6f 8101");
        for byte in &wire[..10] {
            peer.write_all(&[*byte]).await.unwrap();
            assert!(poll_once(server.next()).await.is_none());
        }
        peer.write_all(&wire[10..]).await.unwrap();
        assert!(matches!(server.next().await.unwrap(), Some((Message::Text("hello"), _))));
    });
}

#[test]
fn a_dropped_send_has_queued_the_message_once() {
    run(async {
        let (mut peer, mut server) = raw_client(8, Config { max_unsent: 1, ..Config::default() }).await;
        // The pipe accepts eight bytes of the ten; the rest waits.
        assert!(poll_once(server.send("12345678")).await.is_none());
        // This one finds the queue full, and is not queued.
        assert!(poll_once(server.send("dropped")).await.is_none());
        assert_eq!(server.try_feed("dropped"), Err(SendError::Full));
        let mut first = [0; 10];
        let (flushed, read) = zip(server.flush(), peer.read_exact(&mut first)).await;
        flushed.unwrap();
        read.unwrap();
        server.send("sent").await.unwrap();
        let mut second = [0; 6];
        peer.read_exact(&mut second).await.unwrap();
        assert_eq!((&first, &second), (b"\x81\x0812345678", b"\x81\x04sent"));
    });
}

#[test]
fn what_is_fed_leaves_before_the_stream_is_read() {
    run(async {
        let (mut peer, mut server) = raw_client(1 << 10, Config::default()).await;
        server.feed("a").await.unwrap();
        server.feed(Outgoing::pong(b"b")).await.unwrap();
        let mut wire = [0; 6];
        assert!(poll_once(peer.read(&mut wire)).await.is_none(), "it is only queued");
        assert!(poll_once(server.next()).await.is_none());
        peer.read_exact(&mut wire).await.unwrap();
        assert_eq!(wire, hex!("8101 61 8a01 62"));
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_given_up() {
    run(async {
        let limit = Duration::from_millis(30);
        let config = Config { ping_interval: Some(limit), pong_timeout: Some(limit), ..Config::default() };
        let (mut peer, mut server) = raw_client(1 << 10, config).await;
        let start = Instant::now();
        let answer = async {
            let mut answer = Vec::new();
            peer.read_to_end(&mut answer).await.unwrap();
            drop(peer);
            answer
        };
        let (result, answer) = zip(server.next(), answer).await;
        assert!(matches!(result, Err(Error::Timeout(Timeout::Pong, reported)) if reported == limit));
        assert!(start.elapsed() >= 2 * limit);
        assert_eq!(answer[0], 0x89, "a Ping");
        assert!(answer.windows(4).any(|window| window[0] == 0x88 && window[2..] == hex!("03e9")), "a Close, 1001");
    });
}

#[test]
fn a_silent_peer_does_not_hold_up_the_opening_handshake() {
    run(async {
        let limit = Duration::from_millis(30);
        let config =
            Arc::new(Config { handshake_timeout: Some(limit), close_timeout: Some(limit), ..Config::default() });
        let (peer, server) = pipe(1 << 10);
        let request = ClientRequest::try_from("ws://example.com/").unwrap();
        let error = receive_request(server, config.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Timeout(Timeout::Handshake, reported) if reported == limit), "{error}");
        drop(peer);
        let (_peer, client) = pipe(1 << 10);
        let error = connect_on(client, &request, Messages, config).await.unwrap_err();
        assert!(matches!(error, Error::Timeout(Timeout::Handshake, reported) if reported == limit), "{error}");
    });
}

#[test]
fn a_refusal_reaches_the_client() {
    run(async {
        // By the options.
        let (client, server) = pipe(64);
        let request = ClientRequest::try_from("ws://example.com/").unwrap().origin("http://elsewhere.example").unwrap();
        let opening = connect_on(client, &request, Messages, Arc::default());
        let (client, server) = zip(opening, accept(server)).await;
        assert!(matches!(client, Err(Error::Handshake(HandshakeError::Refused(refusal))) if refusal.status() == 403));
        assert!(matches!(server, Err(Error::Handshake(HandshakeError::Origin(_)))));

        // By the application.
        let (client, server) = pipe(64);
        let answer = async {
            let incoming = receive_request(server, Arc::default()).await?;
            assert_eq!(incoming.request().path(), "/nowhere");
            incoming.respond(404, &[], b"there is nothing here").await
        };
        let (client, server) = zip(connect_with(client, "ws://example.com/nowhere"), answer).await;
        server.unwrap();
        let Err(Error::Handshake(HandshakeError::Refused(refusal))) = client else { panic!("{client:?}") };
        assert_eq!((refusal.status(), refusal.body()), (404, &b"there is nothing here"[..]));

        // By the client itself.
        let error = connect_with(pipe(64).0, "http://example.com/").await.unwrap_err();
        assert!(matches!(error, Error::Handshake(HandshakeError::Uri(UriError::Scheme))), "{error}");
    });
}

#[test]
fn options_and_deliveries_are_the_callers_choice() {
    run(async {
        let (client, server) = pipe(1 << 10);
        let request = ClientRequest::try_from("ws://example.com/").unwrap().subprotocol("chat").unwrap();
        let options = AcceptOptions::new().subprotocol("chat");
        let opening = connect_on(client, &request, Messages, Arc::default());
        let delivery = Chunks { max_message: 1 << 20, max_fragments: 16 };
        let (client, server) = zip(opening, accept_with(server, &options, delivery, Arc::default())).await;
        let ((mut client, response), mut server) = (client.unwrap(), server.unwrap());
        assert_eq!(
            (response.subprotocol(), client.subprotocol(), server.subprotocol()),
            (Some("chat"), Some("chat"), Some("chat"))
        );
        client.send("hello").await.unwrap();
        let (chunk, out) = pin!(server.next()).await.unwrap().unwrap();
        assert!(chunk.end && chunk.data == Message::Text("hello"));
        out.send(chunk).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(OwnedMessage::from(Message::Text("hello"))));
    });
}
