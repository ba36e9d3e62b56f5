//! The blocking adapter over TLS, both roles.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use bowsprit::blocking::{
    Connector, Duplicate as _, Interest, Plain, Stream, TlsStream, Transport as _, WebSocket, accept, accept_with,
    connect, connect_with, receive_request,
};
use bowsprit::handshake::{AcceptOptions, ClientRequest, HeadError, RequestError, ResponseError};
use bowsprit::tls::rustls::pki_types::ServerName;
use bowsprit::tls::rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Connection, Error as TlsError, ServerConfig,
    StreamOwned,
};
use bowsprit::{CloseCode, Config, Error, HandshakeError, Message, Messages};

use crate::authority::Authority;
use crate::sizes::sizes;
use crate::support::{
    client_with, echo, join, kind, masked, millis, pattern, rest, server, server_with, tcp, text, timed_out, within,
};

type Tls = TlsStream<TcpStream>;

/// A server that takes one connection over TLS: its port, and what becomes of the connection.
fn listen<T: Send + 'static>(
    config: Arc<ServerConfig>,
    serve: impl FnOnce(Tls) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, thread::spawn(move || serve(TlsStream::server(listener.accept().unwrap().0, config).unwrap())))
}

fn connector(host: &str, port: u16, config: Arc<ClientConfig>) -> Connector {
    Connector::new(ClientRequest::new(format!("wss://{host}:{port}/").parse().unwrap())).tls(config)
}

/// Two ends of a connection inside TLS, its handshake done.
fn pair() -> (Tls, Tls) {
    let authority = Authority::new();
    let (near, far) = tcp();
    let mut near = TlsStream::client(near, authority.client(), "localhost").unwrap();
    let mut far = TlsStream::server(far, authority.server(&["localhost"])).unwrap();
    let server = thread::spawn(move || {
        far.read_exact(&mut [0]).unwrap();
        far.write_all(&[0]).unwrap();
        far
    });
    near.write_all(&[0]).unwrap();
    near.read_exact(&mut [0]).unwrap();
    (near, join(server))
}

/// Why the client would not talk to this server; the server is asked what it saw.
fn refused(client: Connector, server: JoinHandle<Result<WebSocket<Tls>, Error>>) -> TlsError {
    let refused = client.connect();
    let Err(Error::Handshake(HandshakeError::Tls(error))) = refused else { panic!("{refused:?}") };
    // The server has been told with an alert, and has seen nothing of WebSocket.
    let seen = join(server);
    assert!(
        matches!(seen, Err(Error::Handshake(HandshakeError::Tls(TlsError::AlertReceived(_))))),
        "the server saw {seen:?}"
    );
    error
}

#[test]
fn messages_of_every_size_go_both_ways() {
    within(|| {
        let authority = Authority::new();
        let (port, server) = listen(authority.server(&["localhost"]), |tls| {
            let mut ws = accept(tls).unwrap();
            echo(&mut ws).unwrap();
            ws.end().unwrap()
        });
        let (mut ws, response) = connector("localhost", port, authority.client()).connect().unwrap();
        assert_eq!(response.status(), 101);
        assert!(ws.get_ref().tcp().expect("TCP").nodelay().unwrap());
        for len in [0, 1, 125, 126, 4095, 4096, 16383, 16384, 16385, 65535, 65536, 1 << 20] {
            let bytes = pattern(len);
            ws.send(&bytes[..]).unwrap();
            let echoed = ws.recv().unwrap().unwrap();
            assert!(echoed.as_message() == Message::Binary(&bytes), "{len} bytes");
            let typed = "ä".repeat(len / 2);
            ws.send(&*typed).unwrap();
            assert!(text(ws.recv().unwrap()) == typed, "{len} bytes of text");
        }
        let end = ws.close(Some(CloseCode::NORMAL.into())).unwrap();
        assert!(end.clean && end.code() == CloseCode::NORMAL, "{end:?}");
        assert!(join(server).clean);
    });
}

#[test]
fn ends_agree_on_the_protocol_and_the_name() {
    within(|| {
        let authority = Authority::new();
        let config = authority.server(&["localhost", "127.0.0.1"]);
        for (host, name) in [("localhost", Some("localhost")), ("127.0.0.1", None)] {
            let (port, server) = listen(config.clone(), |tls| {
                let ws = accept(tls).unwrap();
                ws.get_ref().inspect(|tls| {
                    let Connection::Server(server) = tls else { panic!("a server") };
                    (tls.alpn_protocol().map(<[u8]>::to_vec), server.server_name().map(str::to_owned))
                })
            });
            let (ws, _) = connector(host, port, authority.client()).connect().unwrap();
            let agreed = ws.get_ref().tls().unwrap().inspect(|tls| tls.alpn_protocol().map(<[u8]>::to_vec));
            assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
            assert_eq!(join(server), (agreed, name.map(str::to_owned)));
        }
    });
}

#[test]
fn an_address_of_version_6_is_a_host_too() {
    within(|| {
        // Not every system has one.
        let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
        let port = listener.local_addr().unwrap().port();
        let authority = Authority::new();
        let config = authority.server(&["::1"]);
        let server = thread::spawn(move || {
            accept(TlsStream::server(listener.accept().unwrap().0, config).unwrap()).unwrap().recv()
        });
        let (ws, _) = connector("[::1]", port, authority.client()).connect().unwrap();
        assert!(ws.close(None).unwrap().clean);
        assert!(join(server).unwrap().is_none());
    });
}

#[test]
fn a_certificate_for_another_host_is_refused_before_anything_is_said() {
    within(|| {
        let authority = Authority::new();
        for (host, certified) in [
            ("localhost", "example.com"),
            ("localhost", "127.0.0.1"),
            ("127.0.0.1", "localhost"),
            ("127.0.0.1", "127.0.0.2"),
        ] {
            let (port, server) = listen(authority.server(&[certified]), accept);
            let error = refused(connector(host, port, authority.client()), server);
            let why = CertificateError::NotValidForName;
            let TlsError::InvalidCertificate(found) = &error else { panic!("{error:?}") };
            assert!(
                *found == why || matches!(found, CertificateError::NotValidForNameContext { .. }),
                "{host} is not {certified}: {error:?}"
            );
        }
    });
}

#[test]
fn a_certificate_of_an_unknown_authority_or_of_another_time_is_refused() {
    within(|| {
        let (authority, other) = (Authority::new(), Authority::new());
        let (port, server) = listen(other.server(&["localhost"]), accept);
        let error = refused(connector("localhost", port, authority.client()), server);
        assert!(
            matches!(
                error,
                TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
            ),
            "{error:?}"
        );

        let (chain, key) = authority.certify_with(&["localhost"], |params| {
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        });
        let config = bowsprit::tls::server_config(chain.as_bytes(), key.as_bytes()).unwrap();
        let (port, server) = listen(config, accept);
        let error = refused(connector("localhost", port, authority.client()), server);
        let TlsError::InvalidCertificate(why) = &error else { panic!("{error:?}") };
        assert!(matches!(why, CertificateError::Expired | CertificateError::ExpiredContext { .. }), "{error:?}");
    });
}

/// Runs itself, for what the system trusts is said by its environment.
#[test]
fn trusts_whom_the_system_trusts_unless_told_otherwise() {
    const URI: &str = "BOWSPRIT_TEST_URI";
    if let Ok(uri) = std::env::var(URI) {
        within(move || connect(&uri).unwrap().close(None).unwrap());
        return;
    }
    within(|| {
        let authority = Authority::new();
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.pem", std::process::id()));
        std::fs::write(&file, authority.pem()).unwrap();
        for (trusted, roots) in [(true, &*file), (false, std::path::Path::new("/nonexistent"))] {
            let (port, server) =
                listen(authority.server(&["localhost"]), |tls| accept(tls).and_then(|mut ws| echo(&mut ws)));
            let ran = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "blocking::trusts_whom_the_system_trusts_unless_told_otherwise"])
                .env(URI, format!("wss://localhost:{port}/"))
                .env("SSL_CERT_FILE", roots)
                .env_remove("SSL_CERT_DIR")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.status.success(), trusted, "{said}");
            if !trusted {
                // Nobody to trust is known before any dial: the server still waits.
                assert!(said.contains("Tls("), "{said}");
                drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
            }
            assert_eq!(join(server).is_ok(), trusted);
        }
        std::fs::remove_file(file).unwrap();
    });
}

#[test]
fn a_host_that_no_certificate_can_name_is_an_error_before_any_dial() {
    let uri = "wss://local%68ost:1/".parse().unwrap();
    let refused = Connector::new(ClientRequest::new(uri)).tls(Authority::new().client()).connect();
    assert!(matches!(refused, Err(Error::Handshake(HandshakeError::Uri(_)))), "{refused:?}");
}

#[test]
fn a_configuration_of_the_callers_stays_as_it_is() {
    within(|| {
        let authority = Authority::new();
        let mut config = ClientConfig::clone(&authority.client());
        config.alpn_protocols.clear();
        let (port, server) = listen(authority.server(&["localhost"]), |tls| {
            let ws = accept(tls).unwrap();
            ws.get_ref().inspect(|tls| tls.alpn_protocol().map(<[u8]>::to_vec))
        });
        connector("localhost", port, Arc::new(config)).connect().unwrap();
        assert_eq!(join(server), None);
    });
}

#[test]
fn a_client_that_speaks_another_protocol_is_told_so() {
    within(|| {
        let authority = Authority::new();
        let mut config = ClientConfig::clone(&authority.client());
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (port, server) = listen(authority.server(&["localhost"]), accept);
        let refused = connector("localhost", port, Arc::new(config)).connect();
        assert!(
            matches!(
                refused,
                Err(Error::Handshake(HandshakeError::Tls(TlsError::AlertReceived(
                    AlertDescription::NoApplicationProtocol
                ))))
            ),
            "{refused:?}"
        );
        assert!(matches!(join(server), Err(Error::Handshake(HandshakeError::Tls(TlsError::NoApplicationProtocol)))));
    });
}

#[test]
fn one_type_of_stream_serves_both_kinds_of_clients() {
    within(|| {
        let authority = Authority::new();
        let config = authority.server(&["localhost"]);
        let (port, server) = listen(config, |tls| echo(&mut accept(Stream::from(tls)).unwrap()));
        let (mut ws, _) = connector("localhost", port, authority.client()).connect().unwrap();
        ws.send("hidden").unwrap();
        assert_eq!(text(ws.recv().unwrap()), "hidden");
        ws.close(None).unwrap();
        join(server).unwrap();

        let (near, far) = tcp();
        let server = thread::spawn(move || echo(&mut accept(Stream::from(far)).unwrap()));
        let stream = Stream::from(near);
        assert!(stream.tls().is_none());
        let mut ws = connect_with(stream, "ws://localhost/").unwrap();
        ws.send("plain").unwrap();
        assert_eq!(text(ws.recv().unwrap()), "plain");
        ws.close(None).unwrap();
        join(server).unwrap();
    });
}

#[test]
fn a_stream_of_rustls_itself_goes_into_plain() {
    within(|| {
        let authority = Authority::new();
        let (port, server) = listen(authority.server(&["localhost"]), |tls| echo(&mut accept(tls).unwrap()));
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(authority.client(), name).unwrap();
        let stream = StreamOwned::new(tls, TcpStream::connect(("127.0.0.1", port)).unwrap());
        let mut ws = connect_with(Plain(stream), "wss://localhost/").unwrap();
        ws.send("hello").unwrap();
        assert_eq!(text(ws.recv().unwrap()), "hello");
        assert!(ws.close(None).unwrap().clean);
        join(server).unwrap();
    });
}

#[test]
fn two_halves_send_and_receive_at_once() {
    within(|| {
        const MESSAGES: usize = 40;
        let (near, far) = pair();
        let config = Config { max_unsent: 64 << 10, ..Config::default() };
        let ends = [client_with(near, Messages, config.clone()).split(), server_with(far, Messages, config).split()];
        let bytes = Arc::new(pattern(256 << 10));
        // More each way than all buffers hold, and nobody reads for the other: neither may wait with the lock.
        let threads = ends.map(|end| {
            let (mut reader, mut writer) = end.unwrap();
            let (sent, received) = (bytes.clone(), bytes.clone());
            let writes = thread::spawn(move || {
                for _ in 0..MESSAGES {
                    writer.send(&sent[..]).unwrap();
                }
                writer.send("done").unwrap();
                writer
            });
            let reads = thread::spawn(move || {
                for _ in 0..MESSAGES {
                    assert!(reader.next().unwrap() == Some(Message::Binary(&received)));
                }
                assert_eq!(reader.next().unwrap(), Some(Message::Text("done")));
                reader
            });
            (writes, reads)
        });
        let [mut near, mut far] = threads.map(|(writes, reads)| (join(writes), join(reads)));
        near.0.start_close(None).unwrap();
        let far = thread::spawn(move || {
            assert!(far.1.next().unwrap().is_none());
            far.1.end().unwrap()
        });
        assert!(near.1.next().unwrap().is_none());
        assert!(near.1.end().unwrap().clean && join(far).clean);
    });
}

#[test]
fn a_stream_is_not_duplicated_inside_the_handshake() {
    let (near, _far) = tcp();
    let tls = TlsStream::client(near, Authority::new().client(), "localhost").unwrap();
    assert_eq!(tls.duplicate().unwrap_err().kind(), ErrorKind::NotConnected);
}

#[test]
fn pings_from_a_peer_that_never_reads_do_not_keep_this_end_from_reading() {
    within(|| {
        let (mut peer, near) = pair();
        rustix::net::sockopt::set_socket_send_buffer_size(near.get_ref(), 4 << 10).unwrap();
        let mut ping = masked(&[b'p'; 125]);
        ping[0] = 0x89;
        let sends = thread::spawn(move || {
            for _ in 0..3_000 {
                peer.write_all(&ping).unwrap();
            }
            peer.write_all(&masked(b"read")).unwrap();
            peer
        });
        let mut ws = server(near);
        assert!(matches!(ws.next().unwrap(), Some((Message::Binary(b"read"), _))));
        assert!(!ws.into_parts().output.is_empty(), "it could have written everything");
        drop(join(sends));
    });
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    within(|| {
        let (_peer, near) = pair();
        let config = Config { write_timeout: millis(100), ..Config::default() };
        let mut ws = server_with(near, Messages, config);
        let error = ws.send(&vec![0; 32 << 20][..]).unwrap_err();
        assert!(timed_out(&error), "{error:?}");
    });
}

#[test]
fn a_peer_that_stalls_in_the_handshake_of_tls_is_given_up() {
    within(|| {
        let authority = Authority::new();
        let timeout = millis(100);
        let config = Arc::new(Config { handshake_timeout: timeout, close_timeout: timeout, ..Config::default() });

        // A server that says nothing.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = connector("localhost", port, authority.client()).config(config.clone()).connect();
        assert!(matches!(silent, Err(Error::Timeout(bowsprit::Timeout::Handshake, _))), "{silent:?}");

        // A client that says nothing, and one that stops in the middle of its first record.
        for said in [0, 100] {
            let (near, mut far) = tcp();
            let mut hello = Hello(Vec::new());
            let mut client = TlsStream::client(Plain(&mut hello), authority.client(), "localhost").unwrap();
            let _ = client.write(b"x");
            drop(client);
            assert!(hello.0.len() > said);
            far.write_all(&hello.0[..said]).unwrap();
            let tls = TlsStream::server(near, authority.server(&["localhost"])).unwrap();
            let stalls = receive_request(tls, config.clone()).map(drop);
            assert!(matches!(stalls, Err(Error::Timeout(bowsprit::Timeout::Handshake, _))), "{stalls:?}");
            drop(far);
        }
    });
}

#[test]
fn a_handshake_message_that_never_ends_is_an_error() {
    within(|| {
        let authority = Authority::new();
        for len in [0xff00, 0xffff, 0x1_0000, 0xff_ffff_u32] {
            let (near, mut far) = tcp();
            let attack = thread::spawn(move || {
                // A ClientHello of that length, in records of 1 KiB, until nobody listens.
                let mut record = [&[22, 3, 3, 4, 0, 1][..], &len.to_be_bytes()[1..], &[0; 1020]].concat();
                let mut sent = far.write_all(&record);
                record[5..9].fill(0);
                for _ in 0..1 << 10 {
                    sent = sent.and_then(|()| far.write_all(&record));
                }
                sent
            });
            let tls = TlsStream::server(near, authority.server(&["localhost"])).unwrap();
            let config = Config { close_timeout: millis(100), ..Config::default() };
            let refused = receive_request(tls, Arc::new(config)).map(drop);
            assert!(matches!(refused, Err(Error::Handshake(HandshakeError::Tls(_)))), "{len:x}: {refused:?}");
            let _ = join(attack);
        }
    });
}

/// Keeps what is written, and has nothing to read.
struct Hello(Vec<u8>);

impl Write for &mut Hello {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Read for &mut Hello {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

/// Passes on what `near` and `to` say to each other, byte by byte; of what comes from `to`, everything but the last byte
/// once `stalls` is set.
fn relay(to: SocketAddr, stalls: Arc<AtomicBool>) -> TcpStream {
    let (near, mut far) = tcp();
    let mut server = TcpStream::connect(to).unwrap();
    let (mut up_in, mut up_out) = (far.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let mut byte = [0];
        while up_in.read_exact(&mut byte).is_ok() && up_out.write_all(&byte).is_ok() {}
        let _ = up_out.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = server.read(&mut bytes) {
            let stalls = stalls.load(Ordering::SeqCst);
            for byte in &bytes[..n - usize::from(stalls)] {
                if far.write_all(&[*byte]).is_err() {
                    return;
                }
            }
            if stalls {
                break;
            }
        }
        // The stream stays open until the other end has had enough.
        let _ = rest(&mut far);
    });
    near
}

#[test]
fn a_record_that_comes_byte_by_byte_and_then_stalls_keeps_no_deadline_off() {
    within(|| {
        let authority = Authority::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = authority.server(&["localhost"]);
        let stalls = Arc::new(AtomicBool::new(false));
        let server_stalls = stalls.clone();
        let server = thread::spawn(move || {
            let mut ws = accept(TlsStream::server(listener.accept().unwrap().0, config).unwrap()).unwrap();
            ws.send("whole").unwrap();
            assert_eq!(text(ws.recv().unwrap()), "go on");
            server_stalls.store(true, Ordering::SeqCst);
            ws.send("cut").unwrap();
            ws.next().map(drop)
        });
        let tls = TlsStream::client(relay(address, stalls), authority.client(), "localhost").unwrap();
        let config = Config { idle_timeout: millis(300), close_timeout: millis(100), ..Config::default() };
        let request = ClientRequest::new("wss://localhost/".parse().unwrap());
        let (mut ws, _) = Connector::new(request).config(config).connect_on(tls).unwrap();
        assert_eq!(text(ws.recv().unwrap()), "whole");
        ws.send("go on").unwrap();
        let error = ws.next().unwrap_err();
        assert!(timed_out(&error), "{error:?}");
        drop(ws);
        let _ = join(server);
    });
}

#[test]
fn the_end_is_said_and_one_that_is_not_is_told_from_one_that_is() {
    within(|| {
        // Said.
        let (near, mut peer) = pair();
        let mut ws = client_with(near, Messages, Config::default());
        ws.start_close(None).unwrap();
        let server = thread::spawn(move || {
            let mut bytes = Vec::new();
            // A Close comes, and one goes back; then the end, by close_notify.
            peer.write_all(&[0x88, 0]).unwrap();
            peer.shutdown_write().unwrap();
            peer.read_to_end(&mut bytes).map(|n| n > 0)
        });
        assert!(ws.next().unwrap().is_none());
        assert!(ws.end().unwrap().clean);
        drop(ws);
        assert!(join(server).unwrap());

        // Not said: somebody cut the connection.
        let (near, peer) = pair();
        let mut ws = client_with(near, Messages, Config::default());
        peer.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(kind(&ws.next().unwrap_err()), ErrorKind::UnexpectedEof);
        assert!(!ws.end().unwrap().clean);

        let (mut near, mut peer) = pair();
        peer.shutdown_write().unwrap();
        assert_eq!(near.read(&mut [0]).unwrap(), 0);
        let (mut near, peer) = pair();
        peer.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn plain_http_at_a_port_for_tls_is_an_error_of_tls() {
    within(|| {
        let authority = Authority::new();
        let (port, server) = listen(authority.server(&["localhost"]), |tls| accept(tls).map(drop));
        let refused = connect(&format!("ws://127.0.0.1:{port}/"));
        // It is answered with an alert, which is no HTTP.
        assert!(
            matches!(
                refused,
                Err(Error::Handshake(HandshakeError::Response(ResponseError::Head(HeadError::Tls))) | Error::Io(_))
            ),
            "{refused:?}"
        );
        let seen = join(server);
        assert!(matches!(seen, Err(Error::Handshake(HandshakeError::Tls(TlsError::InvalidMessage(_))))), "{seen:?}");

        let (near, far) = tcp();
        let server = thread::spawn(move || accept(far).map(drop));
        let tls = TlsStream::client(near, authority.client(), "localhost").unwrap();
        let refused = connect_with(tls, "wss://localhost/");
        assert!(
            matches!(refused, Err(Error::Handshake(HandshakeError::Tls(TlsError::InvalidMessage(_))))),
            "{refused:?}"
        );
        assert!(matches!(
            join(server),
            Err(Error::Handshake(HandshakeError::Request(RequestError::Head(HeadError::Tls))))
        ));
    });
}

#[test]
fn a_peer_that_goes_in_the_handshake_of_tls_is_an_error_of_the_stream() {
    within(|| {
        let authority = Authority::new();
        let (near, far) = tcp();
        drop(far);
        let tls = TlsStream::server(near, authority.server(&["localhost"])).unwrap();
        assert_eq!(kind(&accept(tls).unwrap_err()), ErrorKind::UnexpectedEof);
        let (near, far) = tcp();
        far.shutdown(Shutdown::Write).unwrap();
        let tls = TlsStream::client(near, authority.client(), "localhost").unwrap();
        assert_eq!(kind(&connect_with(tls, "wss://localhost/").unwrap_err()), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_refusal_arrives_with_its_body() {
    within(|| {
        let authority = Authority::new();
        let (port, server) = listen(authority.server(&["localhost"]), |tls| {
            receive_request(tls, Arc::default()).unwrap().respond(403, &[], &[b'n'; 20_000])
        });
        let refused = connector("localhost", port, authority.client()).connect();
        let Err(Error::Handshake(HandshakeError::Refused(response))) = refused else { panic!("{refused:?}") };
        assert_eq!((response.status(), response.body().len()), (403, 20_000));
        join(server).unwrap();
    });
}

#[test]
fn large_messages_pass_sockets_with_little_room() {
    within(|| {
        let (near, far) = pair();
        for tls in [&near, &far] {
            rustix::net::sockopt::set_socket_send_buffer_size(tls.get_ref(), 16 << 10).unwrap();
        }
        let server = thread::spawn(move || echo(&mut server(far)));
        let mut ws = client_with(near, Messages, Config::default());
        let bytes = pattern(300_000);
        for _ in 0..3 {
            ws.send(&bytes[..]).unwrap();
            assert!(ws.recv().unwrap().unwrap().as_message() == Message::Binary(&bytes));
        }
        assert!(ws.close(None).unwrap().clean);
        join(server).unwrap();
    });
}

#[test]
fn a_read_of_one_byte_at_a_time_loses_nothing() {
    within(|| {
        let (mut near, mut far) = pair();
        let bytes = pattern(40_000);
        let sent = bytes.clone();
        let sends = thread::spawn(move || {
            far.write_all(&sent).unwrap();
            far.shutdown_write().unwrap();
            far
        });
        let mut read = Vec::new();
        let mut byte = [0];
        while near.read(&mut byte).unwrap() == 1 {
            read.extend(byte);
        }
        assert!(read == bytes);
        join(sends);
    });
}

/// Records and reads of all sizes, in any order.
#[test]
fn any_records_and_any_reads_lose_nothing() {
    for seed in 0..6 {
        within(move || {
            const LEN: usize = 1 << 18;
            let (mut near, mut far) = pair();
            let sends = thread::spawn(move || {
                let bytes = pattern(LEN);
                let mut rest = &bytes[..];
                for size in sizes(seed, 40_000) {
                    let (record, behind) = rest.split_at(size.min(rest.len()));
                    far.write_all(record).unwrap();
                    rest = behind;
                    if rest.is_empty() {
                        break;
                    }
                }
                far.shutdown_write().unwrap();
                far
            });
            let mut read = Vec::new();
            let mut buffer = vec![0; 40_000];
            for size in sizes(seed ^ 0x5555, 40_000) {
                // What a wait takes in is more than the next read may want.
                if size % 2 == 0 {
                    while !near.wait(Interest { read: true, write: false }, millis(5_000)).unwrap().read {}
                }
                match near.read(&mut buffer[..size]).unwrap() {
                    0 => break,
                    n => read.extend_from_slice(&buffer[..n]),
                }
            }
            assert!(read == pattern(LEN), "seed {seed}: {} bytes", read.len());
            drop(join(sends));
        });
    }
}

#[test]
fn both_versions_of_tls_work() {
    use bowsprit::tls::rustls::crypto::ring::default_provider;
    use bowsprit::tls::rustls::version::{TLS12, TLS13};
    use bowsprit::tls::rustls::{RootCertStore, SupportedProtocolVersion};

    within(|| {
        let authority = Authority::new();
        for version in [&TLS12, &TLS13] as [&'static SupportedProtocolVersion; 2] {
            let mut roots = RootCertStore::empty();
            let bowsprit::tls::Roots::Only(certificates) =
                bowsprit::tls::Roots::from_pem(authority.pem().as_bytes()).unwrap()
            else {
                panic!("given ones")
            };
            roots.add(certificates[0].clone()).unwrap();
            let config = ClientConfig::builder_with_provider(default_provider().into())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let (port, server) = listen(authority.server(&["localhost"]), |tls| {
                let mut ws = accept_with(tls, &AcceptOptions::new(), Messages, Arc::default()).unwrap();
                echo(&mut ws).unwrap();
                ws.get_ref().inspect(|tls| tls.protocol_version())
            });
            let (mut ws, _) = connector("localhost", port, Arc::new(config)).connect().unwrap();
            let bytes = pattern(100_000);
            ws.send(&bytes[..]).unwrap();
            assert!(ws.recv().unwrap().unwrap().as_message() == Message::Binary(&bytes));
            assert!(ws.close(None).unwrap().clean);
            assert_eq!(join(server), Some(version.version));
        }
    });
}

/// A message in several records, all of which are there: a socket that does not wait, or not for long, has no pause between.
#[test]
fn what_has_arrived_is_handed_out_before_a_pause() {
    within(|| {
        for (non_blocking, timeout) in [(true, None), (false, millis(5_000))] {
            let (near, far) = pair();
            // A deadline, so that the socket is waited for, and not just read.
            let config = Config { idle_timeout: millis(60_000), ..Config::default() };
            let (mut ws, mut peer) = (client_with(near, Messages, config), server(far));
            let bytes = pattern(40_000);
            peer.send(&bytes[..]).unwrap();
            let socket = ws.get_ref().get_ref();
            let mut arrived = vec![0; 64 << 10];
            while socket.peek(&mut arrived).unwrap() < bytes.len() {
                thread::sleep(std::time::Duration::from_millis(1));
            }
            socket.set_nonblocking(non_blocking).unwrap();
            socket.set_read_timeout(timeout).unwrap();
            assert!(ws.recv().unwrap().unwrap().as_message() == Message::Binary(&bytes));
        }
    });
}
