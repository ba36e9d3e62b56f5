//! What users can do, executed: `docs/features.md` states the rows, the files here and elsewhere prove them, each beside
//! a `FEATURE` comment.

mod beside_http;
mod extensions;
mod handler_style;
mod in_and_out;
mod shutdown;
mod slow;
mod support;
mod topics;
