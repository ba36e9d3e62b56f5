//! A client by callbacks: what it is told, what it sends, how it ended.

use bowsprit::client::{self, Client, Clients};
use bowsprit::session::{BoxError, Closed, Event, Handler};
use bowsprit::tokio::{Connector, WebSocket};
use bowsprit::{Close, CloseCode, End, Initiator, Message, OwnedMessage};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::{Server, request, soon};

/// A server that does this with its one connection.
async fn server<T: Send + 'static, F: Future<Output = T> + Send>(
    serve: impl FnOnce(WebSocket<TcpStream>) -> F + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(bowsprit::tokio::accept(stream).await.unwrap()).await
    });
    (uri, task)
}

/// Ten messages each way, then 1000; what the server received.
async fn ten_each_way() -> (String, JoinHandle<Vec<String>>) {
    server(async |mut ws: WebSocket<TcpStream>| {
        let mut received = Vec::new();
        for number in 0..10 {
            ws.send(format!("from the server {number}").as_str()).await.unwrap();
            received.push(ws.recv().await.unwrap().unwrap().into_text().unwrap().to_string());
        }
        ws.close(Some(CloseCode::NORMAL.into())).await.unwrap();
        received
    })
    .await
}

// FEATURE: FF1
#[tokio::test]
async fn a_handler_with_an_async_open_and_a_message_callback() {
    struct Chat {
        received: usize,
        ended: mpsc::UnboundedSender<(usize, CloseCode, bool)>,
    }

    impl Handler<Client> for Chat {
        async fn on_open(&mut self, client: &Client) -> Result<Option<OwnedMessage>, BoxError> {
            tokio::task::yield_now().await;
            client.send("from the client 0").await?;
            Ok(None)
        }

        async fn on_message(&mut self, _: &Client, message: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
            assert_eq!(message, Message::Text(&format!("from the server {}", self.received)));
            self.received += 1;
            Ok((self.received < 10).then(|| format!("from the client {}", self.received).into()))
        }

        async fn on_close(&mut self, _: &Client, closed: &Closed) {
            self.ended.send((self.received, closed.code(), closed.is_clean())).unwrap();
        }
    }

    soon(async {
        let (uri, server) = ten_each_way().await;
        let (ended, mut end) = mpsc::unbounded_channel();
        Clients::new().open("chat", &uri, Chat { received: 0, ended }).await.unwrap();
        assert_eq!(end.recv().await, Some((10, CloseCode::NORMAL, true)));
        let expected: Vec<_> = (0..10).map(|number| format!("from the client {number}")).collect();
        assert_eq!(server.await.unwrap(), expected);
    })
    .await;
}

// FEATURE: FF2
#[tokio::test]
async fn connect_with_an_address_and_a_callback() {
    soon(async {
        let (uri, server) = ten_each_way().await;
        let (to_test, mut events) = mpsc::unbounded_channel();
        let mut sent = 0;
        let client = client::connect(&uri, move |_: &Client, event: Event<'_>| match event {
            Event::Message(message) => {
                to_test.send(message.to_owned().into_text().unwrap().to_string()).unwrap();
                sent += 1;
                Ok(Some(format!("from the client {}", sent - 1).into()))
            }
            _ => Ok(None),
        })
        .await
        .unwrap();
        assert_eq!((client.name(), client.uri().unwrap().to_string()), (&*uri, uri.clone()));
        client.ended().await;
        for number in 0..10 {
            assert_eq!(events.recv().await.unwrap(), format!("from the server {number}"));
        }
        assert_eq!(server.await.unwrap().len(), 10);
        assert!(client::connect("nowhere", |_: &Client, _: Event<'_>| Ok(None)).await.is_err());
    })
    .await;
}

// FEATURE: FF6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_tasks_send_a_thousand_messages_each() {
    soon(async {
        let (uri, server) = server(async |mut ws: WebSocket<TcpStream>| {
            let mut next = [0; 8];
            while let Some((message, _)) = ws.next().await.unwrap() {
                let Message::Text(text) = message else { panic!("text") };
                let (numbers, rest) = text.split_once(':').expect("whole");
                let (task, number) = numbers.split_once(' ').expect("whole");
                let (task, number) = (task.parse::<usize>().unwrap(), number.parse::<usize>().unwrap());
                assert_eq!((number, rest.len()), (next[task], number % 300), "of task {task}, in order and whole");
                next[task] += 1;
            }
            next
        })
        .await;
        // A queue that is full most of the time.
        let clients = Clients::with_queue(4 << 10, bowsprit::tokio::WhenFull::Wait);
        let client = clients.open("eight", &uri, |_: &Client, _: Event<'_>| Ok(None)).await.unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let client = client.clone();
                tokio::spawn(async move {
                    for number in 0..1_000 {
                        client.send(format!("{task} {number}:{}", "x".repeat(number % 300))).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        client.close(Some(CloseCode::NORMAL.into())).unwrap();
        client.ended().await;
        assert_eq!(server.await.unwrap(), [1_000; 8]);
    })
    .await;
}

// FEATURE: FF10
#[tokio::test]
async fn four_closes_clean_or_not_by_us_or_by_the_peer() {
    soon(async {
        for (by, clean) in
            [(Initiator::Local, true), (Initiator::Local, false), (Initiator::Remote, true), (Initiator::Remote, false)]
        {
            let (uri, server) = server(async move |mut ws: WebSocket<TcpStream>| match (by, clean) {
                (Initiator::Local, true) => assert!(ws.next().await.unwrap().is_none()),
                (Initiator::Remote, true) => {
                    ws.close(Some(Close { code: CloseCode(4001), reason: "bye" })).await.unwrap();
                }
                // It goes without a word; in the one case after it has read the Close, and not answered.
                (Initiator::Local, false) => {
                    let mut stream = ws.into_parts().socket;
                    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut [0; 8]).await.unwrap();
                }
                (Initiator::Remote, false) => drop(ws),
            })
            .await;
            let (to_test, mut closed) = mpsc::unbounded_channel::<(End, Box<str>)>();
            let handler = move |_: &Client, event: Event<'_>| {
                if let Event::Close(closed) = event {
                    to_test.send((closed.end, closed.reason.clone())).unwrap();
                }
                Ok(None)
            };
            let connector = Connector::new(request(&uri));
            let client = Clients::new().open_with("four", &connector, handler).await.unwrap();
            if by == Initiator::Local {
                client.close(Some(CloseCode::NORMAL.into())).unwrap();
            }
            let (end, reason) = closed.recv().await.unwrap();
            assert_eq!((end.by, end.clean), (by, clean));
            let code = match (by, clean) {
                (Initiator::Local, true) => (CloseCode::NORMAL, ""),
                (Initiator::Remote, true) => (CloseCode(4001), "bye"),
                (_, false) => (CloseCode::ABNORMAL, ""),
            };
            assert_eq!((end.code(), &*reason), code);
            server.await.unwrap();
            client.ended().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_callback_may_wait_for_room_itself_and_its_reply_comes_behind() {
    struct Floods;
    impl Handler<Client> for Floods {
        async fn on_message(&mut self, client: &Client, _: Message<'_>) -> Result<Option<OwnedMessage>, BoxError> {
            for number in 0..500 {
                client.send(format!("{number}")).await?;
            }
            Ok(Some("done".into()))
        }
    }

    soon(async {
        let (uri, server) = server(async |mut ws: WebSocket<TcpStream>| {
            ws.send("go").await.unwrap();
            let mut received = Vec::new();
            while received.last().is_none_or(|last| last != "done") {
                received.push(ws.recv().await.unwrap().unwrap().into_text().unwrap().to_string());
            }
            ws.close(None).await.unwrap();
            received
        })
        .await;
        // One message at a time.
        let clients = Clients::with_queue(0, bowsprit::tokio::WhenFull::Wait);
        let client = clients.open("floods", &uri, Floods).await.unwrap();
        client.ended().await;
        let mut expected: Vec<_> = (0..500).map(|number| format!("{number}")).collect();
        expected.push("done".to_owned());
        assert_eq!(server.await.unwrap(), expected);
    })
    .await;
}

#[tokio::test]
async fn what_is_sent_after_the_echo_server_closed_fails() {
    soon(async {
        let server = Server::start().await;
        let client = client::connect(&server.uri(), |_: &Client, _: Event<'_>| Ok(None)).await.unwrap();
        client.send("close").await.unwrap();
        client.ended().await;
        assert!(client.send("late").await.is_err());
    })
    .await;
}
