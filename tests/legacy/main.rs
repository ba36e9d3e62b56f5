//! Extensions from before RFC 7692: `deflate-frame` by both its names, `fragment` and `identity`, alone, together and with
//! permessage-deflate.

#[cfg(all(feature = "tokio", feature = "rustls"))]
#[path = "../tls/authority.rs"]
mod authority;
mod corrupt;
#[expect(dead_code, reason = "no window is emptied here")]
#[path = "../deflate/decoder.rs"]
mod decoder;
mod fragment;
#[path = "../hostile/heap.rs"]
mod heap;
mod limits;
#[cfg(all(feature = "tokio", feature = "rustls"))]
mod matrix;
mod negotiation;
mod parameters;
mod properties;
mod receiving;
mod sending;
#[path = "../extensions/support.rs"]
mod support;

use std::sync::Arc;

use bowsprit::extension::legacy::{DeflateFrame, Fragment, Identity};
use bowsprit::{Config, Deflate};

/// All of them.
fn all() -> Config {
    support::with(vec![
        Arc::new(DeflateFrame::new()),
        Arc::new(DeflateFrame::webkit()),
        Arc::new(Fragment { max_length: Some(4) }),
        Arc::new(Identity),
    ])
}

/// All of them, and permessage-deflate for messages of any length.
fn with_permessage_deflate() -> Config {
    Config { compression: Some(Deflate { threshold: 0, ..Deflate::default() }), ..all() }
}

/// Either name.
const NAMES: [&str; 2] = ["deflate-frame", "x-webkit-deflate-frame"];
