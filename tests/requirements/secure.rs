//! `wss`: who the server is comes first, and all bytes go inside TLS.

use std::io::Read as _;
use std::net::TcpListener;
use std::thread;

use bowsprit::blocking::{Connector, TlsStream, accept};
use bowsprit::handshake::ClientRequest;
use bowsprit::tls::rustls::{Connection, Error as TlsError, ServerConnection};
use bowsprit::{Error, HandshakeError, Message, Role};

use crate::authority::Authority;
use crate::harness::Log;

pub(crate) fn rows(log: &mut Log) {
    // REQ: WS-4.1-16
    let authority = Authority::new();
    let connect = |port| {
        let request = ClientRequest::new(format!("wss://localhost:{port}/secret").parse().unwrap());
        Connector::new(request).tls(authority.client()).connect()
    };

    // SNI is sent, `http/1.1` is agreed on, and messages go both ways.
    let config = authority.server(&["localhost"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let mut ws = accept(TlsStream::server(listener.accept().unwrap().0, config).unwrap()).unwrap();
        ws.get_ref().inspect(|tls| {
            let Connection::Server(tls) = tls else { panic!("a server") };
            assert_eq!(tls.server_name(), Some("localhost"));
            assert_eq!(tls.alpn_protocol(), Some(&b"http/1.1"[..]));
        });
        ws.send("hello").unwrap();
        ws.close(None).unwrap().clean
    });
    let (mut ws, _) = connect(port).unwrap();
    assert!(matches!(ws.next().unwrap(), Some((Message::Text("hello"), _))));
    assert!(ws.next().unwrap().is_none());
    assert!(server.join().unwrap());

    // A certificate for another name: an error, and all that was written is records of TLS.
    let config = authority.server(&["example.com"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(config).unwrap();
        let mut seen = Vec::new();
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = tcp.read(&mut bytes) {
            seen.extend_from_slice(&bytes[..n]);
            let mut input = &bytes[..n];
            while !input.is_empty() && tls.read_tls(&mut input).is_ok_and(|n| n > 0) {
                let _ = tls.process_new_packets();
            }
            while tls.wants_write() {
                tls.write_tls(&mut tcp).unwrap();
            }
        }
        seen
    });
    let refused = connect(port).map(drop);
    assert!(
        matches!(refused, Err(Error::Handshake(HandshakeError::Tls(TlsError::InvalidCertificate(_))))),
        "{refused:?}"
    );
    let seen = server.join().unwrap();
    let mut records = &seen[..];
    while let [kind, 3, _, high, low, rest @ ..] = records {
        assert!(matches!(kind, 20..=23), "a record of TLS");
        records = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    assert!(records.is_empty() && !seen.windows(6).any(|bytes| bytes == b"secret"));
    log.proved("WS-4.1-16", Role::Client);
}
