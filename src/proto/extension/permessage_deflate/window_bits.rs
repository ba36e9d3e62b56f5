//! The size of a window.

use core::fmt;

/// The size of a window as RFC 7692 section 7.1.2 counts it: 2^8 to 2^15 bytes. No other value can be made.
///
/// ```
/// use bowsprit::extension::permessage_deflate::WindowBits;
///
/// assert_eq!(WindowBits::new(10).map(WindowBits::get), Some(10));
/// assert_eq!((WindowBits::new(7), WindowBits::new(16)), (None, None));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 2^8 bytes.
    pub const MIN: Self = Self(8);
    /// 2^15 bytes: all that DEFLATE can reach.
    pub const MAX: Self = Self(15);

    /// `None` but for 8 to 15.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            8..=15 => Some(Self(bits)),
            _ => None,
        }
    }

    /// 8 to 15.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// As RFC 7692 section 7.1.2 has it: a decimal without leading zeros, 8 to 15.
    pub(in crate::proto) fn decode(value: &str) -> Option<Self> {
        const LEGAL: [&str; 8] = ["8", "9", "10", "11", "12", "13", "14", "15"];
        LEGAL.iter().zip(8..).find_map(|(legal, bits)| (*legal == value).then_some(Self(bits)))
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
