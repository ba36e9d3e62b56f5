//! The stream is always ready: what is measured is the adapter, without a system call.

use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bowsprit::tokio::{Parts, WebSocket};
use bowsprit::{Config, Connection, Messages};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Builder;

use crate::floor::codec;
use crate::harness::{Harness, Row, Run};
use crate::traffic::{LARGE, READ, Traffic, Wire, copy, floor};

pub(crate) fn rows(harness: &Harness) {
    for (name, server, len, target) in [
        ("receive, server, 8 B", true, 8, 3.0),
        ("receive, server, 125 B", true, 125, 2.2),
        ("receive, server, 1 KiB", true, 1 << 10, 1.1),
        ("receive, server, 16 KiB", true, 16 << 10, 0.6),
        ("receive, client, 8 B", false, 8, 3.3),
        ("receive, client, 1 KiB", false, 1 << 10, 1.25),
        ("receive, client, 16 KiB", false, 16 << 10, 0.6),
    ] {
        let traffic = Traffic { server, ..Traffic::binary(len) };
        let others = vec![("copy", copy(&traffic, 16 << 10))];
        harness.row(name, || Row { ours: receive(&traffic), base: floor(&traffic), target, others });
    }
    harness.row("receive, multi-byte text, 1 KiB", || {
        let traffic = Traffic::text("Größe 漢字 и 🙂 ", 1 << 10);
        Row { ours: receive(&traffic), base: floor(&traffic), target: 1.1, others: Vec::new() }
    });
    for (name, server, len) in LARGE {
        let traffic = Traffic { server, ..Traffic::binary(len) };
        harness.row(name, || Row { ours: receive(&traffic), base: floor(&traffic), target: 1.1, others: Vec::new() });
    }
    for (name, len, batch, target) in
        [("feed and flush, server, 8 B", 8, 1, 4.1), ("feed and flush, server, 32 x 8 B", 8, 32, 1.9)]
    {
        harness.row(name, || Row { ours: send(len, batch), base: dropped(len), target, others: Vec::new() });
    }
}

fn open(server: bool, wire: Wire) -> WebSocket<Memory> {
    let config = Config::default().into();
    let connection = match server {
        true => Connection::server(Messages, config),
        false => Connection::client(Messages, config, [0; 32]),
    };
    let (input, output) = (BytesMut::new(), BytesMut::new());
    WebSocket::from_parts(Parts { socket: Memory(wire), connection, input, output, subprotocol: None })
}

fn receive(traffic: &Traffic) -> Run {
    let (mut ws, len) = (open(traffic.server, traffic.wire()), traffic.payload.len());
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    Box::new(move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                let (message, _) = ws.next().await.expect("the peer keeps the rules").expect("it never ends");
                assert_eq!(black_box(message.as_bytes()).len(), len);
            }
        });
        messages
    })
}

/// `batch` messages a flush.
fn send(len: usize, batch: u64) -> Run {
    let payload = vec![0x55; len];
    let mut ws = open(true, Traffic::binary(8).wire());
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    Box::new(move |messages| {
        runtime.block_on(async {
            for message in 1..=messages {
                ws.feed(black_box(&payload)).await.expect("it is open");
                if message % batch == 0 {
                    ws.flush().await.expect("it is open");
                }
            }
        });
        messages
    })
}

/// The floor: frames that are encoded and dropped.
fn dropped(len: usize) -> Run {
    let payload = vec![0x55; len];
    let mut output = Vec::with_capacity(2 * READ);
    Box::new(move |messages| {
        for _ in 0..messages {
            codec::send(&mut output, 2, black_box(&payload), None);
            if output.len() >= READ {
                black_box(&output[..]);
                output.clear();
            }
        }
        messages
    })
}

/// Reads a wire over and over, and drops what is written.
struct Memory(Wire);

impl AsyncRead for Memory {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        buffer.put_slice(self.0.read(buffer.remaining().min(READ)));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
