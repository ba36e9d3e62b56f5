//! The clients, all on one thread: each writes a batch, waits until all of it is back, and writes the next.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use crate::batch::Batch;

/// For how long nothing may come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sample handshake of RFC 6455 section 1.3, but for its end.
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Connections to one server.
pub struct Load {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    clients: Vec<Client>,
    buffer: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    /// Bytes of the current batch that have come back.
    returned: usize,
}

impl Load {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(1024),
            clients: Vec::new(),
            buffer: vec![0; 256 << 10],
        })
    }

    /// Opens one more connection.
    pub fn connect(&mut self, address: SocketAddr) -> io::Result<()> {
        self.connect_with(address, "")
    }

    /// Opens one more connection, with further lines in its request.
    pub fn connect_with(&mut self, address: SocketAddr, lines: &str) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{REQUEST}{lines}\r\n").as_bytes())?;
        self.shake_hands(&mut stream)?;
        let number = epoll::EventData::new_u64(self.clients.len() as u64);
        epoll::add(&self.epoll, &stream, number, epoll::EventFlags::IN)?;
        self.clients.push(Client { stream, returned: 0 });
        Ok(())
    }

    fn shake_hands(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let mut end = 0;
        while !self.buffer[..end].ends_with(b"\r\n\r\n") {
            let n = stream.read(&mut self.buffer[end..])?;
            if n == 0 {
                return Err(io::Error::other("the server closed within the opening handshake"));
            }
            end += n;
        }
        let head = &self.buffer[..end];
        if !head.starts_with(b"HTTP/1.1 101") || !head.windows(ACCEPT.len()).any(|window| window == ACCEPT) {
            return Err(io::Error::other(format!("no handshake: {}", String::from_utf8_lossy(head))));
        }
        Ok(())
    }

    /// Keeps batches going on every connection for `time`, then waits until all are back. Client `n` sends `batches[n]`,
    /// beginning again where they end. Returns how many messages were echoed; each byte has been compared.
    pub fn run(&mut self, batches: &[Batch], time: Duration) -> io::Result<u64> {
        let end = Instant::now() + time;
        for number in 0..self.clients.len() {
            self.clients[number].stream.write_all(&batches[number % batches.len()].sent)?;
        }
        let (mut messages, mut waiting) = (0, self.clients.len());
        while waiting > 0 {
            self.wait()?;
            let again = Instant::now() < end;
            for event in self.events.drain(..) {
                let number = usize::try_from(event.data.u64()).expect("the number of a client");
                let batch = &batches[number % batches.len()];
                let client = &mut self.clients[number];
                if !client.receive(&batch.echoed, &mut self.buffer)? {
                    continue;
                }
                messages += batch.messages;
                if again {
                    client.stream.write_all(&batch.sent)?;
                } else {
                    waiting -= 1;
                }
            }
        }
        Ok(messages)
    }

    /// Waits until client `n` has received `frames[n]`, beginning again where they end.
    pub fn receive(&mut self, frames: &[&[u8]]) -> io::Result<()> {
        let mut waiting = self.clients.len();
        while waiting > 0 {
            self.wait()?;
            for event in self.events.drain(..) {
                let number = usize::try_from(event.data.u64()).expect("the number of a client");
                let frame = frames[number % frames.len()];
                waiting -= usize::from(self.clients[number].receive(frame, &mut self.buffer)?);
            }
        }
        Ok(())
    }

    /// Sends one batch over the newest connection and waits until it is back.
    pub fn echo(&mut self, batch: &Batch) -> io::Result<()> {
        let client = self.clients.last_mut().expect("called behind `connect`");
        client.stream.write_all(&batch.sent)?;
        while !client.receive(&batch.echoed, &mut self.buffer)? {}
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        let patience = Timespec::try_from(PATIENCE).expect("a few seconds");
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&patience))?;
        if self.events.is_empty() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the server owes an answer and sends nothing"));
        }
        Ok(())
    }
}

impl Client {
    /// Reads once what has arrived. Whether all of `expected` is there now.
    fn receive(&mut self, expected: &[u8], buffer: &mut [u8]) -> io::Result<bool> {
        let n = self.stream.read(buffer)?;
        if n == 0 {
            return Err(io::Error::other("the server closed"));
        }
        if expected.get(self.returned..self.returned + n) != Some(&buffer[..n]) {
            return Err(io::Error::other("the server sent what was not to be echoed"));
        }
        self.returned += n;
        let whole = self.returned == expected.len();
        if whole {
            self.returned = 0;
        }
        Ok(whole)
    }
}
