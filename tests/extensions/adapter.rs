//! Over sockets: large payloads too, which otherwise go out uncopied.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use bowsprit::blocking::{Parts, WebSocket};
use bowsprit::{CloseCode, Message, Messages, OwnedMessage, Prepared, Role};
use bytes::BytesMut;

use crate::frames::{Split, Tag, Turn};
use crate::support::{agreed, connection, with};
use crate::xor::Xor;

#[test]
fn large_messages_go_there_and_back_by_every_verb() {
    let config = with(vec![Arc::new(Xor(32)), Arc::new(Turn), Arc::new(Tag), Arc::new(Split)]);
    let large: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let prepared = Prepared::binary(&large);
    for answer in ["x-xor; key=32", "x-turn, x-tag", "x-split; max=999, x-xor; key=32, x-turn"] {
        let streams = UnixStream::pair().unwrap();
        let end = |role, socket| {
            let connection = connection(role, Messages, &config, &agreed(&config, role, answer));
            let (input, output) = (BytesMut::new(), BytesMut::new());
            WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol: None })
        };
        let (mut client, mut server) = (end(Role::Client, streams.0), end(Role::Server, streams.1));
        let echo = thread::spawn(move || {
            let mut heard = 0;
            while let Some((message, out)) = server.next().unwrap() {
                heard += 1;
                match heard {
                    1 => out.feed(message).unwrap(),
                    2 => out.feed(bowsprit::Outgoing::from(message).uncompressed()).unwrap(),
                    _ => out.send(&Prepared::message(message)).unwrap(),
                }
            }
            heard
        });
        client.send(&*large).unwrap();
        hears(&mut client, &large);
        client.send(bowsprit::Outgoing::from(Message::Binary(&large)).uncompressed()).unwrap();
        hears(&mut client, &large);
        client.send(&prepared).unwrap();
        hears(&mut client, &large);
        assert!(client.close(Some(CloseCode::NORMAL.into())).unwrap().clean);
        assert_eq!(echo.join().unwrap(), 3);
    }
}

#[track_caller]
fn hears(client: &mut WebSocket<UnixStream>, sent: &[u8]) {
    let heard = client.recv().unwrap().map(OwnedMessage::into_bytes);
    assert!(heard.as_deref() == Some(sent), "{} bytes came back", heard.map_or(0, |heard| heard.len()));
}
