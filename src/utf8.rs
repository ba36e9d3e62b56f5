//! UTF-8, as the bytes arrive (RFC 6455 section 8.1, RFC 3629).

/// The bytes cannot become UTF-8 any more, whatever follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidUtf8;

/// The whole of `bytes` as text, if it is UTF-8.
#[must_use]
pub fn check(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok()
}

/// Bytes that have been validated already, as text.
#[inline]
pub(crate) fn validated(bytes: &[u8]) -> &str {
    debug_assert!(check(bytes).is_some());
    // SAFETY: every caller passes bytes that `check` or a `Validator` has accepted as a whole.
    unsafe { core::str::from_utf8_unchecked(bytes) }
}

/// The length in bytes of the character that starts with `lead`, the first byte of valid UTF-8.
pub(crate) const fn width(lead: u8) -> usize {
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
            let mut whole = [0; 4];
            let len = usize::from(self.len);
            whole[..len].copy_from_slice(&self.bytes[..len]);
            whole[len] = byte;
            match core::str::from_utf8(&whole[..=len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() && error.valid_up_to() == 0 => {
                    self.bytes[len] = byte;
                    self.len += 1;
                }
                Err(_) => return Err(InvalidUtf8),
            }
        }
        if let Err(error) = core::str::from_utf8(piece) {
            if error.error_len().is_some() {
                return Err(InvalidUtf8);
            }
            let rest = &piece[error.valid_up_to()..];
            self.bytes[..rest.len()].copy_from_slice(rest);
            for _ in rest {
                self.len += 1;
            }
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
