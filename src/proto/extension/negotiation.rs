//! Which extensions both ends use (RFC 6455 section 9.1): offered by the client, chosen by the server.
//!
//! Several are applied in the order of the server's answer. No two claim the same reserved bit, and none that works on
//! messages stands behind one that works on frames: it would find frames that are no longer those of its peer.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use super::custom::{Extension, Negotiated, Unit};
use super::grammar::Element;
#[cfg(feature = "deflate")]
use super::permessage_deflate::{self, Agreed, Deflate};
use crate::proto::config::Config;
use crate::proto::frame::Rsv;

/// The extensions that an opening handshake agreed on, for
/// [`Connection::with_extensions`](crate::Connection::with_extensions).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Agreement {
    /// In order of application.
    agreed: Vec<AgreedExtension>,
}

/// One extension, agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::proto) enum AgreedExtension {
    #[cfg(feature = "deflate")]
    Deflate(Agreed),
    Custom {
        name: String,
        terms: Negotiated,
    },
}

impl Agreement {
    /// The names, in order of application: what the caller sends passes through the first of them first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.agreed.iter().map(AgreedExtension::name)
    }

    /// What was agreed on permessage-deflate; `None` when messages travel uncompressed.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<Agreed> {
        self.agreed.iter().find_map(|one| match one {
            AgreedExtension::Deflate(agreed) => Some(*agreed),
            AgreedExtension::Custom { .. } => None,
        })
    }

    pub(in crate::proto) const fn none() -> Self {
        Self { agreed: Vec::new() }
    }

    pub(in crate::proto) fn agreed(&self) -> &[AgreedExtension] {
        &self.agreed
    }

    fn claimed(&self) -> Rsv {
        self.agreed.iter().fold(Rsv::NONE, |bits, one| bits | one.claimed())
    }
}

#[cfg(feature = "deflate")]
impl From<Agreed> for Agreement {
    fn from(deflate: Agreed) -> Self {
        Self { agreed: [AgreedExtension::Deflate(deflate)].into() }
    }
}

impl AgreedExtension {
    fn name(&self) -> &str {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(_) => permessage_deflate::NAME,
            Self::Custom { name, .. } => name,
        }
    }

    fn claimed(&self) -> Rsv {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(_) => Rsv::RSV1,
            Self::Custom { terms, .. } => terms.claimed(),
        }
    }

    fn unit(&self) -> Option<Unit> {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(_) => Some(Unit::Message),
            Self::Custom { terms, .. } => terms.unit(),
        }
    }
}

/// What a client offers: the value of its `Sec-WebSocket-Extensions`. `None`: no such field.
pub(in crate::proto) fn offer(config: &Config) -> Option<String> {
    let offers: Vec<String> = supported(config).into_iter().flat_map(Supported::offers).collect();
    if offers.is_empty() { None } else { Some(offers.join(", ")) }
}

/// What a server answers to those offers that `choose` takes, and what is agreed on then. An empty answer is no field.
pub(in crate::proto) fn answer(
    config: &Config,
    offered: &[Element<'_>],
    choose: impl Fn(&Element<'_>) -> bool,
) -> (Option<String>, Agreement) {
    let mut answers: Vec<(String, AgreedExtension)> = Vec::new();
    let mut claimed = Rsv::NONE;
    for (supported, mut offers) in named(config, offered) {
        offers.retain(|offer| choose(offer));
        if let Some((answer, one)) = supported.accept(&offers)
            // RFC 7692 section 5.1: not together with another one that uses the same bit.
            && one.claimed() & claimed == Rsv::NONE
        {
            claimed = claimed | one.claimed();
            answers.push((answer, one));
        }
    }
    // The order of application is the server's to choose.
    answers.sort_by_key(|(_, one)| one.unit() == Some(Unit::Frame));
    let (answers, agreed): (Vec<String>, Vec<AgreedExtension>) = answers.into_iter().unzip();
    (if answers.is_empty() { None } else { Some(answers.join(", ")) }, Agreement { agreed })
}

/// What a server's answer agrees to; `None` when it names what was not offered, or what does not go together.
pub(in crate::proto) fn agree(config: &Config, answered: &[Element<'_>]) -> Option<Agreement> {
    let supported = supported(config);
    if !answered.iter().all(|element| supported.iter().any(|supported| supported.name() == element.name)) {
        return None;
    }
    let mut agreement = Agreement::default();
    for (supported, answers) in named(config, answered) {
        let one = supported.agree(&answers)?;
        let behind_frames = agreement.agreed.iter().any(|earlier| earlier.unit() == Some(Unit::Frame));
        if one.claimed() & agreement.claimed() != Rsv::NONE || behind_frames && one.unit() == Some(Unit::Message) {
            return None;
        }
        agreement.agreed.push(one);
    }
    Some(agreement)
}

/// An extension that a configuration knows.
#[derive(Clone, Copy)]
enum Supported<'c> {
    #[cfg(feature = "deflate")]
    Deflate(&'c Deflate),
    Custom(&'c dyn Extension),
}

/// All of them, the preferred one first. Of one name, the first counts.
fn supported(config: &Config) -> Vec<Supported<'_>> {
    let mut supported = Vec::new();
    #[cfg(feature = "deflate")]
    supported.extend(config.compression.iter().map(Supported::Deflate));
    for extension in &config.extensions {
        if supported.iter().all(|earlier: &Supported<'_>| earlier.name() != extension.name()) {
            supported.push(Supported::Custom(&**extension));
        }
    }
    supported
}

/// Those of them that a list names, in its order, each with its elements.
fn named<'a, 'e>(config: &'a Config, list: &'a [Element<'e>]) -> Vec<(Supported<'a>, Vec<&'a Element<'e>>)> {
    let mut named: Vec<(usize, Supported<'_>)> = supported(config)
        .into_iter()
        .filter_map(|supported| Some((list.iter().position(|element| element.name == supported.name())?, supported)))
        .collect();
    named.sort_by_key(|(first, _)| *first);
    let elements = |name| list.iter().filter(move |element| element.name == name).collect();
    named.into_iter().map(|(_, supported)| (supported, elements(supported.name()))).collect()
}

impl<'c> Supported<'c> {
    fn name(self) -> &'c str {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(_) => permessage_deflate::NAME,
            Self::Custom(extension) => extension.name(),
        }
    }

    fn offers(self) -> Vec<String> {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(deflate) => permessage_deflate::offers(deflate).map(|offer| offer.offer()).collect(),
            Self::Custom(extension) => {
                let offers = extension.offers().into_iter();
                offers.filter_map(|params| Element { name: extension.name(), params }.write()).collect()
            }
        }
    }

    fn accept(self, offered: &[&Element<'_>]) -> Option<(String, AgreedExtension)> {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(deflate) => {
                let (answer, agreed) = permessage_deflate::accept(deflate, offered)?;
                Some((answer, AgreedExtension::Deflate(agreed)))
            }
            Self::Custom(_) if offered.is_empty() => None,
            Self::Custom(extension) => {
                let name = extension.name();
                let (params, terms) = extension.accept(offered)?;
                Some((Element { name, params }.write()?, AgreedExtension::Custom { name: name.to_owned(), terms }))
            }
        }
    }

    fn agree(self, answered: &[&Element<'_>]) -> Option<AgreedExtension> {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(deflate) => permessage_deflate::agree(deflate, answered).map(AgreedExtension::Deflate),
            // RFC 6455 section 4.1, item 5: only what was offered.
            Self::Custom(_) if self.offers().is_empty() => None,
            Self::Custom(extension) => {
                Some(AgreedExtension::Custom { name: extension.name().to_owned(), terms: extension.agree(answered)? })
            }
        }
    }
}
