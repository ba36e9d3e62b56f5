//! The requirement matrix, executed: `docs/requirements.md` states the rows, the files here prove them.
//!
//! Each topic has one function `rows(&mut Log)`. Each row that it proves stands beside a `REQ` comment, with the
//! bytes of the wire as literals, and reports to the log once it held. [`every_required_row_is_executed`] looks at
//! what all of them reported.

#[cfg(all(feature = "blocking", feature = "rustls", unix))]
#[path = "../tls/authority.rs"]
mod authority;
mod closing;
#[cfg(feature = "deflate")]
mod compression;
mod control;
#[cfg(feature = "deflate")]
#[path = "../deflate/decoder.rs"]
mod decoder;
mod extensions;
mod fragmentation;
#[path = "../extensions/frames.rs"]
mod frames;
mod framing;
mod handshake;
mod harness;
mod heap;
#[cfg(feature = "deflate")]
mod negotiation;
#[cfg(all(feature = "blocking", feature = "rustls", unix))]
mod secure;
mod security;
mod sending;
mod text;
mod wire;
#[path = "../extensions/xor.rs"]
mod xor;

use std::sync::LazyLock;

use harness::{Log, cited};

/// Rows of groups A to O that this crate does not execute, each with its reason; `docs/requirements.md` lists the same.
const OUT_OF_SCOPE: [(&str, &str); 1] =
    [("WS-4.1-14", "a browser's rule: it protects servers from the pages of others; documented at `connect`")];

/// Whether this build can execute the row `id` of `group`: groups N and O and two more are of the feature `deflate`, one
/// takes TLS over sockets, and one the clients of the feature `tokio`.
fn is_built(id: &str, group: char) -> bool {
    let deflate = cfg!(feature = "deflate");
    let tls = cfg!(all(feature = "blocking", feature = "rustls", unix));
    match (id, group) {
        ("WS-4.1-16", _) => tls,
        ("WS-7.1-10", _) => cfg!(feature = "tokio"),
        ("WS-10-04" | "WS-10-12", _) | (_, 'N' | 'O') => deflate,
        _ => true,
    }
}

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
        #[cfg(all(feature = "blocking", feature = "rustls", unix))]
        secure::rows,
        extensions::rows,
        #[cfg(feature = "deflate")]
        negotiation::rows,
        #[cfg(feature = "deflate")]
        compression::rows,
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

#[cfg(all(feature = "blocking", feature = "rustls", unix))]
#[test]
fn secure() {
    secure::rows(&mut Log::new());
}

#[test]
fn extensions() {
    extensions::rows(&mut Log::new());
}

#[cfg(feature = "deflate")]
#[test]
fn negotiation() {
    negotiation::rows(&mut Log::new());
}

#[cfg(feature = "deflate")]
#[test]
fn compression() {
    compression::rows(&mut Log::new());
}

#[test]
fn every_required_row_is_executed() {
    let (client, server) = LOG.count();
    println!("executed {} rows: {client} as a client, {server} as a server", LOG.executed().len());
    let missing = LOG.missing(|id, row| {
        ('A'..='O').contains(&row.group) && is_built(id, row.group) && !OUT_OF_SCOPE.iter().any(|(out, _)| *out == id)
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
    let mut cited_here = cited("tests/requirements");
    cited_here.retain(|id| LOG.row(id).is_none_or(|row| is_built(id, row.group)));
    assert_eq!(LOG.executed(), cited_here);
    for id in cited("tests") {
        assert!(LOG.row(&id).is_some(), "a comment cites {id}, which the matrix does not have");
    }
}

#[test]
fn the_matrix_is_read_whole() {
    // "| G. Base framing and masking | 20 |"
    let table = harness::MATRIX.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(". "));
    let counts: Vec<(&str, usize)> = table
        .filter_map(|(group, rest)| Some((group, rest.split_once(" | ")?.1.strip_suffix(" |")?.parse().ok()?)))
        .collect();
    assert_eq!(counts.len(), 20);
    for (group, count) in counts {
        assert_eq!(LOG.rows_of(group), count, "rows of group {group}");
    }
}
