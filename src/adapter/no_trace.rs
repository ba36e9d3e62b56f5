//! `trace` without the feature `tracing`: nothing.

use std::fmt;

#[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
use crate::dial::DialStep;
use crate::handshake::{ClientRequest, ServerRequest};
use crate::{End, Error};

#[derive(Debug, Default)]
pub(crate) struct Trace {}

impl Trace {
    pub(crate) const fn server() -> Self {
        Self {}
    }

    pub(crate) const fn requested(&self, _: &ServerRequest) {}

    pub(crate) const fn client(_: &ClientRequest) -> Self {
        Self {}
    }

    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) const fn is_on(&self) -> bool {
        false
    }

    pub(crate) fn step<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result
    }

    pub(crate) const fn failed(&self, _: &dyn fmt::Display) {}

    #[cfg(any(all(feature = "blocking", unix), feature = "tokio"))]
    pub(crate) const fn dialling(&self, _: &DialStep) {}

    pub(crate) const fn answered(&self, _: u16) {}

    pub(crate) const fn opened(&self, _: Option<&str>) {}

    pub(crate) const fn ended(&mut self, _: Option<End>) {}
}
