//! What the tests share: a stream in memory that follows a script and remembers what was done to it, connections
//! without a handshake, frames.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowsprit::tokio::{Parts, WebSocket};
use bowsprit::{Config, Connection, Delivery, Error, Message, Messages, OwnedMessage, Role};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Reads give what `reads` says, one entry a call; writes take what `takes` says, then as much as there is room for.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) reads: VecDeque<Vec<u8>>,
    /// Behind the last read: nothing yet. Else the end.
    pub(crate) silent: bool,
    /// How many bytes a call takes; of 0, it is not ready now, and at once again.
    pub(crate) takes: VecDeque<usize>,
    /// How many bytes it takes before it takes nothing any more.
    pub(crate) room: usize,
    /// Whether it has no vectored writes.
    pub(crate) plain: bool,
    /// Whether each operation is not ready at first.
    pub(crate) stutters: bool,
    pub(crate) stuttered: [bool; 4],
    /// The number of the operation that fails, and how; each write after a write that failed does too.
    pub(crate) fails: Option<(usize, ErrorKind)>,
    pub(crate) broken: Option<ErrorKind>,
    /// Operations so far that were ready.
    pub(crate) calls: usize,
    pub(crate) log: Vec<Op>,
    pub(crate) shut_down: bool,
    pub(crate) waiting: [Option<Waker>; 2],
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Read,
    /// What a call of write took.
    Wrote(Vec<u8>),
    /// A call of write that took nothing.
    Refused,
    Flushed,
    ShutDown,
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
    Flush,
    ShutDown,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            reads: VecDeque::new(),
            silent: false,
            takes: VecDeque::new(),
            room: usize::MAX,
            plain: false,
            stutters: false,
            stuttered: [false; 4],
            fails: None,
            broken: None,
            calls: 0,
            log: Vec::new(),
            shut_down: false,
            waiting: [None, None],
        }
    }
}

impl Script {
    /// A peer that sends this, cut as it stands, and then ends.
    pub(crate) fn sends<const N: usize>(reads: [&[u8]; N]) -> Self {
        Self { reads: reads.into_iter().map(<[u8]>::to_vec).collect(), ..Self::default() }
    }

    /// What was written, a call an element.
    pub(crate) fn writes(&self) -> Vec<&[u8]> {
        let wrote = self.log.iter().filter_map(|op| if let Op::Wrote(bytes) = op { Some(&bytes[..]) } else { None });
        wrote.collect()
    }

    /// All that was written.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.writes().concat()
    }

    /// What was done, but for flushes.
    pub(crate) fn ops(&self) -> Vec<Op> {
        self.log.iter().filter(|op| **op != Op::Flushed).cloned().collect()
    }

    fn begin(&mut self, kind: Kind, context: &Context<'_>) -> Poll<io::Result<()>> {
        let stuttered = &mut self.stuttered[kind as usize];
        *stuttered = self.stutters && !*stuttered;
        if *stuttered {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.calls += 1;
        if let (Some(error), Kind::Write | Kind::Flush | Kind::ShutDown) = (self.broken, kind) {
            return Poll::Ready(Err(error.into()));
        }
        match self.fails {
            Some((number, error)) if number == self.calls - 1 => {
                self.broken = Some(error);
                Poll::Ready(Err(error.into()))
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    fn write(&mut self, context: &Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.begin(Kind::Write, context))?;
        let mut bytes = parts.iter().flat_map(|part| part.to_vec()).collect::<Vec<_>>();
        let takes = self.takes.pop_front();
        bytes.truncate(takes.unwrap_or(usize::MAX).min(self.room));
        if bytes.is_empty() {
            self.log.push(Op::Refused);
            if takes == Some(0) {
                context.waker().wake_by_ref();
            } else {
                self.waiting[1] = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        let n = bytes.len();
        self.room -= n;
        self.log.push(Op::Wrote(bytes));
        Poll::Ready(Ok(n))
    }
}

/// A handle to the stream: one for the connection, one for the test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream(Arc<Mutex<Script>>);

impl Stream {
    pub(crate) fn new(script: Script) -> Self {
        Self(Arc::new(Mutex::new(script)))
    }

    pub(crate) fn sends<const N: usize>(reads: [&[u8]; N]) -> Self {
        Self::new(Script::sends(reads))
    }

    /// A peer that says nothing, and reads everything.
    pub(crate) fn silent() -> Self {
        Self::new(Script { silent: true, ..Script::default() })
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    /// These bytes arrive.
    pub(crate) fn arrive(&self, bytes: &[u8]) {
        let waker = {
            let mut script = self.script();
            script.reads.push_back(bytes.to_vec());
            script.waiting[0].take()
        };
        waker.inspect(Waker::wake_by_ref);
    }

    /// The peer ends the stream.
    pub(crate) fn ends(&self) {
        let waker = {
            let mut script = self.script();
            script.silent = false;
            script.waiting[0].take()
        };
        waker.inspect(Waker::wake_by_ref);
    }

    /// There is room for so many bytes more.
    pub(crate) fn drains(&self, n: usize) {
        let waker = {
            let mut script = self.script();
            script.room = script.room.saturating_add(n);
            script.waiting[1].take()
        };
        waker.inspect(Waker::wake_by_ref);
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.script().written()
    }

    /// How many hold it.
    pub(crate) fn handles(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let script = &mut *self.script();
        std::task::ready!(script.begin(Kind::Read, context))?;
        let Some(mut bytes) = script.reads.pop_front() else {
            if script.silent {
                script.waiting[0] = Some(context.waker().clone());
                return Poll::Pending;
            }
            script.log.push(Op::Read);
            return Poll::Ready(Ok(()));
        };
        script.log.push(Op::Read);
        let n = bytes.len().min(buffer.remaining());
        buffer.put_slice(&bytes[..n]);
        if n < bytes.len() {
            script.reads.push_front(bytes.split_off(n));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.script().write(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.script().write(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        !self.script().plain
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let script = &mut *self.script();
        std::task::ready!(script.begin(Kind::Flush, context))?;
        script.log.push(Op::Flushed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let script = &mut *self.script();
        std::task::ready!(script.begin(Kind::ShutDown, context))?;
        script.log.push(Op::ShutDown);
        script.shut_down = true;
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn server<S: AsyncRead + AsyncWrite + Unpin>(socket: S) -> WebSocket<S> {
    open(Role::Server, socket, Messages, Config::default())
}

pub(crate) fn client<S: AsyncRead + AsyncWrite + Unpin>(socket: S) -> WebSocket<S> {
    open(Role::Client, socket, Messages, Config::default())
}

/// One end of a connection that is open already.
pub(crate) fn open<S: AsyncRead + AsyncWrite + Unpin, D: Delivery>(
    role: Role,
    socket: S,
    delivery: D,
    config: Config,
) -> WebSocket<S, D> {
    let connection = match role {
        Role::Server => Connection::server(delivery, Arc::new(config)),
        Role::Client => Connection::client(delivery, Arc::new(config), [7; 32]),
    };
    let (input, output) = (BytesMut::new(), BytesMut::new());
    WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol: None })
}

/// The README's loop.
pub(crate) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(ws: &mut WebSocket<S>) -> Result<(), Error> {
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}

/// Polls a future so many times and, if it is not done then, drops it.
pub(crate) async fn polls<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// The header of a frame as it is sent to an end of this role: of a client's, the masking key changes nothing.
pub(crate) fn announce(receiver: Role, first: u8, len: u64) -> Vec<u8> {
    let mask = if receiver == Role::Server { 0x80 } else { 0 };
    let mut header = match len {
        0..126 => vec![first, mask | u8::try_from(len).unwrap()],
        126..0x1_0000 => [&[first, mask | 126][..], &len.to_be_bytes()[6..]].concat(),
        _ => [&[first, mask | 127][..], &len.to_be_bytes()[..]].concat(),
    };
    if receiver == Role::Server {
        header.extend([0; 4]);
    }
    header
}

/// A frame as it is sent to an end of this role; `first` is its first byte.
pub(crate) fn frame(receiver: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    [announce(receiver, first, payload.len() as u64), payload.to_vec()].concat()
}

/// A binary frame of a client, with a masking key that changes nothing.
pub(crate) fn masked(payload: &[u8]) -> Vec<u8> {
    frame(Role::Server, 0x82, payload)
}

/// A binary frame of a server: no mask.
pub(crate) fn unmasked(payload: &[u8]) -> Vec<u8> {
    frame(Role::Client, 0x82, payload)
}

/// The first byte of a frame, and its payload.
pub(crate) type Frame = (u8, Vec<u8>);

/// The frames that an end of this role sent.
///
/// # Panics
///
/// When a frame is cut short, or masked where it should not be, or not where it should.
pub(crate) fn frames(sender: Role, mut wire: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = wire {
        assert_eq!(second & 0x80 != 0, sender == Role::Client, "a client masks every frame, a server none");
        let (len, rest) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(rest[..2].try_into().unwrap())), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()), &rest[8..]),
            short => (u64::from(short), rest),
        };
        let (key, rest) = rest.split_at(if sender == Role::Client { 4 } else { 0 });
        let (payload, rest) = rest.split_at(usize::try_from(len).unwrap());
        let key = if key.is_empty() { &[0; 4] } else { key };
        frames.push((*first, payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()));
        wire = rest;
    }
    assert!(wire.is_empty(), "a frame is cut short");
    frames
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 16).to_le_bytes()[0]).collect()
}

pub(crate) fn text(message: Option<OwnedMessage>) -> String {
    message.expect("a message").into_text().expect("text").to_string()
}

/// A message that has to outlive what lent it.
pub(crate) fn owned<W>(next: Result<Option<(Message<'_>, W)>, Error>) -> Result<Option<OwnedMessage>, Error> {
    next.map(|lent| lent.map(|(message, _)| message.to_owned()))
}

/// Of what kind this failure of the stream is.
pub(crate) fn kind(error: &Error) -> ErrorKind {
    match error {
        Error::Io(error) => error.kind(),
        Error::Dial(error) => error.io_kind().expect("an address was tried"),
        // A deadline of ours; a stream's own is never met in the tests that ask for this kind.
        Error::Timeout(..) => ErrorKind::TimedOut,
        error => panic!("{error:?} is no failure of the stream"),
    }
}

pub(crate) const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}
