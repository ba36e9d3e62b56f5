//! Servers in threads of their own, which end with the process.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use bowsprit::blocking::{self, Transport};

/// What a server was asked, head by head.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, request: impl Into<String>) {
        self.0.lock().unwrap().push(request.into());
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
}

impl Server {
    /// Each connection in a thread.
    pub(crate) fn start(serve: impl Fn(TcpStream, &Log) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Log::default();
        let (serve, shared) = (Arc::new(serve), log.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (serve, log) = (serve.clone(), shared.clone());
                thread::spawn(move || serve(stream.unwrap(), &log));
            }
        });
        Self { address, log }
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }
}

/// Echoes one message after the other.
pub(crate) fn echo() -> Server {
    Server::start(echo_over)
}

pub(crate) fn echo_unix(path: &Path) -> Server {
    let listener = UnixListener::bind(path).unwrap();
    let log = Log::default();
    let shared = log.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            echo_over(stream.unwrap(), &shared);
        }
    });
    Server { address: ([0, 0, 0, 0], 0).into(), log }
}

pub(crate) fn echo_over(stream: impl Transport, log: &Log) {
    let incoming = match blocking::receive_request(stream, bowsprit::Config::default().into()) {
        Ok(incoming) => incoming,
        Err(_) => return, // it asked for nothing
    };
    let request = incoming.request();
    let fields: String = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value)))
        .collect();
    log.push(format!("GET {} HTTP/1.1\r\n{fields}", request.target()));
    let Ok(mut ws) = incoming.accept(&bowsprit::handshake::AcceptOptions::new(), bowsprit::Messages) else { return };
    while let Ok(Some((message, out))) = ws.next() {
        if out.send(message).is_err() {
            return;
        }
    }
}

/// Answers every request with a redirect.
pub(crate) fn redirecting(status: u16, location: &str) -> Server {
    let location = location.to_owned();
    Server::start(move |mut stream, log| {
        log.push(head(&mut BufReader::new(&stream)));
        let answer = format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
    })
}

/// The lines up to the empty one.
pub(crate) fn head(from: &mut impl std::io::BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).unwrap() == 0 {
            break;
        }
    }
    head
}

/// Nobody listens there.
pub(crate) fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An address that neither accepts nor refuses, as long as the second value lives: its backlog is full.
pub(crate) fn silent() -> (SocketAddr, impl Sized) {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&listener, 0).unwrap();
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().unwrap();
    let first = TcpStream::connect(address).unwrap();
    (address, (listener, first))
}

/// Both directions, until one of them ends.
pub(crate) fn relay(near: impl Read + Write + Send + Duplicated, far: TcpStream) {
    let (mut near_reads, mut near_writes) = near.duplicated();
    let (mut far_reads, mut far_writes) = (far.try_clone().unwrap(), far);
    thread::scope(|scope| {
        scope.spawn(move || {
            let _ = std::io::copy(&mut near_reads, &mut far_writes);
            let _ = far_writes.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut far_reads, &mut near_writes);
        near_writes.end();
    });
}

/// What is written to, up to an end.
pub(crate) trait End: Write + Send {
    fn end(&mut self);
}

impl End for TcpStream {
    fn end(&mut self) {
        let _ = self.shutdown(std::net::Shutdown::Write);
    }
}

pub(crate) trait Duplicated {
    fn duplicated(self) -> (Box<dyn Read + Send>, Box<dyn End>);
}

impl Duplicated for TcpStream {
    fn duplicated(self) -> (Box<dyn Read + Send>, Box<dyn End>) {
        (Box::new(self.try_clone().unwrap()), Box::new(self))
    }
}
