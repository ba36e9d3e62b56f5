//! Transports in memory, replies in any cut, and a network in which each address has a fate.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::Config;
use bowsprit::dial::{AttemptId, Dial, DialAddress, DialError, DialOptions, DialStep, ProxyError, Tunnel};
use bowsprit::driver::{Drive, Step, TransportError};
use bowsprit::handshake::{ClientRequest, key};

pub(crate) const START: Duration = Duration::from_secs(1_000);

/// A time after [`START`].
pub(crate) fn at(millis: u64) -> Duration {
    START + Duration::from_millis(millis)
}

/// One end of a transport.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) reads: VecDeque<Vec<u8>>,
    pub(crate) ended: bool,
    pub(crate) written: Vec<u8>,
    pub(crate) half_closed: bool,
}

/// Does what `machine` says until it is ready, closed, or waits.
pub(crate) fn drive(machine: &mut impl Drive, wire: &mut Wire, now: Duration) -> Step {
    for _ in 0..100_000 {
        match machine.poll(|| now) {
            Step::Read => match wire.reads.pop_front() {
                Some(mut piece) => {
                    let buffer = machine.read_buffer();
                    let rest = piece.split_off(piece.len().min(buffer.len()));
                    buffer[..piece.len()].copy_from_slice(&piece);
                    machine.received(piece.len());
                    if !rest.is_empty() {
                        wire.reads.push_front(rest);
                    }
                }
                None if wire.ended => machine.received(0),
                None => machine.read_blocked(),
            },
            Step::Write => {
                wire.written.extend_from_slice(machine.to_write());
                machine.written(machine.to_write().len());
            }
            Step::Flush => machine.flushed(),
            Step::ShutdownWrite => {
                wire.half_closed = true;
                machine.write_shut_down();
            }
            step @ (Step::Ready | Step::Closed | Step::Wait { .. }) => return step,
        }
    }
    panic!("the machine spins");
}

/// How replies are cut into reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    Nowhere,
    Everywhere,
    /// Each reply that is long enough, after so many bytes.
    After(usize),
}

impl Cut {
    /// All ways to cut replies of these lengths, but for cuts in two replies at different places.
    pub(crate) fn all(replies: &[&[u8]]) -> Vec<Self> {
        let longest = replies.iter().map(|reply| reply.len()).max().unwrap_or(0);
        let mut cuts = vec![Self::Nowhere, Self::Everywhere];
        cuts.extend((1..longest).map(Self::After));
        cuts
    }

    pub(crate) fn pieces(self, reply: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::Everywhere => reply.iter().map(|&byte| vec![byte]).collect(),
            Self::After(at) if at < reply.len() => vec![reply[..at].to_vec(), reply[at..].to_vec()],
            _ => vec![reply.to_vec()],
        }
    }
}

/// A conversation: what the client sent before each reply, and how it ended.
#[derive(PartialEq, Debug)]
pub(crate) struct Talk {
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) result: Result<(), ProxyError>,
}

/// The proxy replies like this, each time when the client waits; after the last reply it ends the stream.
pub(crate) fn talk(mut tunnel: Tunnel, replies: &[&[u8]], cut: Cut) -> Talk {
    let (mut wire, mut sent) = (Wire::default(), Vec::new());
    let mut step = drive(&mut tunnel, &mut wire, START);
    for reply in replies {
        sent.push(std::mem::take(&mut wire.written));
        for piece in cut.pieces(reply) {
            if matches!(step, Step::Wait { read: true, .. }) {
                wire.reads.push_back(piece);
                step = drive(&mut tunnel, &mut wire, START);
            }
        }
    }
    sent.push(std::mem::take(&mut wire.written));
    wire.ended = true;
    step = drive(&mut tunnel, &mut wire, START);
    assert_eq!(step == Step::Ready, !wire.half_closed, "a transport that failed is shut down");
    Talk { sent, result: tunnel.result() }
}

/// The same conversation, however the replies are cut.
pub(crate) fn talk_in_all_cuts(tunnel: impl Fn() -> Tunnel, replies: &[&[u8]]) -> Talk {
    let whole = talk(tunnel(), replies, Cut::Nowhere);
    for cut in Cut::all(replies) {
        assert_eq!(talk(tunnel(), replies, cut), whole, "{cut:?}");
    }
    whole
}

/// A tunnel to the host of `server` through `proxy`.
pub(crate) fn tunnel(server: &str, proxy: &str) -> Tunnel {
    let (server, proxy) = (server.parse().expect("a URI"), proxy.parse().expect("a proxy"));
    Tunnel::new(&server, None, &proxy, Arc::new(Config::default()), START)
}

pub(crate) fn request(uri: &str) -> ClientRequest {
    uri.try_into().unwrap_or_else(|error| panic!("{uri}: {error}"))
}

pub(crate) fn dial(uri: &str, options: DialOptions) -> Dial {
    Dial::new(request(uri), options.into(), Arc::new(Config::default()), START)
}

/// The 101 that answers a request.
pub(crate) fn agree(request: &[u8]) -> Vec<u8> {
    let request = std::str::from_utf8(request).expect("a head is text");
    let (_, rest) = request.split_once("Sec-WebSocket-Key: ").expect("a key");
    let accept = key::accept(&rest.as_bytes()[..24]);
    let mut response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".to_vec();
    response.extend_from_slice(&[b"Sec-WebSocket-Accept: ", &accept[..], b"\r\n\r\n"].concat());
    response
}

/// What becomes of a connection attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It connects after so many milliseconds.
    Connects(u64),
    /// It fails after so many milliseconds.
    Fails(u64),
    /// Nothing is heard of it.
    Silent,
}

/// When something happened to an address, in milliseconds after [`START`], and the address.
pub(crate) type Attempted = (u64, String);

/// Connects over a network in which `fate` says what becomes of an attempt. Returns when each attempt began,
/// and which one won.
pub(crate) fn connect(dial: &mut Dial, fate: impl Fn(&str) -> Fate) -> (Vec<Attempted>, Option<Attempted>) {
    let (mut now, mut begun) = (START, Vec::new());
    let mut pending: Vec<(AttemptId, String, Duration, bool)> = Vec::new();
    let millis = |now: Duration| u64::try_from((now - START).as_millis()).expect("a short time");
    for _ in 0..10_000 {
        match dial.poll(now) {
            DialStep::Connect { attempt, address, .. } => {
                let DialAddress::Tcp(address) = address else { panic!("no TCP address: {address}") };
                begun.push((millis(now), address.to_string()));
                match fate(&address.to_string()) {
                    Fate::Connects(after) => {
                        pending.push((attempt, address.to_string(), now + Duration::from_millis(after), true));
                    }
                    Fate::Fails(after) => {
                        pending.push((attempt, address.to_string(), now + Duration::from_millis(after), false));
                    }
                    Fate::Silent => {}
                }
            }
            DialStep::Wait { until } => {
                let first = pending.iter().map(|pending| pending.2).min();
                now = [first, until].into_iter().flatten().min().expect("something happens some time");
                while let Some(at) = pending.iter().position(|pending| pending.2 <= now) {
                    let (attempt, address, _, connects) = pending.remove(at);
                    if !connects {
                        dial.connect_failed(attempt, TransportError::Failed);
                    } else if dial.connected(attempt) {
                        return (begun, Some((millis(now), address)));
                    }
                }
            }
            _ => return (begun, None),
        }
    }
    panic!("the machine spins");
}

/// A whole dial: its steps but those that wait, what was said to proxies and to servers, and how it ended.
#[derive(Debug)]
pub(crate) struct Trip {
    pub(crate) steps: Vec<String>,
    pub(crate) to_proxies: Vec<String>,
    pub(crate) to_servers: Vec<String>,
    pub(crate) result: Result<(), DialError>,
}

/// Dials where every name is 192.0.2.1, every attempt connects, TLS succeeds, and `answer` replies to each message.
pub(crate) fn travel(dial: &mut Dial, answer: impl Fn(&[u8]) -> Vec<u8>) -> Trip {
    let mut trip = Trip { steps: Vec::new(), to_proxies: Vec::new(), to_servers: Vec::new(), result: Ok(()) };
    let mut attempts = Vec::new();
    for _ in 0..10_000 {
        let step = dial.poll(START);
        if !matches!(step, DialStep::Wait { .. } | DialStep::Failed(_)) {
            trip.steps.push(step.to_string());
        }
        match step {
            DialStep::Resolve { port, .. } => dial.resolved([([192, 0, 2, 1], port).into()]),
            DialStep::Connect { attempt, .. } => attempts.push(attempt),
            DialStep::Wait { .. } => assert!(dial.connected(attempts.pop().expect("an attempt goes on"))),
            DialStep::Tls { .. } => dial.tls_established(),
            DialStep::Tunnel => {
                let mut tunnel = dial.tunnel();
                exchange(&mut tunnel, &answer, &mut trip.to_proxies);
                dial.tunnel_finished(tunnel.result());
            }
            DialStep::Upgrade => {
                let mut connecting = dial.connecting([7; 16]);
                if exchange(&mut connecting, &answer, &mut trip.to_servers) == Step::Ready {
                    return trip;
                }
                dial.upgrade_failed(connecting.result().expect_err("it is closed"));
            }
            DialStep::Failed(error) => {
                trip.result = Err(error);
                return trip;
            }
        }
    }
    panic!("the machine spins");
}

fn exchange(machine: &mut impl Drive, answer: impl Fn(&[u8]) -> Vec<u8>, sent: &mut Vec<String>) -> Step {
    let mut wire = Wire::default();
    loop {
        let step = drive(machine, &mut wire, START);
        if !matches!(step, Step::Wait { .. }) {
            return step;
        }
        let message = std::mem::take(&mut wire.written);
        assert!(!message.is_empty(), "it waits for more than the answer");
        wire.reads.push_back(answer(&message));
        sent.push(String::from_utf8_lossy(&message).into_owned());
    }
}
