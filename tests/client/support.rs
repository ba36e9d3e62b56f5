//! What the tests share: a plan whose attempts follow a script, in memory, so that the clock can be turned by hand; and a
//! server on loopback.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bowsprit::client::{Attempt, Backoff, ClientEvent, Connect, DisconnectReason, Reconnecting};
use bowsprit::handshake::{ClientRequest, ClientResponse};
use bowsprit::session::BoxError;
use bowsprit::tokio::{Connector, WebSocket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

/// What comes of an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Opens,
    /// The server answers this.
    Says(String),
    Fails(io::ErrorKind),
    /// The plan's own error.
    Stumbles,
    /// Nothing ever comes.
    Hangs,
}

impl Answer {
    /// A refusal with this status.
    pub(crate) fn refuses(status: u16) -> Self {
        Self::Says(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"))
    }
}

/// A plan by script. Behind its last line, every attempt opens.
pub(crate) struct Scripted {
    answers: VecDeque<Answer>,
    /// What to send before anything else; the answer has to be the same.
    pub(crate) resumes: Option<&'static str>,
    /// Whether every loss is worth another attempt.
    pub(crate) stubborn: bool,
    seen: Arc<Mutex<Seen>>,
    servers: mpsc::UnboundedSender<WebSocket<DuplexStream>>,
}

/// What a plan was asked.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Number and time of each attempt.
    pub(crate) attempts: Vec<(u32, Instant)>,
    /// What was lost, as the resume hook was told.
    pub(crate) resumed: Vec<Option<String>>,
}

/// The test's side of a plan.
pub(crate) struct Script {
    pub(crate) seen: Arc<Mutex<Seen>>,
    servers: mpsc::UnboundedReceiver<WebSocket<DuplexStream>>,
}

pub(crate) fn scripted<const N: usize>(answers: [Answer; N]) -> (Scripted, Script) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (to_test, servers) = mpsc::unbounded_channel();
    let plan =
        Scripted { answers: answers.into(), resumes: None, stubborn: false, seen: seen.clone(), servers: to_test };
    (plan, Script { seen, servers })
}

/// A client by script, with the default backoff.
pub(crate) fn client<const N: usize>(answers: [Answer; N]) -> (Reconnecting<Scripted>, Script) {
    let (plan, script) = scripted(answers);
    (Reconnecting::new(plan), script)
}

impl Script {
    /// The server's end of the next connection.
    pub(crate) async fn server(&mut self) -> WebSocket<DuplexStream> {
        self.servers.recv().await.unwrap()
    }

    /// The numbers of the attempts so far.
    pub(crate) fn attempts(&self) -> Vec<u32> {
        self.seen.lock().unwrap().attempts.iter().map(|(retry, _)| *retry).collect()
    }
}

impl Connect for Scripted {
    type Stream = DuplexStream;

    async fn open(&mut self, attempt: Attempt) -> Result<(WebSocket<DuplexStream>, ClientResponse), BoxError> {
        let Attempt { retry, .. } = attempt;
        self.seen.lock().unwrap().attempts.push((retry, Instant::now()));
        let (near, far) = tokio::io::duplex(64 << 10);
        let connector = Connector::new(request("ws://server/"));
        match self.answers.pop_front().unwrap_or(Answer::Opens) {
            Answer::Opens => {
                let (opened, accepted) = both(connector.connect_on(near), bowsprit::tokio::accept(far)).await;
                self.servers.send(accepted?)?;
                Ok(opened?)
            }
            Answer::Says(answer) => {
                let (opened, said) = both(connector.connect_on(near), say(far, answer)).await;
                said?;
                Ok(opened?)
            }
            Answer::Fails(kind) => Err(bowsprit::Error::Io(kind.into()).into()),
            Answer::Stumbles => Err("no token".into()),
            Answer::Hangs => std::future::pending().await,
        }
    }

    async fn resume(
        &mut self,
        ws: &mut WebSocket<DuplexStream>,
        response: &ClientResponse,
        lost: Option<&DisconnectReason>,
    ) -> Result<(), BoxError> {
        assert_eq!(response.status(), 101);
        self.seen.lock().unwrap().resumed.push(lost.map(DisconnectReason::to_string));
        let Some(resumes) = self.resumes else { return Ok(()) };
        ws.send(resumes).await?;
        let (answer, _) = ws.next().await?.ok_or("closed")?;
        if answer != bowsprit::Message::Text(resumes) {
            return Err("not that".into());
        }
        Ok(())
    }

    fn should_retry(&mut self, lost: &DisconnectReason) -> bool {
        self.stubborn || lost.is_temporary()
    }
}

async fn say(mut stream: DuplexStream, answer: String) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(answer.as_bytes()).await
}

/// Both, at once.
pub(crate) async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(context)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(context)
        {
            second = Some(output);
        }
        if first.is_some() && second.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (first.unwrap(), second.unwrap())
}

/// The client opens; which attempt that was.
pub(crate) async fn opens<P: Connect>(client: &mut Reconnecting<P>) -> u32 {
    match client.next().await.unwrap() {
        Some(ClientEvent::Connected { retry, .. }) => retry,
        other => panic!("it should open: {}", shown(other)),
    }
}

/// The client loses its connection, or cannot open one; what it says, and the delay.
pub(crate) async fn loses<P: Connect>(client: &mut Reconnecting<P>) -> (String, Duration) {
    match client.next().await.unwrap() {
        Some(ClientEvent::Disconnected { reason: lost, delay, .. }) => (lost.to_string(), delay),
        other => panic!("it should be lost: {}", shown(other)),
    }
}

fn shown<S>(event: Option<ClientEvent<'_, S>>) -> String {
    match event {
        Some(ClientEvent::Connected { .. }) => "open".to_owned(),
        Some(ClientEvent::Message(message, _)) => format!("{message:?}"),
        Some(ClientEvent::Disconnected { reason, .. }) => reason.to_string(),
        None => "the end".to_owned(),
    }
}

pub(crate) fn request(uri: &str) -> ClientRequest {
    ClientRequest::try_from(uri).unwrap()
}

/// Backs off for milliseconds.
pub(crate) fn impatient() -> Backoff {
    Backoff { first: Duration::from_millis(20), max: Duration::from_millis(80), ..Backoff::default() }
}

/// An echo server on loopback. It answers `close` with a Close of 1000.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    /// At an address where another one was.
    pub(crate) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            // Its connections go with it.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(echo(stream));
            }
        });
        Self { address, task }
    }

    pub(crate) fn uri(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// Gone, without a word.
    pub(crate) async fn kill(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

async fn echo(stream: TcpStream) -> Result<(), bowsprit::Error> {
    let mut ws = bowsprit::tokio::accept(stream).await?;
    while let Some((message, out)) = ws.next().await? {
        if message == bowsprit::Message::Text("close") {
            out.start_close(Some(bowsprit::CloseCode::NORMAL.into())).await?;
        } else {
            out.feed(message).await?;
        }
    }
    Ok(())
}

/// Soon enough, or the test fails.
pub(crate) async fn soon<F: Future>(work: F) -> F::Output {
    timeout(Duration::from_secs(20), work).await.expect("in time")
}
