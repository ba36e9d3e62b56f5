//! The doors: the handshake in types of `http`, and connections taken over from hyper and axum.

#![cfg(feature = "http")]

mod http;
