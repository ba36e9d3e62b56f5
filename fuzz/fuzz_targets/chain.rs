//! Several extensions at once: any frames give the same messages and error in any cut and both deliveries; and what one end
//! sends, the other hears.
//!
//! A seed is [`Setup`], 14 bytes, and behind it frames: first byte, length, payload.

#![no_main]

#[path = "../../tests/extensions/frames.rs"]
mod frames;
#[path = "../../tests/extensions/xor.rs"]
mod xor;

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use bowsprit::extension::Agreement;
use bowsprit::extension::legacy::{DeflateFrame, Fragment, Identity};
use bowsprit::handshake::{AcceptOptions, ServerHandshake};
use bowsprit::{
    Chunk, Chunks, Config, Connection, Deflate, Delivery, Event, Mask, Messages, Outgoing, ProtocolError, Role, Rsv,
};
use bowsprit_fuzz::cuts::Cuts;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setup: Setup,
    frames: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Setup {
    client: bool,
    /// Which of [`OFFERS`], and those of its elements that are left out.
    offers: u8,
    without: u8,
    limit: u8,
    /// Whether the frames are the payloads of messages that are sent, not what the peer sends.
    sends: bool,
    text: bool,
    cuts: Cuts,
}

const OFFERS: [&str; 8] = [
    "x-xor; key=32, permessage-deflate, x-split; max=7, x-identity, x-tag, x-turn",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover, x-xor; key=7, x-turn, x-tag",
    "x-identity, x-turn, x-xor; key=255, x-split; max=1, x-tag",
    "x-tag, x-split; max=100, permessage-deflate",
    "deflate-frame",
    "fragment; maxLength=5, identity, deflate-frame; no_context_takeover",
    "identity; any=1, x-xor; key=7, x-webkit-deflate-frame; max_window_bits=9, x-turn",
    "fragment; maxLength=1, x-tag, permessage-deflate",
];

fuzz_target!(|input: Input<'_>| {
    let Input { setup, frames } = input;
    // Small, or what these inputs do not reach.
    let limit = if setup.limit % 2 == 0 { 4 << 20 } else { u64::from(setup.limit) * 8 };
    let config = Arc::new(Config {
        max_message: limit,
        compression: Some(Deflate { threshold: 9, ..Deflate::default() }),
        extensions: vec![
            Arc::new(xor::Xor(32)),
            Arc::new(frames::Turn),
            Arc::new(frames::Tag),
            Arc::new(frames::Split),
            Arc::new(frames::Claims("x-identity", Rsv::NONE)),
            Arc::new(DeflateFrame::new()),
            Arc::new(DeflateFrame::webkit()),
            Arc::new(Fragment::default()),
            Arc::new(Identity),
        ],
        ..Config::default()
    });
    let agreement = setup.agreement(&config);
    let payloads = parse(frames);
    let role = if setup.client { Role::Client } else { Role::Server };
    let mut sent = Vec::new();
    let mut wire = BytesMut::new();
    if setup.sends {
        let mut peer = connection(role.peer(), Messages, &config, &agreement);
        for (_, payload) in &payloads {
            let text = str::from_utf8(payload).ok().filter(|_| setup.text);
            let fits = match text {
                Some(text) => peer.send(Outgoing::text(text), &mut wire),
                None => peer.send(Outgoing::binary(payload), &mut wire),
            };
            fits.expect("an end that is open and has room");
            sent.push(payload.to_vec());
        }
    } else {
        for (first, payload) in &payloads {
            put(role, *first, payload, &mut wire);
        }
    }

    let heard = hear(connection(role, Messages, &config, &agreement), setup.cuts, &wire);
    let chunks = Chunks { max_message: limit, max_fragments: config.max_fragments };
    for cuts in [Cuts::NONE, setup.cuts, Cuts::EVERYWHERE] {
        assert_eq!(hear(connection(role, Messages, &config, &agreement), cuts, &wire), heard, "{cuts:?}");
        assert_eq!(hear(connection(role, chunks, &config, &agreement), cuts, &wire), heard, "{cuts:?}, in chunks");
    }
    assert!(heard.0.iter().all(|message| message.len() as u64 <= limit));
    if setup.sends && limit == 4 << 20 {
        assert_eq!(heard, (sent, None));
    }
});

type Heard = (Vec<Vec<u8>>, Option<ProtocolError>);

impl Setup {
    fn agreement(&self, config: &Arc<Config>) -> Agreement {
        let offers = OFFERS[usize::from(self.offers) % OFFERS.len()].split(", ").enumerate();
        let offers: Vec<&str> = offers.filter(|(n, _)| self.without >> n & 1 == 0).map(|(_, offer)| offer).collect();
        if offers.is_empty() {
            return Agreement::default();
        }
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: {}\r\n\r\n",
            offers.join(", ")
        );
        let mut handshake = ServerHandshake::new(config.clone(), Duration::ZERO);
        let request = handshake.receive(&mut BytesMut::from(&*head)).expect("a right one").expect("a whole one");
        let accepted = request.accept(&AcceptOptions::new(), &mut BytesMut::new()).expect("nothing refuses it");
        assert_eq!(accepted.extensions().names().count(), offers.len(), "all go together");
        accepted.extensions().clone()
    }
}

/// First bytes and payloads.
fn parse(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [first, len, rest @ ..] = bytes {
        let (payload, behind) = rest.split_at(rest.len().min(usize::from(*len)));
        frames.push((*first, payload));
        bytes = behind;
    }
    frames
}

/// A frame as it stands, legal or not, as the peer of `role` masks it.
fn put(role: Role, first: u8, payload: &[u8], wire: &mut BytesMut) {
    let masked = role == Role::Server;
    let len = u8::try_from(payload.len()).expect("the length of a byte");
    let mask = if masked { 0x80 } else { 0 };
    match len {
        ..126 => wire.extend_from_slice(&[first, mask | len]),
        126.. => wire.extend_from_slice(&[first, mask | 126, 0, len]),
    }
    if masked {
        wire.extend_from_slice(&[0x37, 0xfa, 0x21, 0x3d]);
    }
    let start = wire.len();
    wire.extend_from_slice(payload);
    if masked {
        Mask([0x37, 0xfa, 0x21, 0x3d]).apply(&mut wire[start..]);
    }
}

fn connection<D: Delivery>(role: Role, delivery: D, config: &Arc<Config>, agreement: &Agreement) -> Connection<D> {
    let connection = match role {
        Role::Client => Connection::client(delivery, config.clone(), [7; 32]),
        Role::Server => Connection::server(delivery, config.clone()),
    };
    connection.with_extensions(agreement)
}

fn hear<D: Delivery>(mut connection: Connection<D>, cuts: Cuts, wire: &[u8]) -> Heard {
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let (mut messages, mut begun) = (Vec::new(), Vec::new());
    let mut at = 0;
    for end in cuts.ends(wire.len()) {
        input.extend_from_slice(&wire[at..end]);
        at = end;
        let mut batch = connection.receive(&mut input, &mut output);
        loop {
            match batch.next() {
                Ok(Some((Event::Data(item), _))) => {
                    let chunk: Chunk<'_> = item.into();
                    begun.extend_from_slice(chunk.data.as_bytes());
                    if chunk.end {
                        messages.push(std::mem::take(&mut begun));
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        drop(batch);
        connection.shrink();
    }
    (messages, None)
}
