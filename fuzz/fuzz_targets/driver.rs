//! The driver with the behaviour of its transport and its clock as input: both roles, whole and split, compressed or not,
//! against a driver or against a peer that sends any bytes. Nothing panics, every step comes to a pause, every run comes to an
//! end, output stays bounded, and what the driver reports is consistent.
#![no_main]

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Duration;

use arbitrary::Arbitrary;
use bowsprit::{Cause, Config, Deflate, OwnedMessage};
use libfuzzer_sys::fuzz_target;

#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/driver/sim.rs"]
mod sim;

use sim::{Endpoint, Fault, Out, Pipe, Wire};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    flags: u8,
    /// In seconds; zero is none.
    timeouts: [u8; 7],
    capacities: [u8; 2],
    max_unsent: u16,
    close_after: u8,
    outs: Vec<Send>,
    /// What the transport does, an operation a byte; then it does what it is asked.
    faults: &'a [u8],
    /// How far the clock moves, a turn a number, in milliseconds.
    clock: Vec<u16>,
    /// What a hostile peer sends after the opening handshake.
    wire: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Send {
    Text(u16),
    Binary(u16),
    Chunk(u16, bool),
    Ping(u8),
    Close,
}

fuzz_target!(|input: Input<'_>| {
    let flag = |bit: u8| input.flags >> bit & 1 == 1;
    let (client, split, compressed, buffers, hostile) = (flag(0), flag(1), flag(2), flag(3), flag(4));
    let timeout = |n: usize| Some(Duration::from_secs(input.timeouts[n].into())).filter(|_| input.timeouts[n] > 0);
    let config = Config {
        handshake_timeout: timeout(0),
        close_timeout: timeout(1),
        write_timeout: timeout(2),
        message_timeout: timeout(3),
        idle_timeout: timeout(4),
        ping_interval: timeout(5),
        pong_timeout: timeout(6),
        max_unsent: input.max_unsent.into(),
        compression: compressed.then(Deflate::default),
        ..Config::default()
    };
    let max_unsent = config.max_unsent;
    let config = std::sync::Arc::new(config);
    let mut now = if flag(5) { Duration::from_secs(1) } else { Duration::MAX - Duration::from_secs(600) };

    let mut faults = input.faults.iter().copied();
    let mut wire = Wire::new(move |_, _| fault(faults.next().unwrap_or(0)));
    wire.buffers = buffers;
    let plain = Wire::new(|_, _| Fault::None);
    let (mut tested, mut other) = if client {
        (Endpoint::client(&config, wire, split, now), Endpoint::server(&config, plain, false, now))
    } else {
        (Endpoint::server(&config, wire, split, now), Endpoint::client(&config, plain, false, now))
    };
    let longest = queue(&input, if client { &mut tested } else { &mut other });
    let capacity = |n: usize| 1 + 64 * usize::from(input.capacities[n]);
    let (mut there, mut back) = (Pipe::new(capacity(0)), Pipe::new(capacity(1)));

    let mut clock = input.clock.iter().copied();
    let mut injected = !hostile;
    for _ in 0..MOST_TURNS {
        (tested.wire.moved, other.wire.moved) = (false, false);
        let first = tested.turn(&mut back, &mut there, now);
        let mut second = None;
        if injected && hostile {
            // It reads, and sends nothing more.
            there.take(100);
            back.ended = true;
        } else {
            second = other.turn(&mut there, &mut back, now);
        }
        if !injected && tested.agreement.is_some() && other.agreement.is_some() {
            back.push(input.wire);
            injected = true;
        }
        assert!(tested.most_unsent <= max_unsent + longest + PONGS, "{} bytes queued", tested.most_unsent);
        if tested.is_done() {
            check(&tested);
            return;
        }
        match clock.next() {
            // It may go back, too.
            Some(u16::MAX) => now = now.saturating_sub(Duration::from_secs(100)),
            Some(step) => now = now.saturating_add(Duration::from_millis(step.into())),
            None => {
                let deadline = [first, second].into_iter().flatten().min();
                match deadline {
                    Some(deadline) if !tested.wire.moved && !other.wire.moved => now = now.max(deadline),
                    // Nothing is awaited but the peer: without deadlines, that may be for ever.
                    None if !tested.wire.moved && !other.wire.moved && there.bytes.is_empty() => return,
                    _ => {}
                }
            }
        }
    }
    // With keep-alive pings and no other deadline, a connection stays open as long as both ends like.
});

fn queue(input: &Input<'_>, client: &mut Endpoint<'_>) -> usize {
    let mut chunks = VecDeque::new();
    let mut longest = 0;
    // Long messages take most of the time, and few of them reach all that they reach.
    let len = |n: u16| usize::from(if input.flags >> 6 == 3 { n } else { n >> 6 });
    for send in input.outs.iter().take(16) {
        let out = match *send {
            Send::Text(n) => Out::Message(OwnedMessage::from(&*"text ".repeat(len(n) / 5))),
            Send::Binary(n) => Out::Message(OwnedMessage::from(&vec![7; len(n)][..])),
            Send::Chunk(n, end) => Out::Chunk(vec![n.to_be_bytes()[0]; len(n)], end),
            Send::Ping(n) => Out::Ping(vec![n; usize::from(n % 126)]),
            Send::Close => Out::Close,
        };
        longest = longest.max(1 << 16);
        chunks.push_back(out);
    }
    client.queue = chunks;
    client.close_after = input.close_after.into();
    // An echo is as long as what was received: of a message in chunks, all of them; of a hostile peer's, what it inflates to.
    16 * longest + (4 << 20) + input.wire.len()
}

fn fault(byte: u8) -> Fault {
    match byte {
        0xf0 => Fault::Fails(ErrorKind::ConnectionReset),
        0xf1 => Fault::WritesFail(ErrorKind::BrokenPipe),
        0xf2 => Fault::Ends,
        0xf3 => Fault::Stalls,
        0xe0..=0xef => Fault::Interrupted,
        0x80..=0xaf => Fault::Blocked,
        0x40..=0x7f => Fault::Short,
        _ => Fault::None,
    }
}

fn check(endpoint: &Endpoint<'_>) {
    let result = endpoint.result.as_ref().expect("it is done");
    let Some(end) = endpoint.end else {
        assert!(result.is_err(), "it never opened, and says why");
        return;
    };
    assert!(!end.clean || result.is_ok(), "{end:?}, {result:?}");
    if result.is_ok() {
        assert_eq!(end.cause, Cause::Close);
        assert!(end.received.is_some(), "{end:?}");
    }
    if matches!(end.cause, Cause::Close | Cause::Disconnected) {
        assert_eq!(endpoint.received, endpoint.delivered(), "what was delivered is not lost");
    }
}

/// What the driver may queue on its own: Pongs, and a Close.
const PONGS: usize = (16 << 10) + 1_000;

/// A bound far above what a run needs.
const MOST_TURNS: usize = 400;
