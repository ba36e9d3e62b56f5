//! A connection that is lost and comes back, or does not; what a handle and a watcher see meanwhile.

use std::io::ErrorKind;
use std::time::Duration;

use bowsprit::client::{Backoff, ClientEvent, DisconnectReason, Reconnecting, State};
use bowsprit::session::Closed;
use bowsprit::{Cause, Close, CloseCode, Initiator, Message, Prepared, SendError};
use tokio::time::{Instant, sleep};

use crate::support::{Answer, client, impatient, loses, opens, scripted, soon};

#[tokio::test(start_paused = true)]
async fn messages_come_before_and_after_a_loss_and_are_answered() {
    let (mut client, mut script) = client([]);
    for round in 0..3 {
        assert_eq!(opens(&mut client).await, round);
        let mut server = script.server().await;
        server.send("one").await.unwrap();
        server.send("two").await.unwrap();
        for expected in ["one", "two"] {
            let Some(ClientEvent::Message(message, mut out)) = client.next().await.unwrap() else {
                panic!("a message")
            };
            assert_eq!(message, Message::Text(expected));
            out.send(message).await.unwrap();
            assert_eq!(server.recv().await.unwrap(), Some(expected.into()));
        }
        drop(server);
        assert_eq!(loses(&mut client).await.0, "the connection ended with 1006 (abnormal closure)");
    }
    assert_eq!(script.seen.lock().unwrap().resumed.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn its_stream_is_there_while_a_connection_is_open() {
    let (mut client, mut script) = client([Answer::Stumbles]);
    assert!(client.get_ref().is_none());
    loses(&mut client).await;
    assert!(client.get_ref().is_none());
    for round in 1..3 {
        assert_eq!(opens(&mut client).await, round);
        assert!(client.get_ref().is_some());
        drop(script.server().await);
        loses(&mut client).await;
        assert!(client.get_ref().is_none());
    }
    opens(&mut client).await;
    client.handle().close(None).unwrap();
    tokio::spawn(script.server().await.close(None));
    assert!(client.next().await.unwrap().is_none());
    assert!(client.get_ref().is_none());
}

#[tokio::test(start_paused = true)]
async fn codes_other_than_1000_are_followed_by_another_attempt() {
    for code in [1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 4000, 4999] {
        let (mut client, mut script) = client([]);
        opens(&mut client).await;
        let server = script.server().await;
        let closing = tokio::spawn(server.close(Some(Close { code: CloseCode(code), reason: "x" })));
        assert_eq!(loses(&mut client).await.0, format!("the connection ended with {}", CloseCode(code)));
        assert!(closing.await.unwrap().unwrap().clean);
        let Some(DisconnectReason::Closed(Closed { end, reason })) = client.last_disconnect() else { panic!("{code}") };
        assert_eq!((end.code(), end.clean, &**reason), (CloseCode(code), true, "x"));
        assert_eq!(opens(&mut client).await, 1);
    }
    // Nor is a Close without a code.
    let (mut client, mut script) = client([]);
    opens(&mut client).await;
    tokio::spawn(script.server().await.close(None));
    assert_eq!(loses(&mut client).await.0, "the connection ended with 1005 (no status received)");
}

#[tokio::test(start_paused = true)]
async fn a_close_of_1000_by_the_peer_is_the_end() {
    let (mut client, mut script) = client([]);
    opens(&mut client).await;
    tokio::spawn(script.server().await.close(Some(CloseCode::NORMAL.into())));
    assert!(client.next().await.unwrap().is_none());
    let Some(DisconnectReason::Closed(closed)) = client.last_disconnect() else { panic!("it was open") };
    assert!(closed.is_clean() && closed.end.by == Initiator::Remote);
    assert!(client.next().await.unwrap().is_none());
    sleep(Duration::from_secs(3600)).await;
    assert_eq!((script.attempts(), client.handle().state()), (vec![0], State::Ended));
}

#[tokio::test(start_paused = true)]
async fn an_own_close_is_the_end_whatever_its_code_and_whether_it_is_answered_or_not() {
    for code in [Some(CloseCode::NORMAL), Some(CloseCode::GOING_AWAY), Some(CloseCode(4000)), None] {
        for (by_handle, answered) in [(true, true), (true, false), (false, true), (false, false)] {
            let (mut client, mut script) = client([]);
            opens(&mut client).await;
            let mut server = script.server().await;
            let handle = client.handle();
            if by_handle {
                handle.send("last").await.unwrap();
                handle.close(code.map(Close::from)).unwrap();
                assert_eq!(handle.close(None), Err(SendError::Closing));
                assert_eq!(handle.try_send("more"), Err(SendError::Closing));
            } else {
                server.send("go").await.unwrap();
                let Some(ClientEvent::Message(_, mut out)) = client.next().await.unwrap() else { panic!("a message") };
                out.send("last").await.unwrap();
                out.start_close(code.map(Close::from)).await.unwrap();
            }
            let heard = tokio::spawn(async move {
                assert_eq!(server.recv().await.unwrap(), Some("last".into()), "what is queued goes first");
                if answered {
                    assert!(server.recv().await.unwrap().is_none());
                    return server.end().unwrap().code();
                }
                sleep(Duration::from_secs(3600)).await;
                CloseCode::ABNORMAL
            });
            assert!(client.next().await.unwrap().is_none());
            assert_eq!(handle.state(), State::Ended);
            if answered {
                assert_eq!(heard.await.unwrap(), code.unwrap_or(CloseCode::NO_STATUS));
            }
            assert_eq!(handle.close(None), Err(SendError::Closing));
            assert_eq!(script.attempts(), [0]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handle_refuses_a_close_that_may_not_be_sent() {
    let (client, _script) = client([]);
    let handle = client.handle();
    let reason = "x".repeat(124);
    let invalid = CloseCode::ABNORMAL;
    assert_eq!(handle.close(Some(invalid.into())), Err(SendError::InvalidCloseCode(invalid)));
    assert_eq!(handle.close(Some(Close { code: CloseCode::NORMAL, reason: &reason })), Err(SendError::ReasonTooLong));
    assert!(!handle.is_closing());
}

#[tokio::test(start_paused = true)]
async fn a_close_while_it_waits_ends_the_wait() {
    let (mut client, script) = client([Answer::refuses(503)]);
    let handle = client.handle();
    loses(&mut client).await;
    assert!(matches!(handle.state(), State::Waiting { retry: 1, .. }));
    let closer = handle.clone();
    let start = Instant::now();
    tokio::spawn(async move { closer.close(None).unwrap() });
    assert!(client.next().await.unwrap().is_none());
    assert_eq!((start.elapsed(), script.attempts()), (Duration::ZERO, vec![0]));
    // And before anything was begun.
    let (mut client, script) = self::client([]);
    client.handle().close(None).unwrap();
    assert!(client.next().await.unwrap().is_none());
    assert_eq!((script.attempts(), client.handle().state()), (vec![], State::Ended));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_queued_while_no_connection_is_open() {
    let (mut client, mut script) = client([Answer::Fails(ErrorKind::ConnectionRefused)]);
    let handle = client.handle();
    let refused = async || {
        assert_eq!(handle.send("a").await, Err(SendError::NotOpen));
        assert_eq!(handle.try_send("b"), Err(SendError::NotOpen));
        assert_eq!(handle.send_prepared(&Prepared::text("c")).await, Err(SendError::NotOpen));
        assert!(!handle.is_closing());
    };
    refused().await;
    loses(&mut client).await;
    refused().await;
    opens(&mut client).await;
    let mut server = script.server().await;
    handle.send("d").await.unwrap();
    handle.send_prepared(&Prepared::text("e")).await.unwrap();
    handle.try_send("f").unwrap();
    let received = tokio::spawn(async move {
        let mut received = Vec::new();
        for _ in 0..3 {
            received.push(server.recv().await.unwrap().unwrap().into_text().unwrap().to_string());
        }
        received
    });
    loses(&mut client).await;
    assert_eq!(received.await.unwrap(), ["d", "e", "f"]);
    refused().await;
    // The new connection has a queue of its own.
    opens(&mut client).await;
    let mut server = script.server().await;
    handle.send("g").await.unwrap();
    let received = tokio::spawn(async move { server.recv().await.unwrap() });
    loses(&mut client).await;
    assert_eq!(received.await.unwrap(), Some("g".into()));
}

#[tokio::test(start_paused = true)]
async fn watchers_see_each_state() {
    let (plan, mut script) = scripted([Answer::refuses(500), Answer::refuses(500)]);
    let backoff = Backoff { first: Duration::from_secs(4), ..Backoff::default() };
    let mut client = Reconnecting::new(plan).backoff(backoff);
    let mut watch = client.handle().watch();
    let watcher = tokio::spawn(async move {
        let mut states = vec![*watch.borrow_and_update()];
        while watch.changed().await.is_ok() {
            states.push(*watch.borrow_and_update());
            if states.ends_with(&[State::Ended]) {
                break;
            }
        }
        states
    });
    tokio::task::yield_now().await;
    let (_, first) = loses(&mut client).await;
    tokio::task::yield_now().await;
    let (_, second) = loses(&mut client).await;
    tokio::task::yield_now().await;
    opens(&mut client).await;
    tokio::task::yield_now().await;
    drop(script.server().await);
    let (_, third) = loses(&mut client).await;
    tokio::task::yield_now().await;
    opens(&mut client).await;
    tokio::task::yield_now().await;
    let ended = client.handle();
    drop(client);
    ended.ended().await;
    let expected = [
        State::Connecting { retry: 0 },
        State::Waiting { retry: 1, delay: first },
        State::Connecting { retry: 1 },
        State::Waiting { retry: 2, delay: second },
        State::Connecting { retry: 2 },
        State::Open,
        State::Waiting { retry: 3, delay: third },
        State::Connecting { retry: 3 },
        State::Open,
        State::Ended,
    ];
    assert_eq!(watcher.await.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_hook_resumes_before_anybody_else_speaks() {
    let (mut plan, mut script) = scripted([]);
    plan.resumes = Some("from 7");
    let mut client = Reconnecting::new(plan);
    for round in 0..2 {
        let server = tokio::spawn(async move {
            let mut server = script.server().await;
            assert_eq!(server.recv().await.unwrap(), Some("from 7".into()));
            server.feed("from 7").await.unwrap();
            server.send("news").await.unwrap();
            (server, script)
        });
        opens(&mut client).await;
        let Some(ClientEvent::Message(message, _)) = client.next().await.unwrap() else { panic!("news") };
        assert_eq!(message, Message::Text("news"));
        let ended = server.await.unwrap();
        script = ended.1;
        drop(ended.0);
        loses(&mut client).await;
        let expected = [None, Some("the connection ended with 1006 (abnormal closure)".to_owned())];
        assert_eq!(script.seen.lock().unwrap().resumed, expected[..=round]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_is_a_failed_attempt_and_closes() {
    let (mut plan, mut script) = scripted([]);
    plan.resumes = Some("from 7");
    let mut client = Reconnecting::new(plan);
    let server = tokio::spawn(async move {
        // An answer that the hook does not want.
        let mut server = script.server().await;
        server.recv().await.unwrap();
        server.send("no").await.unwrap();
        assert!(server.recv().await.unwrap().is_none());
        let told = server.end().unwrap().code();
        // A Close instead of one.
        let mut server = script.server().await;
        server.recv().await.unwrap();
        server.close(Some(CloseCode::TRY_AGAIN_LATER.into())).await.unwrap();
        // A loss.
        script.server().await.recv().await.unwrap();
        // Nothing more is wanted.
        script.server().await.close(Some(CloseCode::NORMAL.into())).await.unwrap();
        (told, script)
    });
    let mut watch = client.handle().watch();
    assert_eq!(loses(&mut client).await.0, "the handler failed: not that");
    assert_eq!(loses(&mut client).await.0, "the connection ended with 1013 (try again later)");
    loses(&mut client).await;
    assert!(client.next().await.unwrap().is_none());
    let (told, script) = server.await.unwrap();
    assert_eq!((told, script.attempts()), (CloseCode::INTERNAL_ERROR, vec![0, 1, 2, 3]));
    assert_eq!(*watch.borrow_and_update(), State::Ended);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_breaks_the_protocol_is_asked_again() {
    let (mut client, mut script) = client([]);
    opens(&mut client).await;
    let mut parts = script.server().await.into_parts();
    // A reserved bit.
    tokio::io::AsyncWriteExt::write_all(&mut parts.socket, b"\xc1\x00").await.unwrap();
    tokio::spawn(async move {
        let mut sink = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut parts.socket, &mut sink).await
    });
    loses(&mut client).await;
    let Some(DisconnectReason::Closed(closed)) = client.last_disconnect() else { panic!("it was open") };
    assert!(matches!(closed.end.cause, Cause::Protocol(_)), "{closed:?}");
    assert_eq!(opens(&mut client).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_at_any_time_ends_the_client() {
    for round in 0..300 {
        let (plan, mut script) = scripted([Answer::Stumbles]);
        let mut client = Reconnecting::new(plan).backoff(impatient());
        let handle = client.handle();
        let serves = tokio::spawn(async move {
            let mut server = script.server().await;
            while let Ok(Some(_)) = server.recv().await {}
        });
        let runs = tokio::spawn(async move { while client.next().await.unwrap().is_some() {} });
        // From before its first attempt until after it has opened.
        sleep(Duration::from_micros(100) * (round % 250)).await;
        handle.close(Some(CloseCode::NORMAL.into())).unwrap();
        soon(handle.ended()).await;
        soon(runs).await.unwrap();
        serves.abort();
        assert_eq!(handle.try_send("late"), Err(SendError::NotOpen));
    }
}
