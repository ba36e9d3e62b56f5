//! How connections end, and what `end()` tells of it.

use std::io::ErrorKind;

use bowsprit::handshake::RequestError;
use bowsprit::tokio::receive_request;
use bowsprit::{
    Cause, Close, CloseCode, Config, Error, HandshakeError, Initiator, Message, Messages, ProtocolError, Role,
    SendError,
};
use hex_literal::hex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::handshake::REQUEST;
use crate::support::{
    Op, ROLES, Script, Stream, announce, client, echo, frame, frames, kind, masked, open, pattern, polls, server, text,
    unmasked,
};

const AWAY: Close<'_> = Close { code: CloseCode::GOING_AWAY, reason: "bye" };

#[tokio::test]
async fn a_close_is_clean_at_both_ends() {
    for closing in ROLES {
        let (near, far) = tokio::io::duplex(100);
        let (ours, theirs) = match closing {
            Role::Client => (client(near), server(far)),
            Role::Server => (server(near), client(far)),
        };
        let other = tokio::spawn(async move {
            let mut ws = theirs;
            echo(&mut ws).await.unwrap();
            // And again.
            assert!(ws.next().await.unwrap().is_none());
            (ws.end().unwrap(), ws.close_reason().to_owned())
        });
        let mut ws = ours;
        ws.send("a").await.unwrap();
        assert_eq!(text(ws.recv().await.unwrap()), "a");
        assert_eq!(ws.end(), None);
        let end = ws.close(Some(AWAY)).await.unwrap();
        assert_eq!((end.sent, end.received), (Some(CloseCode::GOING_AWAY), Some(CloseCode::GOING_AWAY)));
        assert_eq!((end.by, end.clean, end.cause), (Initiator::Local, true, Cause::Close));
        let (end, reason) = other.await.unwrap();
        assert_eq!((end.sent, end.received), (Some(CloseCode::GOING_AWAY), Some(CloseCode::GOING_AWAY)));
        assert_eq!((end.by, end.clean, end.cause), (Initiator::Remote, true, Cause::Close));
        assert_eq!(reason, "bye");
    }
}

/// RFC 6455 section 7.1.1: the server ends the stream first.
#[tokio::test(start_paused = true)]
async fn the_server_ends_the_stream_first() {
    for role in ROLES {
        let stream = Stream::silent();
        stream.arrive(&frame(role, 0x88, &[0x03, 0xe8]));
        let mut ws = open(role, stream.clone(), Messages, Config::default());
        assert!(polls(3, ws.next()).await.is_none());
        assert_eq!(frames(role, &stream.written()), [(0x88, vec![0x03, 0xe8])]);
        assert_eq!(stream.script().shut_down, role == Role::Server);
        // What still comes is read and discarded.
        stream.arrive(&pattern(100_000));
        assert!(polls(3, ws.next()).await.is_none());
        assert!(stream.script().reads.is_empty());
        stream.ends();
        assert!(ws.next().await.unwrap().is_none());
        assert!(stream.script().shut_down && ws.end().unwrap().clean);
    }
}

#[tokio::test]
async fn messages_go_on_after_start_close_until_the_peers() {
    let stream = Stream::sends([&hex!("818100000000 61 818100000000 62 888000000000 818100000000 63")]);
    let mut ws = server(stream.clone());
    ws.start_close(None).await.unwrap();
    assert!(matches!(ws.send("late").await, Err(Error::Send(SendError::Closing))));
    assert!(matches!(ws.start_close(None).await, Err(Error::Send(SendError::Closing))));
    assert_eq!(text(ws.recv().await.unwrap()), "a");
    assert_eq!(text(ws.recv().await.unwrap()), "b");
    assert!(ws.end().is_some_and(|end| !end.clean && end.received.is_none()));
    assert!(ws.recv().await.unwrap().is_none());
    assert!(ws.end().unwrap().clean);
    assert_eq!(stream.written(), hex!("8800"));
}

#[tokio::test]
async fn close_discards_what_comes_before_the_peers() {
    let mut peer = masked(&pattern(200_000));
    peer.extend(hex!("898100000000 61 888200000000 03e8"));
    let end = server(Stream::sends([&peer])).close(None).await.unwrap();
    assert_eq!((end.sent, end.received, end.clean), (Some(CloseCode::NO_STATUS), Some(CloseCode::NORMAL), true));
}

#[tokio::test]
async fn close_refuses_what_may_not_be_sent() {
    let stream = Stream::silent();
    let refused = server(stream.clone()).close(Some(CloseCode::ABNORMAL.into())).await;
    assert!(matches!(refused, Err(Error::Send(SendError::InvalidCloseCode(CloseCode::ABNORMAL)))));
    assert_eq!(stream.written(), b"");
}

#[tokio::test]
async fn close_tells_of_an_end_that_came_before_it() {
    let mut ws = server(Stream::sends([&hex!("888200000000 03e8")]));
    assert!(ws.next().await.unwrap().is_none());
    let end = ws.end();
    assert!(end.unwrap().clean);
    assert_eq!(ws.close(Some(AWAY)).await.ok(), end);
    // Its peer has gone without a word.
    let end = server(Stream::default()).close(Some(AWAY)).await.unwrap();
    assert_eq!((end.sent, end.received, end.clean), (Some(CloseCode::GOING_AWAY), None, false));
    assert_eq!(end.code(), CloseCode::ABNORMAL);
    // Or has broken a rule.
    let end = server(Stream::sends([&hex!("8101 62")])).close(None).await.unwrap();
    assert_eq!((end.cause, end.clean), (Cause::Protocol(ProtocolError::Unmasked), false));
}

/// A peer and this end both want to close, and neither reads before it has written all.
#[tokio::test]
async fn close_reads_while_its_output_waits() {
    let large = pattern(1 << 20);
    let (mut peer, near) = tokio::io::duplex(1_000);
    let flood = tokio::spawn({
        let large = large.clone();
        async move {
            peer.write_all(&masked(&large)).await.unwrap();
            peer.write_all(&hex!("888000000000")).await.unwrap();
            let mut received = Vec::new();
            peer.read_to_end(&mut received).await.unwrap();
            received
        }
    });
    let mut ws = open(Role::Server, near, Messages, Config { max_unsent: 2 << 20, ..Config::default() });
    ws.feed(&large[..]).await.unwrap();
    assert!(ws.close(None).await.unwrap().clean);
    assert!(flood.await.unwrap() == [&unmasked(&large)[..], &hex!("8800")].concat());
}

#[tokio::test]
async fn the_end_of_the_stream_without_a_close_is_an_error() {
    for role in ROLES {
        let whole = frame(role, 0x81, b"ab");
        // Nothing at all; and inside a frame.
        for sent in [vec![], [&whole[..], &whole[..whole.len() - 1]].concat()] {
            let stream = Stream::sends([&sent]);
            let mut ws = open(role, stream.clone(), Messages, Config::default());
            assert_eq!(kind(&echo(&mut ws).await.unwrap_err()), ErrorKind::UnexpectedEof);
            let end = ws.end().unwrap();
            assert_eq!((end.sent, end.received, end.clean), (None, None, false));
            assert_eq!((end.by, end.cause, end.code()), (Initiator::Remote, Cause::Disconnected, CloseCode::ABNORMAL));
            assert!(matches!(ws.send("x").await, Err(Error::Send(SendError::Closing))));
            assert!(stream.script().shut_down, "the peer sees the end, though nobody dropped the connection");
            // `None` is for ends with two Closes alone.
            assert_eq!(kind(&ws.next().await.map(drop).unwrap_err()), ErrorKind::UnexpectedEof);
        }
        // After our Close, and before the peer's.
        let mut ws = open(role, Stream::default(), Messages, Config::default());
        ws.start_close(Some(AWAY)).await.unwrap();
        assert_eq!(kind(&ws.next().await.map(drop).unwrap_err()), ErrorKind::UnexpectedEof);
        let end = ws.end().unwrap();
        assert_eq!((end.sent, end.received, end.clean), (Some(CloseCode::GOING_AWAY), None, false));
        assert_eq!((end.by, end.cause), (Initiator::Local, Cause::Close));
    }
}

/// It may still read what is on its way, and our Close.
#[tokio::test]
async fn a_peer_that_ends_its_side_behind_its_close_gets_everything() {
    let wire = [masked(&pattern(100_000)), hex!("888200000000 03e8").to_vec()].concat();
    let stream = Stream::new(Script { room: 10, ..Script::sends([&wire]) });
    let mut ws = server(stream.clone());
    ws.next().await.unwrap().unwrap().1.feed(&pattern(100_000)[..]).await.unwrap();
    assert!(polls(5, ws.next()).await.is_none());
    stream.drains(1 << 20);
    assert!(ws.next().await.unwrap().is_none());
    assert!(stream.written() == [&unmasked(&pattern(100_000))[..], &hex!("8802 03e8")].concat());
    assert!(stream.script().shut_down && ws.end().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_breaks_a_rule_is_told_before_the_caller_is() {
    for role in ROLES {
        // Masked as it must not be, behind a message in order; more follows.
        let other = if role == Role::Server { Role::Client } else { Role::Server };
        let wire = [frame(role, 0x81, b"a"), frame(other, 0x81, b"b"), frame(role, 0x81, b"c")].concat();
        let stream = Stream::sends([&wire, &pattern(100_000)]);
        let mut ws = open(role, stream.clone(), Messages, Config::default());
        let expected = if role == Role::Server { ProtocolError::Unmasked } else { ProtocolError::Masked };
        assert!(matches!(echo(&mut ws).await, Err(Error::Protocol(error)) if error == expected));
        assert_eq!(frames(role, &stream.written()), [(0x81, b"a".to_vec()), (0x88, vec![0x03, 0xea])]);
        let end = ws.end().unwrap();
        assert_eq!((end.sent, end.received), (Some(CloseCode::PROTOCOL_ERROR), None));
        assert_eq!((end.by, end.clean, end.cause), (Initiator::Local, false, Cause::Protocol(expected)));
        // The writing side was shut down, then all read that the peer had to say.
        let ops = stream.script().ops();
        let shut = ops.iter().position(|op| *op == Op::ShutDown).expect("it is shut down");
        assert!(matches!(ops[shut - 1], Op::Wrote(_)) && ops[shut + 1..].len() >= 3);
        assert!(stream.script().reads.is_empty());
        // And it stays so.
        assert!(matches!(ws.next().await, Err(Error::Protocol(error)) if error == expected));
        assert!(matches!(ws.recv().await, Err(Error::Protocol(error)) if error == expected));
    }
}

#[tokio::test]
async fn dropped_at_any_time_the_stream_is_dropped() {
    let (mut peer, near) = tokio::io::duplex(100);
    let mut ws = server(near);
    ws.send("a").await.unwrap();
    drop(ws);
    let mut received = Vec::new();
    peer.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, hex!("8101 61"), "no Close: the peer meets 1006");
}

const CONNECTIONS: usize = 100;

/// So many connections over loopback, whose buffers hold less than what is to be sent, each with a peer that writes
/// `head` and 10 MiB behind it before it reads: what it received up to the end.
#[cfg(unix)]
async fn flooded<F: Future<Output = ()> + Send + 'static>(
    head: Vec<u8>,
    serve: impl Fn(TcpStream) -> F,
    check: impl Fn(&[u8]),
) {
    use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flood = vec![0; 1 << 20];
    for _ in 0..CONNECTIONS {
        let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ours, _) = listener.accept().await.unwrap();
        set_socket_send_buffer_size(&ours, 64 << 10).unwrap();
        set_socket_recv_buffer_size(&theirs, 64 << 10).unwrap();
        let serving = tokio::spawn(serve(ours));
        let peer = async {
            theirs.write_all(&head).await.unwrap();
            for _ in 0..10 {
                theirs.write_all(&flood).await.unwrap();
            }
            theirs.shutdown().await.unwrap();
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).await.expect("the end, and no reset");
            check(&received);
        };
        let limit = std::time::Duration::from_secs(20);
        tokio::time::timeout(limit, peer).await.expect("it hangs");
        serving.await.unwrap();
    }
}

// HOSTILE: 35
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_behind_a_flood() {
    let ours = pattern(3 << 19); // at least 1 MiB more than the socket's buffers hold
    let expected = [&unmasked(&ours)[..], &hex!("8802 03f1")].concat();
    let ours = std::sync::Arc::new(ours);
    flooded(
        announce(Role::Server, 0x82, 1_001),
        |socket| {
            let ours = ours.clone();
            async move {
                let config = Config { max_message: 1_000, ..Config::default() };
                let mut ws = open(Role::Server, socket, Messages, config);
                ws.feed(Message::Binary(&ours)).await.unwrap();
                let error = ws.next().await.map(drop).unwrap_err();
                assert!(matches!(error, Error::Protocol(ProtocolError::MessageTooLong(_))), "{error:?}");
            }
        },
        |received| assert!(received == expected, "the message, and the Close behind it"),
    )
    .await;
}

// HOSTILE: 35
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_behind_a_flood() {
    let body: &[u8] = &*pattern(1 << 20).leak();
    flooded(
        REQUEST.into(),
        |socket| async move {
            let incoming = receive_request(socket, std::sync::Arc::default()).await.unwrap();
            incoming.respond(404, &[], body).await.unwrap();
        },
        |received| assert!(received.starts_with(b"HTTP/1.1 404 ") && received.ends_with(body)),
    )
    .await;
}

// HOSTILE: 35
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_behind_a_flood() {
    flooded(
        REQUEST.replace("n: 13", "n: 8").into(),
        |socket| async move {
            let error = receive_request(socket, std::sync::Arc::default()).await.map(drop).unwrap_err();
            assert!(matches!(error, Error::Handshake(HandshakeError::Request(RequestError::UnsupportedVersion))));
        },
        |received| assert!(received.starts_with(b"HTTP/1.1 426 ") && received.ends_with(b"\n")),
    )
    .await;
}
