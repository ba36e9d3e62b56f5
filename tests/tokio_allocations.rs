//! The tokio adapter allocates nothing for a message, in either role: what it needs it has after the first ones.

#[expect(dead_code, reason = "it counts more than is asked here")]
#[path = "hostile/heap.rs"]
mod heap;

use bowsprit::tokio::{WebSocket, accept, connect_with};
use bowsprit::{Error, Message};
use tokio::net::{TcpListener, TcpStream};

const BATCHES: usize = 200;

#[test]
fn small_messages_one_by_one() {
    allocate_nothing(Message::Binary(&[7; 20]), 1);
    allocate_nothing(Message::Text("twenty bytes of text"), 1);
    allocate_nothing(Message::Binary(&[]), 1);
}

#[test]
fn small_messages_in_batches() {
    allocate_nothing(Message::Binary(&[7; 20]), 64);
    allocate_nothing(Message::Text(&"é".repeat(500)), 16);
    allocate_nothing(Message::Binary(&[7; 1 << 10]), 16);
}

/// Those that a server sends uncopied, among them.
#[test]
fn messages_of_up_to_a_read() {
    allocate_nothing(Message::Binary(&[7; 4 << 10]), 4);
    allocate_nothing(Message::Binary(&[7; 16 << 10]), 1);
    allocate_nothing(Message::Text(&"a".repeat(32 << 10)), 1);
}

/// A client sends batches of `in_flight` messages to a server that echoes them, both on this thread. Nothing may be
/// allocated once both have got going.
#[track_caller]
fn allocate_nothing(message: Message<'_>, in_flight: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut client, mut server) = runtime.block_on(open()).unwrap();
    let mut exchange = |batches| {
        heap::of(|| {
            runtime.block_on(async {
                tokio::try_join!(ask(&mut client, message, in_flight, batches), echo(&mut server, in_flight * batches))
            })
        })
    };
    exchange(BATCHES).0.unwrap();
    let (exchanged, heap) = exchange(BATCHES);
    exchanged.unwrap();
    assert_eq!(heap.allocations, 0, "{in_flight} messages of {} bytes: {heap:?}", message.as_bytes().len());
}

async fn open() -> Result<(WebSocket<TcpStream>, WebSocket<TcpStream>), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let stream = TcpStream::connect(listener.local_addr()?).await?;
    stream.set_nodelay(true)?;
    let (accepted, _) = listener.accept().await?;
    accepted.set_nodelay(true)?;
    tokio::try_join!(connect_with(stream, "ws://localhost/"), accept(accepted))
}

async fn ask(
    ws: &mut WebSocket<TcpStream>,
    message: Message<'_>,
    in_flight: usize,
    batches: usize,
) -> Result<(), Error> {
    for _ in 0..batches {
        for _ in 0..in_flight {
            ws.feed(message).await?;
        }
        for _ in 0..in_flight {
            let (echoed, _) = ws.next().await?.expect("nobody closes");
            assert_eq!(echoed, message);
        }
    }
    Ok(())
}

async fn echo(ws: &mut WebSocket<TcpStream>, messages: usize) -> Result<(), Error> {
    for _ in 0..messages {
        let (message, out) = ws.next().await?.expect("nobody closes");
        out.feed(message).await?;
    }
    ws.flush().await
}
