//! When bytes leave, counted in calls of write.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};

use bowsprit::blocking::{Plain, Transport, Writer};
use bowsprit::{Chunk, Close, Config, Error, Message, Messages, Prepared};
use hex_literal::hex;

use crate::script::{Op, Script};
use crate::support::{client, echo, expect, kind, masked, pattern, server, server_with, tcp, unmasked, within};

/// "a", "b" and "c" from a client, with a masking key of zero.
const ABC: [u8; 21] = hex!("818100000000 61 818100000000 62 818100000000 63");

#[test]
fn an_echo_loop_writes_once_a_batch() {
    let mut ws = server(Script::sends([&ABC, &ABC[..7]]));
    assert_eq!(kind(&echo(&mut ws).unwrap_err()), io::ErrorKind::UnexpectedEof);
    let batches = [
        Op::Read,
        Op::Wrote(hex!("8101 61 8101 62 8101 63").to_vec()),
        Op::Read,
        Op::Wrote(hex!("8101 61").to_vec()),
        Op::Read,
        Op::ShutDown,
    ];
    assert_eq!(ws.get_ref().log, batches);
}

#[test]
fn an_echo_loop_over_plain_read_and_write_does_the_same() {
    let mut ws = server(Plain(Script::sends([&ABC])));
    assert_eq!(kind(&echo(&mut ws).unwrap_err()), io::ErrorKind::UnexpectedEof);
    assert_eq!(ws.get_ref().0.writes(), [hex!("8101 61 8101 62 8101 63")]);
}

#[test]
fn send_has_handed_its_bytes_over_when_it_returns() {
    let mut ws = server(Script::default());
    ws.send("a").unwrap();
    assert_eq!(ws.get_ref().writes(), [hex!("8101 61")]);
    ws.send(&Prepared::text("b")).unwrap();
    ws.ping(b"c").unwrap();
    ws.feed("d").unwrap();
    ws.send("e").unwrap();
    assert_eq!(ws.get_ref().writes()[1..], [&hex!("8101 62")[..], &hex!("8901 63"), &hex!("8101 64 8101 65")]);
}

#[test]
fn send_waits_for_room_until_all_is_gone() {
    let mut ws = server(Script { takes: VecDeque::from([1, 0, 1, 0]), ..Script::default() });
    ws.send("abc").unwrap();
    let ops = [
        Op::Wrote(vec![0x81]),
        Op::Refused,
        Op::WaitedForRoom,
        Op::Wrote(vec![0x03]),
        Op::Refused,
        Op::WaitedForRoom,
        Op::Wrote(b"abc".to_vec()),
    ];
    assert_eq!(ws.get_ref().log, ops);
}

#[test]
fn what_is_fed_waits_for_a_flush() {
    let mut ws = server(Script::default());
    ws.feed("a").unwrap();
    ws.feed(b"b").unwrap();
    ws.feed(Chunk { data: Message::Text("c"), end: false }).unwrap();
    ws.feed(Chunk { data: Message::Text("d"), end: true }).unwrap();
    assert_eq!(ws.get_ref().log, []);
    ws.flush().unwrap();
    assert_eq!(ws.get_ref().writes(), [hex!("8101 61 8201 62 0101 63 8001 64")]);
    ws.flush().unwrap();
    assert_eq!(ws.get_ref().writes().len(), 1);
}

#[test]
fn what_is_fed_leaves_before_the_next_read() {
    let mut ws = server(Script::sends([&ABC]));
    ws.feed("x").unwrap();
    ws.next().unwrap();
    assert_eq!(ws.get_ref().log, [Op::Wrote(hex!("8101 78").to_vec()), Op::Read]);
    // "b" and "c" are there already: no need to write or read.
    ws.feed("y").unwrap();
    ws.next().unwrap();
    ws.next().unwrap();
    assert_eq!(ws.get_ref().log.len(), 2);
    assert_eq!(kind(&ws.next().unwrap_err()), io::ErrorKind::UnexpectedEof);
    assert_eq!(ws.get_ref().log[2..], [Op::Wrote(hex!("8101 79").to_vec()), Op::Read, Op::ShutDown]);
}

#[test]
fn what_is_fed_beyond_the_bound_leaves() {
    let mut ws = server_with(Script::default(), Messages, Config { max_unsent: 6, ..Config::default() });
    ws.feed("ab").unwrap();
    ws.feed("cd").unwrap();
    assert_eq!(ws.get_ref().log, [], "the bound is not reached before the second");
    ws.feed("ef").unwrap();
    assert_eq!(ws.get_ref().writes(), [hex!("8102 6162 8102 6364")]);
    ws.flush().unwrap();
    assert_eq!(ws.get_ref().writes()[1..], [hex!("8102 6566")]);
}

#[test]
fn a_ping_has_room_beyond_the_bound() {
    let mut ws = server_with(Script::default(), Messages, Config { max_unsent: 2, ..Config::default() });
    ws.feed("a").unwrap();
    ws.ping(b"1").unwrap();
    assert_eq!(ws.get_ref().writes(), [hex!("8101 61 8901 31")]);
}

#[test]
fn what_has_left_holds_no_memory() {
    for len in [1, 5_000, 1 << 20] {
        let mut ws = client(Script::default());
        ws.send(&pattern(len)[..]).unwrap();
        assert_eq!(ws.into_parts().output.capacity(), 0);
    }
}

/// Where each part of the last write lay.
#[derive(Debug, Default)]
struct Places(Vec<Vec<(*const u8, usize)>>);

impl Read for Places {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Write for Places {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.push(parts.iter().map(|part| (part.as_ptr(), part.len())).collect());
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_large_unmasked_payload_leaves_uncopied_in_one_write_behind_what_is_queued() {
    let payload = "x".repeat(4 << 10);
    let prepared = Prepared::text(&payload);
    let mut ws = server(Plain(Places::default()));
    ws.feed("a").unwrap();
    ws.feed(&payload[..]).unwrap();
    let [write] = &ws.get_ref().0.0[..] else { panic!("one write") };
    assert_eq!(write[..].iter().map(|(_, len)| *len).collect::<Vec<_>>(), [3, 4, 4096]);
    assert_eq!(write[2].0, payload.as_ptr());
    ws.send(&prepared).unwrap();
    let [_, write] = &ws.get_ref().0.0[..] else { panic!("two writes") };
    assert!(write.iter().any(|(place, len)| *len == 4100 && place.wrapping_add(4) == prepared.payload().as_ptr()));
    // One byte less is copied and queued.
    ws.feed(&payload[1..]).unwrap();
    assert_eq!(ws.get_ref().0.0.len(), 2);
}

#[test]
fn what_the_socket_refuses_of_a_large_payload_is_queued_in_order() {
    let payload = pattern(5000);
    // The cut lies in what is queued, behind it, in the header, behind it, in the payload, and at its end.
    for cut in [0, 1, 3, 5, 7, 8, 100, 5006, 5007] {
        let mut ws = server(Script { takes: VecDeque::from([cut]), ..Script::default() });
        ws.feed("a").unwrap();
        ws.feed(&payload[..]).unwrap();
        ws.feed("b").unwrap();
        assert_eq!(ws.get_ref().written().len(), cut);
        ws.flush().unwrap();
        let expected = [&hex!("8101 61")[..], &unmasked(&payload), &hex!("8101 62")].concat();
        assert!(ws.get_ref().written() == expected, "refused from {cut} on");
        assert!(ws.get_ref().writes().len() <= 2);
    }
}

#[test]
fn a_waiting_pong_enters_behind_the_frame_that_is_being_written() {
    let (first, second) = (pattern(20_000), pattern(30_000));
    let pings = hex!("898100000000 31 898100000000 32 818100000000 61");
    for taken in [1, 20_003, 20_004, 20_008, 40_000, 50_007, 50_008] {
        let mut ws = server(Script::sends([&pings]));
        // Nothing of the first leaves, neither when it is fed nor before the read.
        ws.get_mut().takes = VecDeque::from([0, 0, taken]);
        ws.feed(&first[..]).unwrap();
        assert!(matches!(ws.next().unwrap(), Some((Message::Text("a"), _))));
        ws.feed(&second[..]).unwrap();
        ws.flush().unwrap();
        let expected = [&unmasked(&first)[..], &unmasked(&second), &hex!("8a01 32")].concat();
        assert!(ws.get_ref().written() == expected, "{taken} bytes of the second write taken");
    }
}

#[test]
fn a_large_payload_of_a_client_is_masked_and_written_with_what_is_queued() {
    let payload = vec![0; 5000];
    let mut ws = client(Script::default());
    ws.feed("a").unwrap();
    ws.send(&payload[..]).unwrap();
    let [write] = ws.get_ref().writes()[..] else { panic!("one write") };
    assert_eq!(write.len(), 7 + 8 + 5000);
    let key = &write[11..15];
    assert!(key != [0; 4] && write[15..].chunks(4).all(|word| word == key), "the mask over zeros is its key");
}

#[test]
fn bytes_that_come_late_are_answered_by_what_the_writer_lent() {
    fn answer<S: Transport>(out: &mut Writer<S>) -> Result<(), Error> {
        out.feed("1")?;
        out.feed(Chunk { data: Message::Binary(b"2"), end: true })?;
        out.send("3")?;
        out.send(&Prepared::text("4"))?;
        out.ping(b"5")?;
        out.start_close(Some(Close { code: bowsprit::CloseCode::NORMAL, reason: "6" }))
    }
    let mut ws = server(Script::sends([&ABC[..3], &ABC[3..7], &hex!("888200000000 03e8")]));
    let (message, out) = ws.next().unwrap().unwrap();
    assert_eq!(message, Message::Text("a"));
    answer(out).unwrap();
    assert_eq!(ws.get_ref().written(), hex!("8101 31 8201 32 8101 33 8101 34 8901 35 8803 03e8 36"));
    assert!(ws.next().unwrap().is_none());
    assert!(ws.end().unwrap().clean);
}

/// Holds what is written until it is flushed.
#[derive(Debug, Default)]
struct Buffered {
    script: Script,
    held: Vec<u8>,
}

impl Read for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(self.held.is_empty(), "a read while the peer waits for {:x?}", self.held);
        self.script.read(buffer)
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() { Ok(()) } else { self.script.write_all(&held) }
    }
}

#[test]
fn a_stream_that_buffers_is_flushed() {
    let payload = pattern(5000);
    let mut ws = server(Plain(Buffered { script: Script::sends([&ABC, &masked(&payload)]), held: Vec::new() }));
    ws.send("x").unwrap();
    assert_eq!(ws.get_ref().0.script.written(), hex!("8101 78"));
    echo(&mut ws).unwrap_err();
    let written = ws.get_ref().0.script.written();
    assert_eq!(written[3..12], hex!("8101 61 8101 62 8101 63"));
    assert!(written[12..] == unmasked(&payload));
}

/// With no room ever, `feed` would wait for it without an end.
#[test]
fn an_empty_queue_takes_a_message_whatever_its_bound() {
    within(|| {
        let (mut peer, stream) = tcp();
        let mut ws = server_with(stream, Messages, Config { max_unsent: 0, ..Config::default() });
        ws.feed("a").unwrap();
        ws.send("b").unwrap();
        expect(&mut peer, &hex!("8101 61 8101 62"));
    });
}
