//! Taking a connection apart and putting it together loses nothing.

use bowsprit::blocking::{Parts, Transport, WebSocket};
use bowsprit::{Chunk, Chunks, Config, Delivery, Message};
use hex_literal::hex;

use crate::script::Script;
use crate::support::{pattern, server, server_with, text};

fn rebuilt<S: Transport, D: Delivery>(ws: WebSocket<S, D>) -> WebSocket<S, D> {
    WebSocket::from_parts(ws.into_parts())
}

#[test]
fn parts_hold_what_was_read_and_what_is_to_be_written() {
    let mut ws = server(Script::sends([&hex!("818100000000 61 818100000000 62 8181")]));
    assert_eq!(text(ws.recv().unwrap()), "a");
    ws.feed("x").unwrap();
    let Parts { socket, connection, input, output, subprotocol } = ws.into_parts();
    assert_eq!(input[..], hex!("818100000000 62 8181"));
    assert_eq!(output[..], hex!("8101 78"));
    assert_eq!(subprotocol, None);
    let subprotocol = Some("chat".into());
    let ws = WebSocket::from_parts(Parts { socket, connection, input, output, subprotocol });
    assert_eq!(ws.subprotocol(), Some("chat"));
    assert_eq!(ws.into_parts().subprotocol.as_deref(), Some("chat"));
}

/// A large message in one frame, one in fragments with a Ping between, text that is cut inside a character.
#[test]
fn messages_survive_being_taken_apart_in_their_middle() {
    let large = pattern(70_000);
    let mut sent = hex!("82ff 0000000000011170 01020304").to_vec();
    sent.extend(large.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key));
    sent.extend(hex!("018200000000 61c3 898100000000 70 808300000000 a9 7a7a"));
    sent.extend(hex!("888200000000 03e8"));
    for cut in [1, 2, 3, 7, 13, 14, 15, 4_000, 50_001, 65_536, 69_999] {
        // A read that only has nothing lets `recv` return in the middle.
        let mut script = Script::default();
        for read in sent.chunks(cut) {
            // Every few reads, so that small cuts end in time.
            if script.reads.len() % 97 < 2 {
                script.reads.push_back(Err(std::io::ErrorKind::WouldBlock));
            }
            script.reads.push_back(Ok(read.to_vec()));
        }
        let mut ws = server(script);
        let mut received = Vec::new();
        while ws.end().is_none() {
            if let Ok(Some(message)) = ws.recv() {
                received.push(message.into_bytes());
            }
            ws = rebuilt(ws);
        }
        assert_eq!(received.len(), 2, "cut every {cut}");
        assert!(received[0] == large[..], "cut every {cut}");
        assert_eq!(received[1], "aézz".as_bytes(), "cut every {cut}");
        assert_eq!(ws.get_ref().written(), hex!("8a01 70 8802 03e8"), "cut every {cut}");
        assert!(ws.end().unwrap().clean);
    }
}

#[test]
fn a_message_that_is_being_sent_survives() {
    let chunks = Chunks { max_message: 100, max_fragments: 10 };
    let mut ws = server_with(Script::default(), chunks, Config::default());
    ws.feed(Chunk { data: Message::Text("a"), end: false }).unwrap();
    ws = rebuilt(ws);
    ws.feed("no").unwrap_err();
    ws.feed(Chunk { data: Message::Text("b"), end: true }).unwrap();
    ws = rebuilt(ws);
    ws.send("c").unwrap();
    assert_eq!(ws.get_ref().writes(), [hex!("0101 61 8001 62 8101 63")]);
}
