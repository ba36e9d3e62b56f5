//! UTF-8, as the bytes arrive (RFC 6455 section 8.1, RFC 3629).

use crate::proto::steps;

/// The bytes cannot become UTF-8 any more, whatever follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidUtf8;

/// The whole of `bytes` as text, if it is UTF-8.
#[inline]
#[must_use]
pub fn check(bytes: &[u8]) -> Option<&str> {
    steps::count(bytes.len());
    let valid = match bytes.len() {
        0 => true,
        1 => is_short_utf8::<1>(bytes),
        2..4 => is_short_utf8::<2>(bytes),
        4..8 => is_short_utf8::<4>(bytes),
        8..16 => is_short_utf8::<8>(bytes),
        16..32 => is_short_utf8::<16>(bytes),
        32..64 => is_short_utf8::<32>(bytes),
        64..=128 if ends::<64>(bytes).is_some_and(are_ascii) => true,
        _ => simdutf8::basic::from_utf8(bytes).is_ok(),
    };
    #[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
    // SAFETY: that is what was checked.
    valid.then(|| unsafe { text(bytes) })
}

/// `N` to `2 * N` bytes, less than 64: simdutf8 pays from one whole block of 64 bytes on.
#[inline(always)]
fn is_short_utf8<const N: usize>(bytes: &[u8]) -> bool {
    let Some(ends) = ends::<N>(bytes) else { return false };
    are_ascii(ends) || {
        let mut block = [0; 64];
        block[..N].copy_from_slice(ends.0);
        block[bytes.len() - N..bytes.len()].copy_from_slice(ends.1);
        // A character that is cut off fails here too: no 0x00 continues it.
        simdutf8::basic::from_utf8(&block).is_ok()
    }
}

/// The first and the last `N` bytes, which together are all of `N` to `2 * N`.
#[inline(always)]
fn ends<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    Some((bytes.first_chunk()?, bytes.last_chunk()?))
}

#[inline(always)]
fn are_ascii<const N: usize>((first, last): (&[u8; N], &[u8; N])) -> bool {
    let any = |bytes: &[u8; N]| {
        let (words, bytes) = bytes.as_chunks();
        let words = words.iter().fold(0, |any, word| any | u64::from_ne_bytes(*word));
        bytes.iter().fold(words, |any, byte| any | u64::from(*byte))
    };
    (any(first) | any(last)) & 0x8080_8080_8080_8080 == 0
}

/// Bytes that have been validated already, as text.
///
/// # Safety
///
/// `bytes` are UTF-8: `check` or a `Validator` has accepted them as a whole, and they have not been changed since.
#[inline]
#[expect(unsafe_code, reason = "the boundary at which validated bytes become text")]
pub(in crate::proto) unsafe fn text(bytes: &[u8]) -> &str {
    debug_assert!(core::str::from_utf8(bytes).is_ok());
    // SAFETY: the caller's promise.
    unsafe { core::str::from_utf8_unchecked(bytes) }
}

/// The length in bytes of the character that starts with `lead`, the first byte of valid UTF-8.
pub(in crate::proto) const fn width(lead: u8) -> usize {
    match lead {
        ..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    }
}

/// Validates text that arrives in pieces, and fails at the first byte that cannot be right.
///
/// ```
/// use bowsprit::utf8::Validator;
///
/// let mut text = Validator::new();
/// assert!(text.push(b"caf\xc3").is_ok()); // half a character waits for the rest
/// assert_eq!(text.incomplete().len(), 1);
/// assert!(text.push(b"\xa9").is_ok());
/// assert!(text.incomplete().is_empty());
/// assert!(text.push(b"\xed\xa0").is_err()); // a surrogate, seen at its second byte
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Validator {
    bytes: [u8; 3],
    len: u8,
}

impl Validator {
    /// At the start of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; 3], len: 0 }
    }

    /// The next piece.
    ///
    /// # Errors
    ///
    /// When the text up to the end of this piece cannot be the beginning of any UTF-8.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.continue_with(byte)?;
        }
        let (whole, rest) = piece.split_at(piece.len() - cut_off(piece));
        check(whole).ok_or(InvalidUtf8)?;
        rest.iter().try_for_each(|byte| self.continue_with(*byte))
    }

    /// The next byte of a character.
    fn continue_with(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        steps::count(1);
        let len = usize::from(self.len);
        let mut character = [0; 4];
        character[..len].copy_from_slice(self.incomplete());
        character[len] = byte;
        match core::str::from_utf8(&character[..=len]) {
            Ok(_) => self.len = 0,
            // Cut off, but right so far; four bytes never are.
            Err(error) if error.error_len().is_none() && len < 3 => {
                self.bytes[len] = byte;
                self.len += 1;
            }
            Err(_) => return Err(InvalidUtf8),
        }
        Ok(())
    }

    /// The bytes of the character that is not complete yet: 0 to 3 of them. A text may end only where there
    /// are none.
    #[must_use]
    pub fn incomplete(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// How many bytes at the end begin a character that needs more of them: 0 to 3.
fn cut_off(bytes: &[u8]) -> usize {
    for (i, byte) in bytes.iter().rev().take(3).enumerate() {
        match byte {
            0x80..0xc0 => {}
            lead => return if width(*lead) > i + 1 { i + 1 } else { 0 },
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// Where the first byte lies that cannot be right, by the standard library.
    fn first_impossible(bytes: &[u8]) -> Option<usize> {
        let possible = |bytes| core::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
        let valid = core::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), |_| bytes.len());
        (valid..bytes.len()).find(|i| !possible(&bytes[..=*i]))
    }

    /// The piece in which a validator fails, else the bytes that it holds back.
    fn push_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, usize> {
        let mut validator = Validator::new();
        for (i, piece) in pieces.into_iter().enumerate() {
            validator.push(piece).map_err(|InvalidUtf8| i)?;
        }
        Ok(validator.incomplete().to_vec())
    }

    /// What `push_all` has to say of `pieces`, by the standard library.
    fn expected(pieces: &[&[u8]]) -> Result<Vec<u8>, usize> {
        let text = pieces.concat();
        let Some(bad) = first_impossible(&text) else {
            let valid = core::str::from_utf8(&text).map_or_else(|error| error.valid_up_to(), |_| text.len());
            return Ok(text[valid..].to_vec());
        };
        let mut end = 0;
        let failing = pieces.iter().position(|piece| {
            end += piece.len();
            bad < end
        });
        Err(failing.unwrap_or(pieces.len()))
    }

    /// Whole, byte by byte, and in two pieces at every split.
    fn agrees(text: &[u8]) {
        assert_eq!(check(text), core::str::from_utf8(text).ok(), "{text:02x?}");
        assert_eq!(push_all([text]), expected(&[text]), "{text:02x?}");
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(push_all(bytes.iter().copied()), expected(&bytes), "{text:02x?} byte by byte");
        for cut in 0..=text.len() {
            let pieces = [&text[..cut], &text[cut..]];
            assert_eq!(push_all(pieces), expected(&pieces), "{text:02x?} at {cut}");
        }
    }

    /// Characters at the edges of every width, and everything that is none.
    const SEQUENCES: &[&[u8]] = &[
        b"\x00",
        b"\x7f",
        b"\xc2\x80",
        b"\xdf\xbf",
        b"\xe0\xa0\x80",
        b"\xed\x9f\xbf",
        b"\xee\x80\x80",
        b"\xef\xbf\xbf",
        b"\xf0\x90\x80\x80",
        b"\xf4\x8f\xbf\xbf",
        b"\x80",             // continues nothing
        b"\xbf\xbf",         // likewise
        b"\xc0\x80",         // overlong
        b"\xc1\xbf",         // overlong
        b"\xe0\x9f\xbf",     // overlong
        b"\xf0\x8f\xbf\xbf", // overlong
        b"\xed\xa0\x80",     // a surrogate
        b"\xed\xbf\xbf",     // a surrogate
        b"\xf4\x90\x80\x80", // beyond U+10FFFF
        b"\xf5\x80\x80\x80", // beyond U+10FFFF
        b"\xf8\x88\x80\x80\x80",
        b"\xfe",
        b"\xff",
        b"\xc3",         // cut off
        b"\xe4\xb8",     // cut off
        b"\xf0\x9f\x98", // cut off
    ];

    /// Where the standard's table of well-formed bytes has its borders.
    const EDGES: &[u8] = &[0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];

    #[test]
    fn every_sequence_of_one_and_two_bytes() {
        for first in 0..=0xff {
            agrees(&[first]);
            for second in 0..=0xff {
                agrees(&[first, second]);
            }
        }
    }

    /// The third byte runs through all values behind the leads of three bytes, elsewhere through the edges.
    #[test]
    fn every_sequence_of_three_bytes() {
        let all: Vec<u8> = (0..=0xff).collect();
        for first in 0..=0xff {
            let third = if first & 0xf0 == 0xe0 { &all } else { EDGES };
            for second in 0..=0xff {
                for third in third {
                    let text = [first, second, *third];
                    let expected = core::str::from_utf8(&text);
                    assert_eq!(check(&text), expected.ok(), "{text:02x?}");
                    let possible = expected.map_or_else(|error| error.error_len().is_none(), |_| true);
                    assert_eq!(push_all(text.chunks(1)).is_ok(), possible, "{text:02x?}");
                }
            }
        }
    }

    #[test]
    fn the_edges_of_four_byte_sequences() {
        for first in 0xef..=0xff {
            for second in EDGES {
                for third in EDGES {
                    for fourth in EDGES {
                        agrees(&[first, *second, *third, *fourth]);
                    }
                }
            }
        }
    }

    #[test]
    fn sequences_behind_one_another() {
        for a in SEQUENCES {
            for b in SEQUENCES {
                for c in SEQUENCES {
                    agrees(&[*a, *b, *c].concat());
                }
            }
        }
    }

    #[test]
    fn every_sequence_at_every_place_in_short_and_long_texts() {
        for len in (0..=140).chain([191, 192, 193, 300]) {
            for sequence in SEQUENCES {
                for start in 0..=len - sequence.len().min(len) {
                    let mut text = vec![b'x'; len];
                    for (byte, other) in text[start..].iter_mut().zip(*sequence) {
                        *byte = *other;
                    }
                    assert_eq!(check(&text), core::str::from_utf8(&text).ok(), "{sequence:02x?} at {start} of {len}");
                    assert_eq!(push_all([&text[..]]), expected(&[&text]), "{sequence:02x?} at {start} of {len}");
                }
            }
        }
    }

    #[test]
    fn long_texts_at_every_split() {
        let text = "Größe 漢字 и 🙂 ".repeat(12);
        agrees(text.as_bytes());
        for bad in [0, 100, 255] {
            let mut text = text.clone().into_bytes();
            text[bad] = 0xff;
            agrees(&text);
        }
    }

    #[test]
    fn width_is_that_of_the_standard_library() {
        for character in ['\0', '\x7f', '\u{80}', '\u{7ff}', '\u{800}', '\u{ffff}', '\u{10000}', '\u{10ffff}'] {
            let mut bytes = [0; 4];
            let len = character.encode_utf8(&mut bytes).len();
            assert_eq!(width(bytes[0]), len, "{character:?}");
        }
    }
}
