//! A connection that works, over loopback and over a stream in memory.

use bowsprit::{CloseCode, Error, Message, OwnedMessage};
use tokio::net::{TcpListener, TcpStream};

/// The README's loop.
async fn echo<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(stream: S) -> Result<(), Error> {
    let mut ws = bowsprit::tokio::accept(stream).await?;
    while let Some((message, out)) = ws.next().await? {
        out.feed(message).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_all_sizes_come_back_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { echo(listener.accept().await.unwrap().0).await });
    let mut ws = bowsprit::tokio::connect(&uri).await.unwrap();
    for len in [0, 1, 125, 126, 4095, 4096, 65_535, 65_536, 1 << 20, 3 << 20] {
        let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
        ws.send(&payload[..]).await.unwrap();
        assert_eq!(ws.recv().await.unwrap().unwrap(), OwnedMessage::Binary(payload.into()));
        let text = "é".repeat(len / 2);
        ws.send(&*text).await.unwrap();
        let (message, _) = ws.next().await.unwrap().unwrap();
        assert_eq!(message, Message::Text(&text));
    }
    let end = ws.close(Some(CloseCode::NORMAL.into())).await.unwrap();
    assert!(end.clean, "{end:?}");
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_in_memory_will_do() {
    let (client, server) = tokio::io::duplex(64);
    let server = tokio::spawn(echo(server));
    let mut ws = bowsprit::tokio::connect_with(client, "ws://example.com/").await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap(), OwnedMessage::Text("hello".into()));
    assert!(ws.close(None).await.unwrap().clean);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_halves_of_a_connection_work_in_two_tasks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { echo(listener.accept().await.unwrap().0).await });
    let stream: TcpStream = TcpStream::connect(address).await.unwrap();
    let ws = bowsprit::tokio::connect_with(stream, "ws://example.com/").await.unwrap();
    let (mut reader, mut writer) = ws.split();
    let sends = tokio::spawn(async move {
        for number in 0..1_000 {
            writer.feed(&*format!("message {number}")).await?;
        }
        writer.start_close(Some(CloseCode::NORMAL.into())).await?;
        Ok::<_, Error>(writer)
    });
    for number in 0..1_000 {
        let message = reader.next().await.unwrap().unwrap();
        assert_eq!(message, Message::Text(&format!("message {number}")));
    }
    assert!(reader.next().await.unwrap().is_none());
    let writer = sends.await.unwrap().unwrap();
    let ws = reader.reunite(writer).unwrap();
    assert!(ws.end().unwrap().clean);
    server.await.unwrap().unwrap();
}
