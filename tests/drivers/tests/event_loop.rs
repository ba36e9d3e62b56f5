//! The event loop: 1,000 connections of one thread, what an idle one holds, and how connections end.
//!
//! The heap is that of the whole process, so nothing else may run meanwhile: one test goes through all.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bowsprit::driver::SendHalf;
use bowsprit::handshake::ClientRequest;
use bowsprit::{Close, CloseCode, Config, Error, HandshakeError, Message, Outgoing, OwnedMessage, SendError, Timeout};
use bowsprit_drivers::{Application, EventLoop, Pool};

const CONNECTIONS: usize = 1000;

/// What an idle connection of a server may hold, in bytes of heap, with its share of the loop's tables.
const IDLE: usize = 400;

/// Sends a message on each connection, and keeps what comes back.
#[derive(Default)]
struct Client {
    greeting: String,
    received: HashMap<usize, Vec<OwnedMessage>>,
    results: Vec<Result<(), Error>>,
}

impl Application for Client {
    fn opened(&mut self, key: usize, send: &mut SendHalf<Pool>) {
        let greeting = self.greeting.replace('#', &key.to_string());
        send.feed(&*greeting).expect("the queue is empty");
    }

    fn received(&mut self, key: usize, message: Message<'_>, _: &mut SendHalf<Pool>) -> Result<(), SendError> {
        self.received.entry(key).or_default().push(message.into());
        Ok(())
    }

    fn closed(&mut self, _: usize, result: Result<(), Error>) {
        self.results.push(result);
    }
}

/// Echoes, and closes after a message "bye".
#[derive(Default)]
struct Server {
    /// How often a message was offered while the queue was full.
    full: usize,
    results: Vec<Result<(), Error>>,
}

impl Application for Server {
    fn received(&mut self, _: usize, message: Message<'_>, send: &mut SendHalf<Pool>) -> Result<(), SendError> {
        if message == Message::Text("bye") {
            return send.feed(Outgoing::close(Some(Close { code: CloseCode::NORMAL, reason: "bye" })));
        }
        let fed = send.feed(message);
        self.full += usize::from(fed == Err(SendError::Full));
        fed
    }

    fn closed(&mut self, _: usize, result: Result<(), Error>) {
        self.results.push(result);
    }
}

/// Two loops of one thread, so that the memory of each can be told apart.
struct Pair {
    server_loop: EventLoop,
    client_loop: EventLoop,
    server: Server,
    client: Client,
    address: SocketAddr,
}

impl Pair {
    fn new(config: Config, greeting: &str) -> Self {
        let config = Arc::new(config);
        let mut server_loop = EventLoop::new(config.clone()).expect("an event queue");
        let address = server_loop.listen(([127, 0, 0, 1], 0).into()).expect("it listens");
        let client = Client { greeting: greeting.to_owned(), ..Client::default() };
        let client_loop = EventLoop::new(config).expect("an event queue");
        Self { server_loop, client_loop, server: Server::default(), client, address }
    }

    fn connect(&mut self) -> usize {
        let request = ClientRequest::try_from(&*format!("ws://{}/", self.address)).expect("an address");
        self.client_loop.connect(self.address, &request).expect("a socket")
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < Duration::from_secs(60), "it goes on: {:?}", self.client.results);
            self.client_loop.turn(&mut self.client, Duration::from_millis(1)).expect("it waits");
            self.server_loop.turn(&mut self.server, Duration::from_millis(1)).expect("it waits");
        }
    }
}

#[test]
fn event_loop() {
    echoes_and_closes();
    a_full_queue_loses_nothing();
    refusals_and_failures_are_reported();
    deadlines_are_kept();
    idle_connections_hold_little();
}

fn echoes_and_closes() {
    let mut pair = Pair::new(Config::default(), "hello");
    let key = pair.connect();
    pair.run_until(|pair| !pair.client.received.is_empty());
    assert_eq!(pair.client.received[&key], [OwnedMessage::from(Message::Text("hello"))]);

    let mut pair = Pair::new(Config::default(), "bye");
    pair.connect();
    pair.run_until(|pair| pair.client.results.len() == 1 && pair.server.results.len() == 1);
    assert!(pair.client.results[0].is_ok() && pair.server.results[0].is_ok());
    assert_eq!((pair.client_loop.connections(), pair.server_loop.connections()), (0, 0));
}

/// The message that finds the queue full is offered again, and the messages behind it wait their turn.
fn a_full_queue_loses_nothing() {
    struct Flood(Vec<usize>);

    impl Application for Flood {
        fn opened(&mut self, _: usize, send: &mut SendHalf<Pool>) {
            for number in 0..64_u8 {
                send.feed(&vec![number; 16 << 10]).expect("the bound is a mebibyte");
            }
        }

        fn received(&mut self, _: usize, message: Message<'_>, _: &mut SendHalf<Pool>) -> Result<(), SendError> {
            let bytes = message.as_bytes();
            assert!(bytes.len() == 16 << 10 && bytes.iter().all(|byte| *byte == bytes[0]));
            self.0.push(bytes[0].into());
            Ok(())
        }
    }

    let mut pair = Pair::new(Config { max_unsent: 1, ..Config::default() }, "");
    let mut flood = Flood(Vec::new());
    let mut client_loop = EventLoop::new(Arc::default()).expect("an event queue");
    let request = ClientRequest::try_from(&*format!("ws://{}/", pair.address)).expect("an address");
    client_loop.connect(pair.address, &request).expect("a socket");
    let start = Instant::now();
    while flood.0.len() < 64 {
        assert!(start.elapsed() < Duration::from_secs(60));
        client_loop.turn(&mut flood, Duration::from_millis(1)).expect("it waits");
        pair.server_loop.turn(&mut pair.server, Duration::from_millis(1)).expect("it waits");
    }
    assert_eq!(flood.0, Vec::from_iter(0..64));
    assert!(pair.server.full > 0, "the queue was never full");
}

fn refusals_and_failures_are_reported() {
    // A page of another origin.
    let mut pair = Pair::new(Config::default(), "");
    let request = ClientRequest::try_from(&*format!("ws://{}/", pair.address)).expect("an address");
    let request = request.origin("http://elsewhere.example").expect("an origin");
    pair.client_loop.connect(pair.address, &request).expect("a socket");
    pair.run_until(|pair| pair.client.results.len() == 1 && pair.server.results.len() == 1);
    let [Err(Error::Handshake(HandshakeError::Refused(response)))] = &pair.client.results[..] else {
        panic!("{:?}", pair.client.results)
    };
    assert_eq!(response.status(), 403);
    assert!(matches!(&pair.server.results[..], [Err(Error::Handshake(HandshakeError::Origin(_)))]));

    // Nobody listens.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let mut pair = Pair::new(Config::default(), "");
    pair.address = closed;
    pair.connect();
    pair.run_until(|pair| pair.client.results.len() == 1);
    let [Err(Error::Io(error))] = &pair.client.results[..] else { panic!("{:?}", pair.client.results) };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

fn deadlines_are_kept() {
    // Nothing but the operating system answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let limit = Duration::from_millis(50);
    let mut pair = Pair::new(Config { handshake_timeout: Some(limit), ..Config::default() }, "");
    pair.address = silent.local_addr().expect("its address");
    let start = Instant::now();
    pair.connect();
    pair.run_until(|pair| pair.client.results.len() == 1);
    assert!(start.elapsed() >= limit);
    let [Err(Error::Timeout(Timeout::Handshake, reported))] = &pair.client.results[..] else {
        panic!("{:?}", pair.client.results)
    };
    assert_eq!(*reported, limit);
}

fn idle_connections_hold_little() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit }).expect("it may rise");
    }
    let mut pair = Pair::new(Config::default(), "hello #");
    for connected in 1..=CONNECTIONS {
        pair.connect();
        if connected % 100 == 0 {
            // The system's queue of connections that wait to be accepted is short.
            pair.run_until(|pair| pair.client.received.len() == connected);
        }
    }
    for (key, messages) in &pair.client.received {
        assert_eq!(messages[..], [OwnedMessage::from(Message::Text(&format!("hello {key}")))]);
    }
    assert_eq!(pair.server_loop.connections(), CONNECTIONS);
    assert!(pair.client.results.is_empty() && pair.server.results.is_empty());

    let Pair { server_loop, client_loop, .. } = pair;
    let client = held_by(client_loop) / CONNECTIONS;
    let server = held_by(server_loop) / CONNECTIONS;
    println!("an idle connection holds {server} bytes of heap in a server, {client} in a client");
    assert!(server < IDLE, "{server} bytes");
}

/// The heap that `value` holds: what dropping it frees.
fn held_by<T>(value: T) -> usize {
    let before = LIVE.load(Ordering::Relaxed);
    drop(value);
    before - LIVE.load(Ordering::Relaxed)
}

static LIVE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as promised to us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as promised to us.
        unsafe { System.dealloc(block, layout) }
    }
}
