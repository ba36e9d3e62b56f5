//! The floors that the targets are measured against: a lower bound, never a crate. x86-64 only.

pub(crate) mod codec;
pub(crate) mod masks;
