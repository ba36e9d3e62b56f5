//! What an idle session of the server layer holds, beside a connection of the plain echo server, over loopback.
//!
//! The heap is that of the whole process, so nothing else may run meanwhile: one test goes through all.

#[expect(dead_code, reason = "the most that was held is of no interest here")]
#[path = "../tokio_memory/heap.rs"]
mod heap;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bowsprit::server::{Request, Router, Session, Topics, WebSocket, handler, serve, websocket};
use bowsprit::session::{BoxError, Handler};
use bowsprit::{Message, OwnedMessage};
use tokio::net::TcpListener;

/// What a session may hold beyond a connection of the plain echo server and what is kept of its request, in bytes.
const SESSION: usize = 512;

const CONNECTIONS: usize = 500;

const REQUEST: &[u8] = b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// "Hello", masked (RFC 6455 section 5.7), and its echo.
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const ECHO: &[u8] = b"\x81\x05Hello";

struct Echo;

impl Handler<Session> for Echo {
    async fn on_message(&mut self, _: &Session, message: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
        Ok(Some(message.to_owned()))
    }
}

#[test]
fn an_idle_session_is_small() {
    a_topic_leaves_nothing_behind();
    let plain = idle(async |listener| {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut ws = bowsprit::tokio::accept(stream).await?;
                while let Some((message, out)) = ws.next().await? {
                    out.feed(message).await?;
                }
                Ok::<_, bowsprit::Error>(())
            });
        }
    });
    let (tell, told) = mpsc::sync_channel(1);
    let by_handler = idle(async move |listener| {
        let router = Router::new().route(
            "/echo",
            handler(move |session: &Session| {
                // The first; nobody receives another.
                let _ = tell.try_send(session.request().clone());
                Echo
            }),
        );
        serve(listener, router, std::future::pending()).await;
    });
    let by_function = idle(async move |listener| {
        let echo = |mut ws: WebSocket| async move {
            while let Some((message, out)) = ws.next().await? {
                out.feed(message).await?;
            }
            Ok::<_, bowsprit::Error>(())
        };
        let router = Router::new().route("/echo", websocket(echo));
        serve(listener, router, std::future::pending()).await;
    });
    // The sessions before are about to end.
    thread::sleep(Duration::from_millis(500));
    let request: Request = told.recv().expect("a session told");
    let request = size_of::<Request>() + heap::held_by(request);
    println!("heap of an idle connection: {plain} B");
    println!(
        "of a session with a handler {by_handler} B, with a function {by_function} B; of which its request {request} B"
    );
    for session in [by_handler, by_function] {
        assert!(session <= plain + SESSION + request, "{session} B, {plain} B, {request} B");
    }
}

/// The heap of each connection to this server, in bytes, when it is idle behind ten messages.
fn idle<F: Future<Output = ()>>(server: impl FnOnce(TcpListener) -> F + Send + 'static) -> usize {
    let address = start(server);
    let mut clients = Vec::with_capacity(2 * CONNECTIONS);
    let open = |clients: &mut Vec<TcpStream>| {
        for _ in 0..CONNECTIONS {
            clients.push(connect(address));
        }
        thread::sleep(Duration::from_millis(300));
        heap::live()
    };
    // The first ones bring what belongs to the server; as many again do not make its tables grow out of proportion.
    let before = open(&mut clients);
    usize::try_from(open(&mut clients) - before).expect("it grows") / CONNECTIONS
}

/// Starts a server in a thread of its own, which ends with the process; its address.
fn start<F: Future<Output = ()>>(server: impl FnOnce(TcpListener) -> F + Send + 'static) -> SocketAddr {
    let (send, address) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            send.send(listener.local_addr().expect("it is bound")).expect("the test waits");
            server(listener).await;
        });
    });
    address.recv().expect("the server starts")
}

fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(REQUEST).expect("it is open");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    for _ in 0..10 {
        stream.write_all(HELLO).expect("it is open");
        let mut echo = [0; ECHO.len()];
        stream.read_exact(&mut echo).expect("an echo");
        assert_eq!(echo, ECHO);
    }
    stream
}

/// A message of a topic, once it is through, leaves nothing in the sessions that got it.
fn a_topic_leaves_nothing_behind() {
    let (publish, mut published) = tokio::sync::mpsc::unbounded_channel::<&[u8]>();
    let address = start(async move |listener| {
        let topics = Topics::new();
        let to = topics.clone();
        tokio::spawn(async move {
            while let Some(message) = published.recv().await {
                to.publish("news", message).await;
            }
        });
        let subscribe = move |mut ws: WebSocket| {
            let topics = topics.clone();
            async move {
                let _subscription = topics.subscribe("news", ws.session()).await?;
                while let Some((message, out)) = ws.next().await? {
                    out.feed(message).await?;
                }
                Ok::<_, BoxError>(())
            }
        };
        serve(listener, Router::new().route("/echo", websocket(subscribe)), std::future::pending()).await;
    });
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| connect(address)).collect();
    let mut held = [0; 3];
    for held in &mut held {
        publish.send(b"news").expect("the server runs");
        for client in &mut clients {
            let mut news = [0; 6];
            client.read_exact(&mut news).expect("it is published");
            assert_eq!(news, *b"\x82\x04news");
        }
        thread::sleep(Duration::from_millis(300));
        *held = heap::live();
    }
    println!("heap behind a message of a topic: {:+} B in all", held[2] - held[0]);
    assert!(held[2] - held[0] < 4 << 10);
}
