//! One script, over a transport that fails, is cut short, blocks, is interrupted or ends at every one of its operations.
//!
//! The script: both opening handshakes, messages both ways (short, long, compressed where that is on, in chunks), a Ping,
//! and the Close. At every operation of the endpoint under test: the right error, an `end()` that is true, no message lost
//! that the transport had delivered, and no hang.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::driver::{OpeningError, TransportError};
use bowsprit::{Cause, CloseCode, Config, ConnectionError, OwnedMessage};

use crate::sim::{Endpoint, Failure, Fault, Op, Out, Pipe, Wire};

/// Which endpoint is under test, and how.
#[derive(Clone, Copy, Debug)]
struct Setup {
    client: bool,
    split: bool,
    compressed: bool,
    /// The transport keeps what it accepts until it is flushed.
    buffers: bool,
    /// About every second operation blocks.
    stutters: bool,
}

fn config(setup: Setup) -> Arc<Config> {
    let config = Config {
        max_unsent: 6 << 10,
        idle_timeout: Some(Duration::from_secs(30)),
        compression: setup.compressed.then(bowsprit::Deflate::default),
        ..Config::default()
    };
    config.into()
}

fn noise(n: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(n).collect()
}

fn script() -> Vec<Out> {
    let text = |text: &str| Out::Message(OwnedMessage::from(text));
    vec![
        text("hello"),
        Out::Message(OwnedMessage::from(&noise(9_000)[..])),
        Out::Ping(b"are you there".to_vec()),
        text(&"compressible ".repeat(900)),
        Out::Chunk(noise(3_000), false),
        Out::Chunk(noise(10), false),
        Out::Chunk(Vec::new(), true),
        text("last"),
    ]
}

/// The messages of the script.
const MESSAGES: usize = 5;

struct Outcome<'f> {
    tested: Endpoint<'f>,
    other: Endpoint<'f>,
    time: Duration,
}

/// Runs the script to its end.
fn play<'f>(setup: Setup, fault: impl FnMut(usize, Op) -> Fault + 'f) -> Outcome<'f> {
    let config = config(setup);
    let mut now = Duration::from_secs(1);
    let mut wire = Wire::new(fault);
    wire.buffers = setup.buffers;
    let plain = Wire::new(|_, _| Fault::None);
    let (mut tested, mut other) = if setup.client {
        (Endpoint::client(&config, wire, setup.split, now), Endpoint::server(&config, plain, false, now))
    } else {
        (Endpoint::server(&config, wire, setup.split, now), Endpoint::client(&config, plain, false, now))
    };
    let client = if setup.client { &mut tested } else { &mut other };
    client.queue.extend(script());
    client.close_after = MESSAGES;
    let (mut there, mut back) = (Pipe::new(5_000), Pipe::new(5_000));
    // A bound far above what any run needs: a run that goes on is a hang.
    for _ in 0..20_000 {
        (tested.wire.moved, other.wire.moved) = (false, false);
        let first = tested.turn(&mut back, &mut there, now);
        let second = other.turn(&mut there, &mut back, now);
        if tested.is_done() && other.is_done() {
            return Outcome { tested, other, time: now };
        }
        if !tested.wire.moved && !other.wire.moved {
            let deadline = [first, second].into_iter().flatten().min();
            now = deadline.unwrap_or_else(|| panic!("{setup:?}: both wait without a deadline"));
        }
    }
    panic!("{setup:?}: no end");
}

fn setups() -> impl Iterator<Item = Setup> {
    let bit = |n: u8, bit: u8| n >> bit & 1 == 1;
    (0..16).map(move |n| Setup {
        client: bit(n, 0),
        split: bit(n, 1),
        compressed: bit(n, 2),
        buffers: bit(n, 3),
        stutters: bit(n, 3) != bit(n, 1),
    })
}

fn base(setup: Setup) -> impl Fn(usize) -> Fault {
    move |n| if setup.stutters && n.count_ones() % 2 == 0 { Fault::Blocked } else { Fault::None }
}

/// Nothing was lost, and both ends say so.
fn assert_clean(outcome: &Outcome<'_>, what: &str) {
    for endpoint in [&outcome.tested, &outcome.other] {
        assert_eq!(endpoint.result, Some(Ok(())), "{what}");
        let end = endpoint.end.unwrap_or_else(|| panic!("{what}: it ended"));
        assert!(end.clean, "{what}: {end:?}");
        assert_eq!((end.sent, end.received), (Some(CloseCode::NORMAL), Some(CloseCode::NORMAL)), "{what}");
        assert_eq!(end.cause, Cause::Close, "{what}");
        assert_eq!(endpoint.received.len(), MESSAGES, "{what}");
        assert_eq!(endpoint.send_result, None, "{what}");
    }
    assert_eq!(outcome.tested.received, outcome.other.received, "{what}: an echo");
    // Nobody had to wait for a deadline.
    assert_eq!(outcome.time, Duration::from_secs(1), "{what}");
}

/// What holds whatever happened.
fn assert_truthful(outcome: &Outcome<'_>, fault: Fault, what: &str) {
    let Outcome { tested, other, time } = outcome;
    // Everything that is complete in what the transport gave was handed out, unless the endpoint ended on its own.
    if tested.agreement.is_some() {
        let delivered = tested.delivered();
        assert_eq!(tested.received, delivered, "{what}: what was delivered is not lost");
    }
    let mut expected = match fault {
        Fault::Fails(kind) | Fault::WritesFail(kind) => vec![TransportError::Io(kind)],
        _ => vec![TransportError::UnexpectedEof, TransportError::WriteZero],
    };
    // The other end has gone meanwhile.
    expected.push(TransportError::Io(ErrorKind::BrokenPipe));
    match tested.result.as_ref().unwrap_or_else(|| panic!("{what}: a result")) {
        Ok(()) => {
            let end = tested.end.unwrap_or_else(|| panic!("{what}: it ended"));
            assert_eq!(end.cause, Cause::Close, "{what}");
            assert!(end.received.is_some(), "{what}: {end:?}");
        }
        Err(Failure::Opening(OpeningError::Transport(error)) | Failure::Open(ConnectionError::Transport(error))) => {
            assert_ne!(fault, Fault::Stalls, "{what}: {error:?}");
            assert!(expected.contains(error), "{what}: {error:?}");
        }
        Err(Failure::Opening(OpeningError::Timeout(..)) | Failure::Open(ConnectionError::Timeout(..))) => {
            assert_eq!(fault, Fault::Stalls, "{what}");
        }
        failure => panic!("{what}: {failure:?}"),
    }
    if let Some(end) = tested.end {
        // The peer's Close was really received.
        let close_read = reads_close(tested);
        assert_eq!(end.received.is_some(), close_read, "{what}: {end:?}");
        if end.clean {
            assert_eq!(other.end.and_then(|end| end.received), end.sent, "{what}: the other end has our Close");
        }
    }
    if let Some(end) = other.end.filter(|end| end.clean) {
        assert!(tested.end.is_some_and(|tested| tested.sent == end.received), "{what}: {end:?} {:?}", tested.end);
    }
    assert!(*time <= Duration::from_secs(1 + 30 + 30 + 10 + 10), "{what}: {time:?}");
}

/// Whether a Close with code 1000 is whole in what was read.
fn reads_close(endpoint: &Endpoint<'_>) -> bool {
    endpoint.agreement.is_some() && endpoint.delivered_close()
}

#[test]
// HOSTILE: 37
fn a_transport_that_fails_at_any_operation_is_reported_and_nothing_that_was_delivered_is_lost() {
    let (mut runs, mut operations) = (0_usize, 0_usize);
    for setup in setups() {
        let base = base(setup);
        let clean = play(setup, |n, _| base(n));
        assert_clean(&clean, &format!("{setup:?}"));
        let count = clean.tested.wire.ops;
        operations += count;
        for at in 0..count {
            for fault in [Fault::Interrupted, Fault::Blocked, Fault::Short] {
                let what = format!("{setup:?}, operation {at}: {fault:?}");
                let outcome = play(setup, |n, _| if n == at { fault } else { base(n) });
                assert_clean(&outcome, &what);
                runs += 1;
            }
            for fault in [
                Fault::Fails(ErrorKind::ConnectionReset),
                Fault::WritesFail(ErrorKind::ConnectionAborted),
                Fault::Ends,
                Fault::Stalls,
            ] {
                let what = format!("{setup:?}, operation {at}: {fault:?}");
                let outcome = play(setup, |n, _| if n == at { fault } else { base(n) });
                assert_truthful(&outcome, fault, &what);
                runs += 1;
            }
        }
    }
    println!("{runs} runs, with a fault at each of {operations} operations");
    assert!(runs > 5_000, "{runs} runs");
}
