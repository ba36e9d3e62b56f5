//! A transport in memory, a clock turned by hand, and an endpoint that drives either over any state machine of the driver.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use bowsprit::driver::{
    Accepting, Buffers, Connecting, Drive, Driver, Goal, OpeningError, OwnBuffers, ReceiveHalf, SendHalf, Step,
    TransportError,
};
use bowsprit::extension::Agreement;
use bowsprit::handshake::{AcceptOptions, ClientRequest};
use bowsprit::{
    Chunk, Close, CloseCode, Config, Connection, ConnectionError, End, Event, Message, Messages, Outgoing,
    OwnedMessage, SendError,
};

/// What an operation of a transport does other than succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Nothing: it succeeds.
    None,
    /// It is interrupted once.
    Interrupted,
    /// It is not possible at the moment.
    Blocked,
    /// It transfers one byte.
    Short,
    /// This operation fails, and every later one.
    Fails(ErrorKind),
    /// This operation and every later one that writes fails; reading goes on.
    WritesFail(ErrorKind),
    /// A read gives the end of the stream, now and later; a write accepts zero bytes.
    Ends,
    /// From now on, nothing is possible any more, without an error.
    Stalls,
}

/// What a transport is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Read,
    Write,
    Flush,
    ShutDown,
}

/// One direction of a transport.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) bytes: BytesMut,
    pub(crate) capacity: usize,
    /// The writer has ended the stream.
    pub(crate) ended: bool,
    /// The reader has gone.
    pub(crate) broken: bool,
}

impl Pipe {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { bytes: BytesMut::new(), capacity, ended: false, broken: false }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Removes up to `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        let n = n.min(self.bytes.len());
        self.bytes.split_to(n).to_vec()
    }
}

/// One end of a transport.
pub(crate) struct Wire<'f> {
    /// Whether what is written leaves only with a flush.
    pub(crate) buffers: bool,
    held: Vec<u8>,
    fault: Box<dyn FnMut(usize, Op) -> Fault + 'f>,
    sticky: Fault,
    /// Operations so far.
    pub(crate) ops: usize,
    /// Bytes that were read, and bytes that were accepted for writing.
    pub(crate) read: Vec<u8>,
    pub(crate) wrote: Vec<u8>,
    /// Whether anything has moved since it was last reset.
    pub(crate) moved: bool,
}

pub(crate) type Refused = Result<TransportError, Fault>;

impl<'f> Wire<'f> {
    pub(crate) fn new(fault: impl FnMut(usize, Op) -> Fault + 'f) -> Self {
        Self {
            buffers: false,
            held: Vec::new(),
            fault: Box::new(fault),
            sticky: Fault::None,
            ops: 0,
            read: Vec::new(),
            wrote: Vec::new(),
            moved: false,
        }
    }

    /// What this operation does: the most bytes, or why it does nothing.
    fn begin(&mut self, op: Op) -> Result<usize, Refused> {
        let n = self.ops;
        self.ops += 1;
        let fault = match self.sticky {
            Fault::None => (self.fault)(n, op),
            Fault::Ends if op != Op::Read => (self.fault)(n, op),
            sticky => sticky,
        };
        let io = |kind| Err(Ok(TransportError::Io(kind)));
        match fault {
            Fault::None => Ok(usize::MAX),
            Fault::Short => Ok(1),
            Fault::Interrupted | Fault::Blocked => {
                self.moved = true;
                Err(Err(fault))
            }
            Fault::Stalls => {
                self.sticky = fault;
                Err(Err(Fault::Blocked))
            }
            Fault::Fails(kind) => {
                self.sticky = fault;
                io(kind)
            }
            Fault::WritesFail(kind) => {
                self.sticky = fault;
                if op == Op::Read { Ok(usize::MAX) } else { io(kind) }
            }
            Fault::Ends if op == Op::Read => {
                self.sticky = fault;
                Ok(0)
            }
            Fault::Ends if op == Op::Write => {
                self.sticky = Fault::WritesFail(ErrorKind::BrokenPipe);
                Ok(0)
            }
            Fault::Ends => Ok(usize::MAX),
        }
    }

    fn read(&mut self, buffer: &mut [u8], from: &mut Pipe) -> Result<usize, Refused> {
        assert!(!buffer.is_empty(), "there is something to read into");
        let most = self.begin(Op::Read)?;
        if most == 0 {
            return Ok(0);
        }
        if from.bytes.is_empty() {
            return if from.ended { Ok(0) } else { Err(Err(Fault::Blocked)) };
        }
        let bytes = from.take(most.min(buffer.len()));
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.read.extend_from_slice(&bytes);
        self.moved = true;
        Ok(bytes.len())
    }

    fn write(&mut self, bytes: &[u8], to: &mut Pipe) -> Result<usize, Refused> {
        assert!(!bytes.is_empty(), "there is something to write");
        let most = self.begin(Op::Write)?;
        if most == 0 {
            return Ok(0);
        }
        if to.broken {
            return Err(Ok(TransportError::Io(ErrorKind::BrokenPipe)));
        }
        assert!(!to.ended, "nothing is written after the end");
        let room = to.capacity.saturating_sub(to.bytes.len() + self.held.len());
        let n = most.min(room).min(bytes.len());
        if n == 0 {
            // Full: it hands on what it holds by itself.
            self.moved |= !self.held.is_empty();
            to.push(&std::mem::take(&mut self.held));
            return Err(Err(Fault::Blocked));
        }
        if self.buffers {
            self.held.extend_from_slice(&bytes[..n]);
        } else {
            to.push(&bytes[..n]);
        }
        self.wrote.extend_from_slice(&bytes[..n]);
        self.moved = true;
        Ok(n)
    }

    fn flush(&mut self, to: &mut Pipe) -> Result<(), Refused> {
        self.begin(Op::Flush)?;
        to.push(&std::mem::take(&mut self.held));
        self.moved = true;
        Ok(())
    }

    fn shut_down(&mut self, to: &mut Pipe) -> Result<(), Refused> {
        self.begin(Op::ShutDown)?;
        // What was not flushed is lost.
        self.held.clear();
        to.ended = true;
        self.moved = true;
        Ok(())
    }
}

/// Why [`run`] came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pause {
    Ready,
    Closed,
    Wait { read: bool, write: bool, until: Option<Duration> },
}

/// The loop of an adapter: does what `machine` says until it is ready, closed or waits. A step that goes on for ever fails.
pub(crate) fn run(
    machine: &mut impl Drive,
    wire: &mut Wire<'_>,
    from: &mut Pipe,
    to: &mut Pipe,
    now: Duration,
) -> Pause {
    for _ in 0..STEPS {
        match machine.poll(|| now) {
            Step::Ready => return Pause::Ready,
            Step::Closed => return Pause::Closed,
            Step::Wait { read, write, until } => {
                assert!(read || write || until.is_some(), "it waits for something");
                assert!(until.is_none_or(|until| until > now), "a deadline that is over was judged");
                return Pause::Wait { read, write, until };
            }
            Step::Read => match wire.read(machine.read_buffer(), from) {
                Ok(n) => machine.received(n),
                Err(Ok(error)) => machine.read_failed(error),
                Err(Err(Fault::Interrupted)) => {}
                Err(Err(_)) => machine.read_blocked(),
            },
            Step::Write => match wire.write(machine.to_write(), to) {
                Ok(n) => machine.written(n),
                Err(refused) => refuse(machine, refused),
            },
            Step::Flush => match wire.flush(to) {
                Ok(()) => machine.flushed(),
                Err(refused) => refuse(machine, refused),
            },
            Step::ShutdownWrite => match wire.shut_down(to) {
                Ok(()) => machine.write_shut_down(),
                Err(refused) => refuse(machine, refused),
            },
        }
    }
    panic!("more than {STEPS} steps without a pause");
}

fn refuse(machine: &mut impl Drive, refused: Refused) {
    match refused {
        Ok(error) => machine.write_failed(error),
        Err(Fault::Interrupted) => {}
        Err(_) => machine.write_blocked(),
    }
}

/// The most steps between two pauses.
const STEPS: usize = 200_000;

/// What an application sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Out {
    Message(OwnedMessage),
    /// A binary message in pieces.
    Chunk(Vec<u8>, bool),
    Ping(Vec<u8>),
    Close,
}

impl Out {
    fn feed<B: Buffers>(&self, send: &mut SendHalf<B>) -> Result<(), SendError> {
        match self {
            Self::Message(message) => send.feed(message),
            Self::Chunk(bytes, end) => send.feed(Chunk { data: Message::Binary(bytes), end: *end }),
            Self::Ping(payload) => send.feed(Outgoing::ping(payload)),
            Self::Close => send.feed(Outgoing::close(Some(Close { code: CloseCode::NORMAL, reason: "bye" }))),
        }
    }
}

enum Phase {
    Connecting(Connecting),
    Accepting(Accepting),
    Whole(Driver),
    Split(ReceiveHalf, SendHalf),
    Done,
}

/// How a connection did not open, or why it ended.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Failure {
    Opening(OpeningError),
    Open(ConnectionError),
}

/// A small application over a driver: it sends what its queue says, echoes what it receives if it is a server, and closes
/// after a number of messages if it is a client.
pub(crate) struct Endpoint<'f> {
    phase: Phase,
    pub(crate) wire: Wire<'f>,
    config: Arc<Config>,
    split: bool,
    echo: bool,
    accepted: bool,
    /// How many messages to receive before the Close.
    pub(crate) close_after: usize,
    pub(crate) queue: VecDeque<Out>,
    pub(crate) received: Vec<OwnedMessage>,
    /// Bytes of the opening handshake among those that were read.
    pub(crate) head: usize,
    pub(crate) agreement: Option<Agreement>,
    pub(crate) end: Option<End>,
    pub(crate) result: Option<Result<(), Failure>>,
    /// What the sending half reported, if it was not able to go on.
    pub(crate) send_result: Option<Result<(), ConnectionError>>,
    /// The most output that was queued.
    pub(crate) most_unsent: usize,
}

impl<'f> Endpoint<'f> {
    pub(crate) fn client(config: &Arc<Config>, wire: Wire<'f>, split: bool, now: Duration) -> Self {
        let request = ClientRequest::try_from("ws://example.com/chat").expect("an address");
        let connecting = Connecting::new(&request, *b"the sample nonce", config.clone(), now);
        Self::new(Phase::Connecting(connecting), config, wire, split)
    }

    pub(crate) fn server(config: &Arc<Config>, wire: Wire<'f>, split: bool, now: Duration) -> Self {
        let mut server = Self::new(Phase::Accepting(Accepting::new(config.clone(), now)), config, wire, split);
        server.echo = true;
        server
    }

    fn new(phase: Phase, config: &Arc<Config>, wire: Wire<'f>, split: bool) -> Self {
        Self {
            phase,
            wire,
            config: config.clone(),
            split,
            echo: false,
            accepted: false,
            close_after: usize::MAX,
            queue: VecDeque::new(),
            received: Vec::new(),
            head: 0,
            agreement: None,
            end: None,
            result: None,
            send_result: None,
            most_unsent: 0,
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    fn open(&mut self, driver: Driver) {
        self.agreement = Some(driver.receive_half().extensions().clone());
        let marker = b"\r\n\r\n";
        let end = self.wire.read.windows(marker.len()).position(|bytes| bytes == marker);
        self.head = end.expect("a head was read") + marker.len();
        self.phase = if self.split {
            let (receive, send) = driver.split();
            Phase::Split(receive, send)
        } else {
            Phase::Whole(driver)
        };
    }

    fn finish(&mut self, end: Option<End>, result: Result<(), Failure>, from: &mut Pipe, to: &mut Pipe) {
        self.end = end;
        self.result = Some(result);
        self.phase = Phase::Done;
        // The transport is dropped.
        to.ended = true;
        from.broken = true;
    }

    /// Does all that can be done at this time; when to come back, if there is a deadline.
    pub(crate) fn turn(&mut self, from: &mut Pipe, to: &mut Pipe, now: Duration) -> Option<Duration> {
        for _ in 0..TURNS {
            match &mut self.phase {
                Phase::Done => return None,
                Phase::Connecting(connecting) => match run(connecting, &mut self.wire, from, to, now) {
                    Pause::Wait { until, .. } => return until,
                    pause => {
                        let Phase::Connecting(connecting) = std::mem::replace(&mut self.phase, Phase::Done) else {
                            unreachable!()
                        };
                        if pause == Pause::Ready {
                            self.open(connecting.into_driver(Messages, [7; 32], OwnBuffers).0);
                        } else {
                            let result = connecting.result().map_err(Failure::Opening);
                            assert!(result.is_err(), "it did not open, and says why");
                            self.finish(None, result, from, to);
                        }
                    }
                },
                Phase::Accepting(accepting) => match run(accepting, &mut self.wire, from, to, now) {
                    Pause::Wait { until, .. } => return until,
                    Pause::Ready if !self.accepted => {
                        self.accepted = true;
                        let _ = accepting.accept(&AcceptOptions::new());
                    }
                    pause => {
                        let Phase::Accepting(accepting) = std::mem::replace(&mut self.phase, Phase::Done) else {
                            unreachable!()
                        };
                        if pause == Pause::Ready {
                            self.open(accepting.into_driver(Messages, OwnBuffers).0);
                        } else {
                            let result = accepting.result().map_err(Failure::Opening);
                            assert!(result.is_err(), "it did not open, and says why");
                            self.finish(None, result, from, to);
                        }
                    }
                },
                Phase::Whole(driver) => {
                    feed(&mut self.queue, driver.send_half_mut());
                    self.most_unsent = self.most_unsent.max(driver.send_half().unsent());
                    match run(driver, &mut self.wire, from, to, now) {
                        Pause::Ready => {
                            let message = driver.take_item().expect("there is an item");
                            self.got(message);
                        }
                        Pause::Closed => {
                            let result = driver.result().map_err(Failure::Open);
                            let end = driver.end();
                            self.finish(end, result, from, to);
                        }
                        Pause::Wait { until, .. } => {
                            if self.queue.is_empty() || !driver.send_half().has_room() {
                                return until;
                            }
                        }
                    }
                }
                Phase::Split(receive, send) => {
                    // The half that sends waits for capacity before each message, and for the flush after the last.
                    let writes = !self.queue.is_empty() && self.send_result.is_none();
                    let mut sooner = None;
                    if writes || send.unsent() > 0 && self.send_result.is_none() {
                        let goal = if writes { Goal::Room } else { Goal::Flushed };
                        match run(&mut send.until(goal), &mut self.wire, from, to, now) {
                            Pause::Ready if writes => {
                                let before = self.queue.len();
                                feed_one(&mut self.queue, send);
                                if self.queue.len() < before {
                                    self.wire.moved = true;
                                    continue;
                                }
                            }
                            Pause::Ready => {}
                            Pause::Closed => {
                                let result = send.result();
                                assert!(result.is_err(), "the goal cannot be reached, and it says why");
                                self.send_result = Some(result);
                                self.queue.clear();
                            }
                            Pause::Wait { until, .. } => sooner = until,
                        }
                    }
                    self.most_unsent = self.most_unsent.max(send.unsent());
                    match run(&mut receive.with(send), &mut self.wire, from, to, now) {
                        Pause::Ready => {
                            let message = receive.take_item().expect("there is an item");
                            self.got(message);
                        }
                        Pause::Closed => {
                            let result = receive.with(send).result().map_err(Failure::Open);
                            let end = send.end();
                            // The other half, if it waits, is told too.
                            let flushed = run(&mut send.until(Goal::Flushed), &mut self.wire, from, to, now);
                            assert!(matches!(flushed, Pause::Ready | Pause::Closed), "it does not wait: {flushed:?}");
                            self.finish(end, result, from, to);
                        }
                        Pause::Wait { until, .. } => {
                            let deadline = [until, sooner].into_iter().flatten().min();
                            if self.queue.is_empty() || !send.has_room() || self.send_result.is_some() {
                                return deadline;
                            }
                        }
                    }
                }
            }
        }
        panic!("more than {TURNS} turns without a pause");
    }

    fn got(&mut self, message: OwnedMessage) {
        if self.echo {
            self.queue.push_back(Out::Message(message.clone()));
        }
        self.received.push(message);
        if self.received.len() == self.close_after {
            self.queue.push_back(Out::Close);
        }
    }

    /// The messages that are complete in what the transport gave: an independent reading of it.
    pub(crate) fn delivered(&self) -> Vec<OwnedMessage> {
        self.read_again().0
    }

    /// Whether the peer's Close is complete in what the transport gave.
    pub(crate) fn delivered_close(&self) -> bool {
        self.read_again().1
    }

    fn read_again(&self) -> (Vec<OwnedMessage>, bool) {
        let config = self.config.clone();
        let mut connection = if self.echo {
            Connection::server(Messages, config)
        } else {
            Connection::client(Messages, config, [0; 32])
        };
        if let Some(agreement) = &self.agreement {
            connection = connection.with_extensions(agreement);
        }
        let mut input = BytesMut::from(&self.wire.read[self.head..]);
        let (mut output, mut messages, mut closed) = (BytesMut::new(), Vec::new(), false);
        let mut batch = connection.receive(&mut input, &mut output);
        while let Ok(Some((event, _))) = batch.next() {
            match event {
                Event::Data(message) => messages.push(message.to_owned()),
                Event::Close(_) => closed = true,
                Event::Ping(_) | Event::Pong(_) => {}
            }
        }
        (messages, closed)
    }
}

fn feed(queue: &mut VecDeque<Out>, send: &mut SendHalf) {
    while !queue.is_empty() && feed_one(queue, send) {}
}

/// Whether the queue may go on.
fn feed_one(queue: &mut VecDeque<Out>, send: &mut SendHalf) -> bool {
    let Some(out) = queue.front() else { return false };
    match out.feed(send) {
        Ok(()) => {
            queue.pop_front();
            true
        }
        Err(SendError::Full) => false,
        Err(_) => {
            queue.clear();
            false
        }
    }
}

/// The most messages handled at one time.
const TURNS: usize = 10_000;
