//! What is offered, answered and agreed (RFC 7692 sections 5 and 7.1).

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt::Write as _;

use super::{Deflate, WindowBits};
use crate::proto::extension::grammar::Element;
use crate::proto::role::Role;

/// The name of the extension in `Sec-WebSocket-Extensions`.
pub(in crate::proto) const NAME: &str = "permessage-deflate";

/// The parameters of RFC 7692 section 7.1, as one end wishes them.
///
/// ```
/// use bowsprit::extension::permessage_deflate::{Parameters, WindowBits};
///
/// let bits = WindowBits::new(10).expect("8 to 15");
/// let small = Parameters { server_no_context_takeover: true, server_max_window_bits: bits, ..Parameters::default() };
/// assert_eq!(small.offer(), "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; \
///     client_max_window_bits");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Parameters {
    /// The server compresses each message on its own. Default false.
    pub server_no_context_takeover: bool,
    /// The client compresses each message on its own. Default false.
    pub client_no_context_takeover: bool,
    /// The server's window is at most so large. Default 15: no limit.
    pub server_max_window_bits: WindowBits,
    /// The client's window is at most so large. Default 15: a client leaves the limit to the server, a server sets none.
    /// `None`: a client takes no limit from the server.
    pub client_max_window_bits: Option<WindowBits>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: Some(WindowBits::MAX),
        }
    }
}

impl Parameters {
    /// These parameters as a client offers them.
    #[must_use]
    pub fn offer(&self) -> String {
        let mut offer = String::from(NAME);
        let client_max_window_bits = match self.client_max_window_bits.map(WindowBits::get) {
            None => Bits::Absent,
            Some(MAX_BITS) => Bits::NoValue,
            Some(bits) => Bits::Value(bits),
        };
        let server_max_window_bits = match self.server_max_window_bits.get() {
            MAX_BITS => Bits::Absent,
            bits => Bits::Value(bits),
        };
        Written {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        }
        .encode(&mut offer);
        offer
    }
}

/// What both ends do from now on (RFC 7692 section 5). Who makes one for a test or a door of his own: other window bits
/// than 8 to 15 are taken for the nearest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Agreed {
    /// Each of the server's messages starts from an empty window.
    pub server_no_context_takeover: bool,
    /// Each of the client's messages starts from an empty window.
    pub client_no_context_takeover: bool,
    /// The server's window is at most 2^this bytes: 8 to 15.
    pub server_max_window_bits: u8,
    /// The client's window is at most 2^this bytes: 8 to 15.
    pub client_max_window_bits: u8,
}

impl Agreed {
    /// Whether messages of `role` start from an empty window, and how large it is in bits.
    pub(in crate::proto) const fn of(&self, role: Role) -> (bool, u8) {
        match role {
            Role::Server => (self.server_no_context_takeover, self.server_max_window_bits),
            Role::Client => (self.client_no_context_takeover, self.client_max_window_bits),
        }
    }
}

/// A client's offers, in order of preference.
pub(in crate::proto) fn offers(config: &Deflate) -> impl Iterator<Item = &Parameters> {
    core::iter::once(&config.parameters).chain(&config.fallbacks)
}

/// A server's answer to the first offer that it can agree to, and what is agreed. `None`: all are declined
/// (RFC 7692 section 5.1: that is no error).
pub(in crate::proto) fn accept(config: &Deflate, offered: &[&Element<'_>]) -> Option<(String, Agreed)> {
    offered.iter().find_map(|element| {
        // RFC 7692 section 7: a parameter that is unknown, repeated or has no legal value declines the offer.
        let offer = Written::decode(element)?;
        let own = &config.parameters;
        let server_bits = match offer.server_max_window_bits {
            Bits::Absent => MAX_BITS,
            // Section 7.1.2.1: it has a value.
            Bits::NoValue => return None,
            Bits::Value(bits) => bits,
        };
        let hint = match offer.client_max_window_bits {
            Bits::Absent => None,
            Bits::NoValue => Some(MAX_BITS),
            Bits::Value(bits) => Some(bits),
        };
        let agreed = Agreed {
            server_no_context_takeover: offer.server_no_context_takeover || own.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover || own.client_no_context_takeover,
            server_max_window_bits: server_bits.min(own.server_max_window_bits.get()),
            // Section 7.1.2.2: without the parameter in the offer, there is no limit to set.
            client_max_window_bits: hint
                .map_or(MAX_BITS, |hint| hint.min(own.client_max_window_bits.map_or(MAX_BITS, WindowBits::get))),
        };
        let mut answer = String::from(NAME);
        Written {
            server_no_context_takeover: agreed.server_no_context_takeover,
            client_no_context_takeover: agreed.client_no_context_takeover,
            server_max_window_bits: match (offer.server_max_window_bits, agreed.server_max_window_bits) {
                (Bits::Absent, MAX_BITS) => Bits::Absent,
                (_, bits) => Bits::Value(bits),
            },
            client_max_window_bits: match agreed.client_max_window_bits {
                MAX_BITS => Bits::Absent,
                bits => Bits::Value(bits),
            },
        }
        .encode(&mut answer);
        Some((answer, agreed))
    })
}

/// What a server's answer agrees to; `None` when it is not legal for any of the offers (RFC 7692 section 5.1: the
/// client fails the connection).
pub(in crate::proto) fn agree(config: &Deflate, answered: &[&Element<'_>]) -> Option<Agreed> {
    let [element] = answered else { return None };
    let answer = Written::decode(element)?;
    offers(config).find_map(|offer| answer.agrees_to(offer))
}

/// The parameters of one element, as they stand.
#[derive(Clone, Copy, Debug)]
struct Written {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Bits,
    client_max_window_bits: Bits,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bits {
    Absent,
    NoValue,
    /// 8 to 15.
    Value(u8),
}

impl Written {
    /// `None` for a parameter that is undefined, has an illegal value, or stands there twice (RFC 7692 section 7).
    fn decode(element: &Element<'_>) -> Option<Self> {
        let mut decoded = Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: Bits::Absent,
            client_max_window_bits: Bits::Absent,
        };
        for param in &element.params {
            let value = param.value.as_ref();
            let fresh = match param.name {
                "server_no_context_takeover" if value.is_none() => set(&mut decoded.server_no_context_takeover),
                "client_no_context_takeover" if value.is_none() => set(&mut decoded.client_no_context_takeover),
                "server_max_window_bits" => decoded.server_max_window_bits.set(value)?,
                "client_max_window_bits" => decoded.client_max_window_bits.set(value)?,
                _ => return None,
            };
            if !fresh {
                return None;
            }
        }
        Some(decoded)
    }

    fn encode(&self, line: &mut String) {
        for (name, present) in [
            ("server_no_context_takeover", self.server_no_context_takeover),
            ("client_no_context_takeover", self.client_no_context_takeover),
        ] {
            if present {
                line.push_str("; ");
                line.push_str(name);
            }
        }
        for (name, bits) in [
            ("server_max_window_bits", self.server_max_window_bits),
            ("client_max_window_bits", self.client_max_window_bits),
        ] {
            // Writing to a String cannot fail.
            let _ = match bits {
                Bits::Absent => Ok(()),
                Bits::NoValue => write!(line, "; {name}"),
                Bits::Value(bits) => write!(line, "; {name}={bits}"),
            };
        }
    }

    /// As an answer to `offer`.
    fn agrees_to(&self, offer: &Parameters) -> Option<Agreed> {
        let asked = offer.server_max_window_bits.get();
        // RFC 7692 section 7.1.2.1: asked for a window, the answer names that one or a smaller one; unasked, it may.
        let server_max_window_bits = match self.server_max_window_bits {
            Bits::Value(bits) if bits <= asked => bits,
            Bits::Absent if asked == MAX_BITS => MAX_BITS,
            _ => return None,
        };
        // Section 7.1.2.2: with a value, and only where the offer had the parameter. It may be larger than the hint;
        // the client keeps to its own.
        let client_max_window_bits =
            match (self.client_max_window_bits, offer.client_max_window_bits.map(WindowBits::get)) {
                (Bits::Absent, hint) => hint.unwrap_or(MAX_BITS),
                (Bits::Value(bits), Some(hint)) => bits.min(hint),
                _ => return None,
            };
        // Section 7.1.1.1: what was asked for is confirmed.
        if offer.server_no_context_takeover && !self.server_no_context_takeover {
            return None;
        }
        Some(Agreed {
            server_no_context_takeover: self.server_no_context_takeover,
            // Section 7.1.1.2: a hint binds who gave it.
            client_no_context_takeover: self.client_no_context_takeover || offer.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        })
    }
}

impl Bits {
    /// `None` for an illegal value; false where there was one before.
    fn set(&mut self, value: Option<&Cow<'_, str>>) -> Option<bool> {
        let fresh = *self == Self::Absent;
        *self = match value {
            None => Self::NoValue,
            Some(value) => Self::Value(WindowBits::decode(value)?.get()),
        };
        Some(fresh)
    }
}

/// Whether it was not set before.
fn set(flag: &mut bool) -> bool {
    !core::mem::replace(flag, true)
}

const MAX_BITS: u8 = WindowBits::MAX.get();
