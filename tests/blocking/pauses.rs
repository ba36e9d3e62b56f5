//! A stream that has nothing now, because its owner made it non-blocking or gave it a timeout: nothing ends, and the
//! same call goes on.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use bowsprit::blocking::{Plain, Transport};
use bowsprit::{Cause, Config, Messages, Timeout};
use hex_literal::hex;

use crate::script::Script;
use crate::support::{expect, join, kind, masked, millis, pattern, server, server_with, tcp, text, unmasked, within};

#[test]
fn a_read_that_has_nothing_now_ends_nothing() {
    fn run<S: Transport>(stream: S) {
        let mut ws = server(stream);
        let mut texts = Vec::new();
        while ws.end().is_none() {
            match ws.recv() {
                Ok(Some(message)) => texts.push(message.into_text().unwrap().to_string()),
                Ok(None) => assert!(ws.end().unwrap().clean),
                Err(error) => assert!(matches!(kind(&error), ErrorKind::WouldBlock | ErrorKind::TimedOut)),
            }
        }
        assert_eq!(texts, ["a", "bc"]);
    }
    let sent = hex!("818100000000 61 018100000000 62 808100000000 63 888000000000");
    let script = || {
        let mut script = Script::default();
        for byte in sent {
            script.reads.extend([Err(ErrorKind::WouldBlock), Err(ErrorKind::TimedOut), Ok(vec![byte])]);
        }
        script
    };
    run(script());
    run(Plain(script()));
}

#[test]
fn a_read_that_is_interrupted_is_repeated() {
    let mut script = Script::sends([&hex!("818100000000 61")]);
    script.reads.push_front(Err(ErrorKind::Interrupted));
    assert_eq!(text(server(script).recv().unwrap()), "a");
}

#[test]
fn a_write_that_is_interrupted_is_repeated() {
    let payload = pattern(5000);
    let mut ws = server(Script { interrupted: true, ..Script::default() });
    ws.send("a").unwrap();
    ws.get_mut().interrupted = true;
    ws.send(&payload[..]).unwrap();
    assert!(ws.get_ref().written() == [&hex!("8101 61")[..], &unmasked(&payload)].concat());
    // The echo of a Close, the last of all.
    let mut ws = server(Script { interrupted: true, ..Script::sends([&hex!("888000000000")]) });
    assert!(ws.next().unwrap().is_none());
    assert!(ws.end().unwrap().clean);
    assert_eq!(ws.get_ref().written(), hex!("8800"));
}

/// Also where the message that has begun has a deadline, and output waits for room.
#[test]
fn the_settings_of_a_socket_hold() {
    within(|| {
        for non_blocking in [true, false] {
            let (mut peer, stream) = tcp();
            stream.set_nonblocking(non_blocking).unwrap();
            stream.set_read_timeout(millis(20)).unwrap();
            let mut ws = server(stream);
            for sent in [&hex!("8181")[..], &hex!("00000000"), &hex!("61 0181 00000000 62")] {
                assert_eq!(kind(&ws.recv().unwrap_err()), ErrorKind::WouldBlock);
                peer.write_all(sent).unwrap();
                while ws.get_ref().peek(&mut [0; 16]).is_err() {}
            }
            assert_eq!(text(ws.recv().unwrap()), "a");
            assert_eq!(kind(&ws.recv().unwrap_err()), ErrorKind::WouldBlock);
            assert_eq!(ws.end(), None);
        }
    });
}

#[test]
fn a_deadline_comes_before_the_sockets_own_timeout() {
    within(|| {
        let (_peer, stream) = tcp();
        stream.set_read_timeout(millis(15_000)).unwrap();
        let config = Config { idle_timeout: millis(30), close_timeout: millis(30), ..Config::default() };
        let mut ws = server_with(stream, Messages, config);
        let start = Instant::now();
        assert_eq!(kind(&ws.recv().unwrap_err()), ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(ws.end().unwrap().cause, Cause::Timeout(Timeout::Idle));
    });
}

#[test]
fn a_write_without_room_waits_though_the_socket_does_not() {
    within(|| {
        let (mut peer, stream) = tcp();
        stream.set_nonblocking(true).unwrap();
        let large = pattern(8 << 20);
        let mut ws = server(stream);
        let reads = std::thread::spawn(move || {
            expect(&mut peer, &unmasked(&large));
        });
        ws.send(&pattern(8 << 20)[..]).unwrap();
        join(reads);
    });
}

/// Nothing can wait for room in a plain stream: its error goes to the caller, who flushes again.
#[test]
fn a_plain_stream_without_room_says_so() {
    let mut ws = server(Plain(Script { takes: [2, 0, 0].into(), ..Script::default() }));
    assert_eq!(kind(&ws.send("abc").unwrap_err()), ErrorKind::WouldBlock);
    assert_eq!(kind(&ws.flush().unwrap_err()), ErrorKind::WouldBlock);
    assert_eq!(ws.end(), None);
    ws.flush().unwrap();
    assert_eq!(ws.get_ref().0.written(), hex!("8103 616263"));
}

#[test]
fn close_waits_for_the_peer_through_pauses() {
    let mut script = Script::sends([&masked(b"late")]);
    for byte in hex!("888200000000 03e8") {
        script.reads.extend([Err(ErrorKind::WouldBlock), Err(ErrorKind::TimedOut), Ok(vec![byte])]);
    }
    assert!(server(Plain(script)).close(None).unwrap().clean);
}
