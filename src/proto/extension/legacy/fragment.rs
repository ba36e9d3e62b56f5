//! `fragment; maxLength=N`: data goes out in frames of at most N bytes.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::proto::extension::{Element, Extension, Negotiated, Param};

/// `fragment; maxLength=N`: what either end sends goes out in data frames of at most N bytes. Nothing changes in what is
/// received.
///
/// A server follows the first legal offer, and repeats its length in the answer; a client follows the answer. Without a
/// length, and where it is not above zero, nothing is split. What is no number, or stands there twice, is declined by a
/// server and refused by a client.
///
/// With permessage-deflate, a message is compressed before it is split. With [`DeflateFrame`](super::DeflateFrame), a
/// message that has to be split goes uncompressed. Where the connection has a
/// [`Config::fragment_size`](crate::Config::fragment_size) too, the shorter length holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Fragment {
    /// What a client offers, in bytes. Default `None`: the name alone. Zero is offered as it stands, and splits nothing.
    pub max_length: Option<usize>,
}

impl Extension for Fragment {
    fn name(&self) -> &str {
        "fragment"
    }

    fn offers(&self) -> Vec<Vec<Param<'static>>> {
        Vec::from([self.max_length.map(max_length).into_iter().collect()])
    }

    fn accept(&self, offered: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        offered.iter().find_map(|offer| {
            let asked = decode(offer)?;
            Some((asked.map(max_length).into_iter().collect(), terms(asked)))
        })
    }

    fn agree(&self, answered: &[&Element<'_>]) -> Option<Negotiated> {
        let [answer] = answered else { return None };
        decode(answer).map(terms)
    }
}

/// The length, as it stands there; `None` for what is not legal.
fn decode(element: &Element<'_>) -> Option<Option<i64>> {
    match &element.params[..] {
        [] => Some(None),
        [Param { name: "maxLength", value: Some(value) }] => Some(Some(value.parse().ok()?)),
        _ => None,
    }
}

fn terms(max_length: Option<i64>) -> Negotiated {
    match max_length {
        Some(len @ 1..) => Negotiated::identity().max_frame(usize::try_from(len).unwrap_or(usize::MAX)),
        _ => Negotiated::identity(),
    }
}

fn max_length(len: impl ToString) -> Param<'static> {
    Param { name: "maxLength", value: Some(len.to_string().into()) }
}
