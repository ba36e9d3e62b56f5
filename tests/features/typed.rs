//! Messages of the type that is wanted.

use bowsprit::server::{Router, Session, WebSocket, handler, websocket};
use bowsprit::session::{BoxError, Event};
use hex_literal::hex;

use crate::support::{Raw, Server, masked};

#[tokio::test]
async fn messages_have_the_type_that_is_wanted() {
    // FEATURE: PL9
    async fn texts(mut ws: WebSocket) -> Result<(), BoxError> {
        while let Some((message, out)) = ws.next().await? {
            let text: &str = message.try_into()?;
            out.send(text).await?;
        }
        Ok(())
    }
    let bytes = handler(|_| {
        |_: &Session, event: Event<'_>| {
            let Event::Message(message) = event else { return Ok::<_, BoxError>(None) };
            let bytes: &[u8] = message.try_into()?;
            Ok(Some(bytes.to_vec().into()))
        }
    });
    let server = Server::start(Router::new().route("/text", websocket(texts)).route("/bytes", bytes)).await;
    for (path, right, wrong) in [("/text", 0x81, 0x82), ("/bytes", 0x82, 0x81)] {
        let mut peer = Raw::open(server.address, path).await;
        peer.sends(masked(right, "abc")).await;
        peer.expect([&[right, 0x03][..], b"abc"].concat()).await;
        peer.sends(masked(wrong, "abc")).await;
        let (first, payload) = peer.frame().await;
        assert_eq!((first, &payload[..2]), (0x88, &hex!("03eb")[..]), "{path}");
        peer.sends(masked(0x88, "")).await;
        assert_eq!(peer.rest().await, hex!(""));
    }
}

#[cfg(feature = "json")]
mod json {
    use bowsprit::json::{Json, text};
    use bowsprit::{Message, OwnedMessage};
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        item: String,
        count: u32,
    }

    fn double(message: Message<'_>) -> Result<String, BoxError> {
        let Json(order): Json<Order> = message.try_into()?;
        Ok(text(&Order { count: order.count * 2, ..order })?)
    }

    async fn orders(mut ws: WebSocket) -> Result<(), BoxError> {
        while let Some((message, out)) = ws.next().await? {
            let reply = double(message)?;
            out.send(&*reply).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn messages_are_json_of_the_type_that_is_wanted() {
        // FEATURE: PL9
        let told = handler(|_| {
            |_: &Session, event: Event<'_>| match event {
                Event::Message(message) => double(message).map(|reply| Some(OwnedMessage::from(reply))),
                _ => Ok(None),
            }
        });
        let server = Server::start(Router::new().route("/in", websocket(orders)).route("/told", told)).await;
        let long = format!(r#"{{"{}": 1}}"#, "é".repeat(100));
        for path in ["/in", "/told"] {
            for (first, wrong, code, reason) in [
                (0x81, r#"{"item": "tea"}"#, 1007, "missing field `count` at line 1 column 15"),
                (0x81, "", 1007, "EOF while parsing a value at line 1 column 0"),
                (
                    0x81,
                    r#"{"item": 1, "count": 2}"#,
                    1007,
                    "invalid type: integer `1`, expected a string at line 1 column 10",
                ),
                (0x81, r#"{"item": "tea", "count": 2} x"#, 1007, "trailing characters at line 1 column 29"),
                (0x81, &long, 1007, &*format!("unknown field `{}", "é".repeat(54))), // cut behind 123 bytes
                (0x82, r#"{"item": "tea", "count": 2}"#, 1003, ""),
            ] {
                let mut peer = Raw::open(server.address, path).await;
                peer.sends(masked(0x81, r#"{"item": "tea", "count": 2}"#)).await;
                assert_eq!(peer.frame().await, (0x81, br#"{"item":"tea","count":4}"#.to_vec()));
                peer.sends(masked(first, wrong)).await;
                let (first, close) = peer.frame().await;
                assert_eq!((first, &close[..2]), (0x88, &u16::to_be_bytes(code)[..]), "{path} {wrong}");
                let said = str::from_utf8(&close[2..]).unwrap();
                if code == 1007 {
                    assert_eq!(said, reason);
                }
            }
        }
    }
}
