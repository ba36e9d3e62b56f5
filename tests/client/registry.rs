//! The registry: who is in it, how to reach one, when one is gone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowsprit::client::{Client, Clients, DisconnectReason, Reconnecting, State};
use bowsprit::session::{BoxError, Closed, Event, Failure, Handler};
use bowsprit::tokio::{Connector, WhenFull};
use bowsprit::{Close, CloseCode, Error, HandshakeError, Message, OwnedMessage, SendError};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::support::{Server, impatient, request, soon};

/// A handler that writes down what it is told, and where the test reads that.
fn logging() -> (Arc<Mutex<Vec<String>>>, mpsc::UnboundedReceiver<String>, impl Handler<Client> + Clone + 'static) {
    let (log, (to_test, events)) = (Arc::new(Mutex::new(Vec::new())), mpsc::unbounded_channel());
    let kept = log.clone();
    let handler = move |client: &Client, event: Event<'_>| {
        let line = match event {
            Event::Open => "open".to_owned(),
            Event::Message(Message::Text(text)) => text.to_owned(),
            Event::Message(Message::Binary(bytes)) => format!("{bytes:?}"),
            Event::Error(error) => format!("error: {error}"),
            Event::Close(closed) => format!("closed {}", closed.code().0),
            _ => "else".to_owned(),
        };
        kept.lock().unwrap().push(format!("{}: {line}", client.name()));
        let _ = to_test.send(line);
        Ok(None)
    };
    (log, events, handler)
}

async fn is_empty(clients: &Clients) {
    timeout(Duration::from_secs(5), async {
        while !clients.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("the registry empties");
}

// FEATURE: DG1
#[tokio::test]
async fn a_client_is_made_by_uri_and_handler_and_sends() {
    soon(async {
        let server = Server::start().await;
        let clients = Clients::new();
        let (_, mut events, handler) = logging();
        let client = clients.open("echo", &server.uri(), handler).await.unwrap();
        client.send("hello").await.unwrap();
        assert_eq!(events.recv().await.unwrap(), "open");
        assert_eq!(events.recv().await.unwrap(), "hello");
        client.try_send(OwnedMessage::Binary(b"\x01\x02"[..].into())).unwrap();
        assert_eq!(events.recv().await.unwrap(), "[1, 2]");
        client.send_prepared(&bowsprit::Prepared::text("ready")).await.unwrap();
        assert_eq!(events.recv().await.unwrap(), "ready");
    })
    .await;
}

// FEATURE: DG2
#[tokio::test]
async fn clients_are_listed_with_what_is_known_of_them() {
    soon(async {
        let servers = [Server::start().await, Server::start().await];
        let clients = Clients::with_queue(1 << 10, WhenFull::DropNewest);
        let (_, _events, handler) = logging();
        let first = clients.open("first", &servers[0].uri(), handler.clone()).await.unwrap();
        let connector = Connector::new(request(&servers[1].uri()));
        let second = clients.open_with("second", &connector, handler.clone()).await.unwrap();
        assert_eq!(clients.len(), 2);
        let listed = clients.list();
        for ((client, opened), (server, name)) in
            listed.iter().zip([&first, &second]).zip(servers.iter().zip(["first", "second"]))
        {
            assert_eq!((client.id(), client.name()), (opened.id(), name));
            assert_eq!(client.uri().unwrap().to_string(), server.uri());
            assert_eq!((client.subprotocol(), client.extensions().names().count()), (None, 0));
            assert!(client.opened_at().unwrap().elapsed().unwrap() < Duration::from_secs(20));
            assert!(!client.is_closing());
            assert_eq!(client.state(), State::Open);
            assert!(format!("{client:?}").contains(name));
        }
        assert_ne!(first.id(), second.id());
    })
    .await;
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn a_client_knows_what_its_newest_connection_agreed_on() {
    use bowsprit::handshake::AcceptOptions;
    use bowsprit::tokio::receive_request;
    use bowsprit::{Config, Deflate, Messages};

    soon(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Arc::new(Config { compression: Some(Deflate::default()), ..Config::default() });
        let asked = request(&format!("ws://{}/", listener.local_addr().unwrap()));
        let asked = asked.subprotocol("one").unwrap().subprotocol("two").unwrap();
        let connector = Connector::new(asked).config(config.clone());
        let server = tokio::spawn(async move {
            for choice in ["two", "one"] {
                let (stream, _) = listener.accept().await.unwrap();
                let incoming = receive_request(stream, config.clone()).await.unwrap();
                let mut ws = incoming.accept(&AcceptOptions::new().subprotocol(choice), Messages).await.unwrap();
                ws.next().await.unwrap();
            }
        });
        let (_, _events, handler) = logging();
        let reconnecting = Reconnecting::new(connector).backoff(impatient()).queue(1 << 10, WhenFull::Wait);
        let client = Clients::new().open_reconnecting("chat", reconnecting, handler);
        let mut state = client.watch();
        for choice in ["two", "one"] {
            state.wait_for(|state| *state == State::Open).await.unwrap();
            assert_eq!(client.subprotocol().unwrap(), choice);
            assert!(client.extensions().names().eq(["permessage-deflate"]));
            client.send("next").await.unwrap();
            state.wait_for(|state| *state != State::Open).await.unwrap();
        }
        server.await.unwrap();
        client.close(None).unwrap();
        client.ended().await;
    })
    .await;
}

// FEATURE: DG3
#[tokio::test]
async fn a_client_is_found_by_its_id_or_not() {
    soon(async {
        let server = Server::start().await;
        let (clients, others) = (Clients::new(), Clients::default());
        let (_, _events, handler) = logging();
        let client = clients.open("echo", &server.uri(), handler).await.unwrap();
        assert_eq!(clients.get(client.id()).unwrap().name(), "echo");
        assert!(clients.get(client.id() + 1_000_000).is_none() && clients.get(0).is_none());
        assert!(others.get(client.id()).is_none(), "ids are those of the process, entries of one registry");
    })
    .await;
}

// FEATURE: DG4
#[tokio::test]
async fn clients_are_found_by_name_and_closed() {
    soon(async {
        let server = Server::start().await;
        let clients = Clients::new();
        let (log, _events, handler) = logging();
        for name in ["a", "b", "a"] {
            clients.open(name, &server.uri(), handler.clone()).await.unwrap();
        }
        let found = clients.by_name("a");
        assert_eq!(found.len(), 2);
        assert!(clients.by_name("c").is_empty());
        for client in &found {
            client.close(Some(CloseCode::NORMAL.into())).unwrap();
            assert!(client.is_closing());
            assert_eq!(client.close(None), Err(SendError::Closing));
            client.ended().await;
            assert!(clients.get(client.id()).is_none(), "its entry is gone");
            assert_eq!(client.try_send("late"), Err(SendError::NotOpen));
        }
        let left: Vec<_> = clients.list().iter().map(|client| client.name().to_owned()).collect();
        assert_eq!(left, ["b"]);
        let told = |line: &str| log.lock().unwrap().iter().filter(|logged| *logged == line).count();
        assert_eq!((told("a: closed 1000"), told("b: closed 1000")), (2, 0));

        let invalid = Close { code: CloseCode::NO_STATUS, reason: "" };
        assert_eq!(clients.close_all(Some(invalid)), Err(SendError::InvalidCloseCode(CloseCode::NO_STATUS)));
        clients.close_all(Some(CloseCode::GOING_AWAY.into())).unwrap();
        is_empty(&clients).await;
        assert_eq!(told("b: closed 1001"), 1);
    })
    .await;
}

// FEATURE: DG5
#[tokio::test]
async fn the_registry_follows_opens_closes_and_losses() {
    soon(async {
        let clients = Clients::new();
        let (_, mut events, handler) = logging();
        let server = Server::start().await;
        let mut open = Vec::new();
        for expected in 1..=3 {
            open.push(clients.open("echo", &server.uri(), handler.clone()).await.unwrap());
            assert_eq!(clients.len(), expected);
        }
        // One closes, by the peer.
        open[1].send("close").await.unwrap();
        open[1].ended().await;
        assert_eq!(clients.len(), 2);
        // The others are lost.
        let uri = server.uri();
        server.kill().await;
        is_empty(&clients).await;
        let mut told = Vec::new();
        while let Ok(event) = events.try_recv() {
            told.push(event);
        }
        assert_eq!(told.iter().filter(|event| *event == "closed 1006").count(), 2, "{told:?}");
        // One that cannot be opened is in no list.
        assert!(matches!(clients.open("echo", &uri, handler.clone()).await, Err(Error::Dial(_))));
        let invalid = clients.open("echo", "http://127.0.0.1/", handler).await;
        assert!(matches!(invalid, Err(Error::Handshake(HandshakeError::Uri(_)))));
        assert!(clients.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_takes_its_entry_with_it_alone() {
    soon(async {
        let server = Server::start().await;
        let clients = Clients::new();
        let (log, _events, other) = logging();
        clients.open("other", &server.uri(), other).await.unwrap();
        for panics in [false, true] {
            let (to_test, mut failures) = mpsc::unbounded_channel();
            let handler = move |_: &Client, event: Event<'_>| match event {
                Event::Message(_) if panics => panic!("on purpose"),
                Event::Message(_) => Err("on purpose".into()),
                Event::Error(failure) => {
                    to_test.send(matches!(failure, Failure::Panic(_))).unwrap();
                    Ok(None)
                }
                Event::Close(_) if panics => panic!("once more"),
                _ => Ok(None),
            };
            let client = clients.open("bad", &server.uri(), handler).await.unwrap();
            client.send("hello").await.unwrap();
            client.ended().await;
            assert_eq!(failures.recv().await, Some(panics));
            assert!(clients.by_name("bad").is_empty());
        }
        assert_eq!(clients.len(), 1);
        assert_eq!(*log.lock().unwrap(), ["other: open"]);
    })
    .await;
}

// FEATURE: DG6
// FEATURE: DG7
#[tokio::test]
async fn one_callback_tells_open_message_error_and_close_apart() {
    soon(async {
        let server = Server::start().await;
        let (_, mut events, handler) = logging();
        let client = Clients::new().open("echo", &server.uri(), handler).await.unwrap();
        assert_eq!(events.recv().await.unwrap(), "open");
        client.send("the message").await.unwrap();
        assert_eq!(events.recv().await.unwrap(), "the message");
        server.kill().await;
        let error = events.recv().await.unwrap();
        assert!(error.starts_with("error: ") && error.len() > 10, "{error}");
        assert_eq!(events.recv().await.unwrap(), "closed 1006");
        assert_eq!(events.recv().await, None, "the handler is gone, nothing more comes");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_reconnects_stays_listed_with_its_state() {
    soon(async {
        let server = Server::start().await;
        let clients = Clients::new();
        let (_, mut events, handler) = logging();
        let reconnecting = Reconnecting::new(Connector::new(request(&server.uri()))).backoff(impatient());
        let client = clients.open_reconnecting("feed", reconnecting, handler);
        assert_eq!(client.uri().unwrap().to_string(), server.uri());
        let mut state = client.watch();
        state.wait_for(|state| *state == State::Open).await.unwrap();
        client.send("one").await.unwrap();
        let mut told = async |expected: &str| assert_eq!(events.recv().await.unwrap(), expected);
        told("open").await;
        told("one").await;

        let address = server.kill().await;
        state.wait_for(|state| matches!(state, State::Waiting { .. })).await.unwrap();
        assert_eq!((clients.len(), client.try_send("two")), (1, Err(SendError::NotOpen)));
        let _server = Server::at(address).await;
        state.wait_for(|state| *state == State::Open).await.unwrap();
        client.send("three").await.unwrap();
        assert!(events.recv().await.unwrap().starts_with("error: "));
        let mut told = async |expected: &str| assert_eq!(events.recv().await.unwrap(), expected);
        told("closed 1006").await;
        told("open").await;
        told("three").await;

        client.close(Some(CloseCode::NORMAL.into())).unwrap();
        told("closed 1000").await;
        client.ended().await;
        assert!(clients.is_empty() && client.gave_up().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_client_that_reconnects_ends_with_a_refusal_and_not_with_its_handlers_error() {
    struct Fails;
    impl Handler<Client> for Fails {
        async fn on_open(&mut self, _: &Client) -> Result<Option<OwnedMessage>, BoxError> {
            Err("unwanted".into())
        }
        async fn on_close(&mut self, _: &Client, closed: &Closed) {
            assert_eq!(closed.end.sent, Some(CloseCode::INTERNAL_ERROR));
        }
    }
    soon(async {
        let server = Server::start().await;
        let clients = Clients::new();
        let reconnecting = Reconnecting::new(Connector::new(request(&server.uri()))).backoff(impatient());
        let fails = clients.open_reconnecting("fails", reconnecting, Fails);
        // The handler fails each time, and the attempts go on, less and less often, until the application closes it.
        fails.watch().wait_for(|state| matches!(state, State::Waiting { retry: 3, .. })).await.unwrap();
        let reason = fails.last_disconnect().unwrap();
        assert!(matches!(&*reason, DisconnectReason::Dropped(_)), "{reason}");
        assert_eq!(reason.to_string(), "this end closed the connection with 1011 (internal error)");
        assert!(fails.gave_up().is_none() && fails.state() != State::Ended);
        fails.close(None).unwrap();
        fails.ended().await;
        let invalid = Reconnecting::new(|_| async {
            Err(HandshakeError::Uri("x".parse::<bowsprit::handshake::Uri>().unwrap_err()).into())
        });
        let invalid = clients.open_reconnecting("invalid", invalid, Fails);
        invalid.ended().await;
        assert!(matches!(&*invalid.gave_up().unwrap(), DisconnectReason::ConnectFailed(_)), "it says why");
        // One that waits is closed with all others.
        let nobody = Reconnecting::new(Connector::new(request("ws://127.0.0.1:1/")));
        let waiting = clients.open_reconnecting("waiting", nobody, Fails);
        waiting.watch().wait_for(|state| matches!(state, State::Waiting { .. })).await.unwrap();
        clients.close_all(None).unwrap();
        waiting.ended().await;
        assert!(clients.is_empty());
    })
    .await;
}
