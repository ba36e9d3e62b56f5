//! Streams whose Nth operation fails, or that end at their Nth byte.

use std::io::ErrorKind;
use std::time::Duration;

use bowsprit::tokio::WebSocket;
use bowsprit::{Cause, CloseCode, Config, End, Error, Message, Messages, Role, SendError};

use crate::support::{ROLES, Script, Stream, echo, frame, kind, open};

/// A whole life: messages of both kinds and sizes, a Ping, a Close. How it ended.
async fn life(ws: &mut WebSocket<Stream>) -> Result<Option<End>, Error> {
    ws.ping(b"ours").await?;
    ws.send(Message::Binary(&[1; 10_000])).await?; // uncopied, where it is not masked
    while let Some((message, out)) = ws.next().await? {
        match out.feed(message).await {
            // What failed is told once the peer has been heard to its end.
            Ok(()) | Err(Error::Send(SendError::Closing)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ws.end())
}

fn wire(role: Role) -> Vec<Vec<u8>> {
    vec![
        frame(role, 0x81, b"text"),
        frame(role, 0x89, b"ping"),
        frame(role, 0x01, b"in two "),
        frame(role, 0x80, b"pieces"),
        frame(role, 0x82, &[2; 9_000]),
        frame(role, 0x88, &1000_u16.to_be_bytes()),
    ]
}

fn script(role: Role, stutters: bool) -> Script {
    Script { reads: wire(role).into(), takes: [3_000, 0].repeat(20).into(), stutters, ..Script::default() }
}

async fn run(role: Role, script: Script) -> (Result<Option<End>, Error>, WebSocket<Stream>, Stream) {
    let stream = Stream::new(script);
    let mut ws = open(role, stream.clone(), Messages, Config::default());
    let life = tokio::time::timeout(Duration::from_secs(3600), life(&mut ws)).await;
    (life.unwrap_or_else(|_| panic!("hangs: {stream:?}")), ws, stream)
}

// HOSTILE: 34
#[tokio::test(start_paused = true)]
async fn the_nth_operation() {
    for (role, stutters) in ROLES.into_iter().flat_map(|role| [(role, false), (role, true)]) {
        let (end, _, right) = run(role, script(role, stutters)).await;
        assert!(end.expect("nothing fails").expect("it has ended").clean);
        let calls = right.script().calls;
        let right = right.written();
        assert!(calls > 15);
        for error in [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::Other] {
            for n in 0..=calls {
                let what = format!("{role:?}, operation {n} fails with {error}");
                let fails = Script { fails: Some((n, error)), ..script(role, stutters) };
                let (result, mut ws, stream) = run(role, fails).await;
                let end = ws.end();
                match result {
                    Err(told) => {
                        assert_eq!(kind(&told), error, "{what}");
                        let end = end.unwrap_or_else(|| panic!("{what}: no end is told"));
                        assert_eq!((end.clean, end.cause), (false, Cause::Disconnected), "{what}");
                        // And again, once the peer has been heard; nothing is sent any more.
                        while let Ok(Some(_)) = ws.next().await {}
                        assert!(ws.next().await.is_err(), "{what}");
                        assert!(matches!(ws.send("x").await, Err(Error::Send(SendError::Closing))), "{what}");
                    }
                    // What fails once both Closes are there may cost our Close, but no message of the peer's.
                    Ok(told) => {
                        assert_eq!(told, end, "{what}");
                        let end = end.unwrap_or_else(|| panic!("{what}: no end is told"));
                        assert_eq!(end.received, Some(CloseCode::NORMAL), "{what}");
                        assert!(!end.clean || stream.written().len() == right.len(), "{what}");
                    }
                }
                if role == Role::Server {
                    assert!(right.starts_with(&stream.written()), "{what}: a frame is torn");
                }
                if n == calls {
                    assert!(end.is_some_and(|end| end.clean), "{role:?}: the script passes in the end");
                }
            }
        }
    }
}

// HOSTILE: 34
#[tokio::test(start_paused = true)]
async fn the_end_at_each_byte() {
    for role in ROLES {
        let wire = wire(role).concat();
        // Each byte of the small frames, and here and there in the large one.
        for len in (0..wire.len()).filter(|len| *len < 150 || len % 101 == 0 || *len > wire.len() - 50) {
            let (result, ws, stream) =
                run(role, Script { reads: [wire[..len].to_vec()].into(), ..script(role, false) }).await;
            assert_eq!(kind(&result.unwrap_err()), ErrorKind::UnexpectedEof, "{role:?} at {len}");
            let end = ws.end().unwrap();
            assert_eq!((end.clean, end.cause, end.received), (false, Cause::Disconnected, None), "{role:?} at {len}");
            assert!(stream.script().shut_down, "{role:?} at {len}: the peer sees the end");
        }
    }
}

/// A write that fails while `next` waits is told by `next`, at the latest when the peer has nothing more to say.
#[tokio::test(start_paused = true)]
async fn a_write_inside_next() {
    for role in ROLES {
        let stream = Stream::new(Script { fails: Some((0, ErrorKind::BrokenPipe)), ..Script::default() });
        let mut ws = open(role, stream, Messages, Config::default());
        ws.feed("a").await.unwrap();
        assert_eq!(kind(&echo(&mut ws).await.unwrap_err()), ErrorKind::BrokenPipe);
        assert_eq!(ws.end().unwrap().cause, Cause::Disconnected);
    }
}

/// What a peer says last is heard, though it takes nothing any more.
#[tokio::test(start_paused = true)]
async fn a_close_is_heard_behind_a_write_that_fails() {
    for role in ROLES {
        let wire = [frame(role, 0x81, b"a"), frame(role, 0x88, &[0x03, 0xf0])].concat();
        let stream = Stream::new(Script { fails: Some((0, ErrorKind::BrokenPipe)), ..Script::sends([&wire]) });
        let mut ws = open(role, stream, Messages, Config::default());
        assert_eq!(kind(&ws.send(&[0; 5_000]).await.unwrap_err()), ErrorKind::BrokenPipe);
        assert_eq!(ws.next().await.unwrap().unwrap().0, Message::Text("a"));
        let _ = ws.next().await;
        let end = ws.end().unwrap();
        assert_eq!((end.received, end.clean), (Some(CloseCode::POLICY_VIOLATION), false));
    }
}

/// A message that was queued, and then thrown away with the rest, has not been sent.
#[tokio::test(start_paused = true)]
async fn what_was_lost_is_not_flushed() {
    let stream = Stream::new(Script { fails: Some((0, ErrorKind::BrokenPipe)), silent: true, ..Script::default() });
    let mut ws = open(Role::Server, stream, Messages, Config::default());
    ws.feed("a").await.unwrap();
    assert!(crate::support::polls(1, ws.next()).await.is_none());
    assert_eq!(kind(&ws.flush().await.unwrap_err()), ErrorKind::BrokenPipe);
}
