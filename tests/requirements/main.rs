//! The requirement matrix, executed: `docs/requirements.md` states the rows, the files here prove them.
//!
//! Each topic has one function `rows(&mut Log)`. Each row that it proves stands beside a `REQ` comment, with the
//! bytes of the wire as literals, and reports to the log once it held. [`every_required_row_is_executed`] looks at
//! what all of them reported.

mod closing;
mod control;
mod fragmentation;
mod framing;
mod handshake;
mod harness;
mod heap;
mod security;
mod sending;
mod text;
mod wire;

use std::sync::LazyLock;

use harness::{Log, cited};

/// Rows that this crate does not execute, each with its reason.
const OUT_OF_SCOPE: [(&str, &str); 3] = [
    ("WS-4.1-14", "a browser's rule: it protects servers from the pages of others; documented at `connect`"),
    ("WS-4.1-16", "there is no TLS here: `wss` is refused before any dial (WS-10-09), or the caller brings the stream"),
    ("WS-10-04", "no extension is implemented that could inflate anything"),
];

/// Rows in which the RFC leaves the choice to us, and a default of ours chooses.
const CHOSEN: [&str; 26] = [
    "WS-3-10",
    "WS-4.1-12",
    "WS-4.1R-03",
    "WS-4.1R-12",
    "WS-4.1R-15",
    "WS-4.2.1-07",
    "WS-4.2.1-09",
    "WS-4.2.1-10",
    "WS-4.2.1-12",
    "WS-4.2.1-17",
    "WS-4.2.2-10",
    "WS-4.2.2-11",
    "WS-9.1-10",
    "WS-5.5.2-03",
    "WS-5.5.3-02",
    "WS-7.1-08",
    "WS-7.1-09",
    "WS-7.4-04",
    "WS-7.4-05",
    "WS-8.1-04",
    "WS-6-04",
    "WS-10-03",
    "WS-10-05",
    "WS-10-06",
    "WS-10-10",
    "WS-10-11",
];

/// What all topics report. Where one fails, its own test says why.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let mut log = Log::new();
    for rows in [
        handshake::rows,
        framing::rows,
        fragmentation::rows,
        control::rows,
        closing::rows,
        text::rows,
        sending::rows,
        security::rows,
    ] {
        rows(&mut log);
    }
    log
});

#[test]
fn the_handshake() {
    handshake::rows(&mut Log::new());
}

#[test]
fn framing() {
    framing::rows(&mut Log::new());
}

#[test]
fn fragmentation() {
    fragmentation::rows(&mut Log::new());
}

#[test]
fn control() {
    control::rows(&mut Log::new());
}

#[test]
fn closing() {
    closing::rows(&mut Log::new());
}

#[test]
fn text() {
    text::rows(&mut Log::new());
}

#[test]
fn sending() {
    sending::rows(&mut Log::new());
}

#[test]
fn security() {
    security::rows(&mut Log::new());
}

#[test]
fn every_required_row_is_executed() {
    let (client, server) = LOG.count();
    println!("executed {} rows: {client} as a client, {server} as a server", LOG.executed().len());
    let missing = LOG.missing(|id, row| {
        let out_of_scope = OUT_OF_SCOPE.iter().any(|(out, _)| *out == id);
        ('A'..='M').contains(&row.group) && !out_of_scope && (row.is_demanded() || CHOSEN.contains(&id))
    });
    assert!(missing.is_empty(), "not executed: {missing:?}");
}

#[test]
fn few_rows_are_out_of_scope_each_for_a_documented_reason() {
    assert!(OUT_OF_SCOPE.len() <= 10);
    for (id, reason) in OUT_OF_SCOPE {
        assert!(LOG.row(id).is_some(), "the matrix has no row {id}");
        assert!(!LOG.executed().contains(id), "{id} is executed after all");
        assert!(harness::MATRIX.contains(&format!("- {id}: {reason}")), "the matrix does not say why {id} is left out");
    }
}

#[test]
fn every_executed_row_is_cited_and_every_cited_row_is_executed() {
    assert_eq!(LOG.executed(), cited("tests/requirements"));
    for id in cited("tests").iter().map(String::as_str).chain(CHOSEN) {
        assert!(LOG.row(id).is_some(), "the matrix has no row {id}");
    }
}
