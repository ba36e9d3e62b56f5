//! The tokio adapter.

mod echo;
