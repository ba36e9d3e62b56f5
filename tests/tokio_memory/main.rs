//! What a connection of the tokio adapter holds, read from an allocator that counts: the rows of memory among the
//! hostile ones, over streams in memory and over sockets.
//!
//! The heap is that of the whole process, so nothing else may run meanwhile: one test goes through all.

mod heap;
mod stream;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::tokio::{Parts, WebSocket, WebSocketStream};
use bowsprit::{Chunks, Config, Connection, Delivery, Message, Messages, OwnedMessage};
use bytes::BytesMut;
use stream::{Script, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// What the connection may weigh, in bytes, beyond its socket and its task.
const IDLE: usize = 256;

#[test]
fn memory_is_bounded() {
    let checks: [(&str, fn()); 8] = [
        ("sizes", sizes),
        ("a length that nothing follows", a_length_that_nothing_follows),
        ("pings over a stream that takes nothing", pings_over_a_stream_that_takes_nothing),
        ("kept messages", kept_messages),
        ("one huge message and then silence", one_huge_message_and_then_silence),
        ("idle connections", idle_connections),
        ("idle connections over sockets", idle_connections_over_sockets),
        ("a message larger than anybody holds", a_message_larger_than_anybody_holds),
    ];
    for (what, check) in checks {
        println!("{what}");
        check();
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn server<S: AsyncRead + AsyncWrite + Unpin, D: Delivery>(
    socket: S,
    delivery: D,
    config: &Arc<Config>,
) -> WebSocket<S, D> {
    let connection = Connection::server(delivery, config.clone());
    let (input, output) = (BytesMut::new(), BytesMut::new());
    WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol: None })
}

/// A frame of a client, with a masking key that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [announce(first, payload.len() as u64), payload.to_vec()].concat()
}

fn announce(first: u8, len: u64) -> Vec<u8> {
    let mut header = match len {
        0..126 => vec![first, 0x80 | u8::try_from(len).expect("it is below 126")],
        126..0x1_0000 => [&[first, 0x80 | 126][..], &len.to_be_bytes()[6..]].concat(),
        _ => [&[first, 0x80 | 127][..], &len.to_be_bytes()[..]].concat(),
    };
    header.extend([0; 4]);
    header
}

/// Echoes what has arrived; how many messages that were.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(ws: &mut WebSocket<S>) -> usize {
    let mut messages = 0;
    loop {
        tokio::select! {
            biased;
            next = ws.next() => {
                let (message, out) = next.expect("it is right").expect("it is open");
                out.feed(message).await.expect("the stream takes everything");
                messages += 1;
            }
            () = std::future::ready(()) => return messages,
        }
    }
}

/// Fills the buffers that a thread keeps for its connections.
async fn warm_up(config: &Arc<Config>) {
    let script = RefCell::new(Script { segments: [frame(0x82, &[0; 3000])].into(), ..Script::default() });
    assert_eq!(echo(&mut server(Stream(&script), Messages, config)).await, 1);
}

fn sizes() {
    assert_eq!(size_of::<WebSocket<TcpStream>>(), size_of::<usize>());
    assert_eq!(size_of::<WebSocket<TcpStream, Chunks>>(), size_of::<usize>());
    assert!(size_of::<WebSocketStream<TcpStream>>() <= 2 * size_of::<usize>());
    // What a task holds while it waits.
    let config = Arc::new(Config::default());
    let script = RefCell::new(Script::default());
    let mut ws = server(Stream(&script), Messages, &config);
    assert_eq!(size_of_val(&ws.next()), size_of::<usize>());
    assert_eq!(size_of_val(&ws.recv()), size_of::<usize>());
    assert!(size_of_val(&ws.send("")) <= 64);
}

// HOSTILE: 2
fn a_length_that_nothing_follows() {
    current_thread().block_on(async {
        let config = Arc::new(Config::default());
        warm_up(&config).await;
        for first in [0x82, 0x02] {
            let script = RefCell::new(Script { segments: [announce(first, 64 << 20)].into(), ..Script::default() });
            let mut ws = server(Stream(&script), Messages, &config);
            let before = heap::live();
            heap::level();
            assert_eq!(echo(&mut ws).await, 0);
            assert!(heap::peak() - before < 4 << 10, "{} bytes", heap::peak() - before);
        }
    });
}

// HOSTILE: 3
fn pings_over_a_stream_that_takes_nothing() {
    const PINGS: u32 = 400_000;
    current_thread().block_on(async {
        let pings: Vec<Vec<u8>> = (0..PINGS).map(|n| frame(0x89, &n.to_be_bytes())).collect();
        let segments = pings.chunks(5_000).map(<[_]>::concat).collect();
        drop(pings);
        let script = RefCell::new(Script { segments, full: true, ..Script::default() });
        let mut ws = server(Stream(&script), Messages, &Arc::default());
        heap::level();
        let before = heap::live();
        assert_eq!(echo(&mut ws).await, 0);
        assert!(heap::peak() - before <= 256 << 10, "a block and a queue: {} bytes", heap::peak() - before);
        let unsent = ws.into_parts().output.len();
        assert!(unsent <= (16 << 10) + 2 * 6, "{unsent} bytes are unsent");
    });
}

// HOSTILE: 29
fn kept_messages() {
    current_thread().block_on(async {
        for (len, count) in [
            (10, 500),
            (1 << 10, 500),
            (2 << 10, 500),
            (16 << 10, 200),
            (40 << 10, 100),
            (64 << 10, 100),
            (1 << 20, 20),
        ] {
            // Each is kept amid 60 KiB of others, which are only looked at; it and those before it are whole, or in
            // fragments: their bytes move through one buffer.
            let other = [0; 3 << 10];
            let payload = vec![b'x'; len];
            let mut fragments = [frame(0x02, &other), frame(0x00, &other).repeat(8)].concat();
            fragments.extend(frame(0x80, &other));
            fragments.extend(frame(0x01, b""));
            payload.chunks(1000).for_each(|piece| fragments.extend(frame(0x00, piece)));
            fragments.extend(frame(0x80, b""));
            let whole = [frame(0x82, &[0; 30 << 10]), frame(0x81, &payload)].concat();
            // One that makes the block grow.
            let large = [frame(0x82, &[0; 100 << 10]), frame(0x81, &payload)].concat();
            let behind = frame(0x82, &other).repeat(10);
            let script = RefCell::new(Script::default());
            let mut ws = server(Stream(&script), Messages, &Arc::default());
            let mut kept = Vec::with_capacity(count);
            for n in 0..count {
                let message = match n % 20 {
                    0 => &large,
                    1..10 => &whole,
                    _ => &fragments,
                };
                script.borrow_mut().segments.push_back([&message[..], &behind].concat());
                assert!(matches!(ws.next().await, Ok(Some((Message::Binary(_), _)))));
                kept.push(ws.recv().await.expect("it is right").expect("it is open"));
                for _ in 0..10 {
                    assert!(matches!(ws.next().await, Ok(Some((Message::Binary(_), _)))));
                }
            }
            assert!(kept.iter().all(|message| matches!(message, OwnedMessage::Text(text) if text.len() == len)));
            drop(ws);
            // Dropped one after the other: a block that several hold would come back with its last.
            for message in kept {
                let retained = heap::held_by(message);
                assert!(retained <= 2 * len + 64, "a message of {len} bytes retains {retained}");
            }
        }
    });
}

// HOSTILE: 30
fn one_huge_message_and_then_silence() {
    current_thread().block_on(async {
        let config = Arc::new(Config::default());
        let huge = vec![b'x'; 8 << 20];
        let mut fragments = frame(0x01, b"");
        huge.chunks(64 << 10).for_each(|piece| fragments.extend(frame(0x00, piece)));
        fragments.extend(frame(0x80, b""));
        for wire in [frame(0x81, &huge), fragments] {
            let script = RefCell::new(Script::default());
            script.borrow_mut().segments = wire.chunks(64 << 10).map(<[u8]>::to_vec).collect();
            let mut ws = server(Stream(&script), Messages, &config);
            assert_eq!(echo(&mut ws).await, 1);
            assert_eq!(script.borrow().written, huge.len() + 10);
            let weight = heap::held_by(ws);
            assert!(weight <= IDLE + size_of::<Stream<'_>>(), "{weight} bytes");
        }
    });
}

fn ten() -> Vec<u8> {
    let mut wire = Vec::new();
    for n in 0..9 {
        wire.extend(frame(0x81, "x".repeat(1_000 * n).as_bytes()));
        wire.extend(frame(0x89, b"ping"));
    }
    wire.extend(frame(0x01, b"in two"));
    wire.extend(frame(0x80, b" pieces"));
    wire
}

// HOSTILE: 31
fn idle_connections() {
    const COUNT: usize = 200;
    current_thread().block_on(async {
        let config = Arc::new(Config::default());
        let script = RefCell::new(Script::default());
        let fresh = heap::held_by(server(Stream(&script), Messages, &config)) - size_of::<Stream<'_>>();
        println!("  before the first byte: {fresh} bytes");
        assert!(fresh <= IDLE, "{fresh} bytes before the first byte");

        // Many in one thread, so that nothing hides in what a thread keeps.
        let first = RefCell::new(Script { segments: [ten()].into(), ..Script::default() });
        assert_eq!(echo(&mut server(Stream(&first), Messages, &config)).await, 10);
        let scripts: Vec<_> = (0..COUNT).map(|_| RefCell::new(Script::default())).collect();
        let mut idle = Vec::with_capacity(COUNT);
        let before = heap::live();
        for script in &scripts {
            script.borrow_mut().segments.push_back(ten());
            let mut ws = server(Stream(script), Messages, &config);
            assert_eq!(echo(&mut ws).await, 10);
            script.borrow_mut().segments = [].into();
            idle.push(ws);
        }
        let weight = usize::try_from(heap::live() - before).expect("they weigh something") / COUNT;
        let weight = weight + size_of_val(&idle[0]) - size_of::<Stream<'_>>();
        println!("  idle after ten messages: {weight} bytes");
        assert!(weight <= IDLE, "{weight} bytes when idle");
        assert!(idle.iter().all(|ws| ws.end().is_none()));
    });
}

/// In tasks over loopback: beside what tasks and sockets alone hold, and far from a block to read into each.
// HOSTILE: 31
fn idle_connections_over_sockets() {
    const COUNT: usize = 60;
    let multi_thread = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for (runtime, threads) in [(current_thread(), 1), (multi_thread, 3)] {
        runtime.block_on(async {
            let bare = held_by_tasks(COUNT, false).await;
            let open = held_by_tasks(COUNT, true).await;
            let spares = threads * 2 * (64 << 10);
            println!("  {threads} threads: {} bytes each", open.saturating_sub(bare) / COUNT);
            assert!(open <= bare + COUNT * IDLE + spares, "{open} bytes, {bare} of them without connections");
        });
    }
}

/// What so many tasks hold while they wait for their sockets, each with a connection behind ten messages or without.
async fn held_by_tasks(count: usize, open: bool) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let config = Arc::new(Config::default());
    let (mut peers, mut tasks) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let before = heap::live();
    for _ in 0..count {
        let mut peer = TcpStream::connect(address).await.expect("loopback");
        let (socket, _) = listener.accept().await.expect("it connects");
        let config = config.clone();
        tasks.push(tokio::spawn(async move {
            if open {
                let mut ws = server(socket, Messages, &config);
                while let Ok(Some((message, out))) = ws.next().await {
                    out.feed(message).await.expect("it is taken");
                }
            } else {
                socket.readable().await.expect("a socket");
            }
        }));
        if open {
            for n in 0..10 {
                let message = vec![b'x'; 200 + 2_000 * n];
                peer.write_all(&frame(0x82, &message)).await.expect("it is taken");
                peer.read_exact(&mut vec![0; 4 + message.len()]).await.expect("it is echoed");
            }
        }
        peers.push(peer);
    }
    // All wait.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let held = heap::live() - before;
    for task in tasks {
        task.abort();
        let _ = task.await;
    }
    usize::try_from(held).expect("they hold something")
}

/// It streams through both ends as fast as the slower one reads.
fn a_message_larger_than_anybody_holds() {
    const LEN: u64 = 16 << 20;
    const UNLIMITED: Chunks = Chunks { max_message: Config::UNLIMITED, max_fragments: u32::MAX };
    current_thread().block_on(async {
        let config = Arc::new(Config { max_message: 1_000, ..Config::default() });
        let (near, far) = tokio::io::duplex(16 << 10);
        let before = heap::live();
        heap::level();
        let sent = std::rc::Rc::new(std::cell::Cell::new(0));
        let sends = async {
            let connection = Connection::client(UNLIMITED, config.clone(), [7; 32]);
            let (input, output) = (BytesMut::new(), BytesMut::new());
            let mut ws = WebSocket::from_parts(Parts { socket: near, connection, input, output, subprotocol: None });
            let mut writer = ws.stream_binary();
            while sent.get() < LEN {
                writer.write_all(&[7; 10_000]).await.expect("it is read");
                sent.set(sent.get() + 10_000);
            }
            writer.shutdown().await.expect("it is read");
            ws.close(None).await.expect("nothing is against it")
        };
        let receives = async {
            let mut ws = server(far, UNLIMITED, &config);
            let mut message = ws.read_message().await.expect("it is right").expect("it is open");
            // The sender waits for its reader.
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            assert!(sent.get() < 256 << 10, "{} bytes are on their way", sent.get());
            let mut received = 0;
            loop {
                match message.read(&mut [0; 1_000]).await.expect("it is right") {
                    0 => break,
                    n => received += n as u64,
                }
            }
            assert!(ws.next().await.expect("it is right").is_none());
            received
        };
        let (end, received) = tokio::join!(sends, receives);
        assert!(end.clean && received == sent.get());
        let peak = heap::peak() - before;
        println!("  at most {peak} bytes");
        assert!(peak < 1 << 20, "{peak} bytes");
    });
}
