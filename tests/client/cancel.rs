//! `next` dropped at every await: no message is lost, no attempt begun twice, no delay begun anew.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bowsprit::client::{ClientEvent, Reconnecting};
use bowsprit::{CloseCode, Message};
use tokio::time::{Instant, sleep};

use crate::support::{Answer, impatient, scripted};

/// Polls so many times, a millisecond apart, then drops the future.
async fn polls<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Some(output);
        }
        sleep(Duration::from_millis(1)).await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn next_may_be_dropped_at_every_await() {
    for times in 1..=4 {
        let (mut plan, mut script) = scripted([Answer::refuses(503), Answer::Stumbles]);
        plan.resumes = Some("from 7");
        let mut client = Reconnecting::new(plan).backoff(impatient());
        let server = tokio::spawn(async move {
            for round in 0..3 {
                let mut server = script.server().await;
                assert_eq!(server.recv().await.unwrap(), Some("from 7".into()));
                server.send("from 7").await.unwrap();
                for number in 0..20 {
                    server.send(format!("{round} {number}").as_str()).await.unwrap();
                    if number % 5 == 0 {
                        sleep(Duration::from_millis(3)).await;
                    }
                }
                if round == 2 {
                    server.close(Some(CloseCode::NORMAL.into())).await.unwrap();
                }
            }
            script
        });
        let (mut received, mut losses, mut dropped) = (Vec::new(), 0, 0);
        let mut due = Instant::now();
        loop {
            match polls(times, client.next()).await {
                None => dropped += 1,
                Some(Ok(Some(ClientEvent::Connected { .. }))) => {
                    assert!(Instant::now() >= due, "too early");
                    assert!(Instant::now() <= due + Duration::from_millis(60), "a delay counts from the loss");
                }
                Some(Ok(Some(ClientEvent::Message(message, _)))) => {
                    let Message::Text(text) = message else { panic!("text") };
                    received.push(text.to_owned());
                }
                Some(Ok(Some(ClientEvent::Disconnected { delay, .. }))) => {
                    losses += 1;
                    due = Instant::now() + delay;
                }
                Some(Ok(None)) => break,
                Some(other) => panic!("{}", other.is_err()),
            }
        }
        let expected = (0..60).map(|number| format!("{} {}", number / 20, number % 20));
        assert_eq!(received, expected.collect::<Vec<_>>());
        assert!(dropped > 10, "it drops futures, {dropped} of them");
        assert_eq!(losses, 4);
        assert_eq!(server.await.unwrap().attempts(), [0, 1, 2, 3, 4]);
    }
}
