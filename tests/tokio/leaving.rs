//! When bytes leave, counted in calls of write.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bowsprit::tokio::{WebSocket, Writer};
use bowsprit::{Chunk, CloseCode, Config, Error, Message, Messages, Prepared, Role};
use hex_literal::hex;
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};

use crate::support::{
    Op, Script, Stream, client, echo, frame, frames, kind, masked, open, pattern, polls, server, unmasked,
};

/// "a", "b" and "c" from a client, with a masking key of zero.
const ABC: [u8; 21] = hex!("818100000000 61 818100000000 62 818100000000 63");

#[tokio::test]
async fn an_echo_loop_writes_once_a_batch() {
    let stream = Stream::sends([&ABC, &ABC[..7]]);
    assert_eq!(kind(&echo(&mut server(stream.clone())).await.unwrap_err()), ErrorKind::UnexpectedEof);
    let batches = [
        Op::Read,
        Op::Wrote(hex!("8101 61 8101 62 8101 63").to_vec()),
        Op::Read,
        Op::Wrote(hex!("8101 61").to_vec()),
        Op::Read,
    ];
    assert_eq!(stream.script().ops()[..5], batches);
}

/// As many as fit into one read.
#[tokio::test]
async fn a_thousand_pipelined_messages_are_echoed_in_one_write() {
    for role in [Role::Server, Role::Client] {
        let wire = frame(role, 0x82, &[7; 50]).repeat(1_000);
        let stream = Stream::sends([&wire]);
        let mut ws = open(role, stream.clone(), Messages, Config::default());
        assert_eq!(kind(&echo(&mut ws).await.unwrap_err()), ErrorKind::UnexpectedEof);
        assert_eq!(stream.script().writes().len(), 1);
        assert_eq!(frames(role, &stream.written()), vec![(0x82, vec![7; 50]); 1_000]);
    }
}

#[tokio::test]
async fn send_has_handed_its_bytes_over_when_it_is_done() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    ws.send("a").await.unwrap();
    assert_eq!(stream.script().writes(), [hex!("8101 61")]);
    ws.send(&Prepared::text("b")).await.unwrap();
    ws.ping(b"c").await.unwrap();
    ws.feed("d").await.unwrap();
    ws.send("e").await.unwrap();
    assert_eq!(stream.script().writes()[1..], [&hex!("8101 62")[..], &hex!("8901 63"), &hex!("8101 64 8101 65")]);
    ws.send(bowsprit::Outgoing::from("f").uncompressed()).await.unwrap();
    assert_eq!(stream.script().writes()[4..], [hex!("8101 66")]);
    ws.start_close(None).await.unwrap();
    assert_eq!(stream.script().writes()[5..], [hex!("8800")]);
}

#[tokio::test]
async fn send_waits_for_room_until_all_is_gone() {
    let stream = Stream::new(Script { takes: VecDeque::from([1, 0, 1, 0]), silent: true, ..Script::default() });
    server(stream.clone()).send("abc").await.unwrap();
    let ops = [
        Op::Wrote(vec![0x81]),
        Op::Refused,
        Op::Wrote(vec![0x03]),
        Op::Refused,
        Op::Wrote(b"abc".to_vec()),
        Op::Flushed,
    ];
    assert_eq!(stream.script().log, ops);
}

#[tokio::test]
async fn start_close_waits_for_nothing() {
    let stream = Stream::new(Script { room: 1, silent: true, ..Script::default() });
    let mut ws = server(stream.clone());
    polls(1, ws.start_close(Some(CloseCode::NORMAL.into()))).await.expect("done at once").unwrap();
    assert_eq!(stream.written(), hex!("88"));
    assert!(polls(1, ws.next()).await.is_none());
    stream.drains(10);
    assert!(polls(1, ws.next()).await.is_none());
    assert_eq!(stream.written(), hex!("8802 03e8"));
}

#[tokio::test]
async fn what_is_fed_waits_for_a_flush() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    ws.feed("a").await.unwrap();
    ws.feed(b"b").await.unwrap();
    ws.feed(bowsprit::Outgoing::from("c").uncompressed()).await.unwrap();
    ws.feed(Chunk { data: Message::Text("d"), end: false }).await.unwrap();
    ws.feed(Chunk { data: Message::Text("e"), end: true }).await.unwrap();
    ws.ready().await.unwrap();
    ws.try_feed("f").unwrap();
    assert_eq!(stream.script().log, []);
    ws.flush().await.unwrap();
    assert_eq!(stream.script().writes(), [hex!("8101 61 8201 62 8101 63 0101 64 8001 65 8101 66")]);
    ws.flush().await.unwrap();
    assert_eq!(stream.script().writes().len(), 1);
}

#[tokio::test]
async fn what_is_fed_leaves_before_the_next_read() {
    let stream = Stream::sends([&ABC]);
    let mut ws = server(stream.clone());
    ws.feed("x").await.unwrap();
    ws.next().await.unwrap();
    assert_eq!(stream.script().ops(), [Op::Wrote(hex!("8101 78").to_vec()), Op::Read]);
    // "b" and "c" are there already: no need to write or read.
    ws.feed("y").await.unwrap();
    ws.next().await.unwrap();
    ws.next().await.unwrap();
    assert_eq!(stream.script().ops().len(), 2);
    assert_eq!(kind(&ws.next().await.unwrap_err()), ErrorKind::UnexpectedEof);
    assert_eq!(stream.script().ops()[2..4], [Op::Wrote(hex!("8101 79").to_vec()), Op::Read]);
}

/// A peer that takes nothing while it sends must be read: it may wait for that.
#[tokio::test]
async fn next_reads_whether_or_not_the_queue_has_left() {
    let stream = Stream::new(Script { room: 2, silent: true, ..Script::sends([&ABC]) });
    let mut ws = server(stream.clone());
    ws.feed("x").await.unwrap();
    for expected in ["a", "b", "c"] {
        assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text(expected));
    }
    assert_eq!(stream.written(), hex!("8101"));
    // And room that comes while it waits is used.
    assert!(polls(1, ws.next()).await.is_none());
    stream.drains(1);
    assert!(polls(1, ws.next()).await.is_none());
    assert_eq!(stream.written(), hex!("8101 78"));
}

#[tokio::test]
async fn what_is_fed_beyond_the_bound_leaves() {
    let stream = Stream::silent();
    let config = Config { max_unsent: 6, ..Config::default() };
    let mut ws = open(Role::Server, stream.clone(), Messages, config);
    ws.feed("ab").await.unwrap();
    ws.feed("cd").await.unwrap();
    assert_eq!(stream.script().log, [], "the bound is not reached before the second");
    assert!(matches!(ws.try_feed("ef"), Err(bowsprit::SendError::Full)));
    ws.feed("ef").await.unwrap();
    assert_eq!(stream.script().writes(), [hex!("8102 6162 8102 6364")]);
    ws.flush().await.unwrap();
    assert_eq!(stream.script().writes()[1..], [hex!("8102 6566")]);
}

#[tokio::test]
async fn ready_waits_for_the_room_that_try_feed_needs() {
    let stream = Stream::new(Script { room: 0, silent: true, ..Script::default() });
    let mut ws = open(Role::Server, stream.clone(), Messages, Config { max_unsent: 3, ..Config::default() });
    ws.feed("a").await.unwrap();
    assert!(polls(2, ws.ready()).await.is_none());
    assert!(matches!(ws.try_feed("b"), Err(bowsprit::SendError::Full)));
    stream.drains(1);
    ws.ready().await.unwrap();
    ws.try_feed("b").unwrap();
    stream.drains(5);
    ws.flush().await.unwrap();
    assert_eq!(stream.written(), hex!("8101 61 8101 62"));
}

/// With no room ever, `feed` would wait for it without an end.
#[tokio::test]
async fn an_empty_queue_takes_a_message_whatever_its_bound() {
    let stream = Stream::silent();
    let mut ws = open(Role::Server, stream.clone(), Messages, Config { max_unsent: 0, ..Config::default() });
    ws.feed("a").await.unwrap();
    ws.send("b").await.unwrap();
    assert_eq!(stream.written(), hex!("8101 61 8101 62"));
}

#[tokio::test]
async fn a_large_unmasked_payload_leaves_in_one_write_behind_what_is_queued() {
    let payload = pattern(4 << 10);
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    ws.feed("a").await.unwrap();
    ws.feed(&payload[..]).await.unwrap();
    assert!(stream.script().writes() == [[&hex!("8101 61")[..], &unmasked(&payload)].concat()]);
    ws.feed("b").await.unwrap();
    ws.send(&Prepared::binary(&payload)).await.unwrap();
    assert!(stream.script().writes()[1..] == [[&hex!("8101 62")[..], &unmasked(&payload)].concat()]);
    ws.feed(bowsprit::Outgoing::from(&payload[..]).uncompressed()).await.unwrap();
    assert!(stream.script().writes()[2..] == [unmasked(&payload)]);
    // One byte less is copied and queued.
    ws.feed(&payload[1..]).await.unwrap();
    ws.feed(bowsprit::Outgoing::from(&payload[1..]).uncompressed()).await.unwrap();
    assert_eq!(stream.script().writes().len(), 3);
}

/// Where each part of each write lay.
#[derive(Debug, Default)]
struct Places(Vec<Vec<(usize, usize)>>);

impl AsyncRead for Places {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Places {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.push(parts.iter().map(|part| (part.as_ptr().addr(), part.len())).collect());
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_large_unmasked_payload_leaves_uncopied() {
    let payload = "x".repeat(4 << 10);
    let prepared = Prepared::text(&payload);
    let mut ws = server(Places::default());
    ws.feed("a").await.unwrap();
    ws.feed(&payload[..]).await.unwrap();
    let [write] = &ws.get_ref().0[..] else { panic!("one write") };
    assert_eq!(write.iter().map(|(_, len)| *len).collect::<Vec<_>>(), [3, 4, 4096]);
    assert_eq!(write[2].0, payload.as_ptr().addr());
    ws.send(&prepared).await.unwrap();
    let [_, write] = &ws.get_ref().0[..] else { panic!("two writes") };
    assert!(write.contains(&(prepared.payload().as_ptr().addr() - 4, 4100)));
}

#[tokio::test]
async fn what_the_socket_refuses_of_a_large_payload_is_queued_in_order() {
    let payload = pattern(5000);
    // The cut lies in what is queued, behind it, in the header, behind it, in the payload, and at its end.
    for cut in [0, 1, 3, 5, 7, 8, 100, 5006, 5007] {
        let stream = Stream::new(Script { takes: VecDeque::from([cut]), silent: true, ..Script::default() });
        let mut ws = server(stream.clone());
        ws.feed("a").await.unwrap();
        // Nothing waits: what is refused is queued within the same poll.
        polls(1, ws.feed(&payload[..])).await.expect("done at once").unwrap();
        ws.feed("b").await.unwrap();
        ws.flush().await.unwrap();
        let expected = [&hex!("8101 61")[..], &unmasked(&payload), &hex!("8101 62")].concat();
        assert!(stream.written() == expected, "refused from {cut} on");
        assert!(stream.script().writes().len() <= 2);
    }
}

#[tokio::test]
async fn a_stream_without_vectored_writes_gets_the_same_bytes() {
    let payload = pattern(100_000);
    let stream = Stream::new(Script { plain: true, silent: true, ..Script::default() });
    let mut ws = server(stream.clone());
    ws.feed("a").await.unwrap();
    ws.feed(&payload[..]).await.unwrap();
    assert_eq!(stream.script().log, [], "queued");
    ws.send(&Prepared::binary(&payload)).await.unwrap();
    let expected = [&hex!("8101 61")[..], &unmasked(&payload), &unmasked(&payload)].concat();
    assert!(stream.script().writes() == [expected]);
}

#[tokio::test]
async fn a_waiting_pong_enters_behind_the_frame_that_is_being_written() {
    let (first, second) = (pattern(20_000), pattern(30_000));
    let pings = hex!("898100000000 31 898100000000 32 818100000000 61");
    for taken in [1, 20_003, 20_004, 20_008, 40_000, 50_007, 50_008] {
        // Nothing of the first leaves, neither when it is fed nor before the read.
        let takes = VecDeque::from([0, 0, taken]);
        let stream = Stream::new(Script { takes, silent: true, ..Script::sends([&pings]) });
        let mut ws = server(stream.clone());
        ws.feed(&first[..]).await.unwrap();
        assert!(matches!(ws.next().await.unwrap(), Some((Message::Text("a"), _))));
        ws.feed(&second[..]).await.unwrap();
        ws.flush().await.unwrap();
        let expected = [&unmasked(&first)[..], &unmasked(&second), &hex!("8a01 32")].concat();
        assert!(stream.written() == expected, "{taken} bytes of the second write taken");
    }
}

#[tokio::test]
async fn a_large_payload_of_a_client_is_masked_and_written_with_what_is_queued() {
    let payload = pattern(5000);
    let stream = Stream::silent();
    let mut ws = client(stream.clone());
    ws.feed("a").await.unwrap();
    ws.send(&payload[..]).await.unwrap();
    assert_eq!(stream.script().writes().len(), 1);
    assert!(frames(Role::Client, &stream.written()) == [(0x81, b"a".to_vec()), (0x82, payload)]);
}

#[tokio::test]
async fn what_next_lends_answers_with_every_verb() {
    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(out: &mut Writer<S>) -> Result<(), Error> {
        out.feed("1").await?;
        out.feed(Chunk { data: Message::Binary(b"2"), end: true }).await?;
        out.send("3").await?;
        out.send(&Prepared::text("4")).await?;
        out.ping(b"5").await?;
        out.start_close(Some(bowsprit::Close { code: CloseCode::NORMAL, reason: "6" })).await
    }
    let stream = Stream::sends([&ABC[..3], &ABC[3..7], &hex!("888200000000 03e8")]);
    let mut ws = server(stream.clone());
    let (message, out) = ws.next().await.unwrap().unwrap();
    assert_eq!(message, Message::Text("a"));
    answer(out).await.unwrap();
    assert_eq!(stream.written(), hex!("8101 31 8201 32 8101 33 8101 34 8901 35 8803 03e8 36"));
    assert!(ws.next().await.unwrap().is_none());
    assert!(ws.end().unwrap().clean);
}

#[tokio::test]
async fn a_stream_that_buffers_is_flushed() {
    let payload = pattern(5000);
    let stream = Stream::sends([&ABC, &masked(&payload)]);
    let mut ws = server(BufWriter::with_capacity(64 << 10, stream.clone()));
    ws.send("x").await.unwrap();
    assert_eq!(stream.written(), hex!("8101 78"));
    assert_eq!(kind(&echo(&mut ws).await.unwrap_err()), ErrorKind::UnexpectedEof);
    let expected = [&hex!("8101 78 8101 61 8101 62 8101 63")[..], &unmasked(&payload)].concat();
    assert!(stream.written() == expected);
    assert_eq!(stream.script().writes().len(), 3, "once a batch");
}

#[tokio::test]
async fn what_has_left_holds_no_memory() {
    for len in [1, 5_000, 1 << 20] {
        for mut ws in [client(Stream::silent()), server(Stream::silent())] {
            ws.send(&pattern(len)[..]).await.unwrap();
            assert_eq!(ws.into_parts().output.capacity(), 0);
        }
    }
}

/// A stream may hold what it took until it is flushed, also behind a connection that was taken apart meanwhile.
#[tokio::test]
async fn what_a_stream_holds_is_flushed_after_it_was_taken_apart() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    ws.feed(&[0; 5_000][..]).await.unwrap();
    assert!(!stream.script().log.contains(&Op::Flushed));
    let mut ws = WebSocket::from_parts(ws.into_parts());
    ws.flush().await.unwrap();
    assert!(stream.script().log.contains(&Op::Flushed));
}
