//! Which extensions both ends use (RFC 6455 section 9.1): offered by the client, chosen by the server.

use alloc::string::String;

use super::grammar::Element;
#[cfg(feature = "deflate")]
use super::permessage_deflate::{self, Agreed};
use crate::config::Config;

/// The extensions that an opening handshake agreed on, for
/// [`Connection::with_extensions`](crate::Connection::with_extensions).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Agreement {
    #[cfg(feature = "deflate")]
    deflate: Option<Agreed>,
}

impl Agreement {
    /// What was agreed on permessage-deflate; `None` when messages travel uncompressed.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn deflate(&self) -> Option<Agreed> {
        self.deflate
    }
}

#[cfg(feature = "deflate")]
impl From<Agreed> for Agreement {
    fn from(deflate: Agreed) -> Self {
        Self { deflate: Some(deflate) }
    }
}

/// What a client offers: the value of its `Sec-WebSocket-Extensions`. `None`: no such field.
#[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "there is nothing to offer"))]
pub(crate) fn offer(config: &Config) -> Option<String> {
    #[cfg(feature = "deflate")]
    return config.compression.as_ref().map(permessage_deflate::offers);
    #[cfg(not(feature = "deflate"))]
    None
}

/// What a server answers to that, and what is agreed on then. An empty answer is no field.
#[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "there is nothing to accept"))]
pub(crate) fn answer(config: &Config, offered: &[Element<'_>]) -> (Option<String>, Agreement) {
    #[cfg(feature = "deflate")]
    if let Some(deflate) = &config.compression
        && let Some((answer, agreed)) = permessage_deflate::accept(deflate, offered)
    {
        return (Some(answer), agreed.into());
    }
    (None, Agreement::default())
}

/// What a server's answer agrees to; `None` when it names what was not offered.
#[cfg_attr(not(feature = "deflate"), expect(unused_variables, reason = "nothing was offered"))]
pub(crate) fn agree(config: &Config, answered: &[Element<'_>]) -> Option<Agreement> {
    if answered.is_empty() {
        return Some(Agreement::default());
    }
    #[cfg(feature = "deflate")]
    return permessage_deflate::agree(config.compression.as_ref()?, answered).map(Agreement::from);
    #[cfg(not(feature = "deflate"))]
    None
}
