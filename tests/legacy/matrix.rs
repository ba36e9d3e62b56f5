//! Over sockets, inside TLS and not: each set of extensions that a client may offer.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::extension::Extension;
use bowsprit::extension::legacy::{DeflateFrame, Fragment, Identity};
use bowsprit::handshake::{AcceptOptions, ClientRequest};
use bowsprit::tokio::{Connector, Stream, TlsStream, WebSocket, accept_with};
use bowsprit::{Config, Deflate, Error, Messages, OwnedMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::authority::Authority;
use crate::with_permessage_deflate;

const MESSAGES: usize = 100;

/// What a client offers, and so what both agree on, in order.
const SETS: [&[&str]; 8] = [
    &[],
    &["fragment"],
    &["identity"],
    &["deflate-frame"],
    &["permessage-deflate"],
    &["x-webkit-deflate-frame"],
    &["permessage-deflate", "identity"],
    &["permessage-deflate", "fragment", "identity"],
];

fn offering(names: &[&str]) -> Config {
    let mut config = Config::default();
    for name in names {
        let one: Arc<dyn Extension> = match *name {
            "permessage-deflate" => {
                config.compression = Some(Deflate::default());
                continue;
            }
            "fragment" => Arc::new(Fragment { max_length: Some(100) }),
            "identity" => Arc::new(Identity),
            "deflate-frame" => Arc::new(DeflateFrame::new()),
            "x-webkit-deflate-frame" => Arc::new(DeflateFrame::webkit()),
            other => panic!("what is {other}?"),
        };
        config.extensions.push(one);
    }
    config
}

/// The message of this number, from 0 bytes to 20 KiB; text and binary by turns.
fn message(from: &str, n: usize) -> OwnedMessage {
    let text = format!("{n} from the {from}: \u{e9}\u{20ac}\u{1d11e}. ").repeat(n * n % 611);
    if n.is_multiple_of(2) { OwnedMessage::Text(text.into()) } else { OwnedMessage::Binary(text.into_bytes().into()) }
}

/// Sends its messages and takes those of the other end by turns.
async fn talk<S>(ws: &mut WebSocket<S>, own: &str, other: &str) -> Result<Vec<String>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for n in 0..MESSAGES {
        ws.send(&message(own, n)).await?;
        let received = ws.recv().await?;
        assert!(received == Some(message(other, n)), "{n} from the {other}");
    }
    Ok(ws.extensions().names().map(str::to_owned).collect())
}

// FEATURE: FF4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_set_of_extensions_carries_messages_both_ways_over_ws_and_wss() {
    let authority = Authority::new();
    let server_tls = authority.server(&["localhost"]);
    let known = Arc::new(with_permessage_deflate());
    for scheme in ["ws", "wss"] {
        for names in SETS {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let (known, tls) = (known.clone(), (scheme == "wss").then(|| server_tls.clone()));
            let server = tokio::spawn(async move {
                let (tcp, _) = listener.accept().await.unwrap();
                let stream = match tls {
                    Some(tls) => Stream::from(TlsStream::server(tcp, tls).unwrap()),
                    None => Stream::from(tcp),
                };
                let mut ws = accept_with(stream, &AcceptOptions::new(), Messages, known).await?;
                let agreed = talk(&mut ws, "server", "client").await?;
                assert!(ws.recv().await?.is_none());
                Ok::<_, Error>((agreed, ws.end().unwrap().clean))
            });
            let uri = format!("{scheme}://localhost:{port}/").parse().unwrap();
            let connector = Connector::new(ClientRequest::new(uri)).config(offering(names)).tls(authority.client());
            let client = async {
                let (mut ws, response) = connector.connect().await?;
                let field = response.headers().get("Sec-WebSocket-Extensions").is_some();
                assert_eq!(field, !names.is_empty(), "nothing agreed on is no field");
                let agreed = talk(&mut ws, "client", "server").await?;
                Ok::<_, Error>((agreed, ws.close(None).await?.clean))
            };
            let client = tokio::time::timeout(Duration::from_secs(60), client).await.expect("hangs").unwrap();
            let server = tokio::time::timeout(Duration::from_secs(60), server).await.expect("hangs").unwrap().unwrap();
            assert_eq!(client, (names.iter().map(|&name| name.to_owned()).collect(), true), "{scheme}");
            assert_eq!(server, client, "{scheme}");
        }
    }
}
