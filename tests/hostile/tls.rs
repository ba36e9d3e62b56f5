//! Attacks on connections that were to be secret.

use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::thread;

use bowsprit::blocking::{Connector, TlsStream, accept};
use bowsprit::handshake::client::Request;
use bowsprit::tls::rustls::Error as TlsError;
use bowsprit::{Error, HandshakeError};

use crate::authority::Authority;

fn request(uri: &str) -> Request {
    let request = Request::new(uri.parse().expect("an address"));
    request.header("Authorization", "Bearer secret").expect("a header field")
}

// HOSTILE: 24
pub(crate) fn a_secret_in_plaintext() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();

    // TLS that cannot be: nobody could prove to be this host.
    listener.set_nonblocking(true).expect("a socket");
    let error = Connector::new(request(&format!("wss://local%68ost:{port}/"))).tls(authority.client()).connect();
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
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("it reads");
        stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        let _ = stream.read_to_end(&mut seen);
        seen
    });
    let error = Connector::new(request(&format!("WSS://localhost:{port}/?secret"))).tls(authority.client()).connect();
    assert!(matches!(error, Err(Error::Handshake(HandshakeError::Tls(_)))), "{error:?}");
    let seen = server.join().expect("it does not panic");
    assert!(seen.starts_with(&[22, 3]), "a record of the handshake of TLS");
    for word in [&b"secret"[..], b"GET", b"WebSocket"] {
        assert!(!seen.windows(word.len()).any(|bytes| bytes == word), "{seen:02x?}");
    }
}

// HOSTILE: 25
pub(crate) fn a_certificate_for_another_host() {
    let authority = Authority::new();
    for (host, certified) in [
        ("localhost", "example.com"),
        ("localhost", "localhost.example.com"),
        ("localhost", "*.localhost"),
        ("localhost", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "127.0.0.2"),
    ] {
        let config = authority.server(&[certified]);
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let server = thread::spawn(move || {
            let (tcp, _) = listener.accept().expect("a connection");
            accept(TlsStream::server(tcp, config).expect("a configuration"))
        });
        let error = Connector::new(request(&format!("wss://{host}:{port}/"))).tls(authority.client()).connect();
        assert!(
            matches!(error, Err(Error::Handshake(HandshakeError::Tls(TlsError::InvalidCertificate(_))))),
            "{host} is not {certified}: {error:?}"
        );
        // An alert is all that the server got.
        let seen = server.join().expect("it does not panic");
        assert!(matches!(seen, Err(Error::Handshake(HandshakeError::Tls(TlsError::AlertReceived(_))))), "{seen:?}");
    }
}
