//! Sending from other tasks, through a queue: order, bounds, what is thrown away, who is woken.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bowsprit::tokio::{Sender, WebSocket, WhenFull};
use bowsprit::{
    Cause, Chunk, Close, CloseCode, Config, Error, Messages, OwnedMessage, Prepared, Role, SendError, Timeout,
};
use hex_literal::hex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::support::{
    Frame, ROLES, Script, Stream, announce, client, frame, frames, kind, open, pattern, polls, seconds, server,
};

/// What a message takes of a queue besides its payload.
const ITEM: usize = 64;

/// A task that receives, and so sends what is queued; how its connection ended.
fn run(mut ws: WebSocket<Stream>) -> JoinHandle<(WebSocket<Stream>, Result<(), Error>)> {
    tokio::spawn(async move {
        loop {
            match ws.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return (ws, Ok(())),
                Err(error) => return (ws, Err(error)),
            }
        }
    })
}

/// Everybody does what can be done now.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// What a server has sent.
fn sent(stream: &Stream) -> Vec<Frame> {
    frames(Role::Server, &stream.written())
}

/// The text messages that a server has sent.
fn texts(stream: &Stream) -> Vec<String> {
    let texts = sent(stream).into_iter().filter(|(first, _)| *first == 0x81);
    texts.map(|(_, payload)| String::from_utf8(payload).unwrap()).collect()
}

async fn pends<F: Future>(future: Pin<&mut F>) -> bool {
    let mut future = future;
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test(start_paused = true)]
async fn messages_leave_in_order_while_next_waits_and_nothing_else_happens() {
    for role in ROLES {
        let stream = Stream::silent();
        let mut ws = open(role, stream.clone(), Messages, Config::default());
        let sender = ws.sender(1 << 20, WhenFull::Wait);
        sender.send("before").await.unwrap();
        assert!(stream.written().is_empty(), "the task of the connection sends");
        let _task = run(ws);
        settle().await;
        sender.send("one").await.unwrap();
        settle().await;
        let mut expected = vec![(0x81, b"before".to_vec()), (0x81, b"one".to_vec())];
        assert_eq!(frames(role, &stream.written()), expected);
        sender.try_send("two").unwrap();
        sender.clone().send_prepared(&Prepared::text("three")).await.unwrap();
        sender.try_send_prepared(&Prepared::binary(b"\x04")).unwrap();
        sender.send(OwnedMessage::Binary(pattern(100_000).into())).await.unwrap();
        sender.send("").await.unwrap();
        settle().await;
        expected.extend([(0x81, b"two".to_vec()), (0x81, b"three".to_vec()), (0x82, b"\x04".to_vec())]);
        expected.extend([(0x82, pattern(100_000)), (0x81, vec![])]);
        assert_eq!(frames(role, &stream.written()), expected);
        assert_eq!((sender.queued(), sender.dropped()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn many_tasks_send_whole_messages_each_in_its_order() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    // About four messages.
    let sender = ws.sender(300, WhenFull::Wait);
    let _task = run(ws);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for number in 0..200 {
                    sender.send(format!("{task} {number}")).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    settle().await;
    let mut next = [0; 8];
    for text in texts(&stream) {
        let (task, number) = text.split_once(' ').unwrap();
        let task: usize = task.parse().unwrap();
        assert_eq!(number.parse(), Ok(next[task]));
        next[task] += 1;
    }
    assert_eq!(next, [200; 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_give_up_lose_nothing_that_was_taken_and_send_nothing_twice() {
    let (near, far) = tokio::io::duplex(1 << 10);
    let (mut ws, mut peer) = (server(near), client(far));
    let sender = ws.sender(200, WhenFull::Wait);
    let served = tokio::spawn(async move { while let Ok(Some(_)) = ws.next().await {} });
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for number in 0..1_000 {
                    // Some are dropped after a poll or two, whether they wait or have room by then.
                    let sent = polls(1 + number % 3, sender.send(format!("{task} {number}"))).await;
                    taken.push(sent.is_some_and(|sent| sent.is_ok()));
                }
                taken
            })
        })
        .collect();
    let receives = tokio::spawn(async move {
        let mut received = vec![Vec::new(); 4];
        while let Ok(Some(message)) = peer.recv().await {
            let text = message.into_text().unwrap().to_string();
            let (task, number) = text.split_once(' ').unwrap();
            received[task.parse::<usize>().unwrap()].push(number.parse::<usize>().unwrap());
        }
        received
    });
    let mut all_taken = Vec::new();
    for task in tasks {
        all_taken.push(task.await.unwrap());
    }
    sender.close(None).unwrap();
    served.await.unwrap();
    for (taken, received) in all_taken.iter().zip(receives.await.unwrap()) {
        assert!(received.is_sorted_by(|one, next| one < next), "in order, and once");
        let lost: Vec<_> = (0..1_000).filter(|number| taken[*number] && !received.contains(number)).collect();
        assert!(lost.is_empty(), "taken, and not sent: {lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_bounded_in_bytes_and_an_empty_message_takes_some() {
    // A message is taken whole while the queue is below its bound.
    for (max, payload, fit) in [
        (0, "", 1),
        (1, "abc", 1),
        (ITEM, "", 1),
        (ITEM + 1, "", 2),
        (10 * ITEM, "", 10),
        (10 * (ITEM + 5), "hello", 10),
    ] {
        let mut ws = server(Stream::silent());
        let sender = ws.sender(max, WhenFull::Wait);
        let taken = (0..100).take_while(|_| sender.try_send(payload).is_ok()).count();
        assert_eq!((taken, sender.queued()), (fit, fit * (ITEM + payload.len())), "{max} bytes");
        assert_eq!(sender.try_send(payload), Err(SendError::Full));
        assert!(polls(3, sender.send(payload)).await.is_none(), "it waits");
        assert_eq!((sender.queued(), sender.dropped()), (fit * (ITEM + payload.len()), 0));
    }
    let mut ws = server(Stream::silent());
    let sender = ws.sender(1, WhenFull::Wait);
    sender.try_send(OwnedMessage::Binary(pattern(1 << 20).into())).unwrap();
    assert_eq!(sender.queued(), ITEM + (1 << 20), "whole, however long");
    // Another handle is one to the same queue, whatever it is asked for.
    assert_eq!(ws.sender(1 << 30, WhenFull::DropOldest).try_send("x"), Err(SendError::Full));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_newest() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let sender = ws.sender(2 * ITEM, WhenFull::DropNewest);
    let results: Vec<_> = ["1", "2", "3", "4"].map(|text| sender.try_send(text)).into();
    assert_eq!(results, [Ok(()), Ok(()), Err(SendError::Full), Err(SendError::Full)]);
    assert_eq!(sender.send("5").await, Err(SendError::Full), "nobody waits");
    assert_eq!(sender.dropped(), 3);
    let _task = run(ws);
    settle().await;
    sender.send("6").await.unwrap();
    settle().await;
    assert_eq!(texts(&stream), ["1", "2", "6"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_oldest() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let sender = ws.sender(2 * ITEM, WhenFull::DropOldest);
    for text in ["1", "2", "3", "4"] {
        sender.try_send(text).unwrap();
    }
    sender.send("5").await.unwrap();
    assert_eq!((sender.dropped(), sender.queued()), (3, 2 * (ITEM + 1)));
    // One that takes the whole queue, and its successor.
    sender.try_send("6".repeat(1_000)).unwrap();
    assert_eq!((sender.dropped(), sender.queued()), (4, 2 * ITEM + 1_001));
    sender.try_send("7").unwrap();
    assert_eq!((sender.dropped(), sender.queued()), (6, ITEM + 1));
    let _task = run(ws);
    settle().await;
    assert_eq!(texts(&stream), ["7"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_disconnects() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let sender = ws.sender(2 * ITEM, WhenFull::Disconnect);
    sender.try_send("1").unwrap();
    sender.try_send("2").unwrap();
    assert_eq!(sender.send("3").await, Err(SendError::Closing));
    assert!(sender.is_closing());
    assert_eq!((sender.dropped(), sender.queued()), (3, 0));
    assert_eq!(sender.close(None), Err(SendError::Closing));
    let task = run(ws);
    settle().await;
    let close = sent(&stream);
    assert_eq!((close.len(), close[0].0, &close[0].1[..2]), (1, 0x88, &hex!("03f0")[..]), "1008, and nothing else");
    stream.arrive(&frame(Role::Server, 0x88, &hex!("03f0")));
    stream.ends();
    assert!(task.await.unwrap().0.end().unwrap().clean);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_and_is_dropped_is_withdrawn_and_the_others_keep_their_order() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let sender = ws.sender(1, WhenFull::Wait);
    sender.send("first").await.unwrap();
    let mut waiting: Vec<_> = ["a", "b", "c", "d"].map(|text| Box::pin(sender.send(text))).into();
    for waits in &mut waiting {
        assert!(pends(waits.as_mut()).await);
    }
    // One that was never polled was never in the queue.
    drop(sender.send("never"));
    drop(waiting.remove(1));
    drop(waiting.remove(2));
    let _task = run(ws);
    settle().await;
    for waits in waiting {
        waits.await.unwrap();
    }
    sender.send("last").await.unwrap();
    settle().await;
    assert_eq!(texts(&stream), ["first", "a", "c", "last"]);
    assert_eq!((sender.queued(), sender.dropped()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_go_on_one_by_one_as_there_is_room() {
    // The peer reads nothing yet: 64 KiB are encoded, the rest waits in the queue.
    let stream = Stream::new(Script { silent: true, room: 0, ..Script::default() });
    let mut ws = server(stream.clone());
    let sender = ws.sender(20_000, WhenFull::Wait);
    let _task = run(ws);
    let all = tokio::spawn({
        let sender = sender.clone();
        async move {
            for number in 0_u32..40 {
                sender.send(format!("{number}").repeat(5_000)).await.unwrap();
            }
        }
    });
    settle().await;
    assert!(!all.is_finished());
    assert!((20_000..40_000).contains(&sender.queued()), "{}", sender.queued());
    for _ in 0..200 {
        stream.drains(2_000);
        settle().await;
        assert!(sender.queued() < 40_000);
    }
    all.await.unwrap();
    let numbers: Vec<_> = texts(&stream).iter().map(|text| text.len()).collect();
    let expected: Vec<_> = (0..40).map(|number| if number < 10 { 5_000 } else { 10_000 }).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test(start_paused = true)]
async fn a_close_leaves_behind_all_that_is_queued_and_waiting() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let sender = ws.sender(1, WhenFull::Wait);
    sender.send("queued").await.unwrap();
    let mut waiting = pin!(sender.send("waiting"));
    assert!(pends(waiting.as_mut()).await);
    let invalid = Close { code: CloseCode::MANDATORY_EXTENSION, reason: "" };
    assert_eq!(sender.close(Some(invalid)), Err(SendError::InvalidCloseCode(invalid.code)));
    let reason = "x".repeat(124);
    let long = Close { code: CloseCode::NORMAL, reason: &reason };
    assert_eq!(sender.close(Some(long)), Err(SendError::ReasonTooLong));
    assert!(!sender.is_closing(), "nothing has changed");
    sender.close(Some(Close { code: CloseCode::NORMAL, reason: "bye" })).unwrap();
    assert!(sender.is_closing());
    assert_eq!(sender.try_send("late"), Err(SendError::Closing));
    assert_eq!(sender.send("late").await, Err(SendError::Closing));
    assert_eq!(sender.close(None), Err(SendError::Closing));
    let task = run(ws);
    settle().await;
    waiting.await.unwrap();
    let close = (0x88, hex!("03e8 627965").to_vec());
    assert_eq!(sent(&stream), [(0x81, b"queued".to_vec()), (0x81, b"waiting".to_vec()), close]);
    stream.arrive(&frame(Role::Server, 0x88, &hex!("03e8")));
    stream.ends();
    let (ws, ended) = task.await.unwrap();
    ended.unwrap();
    assert!(ws.end().unwrap().clean && sender.is_closing());
}

/// Two who wait, one of them by a large message.
fn waiters(sender: &Sender) -> [JoinHandle<Result<(), SendError>>; 2] {
    ["a".to_owned(), "b".repeat(100_000)].map(|text| {
        let sender = sender.clone();
        tokio::spawn(async move { sender.send(text).await })
    })
}

#[tokio::test(start_paused = true)]
async fn the_end_wakes_all_who_wait() {
    for how in 0..5 {
        let stream = Stream::new(Script { silent: true, room: 0, ..Script::default() });
        let mut ws = server(stream.clone());
        let sender = ws.sender(1, WhenFull::Wait);
        // More than is encoded ahead, and one more in the queue.
        sender.send("x".repeat(64 << 10)).await.unwrap();
        let task = run(ws);
        settle().await;
        sender.send("queued").await.unwrap();
        let waiting = waiters(&sender);
        settle().await;
        assert!(waiting.iter().all(|waits| !waits.is_finished()));
        match how {
            // The task is gone, and its connection with it.
            0 => task.abort(),
            // The peer ends, with a Close or without.
            1 => stream.ends(),
            2 => stream.arrive(&frame(Role::Server, 0x88, &[])),
            // It breaks the protocol.
            3 => stream.arrive(&hex!("c1 80 00000000")),
            // It never reads.
            _ => sleep(Duration::from_secs(31)).await,
        }
        settle().await;
        for waits in waiting {
            assert!(waits.is_finished(), "{how}");
            assert_eq!(waits.await.unwrap(), Err(SendError::Closing));
        }
        assert_eq!((sender.is_closing(), sender.queued()), (true, 0));
        assert_eq!(sender.try_send("late"), Err(SendError::Closing));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_given_up_in_time_and_memory_is_bounded() {
    let stream = Stream::new(Script { silent: true, room: 1_000, ..Script::default() });
    let mut ws = server(stream.clone());
    let sender = ws.sender(10_000, WhenFull::DropOldest);
    let start = Instant::now();
    let task = run(ws);
    for number in 0..1_000 {
        sender.send(format!("{number}").repeat(1_000)).await.unwrap();
        assert!(sender.queued() < 20_000);
        sleep(Duration::from_millis(1)).await;
    }
    let (ws, ended) = task.await.unwrap();
    assert_eq!(kind(&ended.unwrap_err()), std::io::ErrorKind::TimedOut);
    assert_eq!(ws.end().unwrap().cause, Cause::Timeout(Timeout::Write));
    assert_eq!(start.elapsed().as_secs(), 30);
    assert!(sender.dropped() > 900, "{}", sender.dropped());
}

#[tokio::test(start_paused = true)]
async fn what_arrives_behind_a_long_answer_leaves_at_once() {
    // The task has queued more than is encoded ahead, and writes it all: whoever sends then has to wake it.
    let stream = Stream::new(Script { silent: true, plain: true, ..Script::default() });
    let mut ws = server(stream.clone());
    let sender = ws.sender(1 << 10, WhenFull::Wait);
    ws.try_feed(pattern(100_000).as_slice()).unwrap();
    let _task = run(ws);
    settle().await;
    assert_eq!(sent(&stream), [(0x82, pattern(100_000))]);
    sender.send("now").await.unwrap();
    settle().await;
    assert_eq!(texts(&stream), ["now"]);
}

#[tokio::test(start_paused = true)]
async fn a_small_bound_on_what_is_unsent_holds_and_ends_nothing() {
    let stream = Stream::new(Script { silent: true, room: 0, ..Script::default() });
    let config = Config { max_unsent: 100, ..Config::default() };
    let mut ws = open(Role::Server, stream.clone(), Messages, config);
    let sender = ws.sender(1 << 20, WhenFull::Wait);
    for number in 100..200 {
        sender.send(format!("{number}")).await.unwrap();
    }
    let _task = run(ws);
    settle().await;
    assert!(!sender.is_closing());
    assert_eq!(sender.queued(), (100 - 20) * (ITEM + 3), "of five bytes each, twenty are encoded");
    stream.drains(300);
    settle().await;
    assert_eq!(texts(&stream).len(), 60);
    stream.drains(usize::MAX);
    settle().await;
    assert_eq!(texts(&stream), (100..200).map(|number| format!("{number}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_waits_for_the_end_of_a_message_in_chunks() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let sender = ws.sender(1 << 10, WhenFull::Wait);
    ws.feed(Chunk { data: "a".into(), end: false }).await.unwrap();
    sender.send("one").await.unwrap();
    sender.send("two").await.unwrap();
    assert!(polls(2, ws.next()).await.is_none());
    assert_eq!(sender.queued(), 2 * (ITEM + 3));
    ws.feed(Chunk { data: "b".into(), end: true }).await.unwrap();
    assert!(polls(2, ws.next()).await.is_none());
    let expected = [(0x01, &b"a"[..]), (0x80, b"b"), (0x81, b"one"), (0x81, b"two")];
    assert_eq!(sent(&stream), expected.map(|(first, payload)| (first, payload.to_vec())));
}

#[tokio::test(start_paused = true)]
async fn the_reading_half_sends_what_is_queued_also_behind_the_other_halfs_chunks() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let sender = ws.sender(1 << 10, WhenFull::Wait);
    let (mut reader, mut writer) = ws.split();
    let reads = tokio::spawn(async move { reader.next().await.map(|message| message.is_some()) });
    settle().await;
    sender.send("one").await.unwrap();
    settle().await;
    assert_eq!(texts(&stream), ["one"]);
    writer.feed(Chunk { data: "a".into(), end: false }).await.unwrap();
    writer.flush().await.unwrap();
    sender.send("two").await.unwrap();
    settle().await;
    writer.feed(Chunk { data: "b".into(), end: true }).await.unwrap();
    settle().await;
    let expected = [(0x81, &b"one"[..]), (0x01, b"a"), (0x80, b"b"), (0x81, b"two")];
    assert_eq!(sent(&stream), expected.map(|(first, payload)| (first, payload.to_vec())));
    reads.abort();
    let _ = reads.await;
    assert_eq!(sender.try_send("late"), Err(SendError::Closing), "nobody takes it any more");
}

#[tokio::test(start_paused = true)]
async fn a_close_of_the_connections_own_ends_the_queue() {
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let sender = ws.sender(1 << 10, WhenFull::Wait);
    ws.start_close(Some(CloseCode::GOING_AWAY.into())).await.unwrap();
    sender.send("late").await.unwrap();
    let task = run(ws);
    settle().await;
    assert!(sender.is_closing(), "now it is noticed");
    assert_eq!(sent(&stream), [(0x88, hex!("03e9").to_vec())]);
    stream.arrive(&frame(Role::Server, 0x88, &hex!("03e9")));
    stream.ends();
    task.await.unwrap().1.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_received_is_not_held_up_by_what_is_sent() {
    // Part of a message has arrived, and its sender stalls; what is queued leaves meanwhile.
    let stream = Stream::silent();
    let mut ws = server(stream.clone());
    let sender = ws.sender(1 << 10, WhenFull::Wait);
    stream.arrive(&[&announce(Role::Server, 0x82, 10)[..], &[1; 5]].concat());
    let task = tokio::spawn(async move {
        let message = ws.recv().await.unwrap().unwrap();
        (ws, message)
    });
    settle().await;
    sender.send("meanwhile").await.unwrap();
    settle().await;
    assert_eq!(texts(&stream), ["meanwhile"]);
    assert_eq!(seconds(60), Config::default().message_timeout);
    stream.arrive(&[1; 5]);
    assert_eq!(task.await.unwrap().1, OwnedMessage::Binary(vec![1; 10].into()));
}
