//! Text of the peer in a message for people.

use core::fmt::{self, Write as _};

/// The beginning of what a peer sent, as printable characters on one line.
pub(in crate::proto) struct Excerpt<'a>(pub(in crate::proto) &'a [u8]);

/// The most characters of an excerpt: a line or two of a terminal.
const MAX_CHARS: usize = 200;

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A character takes at most four bytes; whitespace that is left out is not looked at beyond that.
        let bytes = &self.0[..self.0.len().min(4 * MAX_CHARS)];
        let mut written = 0;
        let mut after_space = true;
        for char in bytes.utf8_chunks().flat_map(|chunk| {
            let invalid = if chunk.invalid().is_empty() { None } else { Some(char::REPLACEMENT_CHARACTER) };
            chunk.valid().chars().chain(invalid)
        }) {
            let space = char.is_whitespace();
            // Controls and characters that change the direction of text could make a log say something else.
            if space && after_space || !space && is_invisible(char) {
                continue;
            }
            if written == MAX_CHARS {
                return f.write_str("...");
            }
            f.write_char(if space { ' ' } else { char })?;
            after_space = space;
            written += 1;
        }
        if bytes.len() < self.0.len() { f.write_str("...") } else { Ok(()) }
    }
}

/// Controls, and the characters that change how others are shown (Unicode category Cf, as far as they concern direction
/// and joining).
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(char, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}
