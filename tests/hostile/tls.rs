//! Attacks on connections that were to be secret, over both adapters; and what such a connection costs when it is idle.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use bowsprit::blocking::{self, TlsStream, accept};
use bowsprit::handshake::ClientRequest;
use bowsprit::tls::rustls::{ClientConfig, Error as TlsError};
use bowsprit::{Error, HandshakeError};

use crate::authority::Authority;
use crate::heap;

type Connect = fn(ClientRequest, Arc<ClientConfig>) -> Result<(), Error>;

const ADAPTERS: &[Connect] = &[
    |request, tls| blocking::Connector::new(request).tls(tls).connect().map(drop),
    #[cfg(feature = "tokio")]
    |request, tls| runtime().block_on(bowsprit::tokio::Connector::new(request).tls(tls).connect()).map(drop),
];

#[cfg(feature = "tokio")]
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn request(uri: &str) -> ClientRequest {
    let request = ClientRequest::new(uri.parse().expect("an address"));
    request.header("Authorization", "Bearer secret").expect("a header field")
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

// HOSTILE: 24
pub(crate) fn a_secret_in_plaintext() {
    let authority = Authority::new();
    for connect in ADAPTERS {
        // TLS that cannot be: nobody could prove to be this host.
        let (listener, port) = listen();
        listener.set_nonblocking(true).expect("a socket");
        let error = connect(request(&format!("wss://local%68ost:{port}/")), authority.client());
        assert!(matches!(error, Err(Error::Handshake(HandshakeError::Uri(_)))), "{error:?}");
        assert_eq!(
            listener.accept().map(drop).map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock),
            "nothing was dialled"
        );

        // A server that would take it in plain text.
        listener.set_nonblocking(false).expect("a socket");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut seen = vec![0; 4096];
            let n = stream.read(&mut seen).expect("a ClientHello");
            seen.truncate(n);
            stream.write_all(b"HTTP/1.1 400 Bad ClientRequest\r\n\r\n").expect("it reads");
            stream.shutdown(std::net::Shutdown::Write).expect("it is open");
            let _ = stream.read_to_end(&mut seen);
            seen
        });
        let error = connect(request(&format!("WSS://localhost:{port}/?secret")), authority.client());
        assert!(matches!(error, Err(Error::Handshake(HandshakeError::Tls(_)))), "{error:?}");
        let seen = server.join().expect("it does not panic");
        assert!(seen.starts_with(&[22, 3]), "a record of the handshake of TLS");
        for word in [&b"secret"[..], b"GET", b"WebSocket"] {
            assert!(!seen.windows(word.len()).any(|bytes| bytes == word), "{seen:02x?}");
        }
    }
}

// HOSTILE: 25
pub(crate) fn a_certificate_for_another_host() {
    let authority = Authority::new();
    for connect in ADAPTERS {
        for (host, certified) in [
            ("localhost", "example.com"),
            ("localhost", "localhost.example.com"),
            ("localhost", "*.localhost"),
            ("localhost", "127.0.0.1"),
            ("127.0.0.1", "localhost"),
            ("127.0.0.1", "127.0.0.2"),
        ] {
            let config = authority.server(&[certified]);
            let (listener, port) = listen();
            let server = thread::spawn(move || {
                let (tcp, _) = listener.accept().expect("a connection");
                accept(TlsStream::server(tcp, config).expect("a configuration"))
            });
            let error = connect(request(&format!("wss://{host}:{port}/")), authority.client());
            assert!(
                matches!(error, Err(Error::Handshake(HandshakeError::Tls(TlsError::InvalidCertificate(_))))),
                "{host} is not {certified}: {error:?}"
            );
            // An alert is all that the server got.
            let seen = server.join().expect("it does not panic");
            assert!(matches!(seen, Err(Error::Handshake(HandshakeError::Tls(TlsError::AlertReceived(_))))), "{seen:?}");
        }
    }
}

/// Connections that hold no more than this each, beyond what rustls holds, hold no buffer.
const IDLE: usize = 300;

const COUNT: usize = 20;

// HOSTILE: 31
pub(crate) fn idle_connections_inside_tls() {
    let authority = Authority::new();
    let server = authority.server(&["localhost"]);
    let mut idle = Vec::new();
    for _ in 0..COUNT {
        let (listener, port) = listen();
        let tls = authority.client();
        let client = thread::spawn(move || {
            let tcp = TcpStream::connect(("localhost", port)).expect("it listens");
            let tls = TlsStream::client(tcp, tls, "localhost").expect("a host");
            let mut ws = blocking::connect_with(tls, "wss://localhost/").expect("it is accepted");
            for n in 0..10 {
                ws.send(&vec![0; 5_000 * n][..]).expect("it is open");
                ws.recv().expect("it is open").expect("a message");
            }
            ws
        });
        let (tcp, _) = listener.accept().expect("a connection");
        let mut ws = accept(TlsStream::server(tcp, server.clone()).expect("a configuration")).expect("a request");
        for _ in 0..10 {
            let (message, out) = ws.next().expect("it is open").expect("a message");
            out.send(message).expect("it is open");
        }
        ws.get_ref().get_ref().set_nonblocking(true).expect("a socket");
        let error = ws.next().map(drop).expect_err("nothing has arrived");
        assert!(matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock));
        idle.push((ws, client.join().expect("it does not panic")));
    }
    let mut sockets = Vec::with_capacity(COUNT);
    let mut clients = Vec::with_capacity(COUNT);
    let ((), freed) = heap::of(|| {
        for (ws, client) in idle.drain(..) {
            sockets.push(ws.into_parts().socket);
            clients.push(client);
        }
    });
    check("blocking", size_of::<blocking::WebSocket<TcpStream>>(), freed.growth, heap::held_by(sockets));
    #[cfg(feature = "tokio")]
    idle_connections_of_tokio(&authority);
}

#[cfg(feature = "tokio")]
fn idle_connections_of_tokio(authority: &Authority) {
    let server = authority.server(&["localhost"]);
    runtime().block_on(async {
        let mut idle = Vec::new();
        for _ in 0..COUNT {
            let (near, far) = tokio::io::duplex(1 << 20);
            let near = bowsprit::tokio::TlsStream::client(near, authority.client(), "localhost").expect("a host");
            let far = bowsprit::tokio::TlsStream::server(far, server.clone()).expect("a configuration");
            let (client, ws) =
                tokio::join!(bowsprit::tokio::connect_with(near, "wss://localhost/"), bowsprit::tokio::accept(far));
            let (mut client, mut ws) = (client.expect("it is accepted"), ws.expect("a request"));
            for n in 0..10 {
                client.send(&vec![0; 5_000 * n][..]).await.expect("it is open");
                let (message, out) = ws.next().await.expect("it is open").expect("a message");
                out.send(message).await.expect("it is open");
                client.recv().await.expect("it is open").expect("a message");
            }
            tokio::select! {
                biased;
                next = ws.next() => panic!("nothing has arrived, and yet there is {next:?}"),
                () = std::future::ready(()) => {}
            }
            idle.push((ws, client));
        }
        let mut sockets = Vec::with_capacity(COUNT);
        let mut clients = Vec::with_capacity(COUNT);
        let ((), freed) = heap::of(|| {
            for (ws, client) in idle.drain(..) {
                sockets.push(ws.into_parts().socket);
                clients.push(client);
            }
        });
        check("tokio", size_of::<bowsprit::tokio::WebSocket<TcpStream>>(), freed.growth, heap::held_by(sockets));
    });
}

/// `growth`: of the heap, as all were taken apart and the streams kept; which hold `rest`.
fn check(adapter: &str, size: usize, growth: isize, rest: usize) {
    let freed = usize::try_from(-growth).expect("something was freed") / COUNT;
    let rest = rest / COUNT;
    println!("an idle connection inside TLS, {adapter}: {size} bytes, and {freed} of heap; TLS itself {rest}");
    assert!(size + freed <= IDLE, "{size} + {freed}");
    // Without the room for the large records that have come.
    assert!(rest <= 10 << 10, "{rest}");
}
