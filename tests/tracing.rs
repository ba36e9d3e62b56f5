//! What the adapters tell `tracing`: a span for each connection, its events, and nothing for a message.

#![cfg(all(feature = "tracing", any(feature = "tokio", all(unix, feature = "blocking"))))]

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Is interested in all that the crate has to tell, and keeps a line for it.
#[derive(Clone, Default)]
struct Log(Arc<Told>);

#[derive(Default)]
struct Told {
    lines: Mutex<Vec<String>>,
    spans: AtomicU64,
}

impl Log {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was told of the spans whose first line holds this, their numbers left out.
    fn of(&self, first: &str) -> Vec<String> {
        let lines = self.lines();
        let mut own = Vec::new();
        for line in lines.iter().filter(|line| line.contains(" new ") && line.contains(first)) {
            let (id, _) = line.split_once(' ').expect("the number of the span");
            own.push(id);
        }
        let lines = lines.iter().filter_map(|line| line.split_once(' '));
        lines.filter(|(id, _)| own.contains(id)).map(|(_, line)| line.to_owned()).collect()
    }

    fn tell(&self, id: Option<&Id>, line: &str) {
        self.lines().push(format!("{} {line}", id.map_or(0, Id::into_u64)));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "bowsprit"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = Id::from_u64(1 + self.0.spans.fetch_add(1, Ordering::Relaxed));
        let mut line = format!("new {} {}", span.metadata().level(), span.metadata().name());
        span.record(&mut Fields(&mut line));
        self.tell(Some(&id), &line);
        id
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut line = "record".to_owned();
        values.record(&mut Fields(&mut line));
        self.tell(Some(span), &line);
    }

    fn record_follows_from(&self, span: &Id, _: &Id) {
        self.tell(Some(span), "follows");
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Fields(&mut line));
        self.tell(event.parent(), &line);
    }

    fn enter(&self, span: &Id) {
        self.tell(Some(span), "enter");
    }

    fn exit(&self, span: &Id) {
        self.tell(Some(span), "exit");
    }

    fn try_close(&self, span: Id) -> bool {
        self.tell(Some(&span), "end of the span");
        true
    }
}

/// ` name=value`, and a message as it stands.
struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("a String takes everything");
    }
}

#[cfg(feature = "tokio")]
mod tokio_adapter {
    use bowsprit::handshake::AcceptOptions;
    use bowsprit::handshake::ClientRequest;
    use bowsprit::{CloseCode, Messages};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Runs this with a subscriber of its own.
    fn log(work: impl Future<Output = ()>) -> Log {
        let log = Log::default();
        run(&log, work);
        log
    }

    fn run(log: &Log, work: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let limited = async { tokio::time::timeout(std::time::Duration::from_secs(30), work).await };
        tracing::dispatcher::with_default(&Dispatch::new(log.clone()), || runtime.block_on(limited)).expect("in time");
    }

    #[test]
    fn a_connection_has_a_span_and_messages_cost_nothing() {
        let log = Log::default();
        let watched = log.clone();
        run(&log, async move {
            let (client, server) = duplex(1 << 10);
            let server = tokio::spawn(async move {
                let incoming = bowsprit::tokio::receive_request(server, Arc::default()).await.expect("a request");
                let mut ws =
                    incoming.accept(&AcceptOptions::new().subprotocol("chat"), Messages).await.expect("it opens");
                while let Some((message, out)) = ws.next().await.expect("it ends well") {
                    out.feed(message).await.expect("it is open");
                }
            });
            let request = ClientRequest::try_from("ws://example.com/room?token=secret").expect("a URI");
            let request = request.subprotocol("chat").expect("a token");
            let (mut ws, _) = bowsprit::tokio::Connector::new(request).connect_on(client).await.expect("it opens");
            let before = watched.lines().len();
            for _ in 0..100 {
                ws.send("hello").await.expect("it is open");
                assert!(ws.next().await.expect("it is open").is_some());
            }
            assert_eq!(watched.lines().len(), before, "nothing for a message");
            ws.close(Some(CloseCode::NORMAL.into())).await.expect("it is legal");
            server.await.expect("it does not panic");
        });
        let expected = |first: &[&str], by| {
            let mut lines: Vec<_> = first.iter().map(|&line| line.to_owned()).collect();
            lines.push("DEBUG opened subprotocol=\"chat\"".to_owned());
            lines.push(format!("DEBUG closed sent=1000 received=1000 by={by} cause=Close"));
            lines.push("end of the span".to_owned());
            lines
        };
        let server = ["new INFO websocket role=\"server\"", "record host=\"example.com\"", "record path=\"/room\""];
        assert_eq!(log.of("role=\"server\""), expected(&server, "Remote"));
        let client = ["new INFO websocket role=\"client\" host=\"example.com\" path=\"/room\""];
        assert_eq!(log.of("role=\"client\""), expected(&client, "Local"));
        assert_eq!(log.lines().len(), 6 + 4, "and nothing else");
    }

    #[test]
    fn a_refusal_is_told_on_both_sides() {
        let log = log(async {
            let (client, server) = duplex(1 << 10);
            let server = tokio::spawn(bowsprit::tokio::accept(server));
            let request = ClientRequest::try_from("ws://example.com/").expect("a URI");
            let request = request.origin("https://evil.example").expect("an origin");
            bowsprit::tokio::Connector::new(request).connect_on(client).await.expect_err("it is refused");
            server.await.expect("it does not panic").expect_err("it is refused");
        });
        let server = log.of("role=\"server\"");
        let why = "pages of the origin https://evil.example may not connect to the host example.com: \
            `OriginPolicy::allow` lists other origins";
        assert_eq!(server[3..], [&*format!("INFO not opened error={why}"), "end of the span"]);
        let client = log.of("role=\"client\"");
        assert_eq!(
            client[1..],
            [
                "INFO not opened error=the server refused: 403 Forbidden; pages of this origin may not connect",
                "end of the span"
            ]
        );
    }

    #[test]
    fn a_broken_rule_is_told_once() {
        let log = log(async {
            let (mut peer, server) = duplex(1 << 10);
            let request = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\x05Hello";
            peer.write_all(request).await.expect("there is room");
            let mut ws = bowsprit::tokio::accept(server).await.expect("it opens");
            let reads = tokio::spawn(async move { peer.read_to_end(&mut Vec::new()).await });
            for _ in 0..3 {
                ws.next().await.expect_err("a frame without a mask");
            }
            reads.await.expect("it does not panic").expect("the end");
        });
        let told = log.of("role=\"server\"");
        let failed = "INFO failed sent=1002 by=Local cause=Protocol(Unmasked)";
        assert_eq!(told[3..], ["DEBUG opened", failed, "end of the span"]);
    }

    /// Two halves, and one that is gone.
    #[test]
    fn halves_tell_of_the_end_too() {
        let log = log(async {
            let (client, server) = duplex(1 << 10);
            let server =
                tokio::spawn(async move { bowsprit::tokio::accept(server).await.expect("it opens").close(None).await });
            let ws = bowsprit::tokio::connect_with(client, "ws://example.com/").await.expect("it opens");
            let (mut reader, writer) = ws.split();
            drop(writer);
            assert!(reader.next().await.expect("it ends well").is_none());
            server.await.expect("it does not panic").expect("it is legal");
        });
        let told = log.of("role=\"client\"");
        assert_eq!(told[2..], ["DEBUG closed sent=1005 received=1005 by=Remote cause=Close", "end of the span"]);
    }
}

#[cfg(feature = "hyper")]
#[test]
fn a_door_tells_the_same() {
    use bowsprit::handshake::{AcceptOptions, ClientRequest};
    use bowsprit::{Messages, upgrade};

    let log = Log::default();
    tracing::dispatcher::with_default(&Dispatch::new(log.clone()), || {
        let request = ClientRequest::try_from("ws://example.com/room").expect("a URI");
        let (_, mut request) = upgrade::http::Handshake::start(&request, [0; 16], Arc::default()).expect("it is short");
        let incoming = upgrade::hyper::receive(&mut request, Arc::default()).expect("it keeps the rules");
        incoming.accept(&AcceptOptions::new(), Messages).map(drop).expect_err("no hyper has received it");
        request.headers_mut().remove("sec-websocket-key");
        upgrade::hyper::receive(&mut request, Arc::default()).map(drop).expect_err("no key");
    });
    let told = log.of("role=\"server\"");
    assert_eq!(told[1..3], ["record host=\"example.com\"", "record path=\"/room\""]);
    assert_eq!(told[3], "INFO not opened error=the connection of this request cannot be upgraded");
    assert_eq!(told[6], "INFO not opened error=the Sec-WebSocket-Key header is not 16 bytes in base64");
}

#[cfg(all(unix, feature = "blocking"))]
mod blocking_adapter {
    use std::os::unix::net::UnixStream;

    use bowsprit::{CloseCode, blocking};

    use super::*;

    #[test]
    fn a_connection_has_a_span_and_messages_cost_nothing() {
        let log = Log::default();
        let dispatch = Dispatch::new(log.clone());
        let (client, server) = UnixStream::pair().expect("a pair");
        let server = std::thread::spawn({
            let dispatch = dispatch.clone();
            move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    let mut ws = blocking::accept(server).expect("it opens");
                    while let Some((message, out)) = ws.next().expect("it ends well") {
                        out.feed(message).expect("it is open");
                    }
                });
            }
        });
        tracing::dispatcher::with_default(&dispatch, || {
            let mut ws = blocking::connect_with(client, "ws://example.com/room?token=secret").expect("it opens");
            ws.send("hello").expect("it is open");
            assert!(ws.next().expect("it is open").is_some());
            let before = log.lines().len();
            for _ in 0..100 {
                ws.send("hello").expect("it is open");
                assert!(ws.next().expect("it is open").is_some());
            }
            assert_eq!(log.lines().len(), before, "nothing for a message");
            ws.close(Some(CloseCode::NORMAL.into())).expect("it is legal");
        });
        server.join().expect("it does not panic");
        let told = log.of("role=\"client\"");
        let expected = [
            "new INFO websocket role=\"client\" host=\"example.com\" path=\"/room\"",
            "DEBUG opened",
            "DEBUG closed sent=1000 received=1000 by=Local cause=Close",
            "end of the span",
        ];
        assert_eq!(told, expected);
        let told = log.of("role=\"server\"");
        assert_eq!(told[1..3], ["record host=\"example.com\"", "record path=\"/room\""]);
        assert_eq!(told[4..], ["DEBUG closed sent=1000 received=1000 by=Remote cause=Close", "end of the span"]);
        assert_eq!(log.lines().len(), 4 + 6, "and nothing else");
    }

    #[test]
    fn what_goes_wrong_is_told() {
        let log = Log::default();
        tracing::dispatcher::with_default(&Dispatch::new(log.clone()), || {
            use std::io::Write as _;

            let (mut peer, server) = UnixStream::pair().expect("a pair");
            peer.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").expect("there is room");
            let incoming = blocking::receive_request(server, Arc::default()).expect("a request");
            drop(peer);
            // Whether anybody has read it is another question.
            let _ = incoming.respond(404, &[], b"");

            let (mut peer, server) = UnixStream::pair().expect("a pair");
            peer.write_all(b"nonsense\r\n\r\n").expect("there is room");
            drop(peer);
            blocking::accept(server).expect_err("no HTTP");
        });
        let told = log.of("role=\"server\"");
        let expected = [
            "new INFO websocket role=\"server\"",
            "record host=\"h\"",
            "record path=\"/\"",
            "DEBUG answered status=404",
            "end of the span",
            "new INFO websocket role=\"server\"",
            "INFO not opened error=the peer does not speak HTTP/1.1",
            "end of the span",
        ];
        assert_eq!(told, expected);
    }
}
