//! WebSocket (RFC 6455), sans-IO: a pure machine that turns bytes into events and messages into bytes, and thin
//! adapters that feed it sockets.
//!
//! A WebSocket is two simplex machines and a few rules that tie them. [`Inbound`] turns the peer's bytes into events,
//! [`Outbound`] turns messages into bytes, and neither knows the other. The rules (answer a Ping, echo a Close, nothing
//! after a Close, fail with the right code) stand in one place, and a [`Connection`] is all of it:
//!
//! ```text
//!                            Connection
//!             +-------------------------------------+
//!   input     |  Inbound --- events --------------------> Event, lent from `input`
//!   BytesMut ---->  |                               |       + Outbox, to answer with
//!             |     | Ping, Close, a broken rule    |
//!             |     v                               |
//!             |  Link (the rules) --- Timers <----------- now
//!             |     |                               |
//!   output    |     v                               |
//!   BytesMut <---- Outbound <---------------------------- messages, ping, close
//!             +-------------------------------------+
//! ```
//!
//! Buffers are the caller's, and events lend the payload, unmasked in place. Time and entropy are arguments: the same
//! bytes in give the same bytes out.
//!
//! # From the ground up
//!
//! | | |
//! |---|---|
//! | [`Role`], [`mask`], [`utf8`], [`Close`], [`Config`], [`ProtocolError`], [`SendError`] | values: client or server, masking, UTF-8, close codes, every limit and deadline, errors |
//! | [`Header`] | the frame header; usable alone |
//! | [`Message`], [`Chunk`], [`Event`], [`Outgoing`], [`Prepared`] | messages, their pieces, events, what can be sent, messages encoded once for many connections |
//! | [`extension`] | permessage-deflate, and extensions of your own |
//! | [`handshake`] | the opening handshake, both sides |
//! | [`Inbound`], [`Outbound`] | bytes to events, messages to bytes |
//! | [`Connection`] | both, the rules between them, deadlines, and how it ended |
//! | [`dial`] | the way to a server: addresses, proxies, TLS, redirects |
#![cfg_attr(feature = "json", doc = "| [`json`] | messages that are JSON |")]
#![cfg_attr(not(feature = "json"), doc = "| `json` | messages that are JSON; needs its feature |")]
#![cfg_attr(feature = "rustls", doc = "| [`tls`] | whom a client trusts, how a server shows who it is |")]
#![cfg_attr(not(feature = "rustls"), doc = "| `tls` | TLS for the adapters; needs the feature `rustls` |")]
#![cfg_attr(feature = "blocking", doc = "| [`blocking`] | the adapter for `std::net` and any `Read + Write` |")]
#![cfg_attr(not(feature = "blocking"), doc = "| `blocking` | the adapter for `std::net`; needs its feature |")]
#![cfg_attr(feature = "tokio", doc = "| [`tokio`] | the adapter for tokio and any `AsyncRead + AsyncWrite` |")]
#![cfg_attr(not(feature = "tokio"), doc = "| `tokio` | the adapter for tokio; needs the feature `tokio` |")]
#![cfg_attr(
    feature = "futures-io",
    doc = "| [`futures_io`] | the adapter for smol and any other `futures-io` stream |"
)]
#![cfg_attr(
    not(feature = "futures-io"),
    doc = "| `futures_io` | the adapter for smol; needs the feature `futures-io` |"
)]
#![cfg_attr(
    feature = "tokio",
    doc = "| [`session`] | a connection driven by callbacks: what `client` and `server` share |"
)]
#![cfg_attr(not(feature = "tokio"), doc = "| `session` | callbacks; needs the feature `tokio` |")]
#![cfg_attr(feature = "tokio", doc = "| [`client`] | clients that come back, and a registry of outgoing connections |")]
#![cfg_attr(not(feature = "tokio"), doc = "| `client` | clients that come back; needs the feature `tokio` |")]
#![cfg_attr(feature = "http", doc = "| [`upgrade`] | doors: the handshake where somebody else speaks HTTP |")]
#![cfg_attr(not(feature = "http"), doc = "| `upgrade` | doors to `http`, `hyper` and `axum`; needs their features |")]
#![cfg_attr(feature = "server", doc = "| [`server`] | routes, sessions and topics, on hyper and `tokio` |")]
#![cfg_attr(not(feature = "server"), doc = "| `server` | routes, sessions and topics; needs its feature |")]
//!
//! # A whole connection
//!
//! Both ends in one memory: what one end writes, the other reads.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use bowsprit::handshake::{AcceptOptions, ClientHandshake, ClientRequest, ServerHandshake};
//! use bowsprit::{CloseCode, Config, Connection, Event, Message, Messages};
//! use bytes::BytesMut;
//!
//! let config = Arc::new(Config::default());
//! let now = Duration::ZERO; // since an origin of your choice
//! let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
//!
//! // The opening handshake. Nonce and seed come from your random source.
//! let request = ClientRequest::try_from("ws://example.com/chat")?;
//! let mut opening = ClientHandshake::start(&request, [1; 16], config.clone(), now, &mut to_server);
//! let request = ServerHandshake::new(config.clone(), now).receive(&mut to_server)?.expect("it came whole");
//! assert_eq!(request.path(), "/chat");
//! let accepted = request.accept(&AcceptOptions::new(), &mut to_client)?;
//! let response = opening.receive(&mut to_client)?.expect("it came whole");
//!
//! // The connection.
//! let mut client = Connection::client(Messages, config.clone(), [2; 32]).with_extensions(response.extensions());
//! let mut server = Connection::server(Messages, config).with_extensions(accepted.extensions());
//! client.send("hello", &mut to_server)?;
//! client.close(Some(CloseCode::NORMAL.into()), &mut to_server)?;
//!
//! let mut batch = server.receive(&mut to_server, &mut to_client);
//! while let Some((event, mut outbox)) = batch.next()? {
//!     match event {
//!         Event::Data(message) => outbox.send(message)?,
//!         Event::Ping(_) | Event::Pong(_) => {} // a Ping has been answered
//!         Event::Close(close) => assert_eq!(close.map(|close| close.code), Some(CloseCode::NORMAL)),
//!     }
//! }
//! drop(batch);
//!
//! let mut batch = client.receive(&mut to_client, &mut to_server);
//! assert!(matches!(batch.next()?, Some((Event::Data(Message::Text("hello")), _))));
//! assert!(matches!(batch.next()?, Some((Event::Close(_), _)))); // the echo of ours
//! drop(batch);
//! assert!(client.end().is_some_and(|end| end.clean) && server.end().is_some_and(|end| end.clean));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! They add API and change no behaviour. Without any, the crate is `no_std` with `alloc`.
//!
//! | Feature | |
//! |---|---|
//! | `blocking` (default) | the adapter; brings `std` |
//! | `deflate` (default) | permessage-deflate (RFC 7692), for whom `Config::compression` switches it on; brings `std` |
//! | `legacy-extensions` | those from before RFC 7692 (`extension::legacy`), for whom `Config::extensions` names them; brings `deflate` |
//! | `tokio` | the adapter for tokio; brings `std` |
//! | `futures-io` | the adapter for streams of `futures-io`, smol's among them; brings `std` |
//! | `http` | the opening handshake in types of the crate `http`; brings `std` |
//! | `rustls` | TLS for the adapters: `wss://`, and a server's side; brings `std` |
//! | `hyper` | connections of hyper 1, taken over; brings `http` and `tokio` |
//! | `axum` | the extractor for axum 0.8; brings `hyper` |
//! | `server` | routes, sessions and topics, on hyper and tokio; brings `hyper` |
//! | `json` | messages that are JSON, as types of serde; brings `std` |
//! | `redis` | topics that reach other processes, through a Redis server (without TLS); brings `server` |
//! | `tracing` | the adapters tell `tracing` of connections: see below |
//! | `std` | the widest instructions of the processor, found at run time; `Error` |
//!
//! With `tracing`, each connection of an adapter or a door to one is a span `websocket` of the target `bowsprit`, level
//! `INFO`, with `role`, `host` and `path` (without the query, which may hold a secret). Its events: `opened`, `answered`
//! and `closed` (`DEBUG`), `not opened` and `failed` (`INFO`), with how and why. A message is no event and costs nothing.

#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))] // what needs a feature says so

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(any(feature = "blocking", feature = "futures-io", feature = "tokio"))]
mod adapter;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "tokio")]
pub mod client;
#[cfg(feature = "proxy-env")]
pub mod environment;
#[cfg(feature = "std")]
mod error;
#[cfg(feature = "futures-io")]
pub mod futures_io;
#[cfg(feature = "json")]
pub mod json;
mod proto;
pub mod retry;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "tokio")]
pub mod session;
#[cfg(feature = "rustls")]
pub mod tls;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "http")]
pub mod upgrade;

#[cfg(feature = "std")]
pub use error::Error;
#[cfg(feature = "deflate")]
pub use proto::Deflate;
pub use proto::{
    Batch, Cause, Chunk, Chunks, Close, CloseCode, CloseError, Config, Connection, ConnectionError, Cursor, Delivery,
    End, Event, Exceeded, HandshakeError, Header, HeaderBytes, Inbound, Initiator, Mask, Message, Messages, OpCode,
    Outbound, Outbox, Outgoing, OwnedMessage, Prepared, ProtocolError, Role, Rsv, SendError, Timeout, TransportState,
    Uncopied, Utf8Bytes, dial, driver, extension, handshake, mask, utf8,
};

#[cfg(all(doctest, feature = "blocking", unix))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "blocking", unix))]
#[doc = include_str!("../docs/guide.md")]
struct Guide;
