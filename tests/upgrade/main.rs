//! The doors: the handshake in types of `http`, and connections taken over from hyper and axum.

#![cfg(feature = "http")]

#[cfg(feature = "axum")]
mod axum;
mod http;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "hyper")]
mod servers;
#[cfg(feature = "hyper")]
mod support;
#[cfg(feature = "hyper")]
mod verdicts;
