//! The tokio adapter over TLS, both roles.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::handshake::{AcceptOptions, ClientRequest, HeadError, RequestError, ResponseError};
use bowsprit::tls::rustls::{
    CertificateError, ClientConfig, Connection as TlsConnection, Error as TlsError, ServerConfig,
};
use bowsprit::tokio::{
    Connector, Parts, Stream, TlsStream, WebSocket, accept, accept_with, connect_with, receive_request,
};
use bowsprit::{CloseCode, Config, Connection, Delivery, Error, HandshakeError, Message, Messages, OwnedMessage};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::authority::Authority;
use crate::sizes::sizes;

/// Far more than any test needs.
async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), test).await.expect("hangs")
}

/// A server that takes one connection over TLS: its port, and what becomes of the connection.
async fn listen<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    config: Arc<ServerConfig>,
    serve: impl FnOnce(TlsStream<TcpStream>) -> F + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        serve(TlsStream::server(tcp, config).unwrap()).await
    });
    (port, server)
}

fn connector(host: &str, port: u16, config: Arc<ClientConfig>) -> Connector {
    Connector::new(ClientRequest::new(format!("wss://{host}:{port}/").parse().unwrap())).tls(config)
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(ws: &mut WebSocket<S>) -> Result<(), Error> {
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}

/// Two ends of a connection inside TLS, its handshake done, over streams that hold this many bytes.
async fn pair(room: usize) -> (TlsStream<DuplexStream>, TlsStream<DuplexStream>) {
    let authority = Authority::new();
    let (near, far) = duplex(room);
    let mut near = TlsStream::client(near, authority.client(), "localhost").unwrap();
    let mut far = TlsStream::server(far, authority.server(&["localhost"])).unwrap();
    let server = tokio::spawn(async move {
        far.read_u8().await.unwrap();
        far.write_u8(0).await.unwrap();
        far.flush().await.unwrap();
        far
    });
    near.write_u8(0).await.unwrap();
    near.flush().await.unwrap();
    near.read_u8().await.unwrap();
    (near, server.await.unwrap())
}

fn server_with<S: AsyncRead + AsyncWrite + Unpin>(socket: S, config: Config) -> WebSocket<S> {
    open(socket, Connection::server(Messages, Arc::new(config)))
}

fn client_with<S: AsyncRead + AsyncWrite + Unpin>(socket: S, config: Config) -> WebSocket<S> {
    open(socket, Connection::client(Messages, Arc::new(config), [7; 32]))
}

fn open<S: AsyncRead + AsyncWrite + Unpin, D: Delivery>(socket: S, connection: Connection<D>) -> WebSocket<S, D> {
    let (input, output) = (BytesMut::new(), BytesMut::new());
    WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol: None })
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 16).to_le_bytes()[0]).collect()
}

fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

fn kind(error: &Error) -> ErrorKind {
    match error {
        Error::Io(error) => error.kind(),
        Error::Dial(error) => error.io_kind().expect("an address was tried"),
        // A deadline of ours: no stream of these tests has one.
        Error::Timeout(..) => ErrorKind::TimedOut,
        error => panic!("{error:?} is no failure of the stream"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_every_size_go_both_ways() {
    within(async {
        let authority = Authority::new();
        let (port, server) = listen(authority.server(&["localhost"]), async |tls| {
            let mut ws = accept(tls).await.unwrap();
            echo(&mut ws).await.unwrap();
            ws.end().unwrap()
        })
        .await;
        let (mut ws, response) = connector("localhost", port, authority.client()).connect().await.unwrap();
        assert_eq!(response.status(), 101);
        assert!(ws.get_ref().tcp().expect("TCP").nodelay().unwrap());
        for len in [0, 1, 125, 126, 4095, 4096, 16383, 16384, 16385, 65535, 65536, 1 << 20] {
            let bytes = pattern(len);
            ws.send(&bytes[..]).await.unwrap();
            assert!(ws.recv().await.unwrap() == Some(OwnedMessage::Binary(bytes.into())), "{len} bytes");
            let typed = "ä".repeat(len / 2);
            ws.send(&*typed).await.unwrap();
            let (message, _) = ws.next().await.unwrap().unwrap();
            assert!(message == Message::Text(&typed), "{len} bytes of text");
        }
        let end = ws.close(Some(CloseCode::NORMAL.into())).await.unwrap();
        assert!(end.clean && end.code() == CloseCode::NORMAL, "{end:?}");
        assert!(server.await.unwrap().clean);
    })
    .await;
}

#[tokio::test]
async fn ends_agree_on_the_protocol_and_the_name() {
    within(async {
        let authority = Authority::new();
        let config = authority.server(&["localhost", "127.0.0.1"]);
        for (host, name) in [("localhost", Some("localhost")), ("127.0.0.1", None)] {
            let (port, server) = listen(config.clone(), async |tls| {
                let ws = accept(tls).await.unwrap();
                let TlsConnection::Server(tls) = ws.get_ref().connection() else { panic!("a server") };
                (tls.alpn_protocol().map(<[u8]>::to_vec), tls.server_name().map(str::to_owned))
            })
            .await;
            let (ws, _) = connector(host, port, authority.client()).connect().await.unwrap();
            let agreed = ws.get_ref().tls().unwrap().connection().alpn_protocol().map(<[u8]>::to_vec);
            assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
            assert_eq!(server.await.unwrap(), (agreed, name.map(str::to_owned)));
        }
    })
    .await;
}

/// Why the client would not talk to a server with this certificate.
async fn refused(authority: &Authority, host: &str, config: Arc<ServerConfig>) -> TlsError {
    let (port, server) = listen(config, async |tls| accept(tls).await.map(drop)).await;
    let refused = connector(host, port, authority.client()).connect().await;
    let Err(Error::Handshake(HandshakeError::Tls(error))) = refused else { panic!("{refused:?}") };
    // The server has been told with an alert, and has seen nothing of WebSocket.
    let seen = server.await.unwrap();
    assert!(
        matches!(seen, Err(Error::Handshake(HandshakeError::Tls(TlsError::AlertReceived(_))))),
        "the server saw {seen:?}"
    );
    error
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_before_anything_is_said() {
    within(async {
        let authority = Authority::new();
        for (host, certified) in [
            ("localhost", "example.com"),
            ("localhost", "127.0.0.1"),
            ("127.0.0.1", "localhost"),
            ("127.0.0.1", "127.0.0.2"),
        ] {
            let error = refused(&authority, host, authority.server(&[certified])).await;
            assert!(
                matches!(
                    error,
                    TlsError::InvalidCertificate(
                        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                    )
                ),
                "{host} is not {certified}: {error:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    within(async {
        let error = refused(&Authority::new(), "localhost", Authority::new().server(&["localhost"])).await;
        assert!(
            matches!(
                error,
                TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
            ),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_host_that_no_certificate_can_name_is_an_error_before_any_dial() {
    let uri = "wss://local%68ost:1/".parse().unwrap();
    let refused = Connector::new(ClientRequest::new(uri)).tls(Authority::new().client()).connect().await;
    assert!(matches!(refused, Err(Error::Handshake(HandshakeError::Uri(_)))), "{refused:?}");
}

#[tokio::test]
async fn one_type_of_stream_serves_both_kinds_of_clients() {
    within(async {
        let authority = Authority::new();
        let (port, server) = listen(authority.server(&["localhost"]), async |tls| {
            echo(&mut accept(Stream::from(tls)).await.unwrap()).await
        })
        .await;
        let (mut ws, _) = connector("localhost", port, authority.client()).connect().await.unwrap();
        ws.send("hidden").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(OwnedMessage::Text("hidden".into())));
        ws.close(None).await.unwrap();
        server.await.unwrap().unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            echo(&mut accept(Stream::from(listener.accept().await.unwrap().0)).await.unwrap()).await
        });
        let mut ws = bowsprit::tokio::connect(&format!("ws://{address}/")).await.unwrap();
        assert!(ws.get_ref().tls().is_none());
        ws.send("plain").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(OwnedMessage::Text("plain".into())));
        ws.close(None).await.unwrap();
        server.await.unwrap().unwrap();
    })
    .await;
}

/// Both directions full at once, over streams that hold next to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_halves_send_and_receive_at_once() {
    const MESSAGES: usize = 20;
    for room in [1 << 10, 64 << 10] {
        within(async {
            let (near, far) = pair(room).await;
            let config = Config { max_unsent: 64 << 10, ..Config::default() };
            let bytes = Arc::new(pattern(256 << 10));
            let mut ends = Vec::new();
            for (mut reader, mut writer) in
                [client_with(near, config.clone()).split(), server_with(far, config).split()]
            {
                let (sent, received) = (bytes.clone(), bytes.clone());
                let writes = tokio::spawn(async move {
                    for _ in 0..MESSAGES {
                        writer.send(&sent[..]).await.unwrap();
                    }
                    writer
                });
                let reads = tokio::spawn(async move {
                    for _ in 0..MESSAGES {
                        assert!(reader.next().await.unwrap() == Some(Message::Binary(&received)));
                    }
                    reader
                });
                ends.push((writes, reads));
            }
            for (writes, reads) in ends {
                reads.await.unwrap().reunite(writes.await.unwrap()).unwrap();
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_stream_that_holds_one_byte_will_do() {
    within(async {
        let authority = Authority::new();
        let (near, far) = duplex(1);
        let far = TlsStream::server(far, authority.server(&["localhost"])).unwrap();
        let server = tokio::spawn(async move { echo(&mut accept(far).await.unwrap()).await });
        let near = TlsStream::client(near, authority.client(), "localhost").unwrap();
        let mut ws = connect_with(near, "wss://localhost/").await.unwrap();
        let bytes = pattern(20_000);
        ws.send(&bytes[..]).await.unwrap();
        assert!(ws.recv().await.unwrap() == Some(OwnedMessage::Binary(bytes.into())));
        assert!(ws.close(None).await.unwrap().clean);
        server.await.unwrap().unwrap();
    })
    .await;
}

/// Records and reads of all sizes, in any order.
#[tokio::test]
async fn any_records_and_any_reads_lose_nothing() {
    for seed in 0..6 {
        within(async {
            const LEN: usize = 1 << 18;
            let (mut near, mut far) = pair(sizes(seed, 1 << 20).next().unwrap()).await;
            let sends = async {
                let bytes = pattern(LEN);
                let mut rest = &bytes[..];
                for size in sizes(seed, 40_000) {
                    let (record, behind) = rest.split_at(size.min(rest.len()));
                    far.write_all(record).await?;
                    rest = behind;
                    if rest.is_empty() {
                        break;
                    }
                }
                far.shutdown().await
            };
            let reads = async {
                let mut read = Vec::new();
                let mut buffer = vec![0; 40_000];
                for size in sizes(seed ^ 0x5555, 40_000) {
                    match near.read(&mut buffer[..size]).await? {
                        0 => break,
                        n => read.extend_from_slice(&buffer[..n]),
                    }
                }
                Ok::<_, std::io::Error>(read)
            };
            let (sent, read) = tokio::join!(sends, reads);
            sent.unwrap();
            assert!(read.unwrap() == pattern(LEN), "seed {seed}");
        })
        .await;
    }
}

#[tokio::test]
async fn both_versions_of_tls_work_whoever_speaks_first() {
    use bowsprit::tls::rustls::crypto::ring::default_provider;
    use bowsprit::tls::rustls::version::{TLS12, TLS13};

    within(async {
        let authority = Authority::new();
        let (chain, key) = authority.certify(&["localhost"]);
        for version in [&TLS12, &TLS13] {
            use bowsprit::tls::rustls::pki_types::pem::PemObject as _;
            use bowsprit::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

            let config = ServerConfig::builder_with_provider(default_provider().into())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap();
            let config = Arc::new(config);
            for server_first in [false, true] {
                let (near, far) = duplex(100);
                let mut near = TlsStream::client(near, authority.client(), "localhost").unwrap();
                let mut far = TlsStream::server(far, config.clone()).unwrap();
                let (first, second) = if server_first { (&mut far, &mut near) } else { (&mut near, &mut far) };
                // The one only writes, the other only reads; and then the other way round.
                for _ in 0..2 {
                    let (sent, received) = tokio::join!(
                        async {
                            first.write_all(b"to you").await?;
                            first.flush().await
                        },
                        async {
                            let mut received = [0; 6];
                            second.read_exact(&mut received).await.map(|_| received)
                        }
                    );
                    sent.unwrap();
                    assert_eq!(&received.unwrap(), b"to you");
                }
                assert_eq!(near.connection().protocol_version(), Some(version.version));
                let (sent, received) = tokio::join!(
                    async {
                        near.write_all(&pattern(50_000)).await?;
                        near.shutdown().await
                    },
                    async {
                        let mut received = Vec::new();
                        far.read_to_end(&mut received).await.map(|_| received)
                    }
                );
                sent.unwrap();
                assert!(received.unwrap() == pattern(50_000));
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up_however_little_it_is() {
    for len in [1 << 10, 1 << 20] {
        let (near, _far) = pair(256).await;
        let config = Config { write_timeout: millis(30_000), ..Config::default() };
        let mut ws = server_with(near, config);
        let start = tokio::time::Instant::now();
        let bytes = vec![0; len];
        let sent = tokio::time::timeout(Duration::from_secs(300), ws.send(&bytes[..])).await;
        let error = sent.expect("hangs").unwrap_err();
        assert_eq!(kind(&error), ErrorKind::TimedOut, "{len} bytes");
        assert!(start.elapsed() <= Duration::from_secs(31), "{len} bytes: after {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_never_left_tls_is_no_clean_end() {
    let (near, mut far) = pair(256).await;
    far.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    far.flush().await.unwrap();
    let mut ws = server_with(near, Config::default());
    // One record takes both, and does not go out whole: the peer has sent its Close, and reads nothing.
    ws.feed(&[0; 1 << 10][..]).await.unwrap();
    ws.start_close(None).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(300), ws.next()).await.expect("hangs").map(drop);
    let end = ws.end().unwrap();
    assert!(!end.clean, "{ended:?} {end:?}");
    drop(far);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stalls_in_the_handshake_of_tls_is_given_up() {
    let authority = Authority::new();
    let timeout = millis(10_000);
    let config = Arc::new(Config { handshake_timeout: timeout, close_timeout: timeout, ..Config::default() });

    // A server that says nothing; what the client says of itself is kept.
    let (near, mut far) = duplex(64 << 10);
    let tls = TlsStream::client(near, authority.client(), "localhost").unwrap();
    let request = ClientRequest::new("wss://localhost/".parse().unwrap());
    let start = tokio::time::Instant::now();
    let silent = Connector::new(request).config(config.clone()).connect_on(tls).await;
    assert!(matches!(silent, Err(Error::Timeout(bowsprit::Timeout::Handshake, _))), "{silent:?}");
    assert!(start.elapsed() <= Duration::from_secs(11), "after {:?}", start.elapsed());
    let mut hello = Vec::new();
    far.read_to_end(&mut hello).await.unwrap();

    // A client that says nothing, and one that stops in the middle of its first record.
    for said in [0, 100] {
        let (near, mut far) = duplex(64 << 10);
        far.write_all(&hello[..said]).await.unwrap();
        let tls = TlsStream::server(near, authority.server(&["localhost"])).unwrap();
        let start = tokio::time::Instant::now();
        let stalls = receive_request(tls, config.clone()).await.map(drop);
        assert!(matches!(stalls, Err(Error::Timeout(bowsprit::Timeout::Handshake, _))), "{stalls:?}");
        assert!(start.elapsed() <= Duration::from_secs(21), "after {:?}", start.elapsed());
        drop(far);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_cut_keeps_no_deadline_off() {
    let (near, mut far) = pair(64 << 10).await;
    // A record that claims 1,000 bytes, and brings ten.
    far.get_mut().write_all(&[[23, 3, 3, 3, 232].as_slice(), &[0; 10]].concat()).await.unwrap();
    let config = Config { idle_timeout: millis(60_000), close_timeout: millis(1_000), ..Config::default() };
    let mut ws = client_with(near, config);
    let error = ws.next().await.map(drop).unwrap_err();
    assert_eq!(kind(&error), ErrorKind::TimedOut);
}

#[tokio::test]
async fn the_end_is_said_and_one_that_is_not_is_told_from_one_that_is() {
    within(async {
        // Said, by both.
        let (near, far) = pair(1 << 10).await;
        let server = tokio::spawn(async move {
            let mut ws = server_with(far, Config::default());
            echo(&mut ws).await.unwrap();
            let mut tls = ws.into_parts().socket;
            tls.read_u8().await.map_err(|error| error.kind())
        });
        let mut ws = client_with(near, Config::default());
        ws.start_close(None).await.unwrap();
        assert!(ws.next().await.unwrap().is_none());
        assert!(ws.end().unwrap().clean);
        drop(ws);
        // `read_u8` calls every end `UnexpectedEof`; the loop of `echo` ended well.
        assert_eq!(server.await.unwrap(), Err(ErrorKind::UnexpectedEof));

        // Not said: somebody cut the connection.
        let (near, far) = pair(1 << 10).await;
        drop(far);
        let mut ws = client_with(near, Config::default());
        assert_eq!(kind(&ws.next().await.map(drop).unwrap_err()), ErrorKind::UnexpectedEof);
        assert!(!ws.end().unwrap().clean);

        let (mut near, mut far) = pair(1 << 10).await;
        far.shutdown().await.unwrap();
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
        let (mut near, far) = pair(1 << 10).await;
        drop(far);
        assert_eq!(near.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    })
    .await;
}

#[tokio::test]
async fn plain_http_at_a_port_for_tls_is_an_error_of_tls() {
    within(async {
        let authority = Authority::new();
        let (port, server) = listen(authority.server(&["localhost"]), async |tls| accept(tls).await.map(drop)).await;
        let refused = bowsprit::tokio::connect(&format!("ws://127.0.0.1:{port}/")).await;
        // It is answered with an alert, which is no HTTP.
        assert!(
            matches!(
                refused,
                Err(Error::Handshake(HandshakeError::Response(ResponseError::Head(HeadError::Tls))) | Error::Io(_))
            ),
            "{refused:?}"
        );
        let seen = server.await.unwrap();
        assert!(matches!(seen, Err(Error::Handshake(HandshakeError::Tls(TlsError::InvalidMessage(_))))), "{seen:?}");

        let (near, far) = duplex(64 << 10);
        let server = tokio::spawn(async move { accept(far).await.map(drop) });
        let tls = TlsStream::client(near, authority.client(), "localhost").unwrap();
        let refused = connect_with(tls, "wss://localhost/").await;
        assert!(
            matches!(refused, Err(Error::Handshake(HandshakeError::Tls(TlsError::InvalidMessage(_))))),
            "{refused:?}"
        );
        assert!(matches!(
            server.await.unwrap(),
            Err(Error::Handshake(HandshakeError::Request(RequestError::Head(HeadError::Tls))))
        ));
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_goes_in_the_handshake_of_tls_is_an_error_of_the_stream() {
    within(async {
        let authority = Authority::new();
        let tls = TlsStream::server(duplex(1 << 10).0, authority.server(&["localhost"])).unwrap();
        assert_eq!(kind(&accept(tls).await.map(drop).unwrap_err()), ErrorKind::UnexpectedEof);
        let (near, mut far) = duplex(1 << 10);
        far.shutdown().await.unwrap();
        let tls = TlsStream::client(near, authority.client(), "localhost").unwrap();
        let gone = connect_with(tls, "wss://localhost/").await.map(drop).unwrap_err();
        assert_eq!(kind(&gone), ErrorKind::UnexpectedEof);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_arrives_with_its_body() {
    within(async {
        let authority = Authority::new();
        let (port, server) = listen(authority.server(&["localhost"]), async |tls| {
            receive_request(tls, Arc::default()).await.unwrap().respond(403, &[], &[b'n'; 20_000]).await
        })
        .await;
        let refused = connector("localhost", port, authority.client()).connect().await;
        let Err(Error::Handshake(HandshakeError::Refused(response))) = refused else { panic!("{refused:?}") };
        assert_eq!((response.status(), response.body().len()), (403, 20_000));
        server.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn choices_of_the_server_hold_over_tls() {
    within(async {
        let authority = Authority::new();
        let (port, server) = listen(authority.server(&["localhost"]), async |tls| {
            let choices = AcceptOptions::new();
            accept_with(tls, &choices, Messages, Arc::default()).await.map(drop)
        })
        .await;
        // A page of another origin: Host names a port here, and this is another one.
        let request = ClientRequest::new(format!("wss://localhost:{port}/").parse().unwrap());
        let request = request.origin("https://localhost:1").unwrap();
        let refused = Connector::new(request).tls(authority.client()).connect().await;
        let Err(Error::Handshake(HandshakeError::Refused(response))) = refused else { panic!("{refused:?}") };
        assert_eq!(response.status(), 403);
        assert!(matches!(server.await.unwrap(), Err(Error::Handshake(HandshakeError::Origin(_)))));
    })
    .await;
}
