//! A client that holds: what neither a server, a network nor its own queue may end.

use std::future::pending;
use std::io::ErrorKind;
use std::time::Duration;

use bowsprit::client::{Attempt, ClientEvent, Connect, DisconnectReason, Reconnecting, State};
use bowsprit::handshake::ClientResponse;
use bowsprit::session::BoxError;
use bowsprit::tokio::{Connector, Stream, WebSocket, WhenFull};
use bowsprit::{CloseCode, Config, Message, SendError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::{Answer, client, impatient, loses, opens, request, scripted, soon};

/// The loop of the documentation, which ends at the first error.
async fn subscribe<P: Connect>(
    client: &mut Reconnecting<P>,
    rounds: usize,
) -> Result<usize, Box<dyn std::error::Error>> {
    let mut losses = 0;
    while let Some(event) = client.next().await? {
        match event {
            ClientEvent::Connected { mut out, .. } => {
                // It may take some writes until the reset is noticed.
                for _ in 0..20 {
                    out.send("subscribe").await?;
                    tokio::task::yield_now().await;
                }
                out.feed("and more").await?;
                out.flush().await;
            }
            ClientEvent::Message(message, mut out) => out.send(message).await?,
            ClientEvent::Disconnected { .. } => losses += 1,
        }
        if losses == rounds {
            break;
        }
    }
    Ok(losses)
}

#[tokio::test]
async fn a_server_that_resets_right_after_its_101_does_not_end_the_loop() {
    // FEATURE: DG10
    soon(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
                drop(bowsprit::tokio::accept(stream).await);
            }
        });
        let mut client = Reconnecting::new(Connector::new(request(&uri))).backoff(impatient());
        assert_eq!(subscribe(&mut client, 20).await.unwrap(), 20);
        assert_ne!(client.handle().state(), State::Ended);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_the_peers_close_does_not_end_the_loop() {
    let (mut client, mut script) = client([]);
    let server = tokio::spawn(async move {
        for _ in 0..3 {
            let mut server = script.server().await;
            server.feed("last words").await.unwrap();
            let _ = server.close(Some(CloseCode::GOING_AWAY.into())).await;
        }
    });
    assert_eq!(subscribe(&mut client, 3).await.unwrap(), 3);
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn misuse_of_the_writer_is_an_error() {
    let (mut client, mut script) = client([]);
    opens(&mut client).await;
    script.server().await.send("go").await.unwrap();
    let Some(ClientEvent::Message(_, mut out)) = client.next().await.unwrap() else { panic!("a message") };
    let reserved = CloseCode::ABNORMAL;
    assert_eq!(out.start_close(Some(reserved.into())).await, Err(SendError::InvalidCloseCode(reserved)));
    assert!(out.into_inner().try_feed("it is open").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_disconnects_does_not_end_the_client() {
    // FEATURE: DG10
    let (plan, mut script) = scripted([]);
    let mut client = Reconnecting::new(plan).queue(1, WhenFull::Disconnect);
    let handle = client.handle();
    opens(&mut client).await;
    let server = script.server().await;
    handle.try_send("one").unwrap();
    assert_eq!(handle.try_send("two"), Err(SendError::Closing));
    let reads = tokio::spawn(async move {
        let mut server = server;
        while let Ok(Some(_)) = server.recv().await {}
        server.end().unwrap().code()
    });
    assert_eq!(loses(&mut client).await.0, "this end closed the connection with 1008 (policy violation)");
    assert!(matches!(client.last_disconnect(), Some(DisconnectReason::Dropped(_))));
    assert_eq!(reads.await.unwrap(), CloseCode::POLICY_VIOLATION);
    assert_eq!(opens(&mut client).await, 1);
    assert!(handle.gave_up().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_would_wait_for_its_own_task_fails() {
    let (plan, mut script) = scripted([]);
    let mut client = Reconnecting::new(plan).queue(1, WhenFull::Wait);
    let handle = client.handle();
    opens(&mut client).await;
    let mut server = script.server().await;
    handle.send("one").await.unwrap();
    assert_eq!(handle.send("two").await, Err(SendError::Full), "nobody else would send it");
    // Another task waits, and so does this one beside `next`.
    let other = tokio::spawn({
        let handle = handle.clone();
        async move { handle.send("three").await }
    });
    tokio::task::yield_now().await;
    let both = async {
        tokio::select! {
            event = client.next() => panic!("nothing comes: {:?}", event.map(|event| event.is_some())),
            sent = handle.send("four") => sent,
        }
    };
    let reads = tokio::spawn(async move {
        for expected in ["one", "three", "four"] {
            assert_eq!(server.recv().await.unwrap(), Some(expected.into()));
        }
        server
    });
    both.await.unwrap();
    other.await.unwrap().unwrap();
    // What is queued leaves within `next`.
    tokio::select! {
        _ = client.next() => panic!("nothing comes"),
        server = reads => drop(server.unwrap()),
    }
}

/// Notes what it is asked to do.
struct Noting(Option<oneshot::Sender<Attempt>>);

impl Connect for Noting {
    type Stream = Stream;

    async fn open(&mut self, attempt: Attempt) -> Result<(WebSocket<Stream>, ClientResponse), BoxError> {
        self.0.take().ok_or("asked twice")?.send(attempt).map_err(|_| "the test listens")?;
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn keep_alive_is_on_unless_it_is_turned_off() {
    for (set, expected) in [(None, Some(20)), (Some(None), None), (Some(Some(7)), Some(7))] {
        let (sender, noted) = oneshot::channel();
        let mut client = Reconnecting::new(Noting(Some(sender)));
        if let Some(seconds) = set {
            client = client.keep_alive(seconds.map(Duration::from_secs));
        }
        let asked = tokio::select! {
            _ = client.next() => panic!("it waits"),
            attempt = noted => attempt.unwrap(),
        };
        assert_eq!((asked.retry, asked.ping_interval), (0, expected.map(Duration::from_secs)));
    }
}

#[tokio::test]
async fn a_network_that_vanishes_is_noticed() {
    // FEATURE: DG10
    soon(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("ws://{}/", listener.local_addr().unwrap());
        // It opens, and neither reads nor writes any more.
        tokio::spawn(async move {
            let mut open = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                open.push(bowsprit::tokio::accept(stream).await);
            }
        });
        let config = Config {
            pong_timeout: Some(Duration::from_millis(50)),
            close_timeout: Some(Duration::from_millis(50)),
            ..Config::default()
        };
        let connector = Connector::new(request(&uri)).config(config);
        let mut client = Reconnecting::new(connector).backoff(impatient()).keep_alive(Some(Duration::from_millis(50)));
        for _ in 0..2 {
            opens(&mut client).await;
            loses(&mut client).await;
        }
        // So it is where a function makes the connectors.
        let config = Config {
            pong_timeout: Some(Duration::from_millis(50)),
            close_timeout: Some(Duration::from_millis(50)),
            ..Config::default()
        };
        let mut client = Reconnecting::new(move |_| {
            let connector = Connector::new(request(&uri)).config(config.clone());
            async move { Ok(connector) }
        })
        .keep_alive(Some(Duration::from_millis(50)));
        opens(&mut client).await;
        loses(&mut client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_reason_for_giving_up_stays() {
    let (plan, _script) = scripted([const { Answer::Fails(ErrorKind::ConnectionRefused) }; 3]);
    let backoff = bowsprit::client::Backoff { retries: Some(1), ..Default::default() };
    let mut client = Reconnecting::new(plan).backoff(backoff);
    let handle = client.handle();
    loses(&mut client).await;
    assert!(handle.gave_up().is_none() && handle.last_disconnect().is_some());
    let reason = client.next().await.unwrap_err();
    assert_eq!(handle.state(), State::Ended);
    assert!(client.next().await.unwrap().is_none());
    for kept in [handle.gave_up().unwrap().to_string(), client.last_disconnect().unwrap().to_string()] {
        assert_eq!(kept, reason.to_string());
    }
}

/// Each documented form runs in a task.
#[tokio::test]
async fn every_form_of_a_client_runs_in_a_task() {
    async fn connector(_: u32) -> Result<Connector, BoxError> {
        Err("not today".into())
    }
    async fn once<P: Connect>(mut client: Reconnecting<P>) -> bool {
        while let Some(event) = client.next().await.unwrap() {
            match event {
                ClientEvent::Connected { mut out, .. } => out.send("subscribe").await.unwrap(),
                ClientEvent::Message(message, mut out) => {
                    out.send(Message::Text(&format!("{message:?}"))).await.unwrap();
                }
                ClientEvent::Disconnected { reason, .. } => return reason.is_temporary(),
            }
        }
        false
    }
    soon(async {
        let token = String::from("0123");
        let forms = [
            tokio::spawn(once(Reconnecting::new(connector))),
            tokio::spawn(once(Reconnecting::new(|_| async { Err("not today".into()) }))),
            tokio::spawn(once(Reconnecting::new(move |retry| {
                let token = format!("{token}{retry}");
                async move { Err(token.into()) }
            }))),
            tokio::spawn(async { once(Reconnecting::new(Connector::new(request("ws://127.0.0.1:1/")))).await }),
            tokio::spawn(async {
                let mut client = Reconnecting::new(connector);
                matches!(client.next().await, Ok(Some(ClientEvent::Disconnected { .. })))
            }),
        ];
        for form in forms {
            assert!(form.await.unwrap());
        }
    })
    .await;
}
