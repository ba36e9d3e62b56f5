//! Which attempts that failed are followed by another one.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::client::{DisconnectReason, Reconnecting, State};
use bowsprit::dial::{Dial, DialError, DialOptions, DialStep, Proxy, ProxyError, SocksError};
use bowsprit::handshake::ClientRequest;
use bowsprit::handshake::{BuildError, HeadError, ResponseError, UriError};
use bowsprit::session::{BoxError, Failure};
use bowsprit::tokio::Connector;
use bowsprit::{Error, HandshakeError};
use tokio::time::Instant;

use crate::support::{Answer, client, loses, opens, request, scripted};

/// No attempt follows on this answer; why.
async fn is_final(answer: Answer) -> HandshakeError {
    let (mut client, script) = client([answer.clone()]);
    let handle = client.handle();
    match client.next().await {
        Err(lost) => {
            assert!(!lost.is_temporary());
            assert_eq!(handle.gave_up().unwrap().to_string(), lost.to_string(), "the reason stays");
            assert!(client.last_disconnect().is_some());
            assert_eq!((script.attempts(), handle.state()), (vec![0], State::Ended));
            assert!(client.next().await.unwrap().is_none(), "it has ended");
            assert_eq!(handle.gave_up().unwrap().to_string(), lost.to_string(), "the reason stays");
            assert!(client.last_disconnect().is_some());
            let DisconnectReason::ConnectFailed(Failure::Connection(Error::Handshake(error))) = &*lost else {
                panic!("{lost}")
            };
            error.clone()
        }
        other => panic!("{answer:?} should be final: {:?}", other.map(|event| event.is_some())),
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_will_not_change_is_final() {
    for status in [200, 204, 299, 300, 301, 302, 307, 308, 400, 401, 403, 404, 405, 410, 418, 426, 431, 451, 499] {
        let HandshakeError::Refused(response) = is_final(Answer::refuses(status)).await else { panic!("{status}") };
        assert_eq!(response.status(), status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_may_change_is_not() {
    for status in [408, 425, 429, 500, 501, 502, 503, 504, 520, 599] {
        let (mut client, script) = client([Answer::refuses(status)]);
        assert!(loses(&mut client).await.0.contains(&status.to_string()));
        assert_eq!(opens(&mut client).await, 1, "after {status}");
        assert_eq!(script.attempts(), [0, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_the_rules_is_final() {
    let head = |fields: &str| Answer::Says(format!("HTTP/1.1 101 Yes\r\n{fields}\r\n"));
    assert_eq!(is_final(head("Connection: Upgrade\r\n")).await, HandshakeError::Response(ResponseError::Upgrade));
    assert_eq!(is_final(head("Upgrade: websocket\r\n")).await, HandshakeError::Response(ResponseError::Connection));
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let wrong = format!("{upgrade}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    assert_eq!(is_final(head(&wrong)).await, HandshakeError::Response(ResponseError::Accept));
    assert_eq!(
        is_final(head("No colon\r\n")).await,
        HandshakeError::Response(ResponseError::Head(HeadError::Malformed))
    );
    assert_eq!(
        is_final(Answer::Says("HTTP/1.0 101 Yes\r\n\r\n".into())).await,
        HandshakeError::Response(ResponseError::Http10)
    );
    for error in [
        HandshakeError::Response(ResponseError::Extensions),
        HandshakeError::Response(ResponseError::Subprotocol),
        HandshakeError::Response(ResponseError::NoSubprotocol),
        HandshakeError::Response(ResponseError::Head(HeadError::TooLong { limit: 16 << 10 })),
        HandshakeError::TlsUnavailable,
        HandshakeError::Uri(UriError::Scheme),
        BuildError::InvalidHeader("X".into()).into(),
    ] {
        assert!(!DisconnectReason::ConnectFailed(Failure::Connection(error.clone().into())).is_temporary(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_network_and_deadlines_are_not() {
    for kind in [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::NotFound,
        ErrorKind::TimedOut,
        ErrorKind::UnexpectedEof,
    ] {
        let (mut client, _script) = client([Answer::Fails(kind)]);
        loses(&mut client).await;
        assert_eq!(opens(&mut client).await, 1, "after {kind}");
    }
    // The server says half of an answer, and ends.
    let (mut client, _script) = client([Answer::Says("HTTP/1.1 101 ".into())]);
    loses(&mut client).await;
    opens(&mut client).await;
    assert!(
        DisconnectReason::ConnectFailed(Failure::Connection(HandshakeError::TimedOut(Duration::from_secs(10)).into()))
            .is_temporary()
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_plan_itself_is_not() {
    let (mut client, _script) = client([Answer::Stumbles]);
    assert_eq!(loses(&mut client).await.0, "the handler failed: no token");
    assert_eq!(opens(&mut client).await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_plan_has_the_last_word() {
    let (mut plan, script) = scripted([Answer::refuses(404), Answer::refuses(401)]);
    plan.stubborn = true;
    let mut client = Reconnecting::new(plan);
    loses(&mut client).await;
    loses(&mut client).await;
    assert_eq!(opens(&mut client).await, 2);
    assert_eq!(script.attempts(), [0, 1, 2]);
}

#[tokio::test]
async fn an_address_that_is_none_is_final_also_inside_a_closure() {
    let mut asked = 0;
    let mut client = Reconnecting::new(move |retry| {
        asked += 1;
        assert_eq!((asked, retry), (1, 0));
        async { Ok(Connector::new(ClientRequest::try_from("http://127.0.0.1/")?)) }
    });
    let Err(lost) = client.next().await else { panic!("refused") };
    let DisconnectReason::ConnectFailed(Failure::Connection(Error::Handshake(HandshakeError::Uri(error)))) = &*lost
    else {
        panic!("{lost:?}")
    };
    assert_eq!(*error, UriError::Scheme);

    let mut client = Reconnecting::new(|_| async {
        let request = request("ws://127.0.0.1/").header("Host", "other")?;
        Ok::<_, BoxError>(Connector::new(request))
    });
    let Err(reason) = client.next().await else { panic!("refused") };
    let DisconnectReason::ConnectFailed(Failure::Connection(Error::Handshake(error))) = &*reason else {
        panic!("{reason:?}")
    };
    assert_eq!(*error, HandshakeError::Build(BuildError::ReservedHeader("Host".into())));
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn tls_that_is_not_there_is_final() {
    let mut client = Reconnecting::new(Connector::new(request("wss://127.0.0.1/")));
    assert!(client.next().await.is_err());
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_final_and_silence_is_not() {
    use bowsprit::client::ClientEvent;
    use bowsprit::tls::rustls::Error as TlsError;
    use bowsprit::tokio::TlsStream;

    use crate::authority::Authority;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("wss://{}/", listener.local_addr().unwrap());
    let (right, wrong) = (Authority::new(), Authority::new());
    let config = right.server(&["127.0.0.1"]);
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = bowsprit::tokio::accept(TlsStream::server(stream, config).unwrap()).await;
        // One that ends before it has said anything.
        drop(listener.accept().await.unwrap());
    });
    let connector = || Connector::new(request(&uri));
    let mut client = Reconnecting::new(connector().tls(wrong.client()));
    let Err(reason) = client.next().await else { panic!("not accepted") };
    let DisconnectReason::ConnectFailed(Failure::Connection(Error::Handshake(HandshakeError::Tls(error)))) = &*reason
    else {
        panic!("not accepted")
    };
    assert!(matches!(error, TlsError::InvalidCertificate(_)), "{error}");

    let mut client = Reconnecting::new(connector().tls(right.client()));
    assert!(matches!(client.next().await, Ok(Some(ClientEvent::Disconnected { .. }))));
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_the_plans_affair_and_a_close_ends_it() {
    let (mut client, script) = client([Answer::Hangs]);
    let handle = client.handle();
    let start = Instant::now();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        handle.close(None).unwrap();
    });
    assert!(client.next().await.unwrap().is_none());
    assert_eq!((start.elapsed().as_secs(), script.attempts()), (3, vec![0]));
}

/// What a dial ends with when the proxy does so.
fn dial_error(result: ProxyError) -> DialError {
    let proxy: Proxy = "socks5h://me:secret@127.0.0.1:1080".parse().unwrap();
    let options = DialOptions { proxy: proxy.into(), ..DialOptions::default() };
    let request = ClientRequest::try_from("ws://far.example/").unwrap();
    let mut dial = Dial::new(request, options.into(), Arc::default(), Duration::ZERO);
    loop {
        match dial.poll(Duration::ZERO) {
            DialStep::Connect { attempt, .. } => assert!(dial.connected(attempt)),
            DialStep::Tunnel => dial.tunnel_finished(Err(result.clone())),
            DialStep::Failed(error) => return error,
            step => panic!("{step}"),
        }
    }
}

#[test]
fn a_proxy_that_does_not_accept_the_login_is_final() {
    for (error, temporary) in [
        (SocksError::Login(1), false),
        (SocksError::NoMethod { offered_login: true }, false),
        (SocksError::Version(4), false),
        (SocksError::Reply(5), true),
    ] {
        let error = dial_error(ProxyError::Socks(error));
        let reason = DisconnectReason::ConnectFailed(Failure::Connection(error.into()));
        assert_eq!(reason.is_temporary(), temporary, "{reason}");
    }
    let reason = DisconnectReason::ConnectFailed(Failure::Connection(dial_error(ProxyError::EarlyBytes).into()));
    assert!(reason.is_temporary(), "{reason}");
}
