//! Extensions from the time before RFC 7692, which some peers still speak, with the feature `legacy-extensions`.
//!
//! | Module | |
//! |---|---|
//! | `deflate_frame` | each frame is compressed by itself: `deflate-frame`, `x-webkit-deflate-frame` |
//! | `fragment` | messages are split: `fragment` |
//! | `identity` | nothing happens: `identity` |
//!
//! Each is an [`Extension`](super::Extension) like one of your own: it is neither offered nor accepted unless
//! [`Config::extensions`](crate::Config::extensions) names it. Only one extension of a connection may claim RSV1: a server
//! that has to choose between permessage-deflate and the two names of `deflate-frame` takes what the client named first.
//!
//! ```
//! use std::sync::Arc;
//!
//! use bowsprit::extension::legacy::{DeflateFrame, Fragment, Identity};
//! use bowsprit::{Config, Deflate};
//!
//! let config = Config {
//!     compression: Some(Deflate::default()),
//!     extensions: vec![
//!         Arc::new(DeflateFrame::new()),
//!         Arc::new(DeflateFrame::webkit()),
//!         Arc::new(Fragment::default()),
//!         Arc::new(Identity),
//!     ],
//!     ..Config::default()
//! };
//! # let _ = config;
//! ```

mod deflate_frame;
mod fragment;
mod identity;

pub use deflate_frame::DeflateFrame;
pub use fragment::Fragment;
pub use identity::Identity;
