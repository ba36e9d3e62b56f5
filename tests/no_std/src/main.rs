//! A WebSocket conversation without std, an operating system's help or a clock: both ends in one program.
//!
//! It exits with 0 when all went well and aborts otherwise.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use bowsprit::handshake::{AcceptOptions, ClientHandshake, ClientRequest, ServerHandshake};
use bowsprit::{
    Close, CloseCode, Config, Connection, Event, Header, Initiator, Mask, Message, Messages, OpCode, Outgoing,
};
use bytes::BytesMut;

#[unsafe(no_mangle)]
pub extern "C" fn main() -> c_int {
    frames();
    handshake();
    conversation();
    0
}

/// RFC 6455 section 5.7: a masked text frame "Hello".
fn frames() {
    let mut frame = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let (header, size) = Header::decode(&frame).expect("a legal frame").expect("a whole header");
    assert_eq!((header.opcode, header.len, header.mask, size), (OpCode::Text, 5, Some(Mask(*b"\x37\xfa\x21\x3d")), 6));
    assert_eq!(header.encode()[..], frame[..size]);
    Mask(*b"\x37\xfa\x21\x3d").apply(&mut frame[size..]);
    assert_eq!(&frame[size..], b"Hello");
}

/// The nonce and the response of RFC 6455 section 1.3.
fn handshake() {
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let request = ClientRequest::try_from("ws://server.example.com/chat").expect("a URI");
    let nonce = *b"the sample nonce";
    let mut client = ClientHandshake::start(&request, nonce, config(), Duration::ZERO, &mut to_server);
    let mut server = ServerHandshake::new(config(), Duration::ZERO);
    let request = server.receive(&mut to_server).expect("a legal request").expect("a whole request");
    assert_eq!((request.path(), request.host()), ("/chat", "server.example.com"));
    request.accept(&AcceptOptions::new(), &mut to_client).expect("an upgrade");
    assert!(to_client.ends_with(b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
    client.receive(&mut to_client).expect("the right response").expect("a whole response");
}

/// The client says something long enough for every path of mask and UTF-8; the server echoes; both close.
fn conversation() {
    let text = "Hello, κόσμε! ".repeat(1000);
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let mut client = Connection::client(Messages, config(), [7; 32]);
    let mut server = Connection::server(Messages, config());
    client.send(&text, &mut to_server).expect("room for a message");

    let mut batch = server.receive(&mut to_server, &mut to_client);
    let (event, mut outbox) = batch.next().expect("a legal frame").expect("a whole message");
    match event {
        Event::Data(Message::Text(received)) => outbox.send(Outgoing::text(received)).expect("room for the echo"),
        other => panic!("{other:?}"),
    }
    drop(batch);

    let mut batch = client.receive(&mut to_client, &mut to_server);
    match batch.next() {
        Ok(Some((Event::Data(Message::Text(echo)), mut outbox))) => {
            assert_eq!(echo, text);
            outbox.close(Some(Close::from(CloseCode::NORMAL))).expect("an open connection");
        }
        other => panic!("{other:?}"),
    }
    drop(batch);

    let mut batch = server.receive(&mut to_server, &mut to_client);
    assert!(matches!(batch.next(), Ok(Some((Event::Close(_), _)))));
    drop(batch);
    assert!(matches!(client.receive(&mut to_client, &mut to_server).next(), Ok(Some((Event::Close(_), _)))));
    for (end, initiator) in [(client.end(), Initiator::Local), (server.end(), Initiator::Remote)] {
        assert_eq!(end.expect("an end").by, initiator);
    }
}

fn config() -> Arc<Config> {
    Arc::new(Config::default())
}

/// Gives each piece of memory away once: enough for a short program on one thread.
struct Bump {
    used: AtomicUsize,
    memory: UnsafeCell<[u8; SIZE]>,
}

const SIZE: usize = 4 << 20;

#[global_allocator]
static ALLOCATOR: Bump = Bump { used: AtomicUsize::new(0), memory: UnsafeCell::new([0; SIZE]) };

// SAFETY: `memory` is reached through `alloc` alone, which hands every byte of it out at most once.
unsafe impl Sync for Bump {}

// SAFETY: a block lies inside `memory`, is aligned, and overlaps no other because `used` only grows.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let memory = self.memory.get().cast::<u8>();
        let mut at = 0;
        let take = |used: usize| {
            at = used + memory.wrapping_add(used).align_offset(layout.align());
            at.checked_add(layout.size()).filter(|&end| end <= SIZE)
        };
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => memory.wrapping_add(at),
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: `abort` takes no argument and may be called at any time.
    unsafe { abort() }
}

// The C library is what starts the program, and where the compiler finds memcpy and its kin.
#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
}
