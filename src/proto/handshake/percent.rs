//! Percent-encoding (RFC 3986 section 2.1).

use alloc::vec::Vec;

/// pchar without pct-encoded: unreserved, sub-delims, ":" and "@".
pub(super) const fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
        || matches!(byte, b':' | b'@')
}

/// The bytes of a text whose percent signs are valid.
pub(super) fn percent_decode(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut decoded = Vec::from(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_at(2);
        decoded.extend(u8::from_str_radix(digits, 16));
        decoded.extend(rest.bytes());
    }
    decoded
}

pub(super) fn percent_signs_are_valid(text: &str) -> bool {
    let mut parts = text.as_bytes().split(|&byte| byte == b'%');
    parts.next();
    parts.all(|part| matches!(part, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}
