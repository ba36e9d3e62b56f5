//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1), and the token that it is made of.
//!
//! ```text
//! extension-list  = 1#extension
//! extension       = token *( ";" extension-param )
//! extension-param = token [ "=" ( token | quoted-string ) ]   ; a quoted value is a token once unescaped
//! ```
//!
//! Spaces and tabs may stand around `;`, `=` and `,` (the RFC 2616 grammar implies it). One pass. What the names and
//! values mean is the business of each extension.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::proto::steps;

/// One element of the list: an extension's name and its parameters, both in the order of the wire.
///
/// Names are compared as they stand, upper and lower case apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element<'a> {
    /// The name, a token.
    pub name: &'a str,
    /// The parameters; a name may occur twice, which is for the extension to judge.
    pub params: Vec<Param<'a>>,
}

impl Element<'_> {
    /// The value of the first parameter with this name, if it has one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|param| param.name == name)?.value.as_deref()
    }

    /// As it stands in the list; `None` where a name or a value is no token.
    pub(in crate::proto) fn write(&self) -> Option<String> {
        let mut written = String::from(token(self.name)?);
        for Param { name, value } in &self.params {
            written.push_str("; ");
            written.push_str(token(name)?);
            if let Some(value) = value {
                written.push('=');
                written.push_str(token(value)?);
            }
        }
        Some(written)
    }
}

/// A parameter of an extension.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// The name, a token.
    pub name: &'a str,
    /// The value, a token, unquoted and unescaped: `x="10"`, `x="1\0"` and `x=10` are the same.
    pub value: Option<Cow<'a, str>>,
}

/// A `Sec-WebSocket-Extensions` that does not follow the grammar: the handshake fails (section 9.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MalformedExtensions;

impl fmt::Display for MalformedExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list of extensions does not follow its grammar")
    }
}

impl core::error::Error for MalformedExtensions {}

/// The extensions of all `Sec-WebSocket-Extensions` lines of a head, in order. No lines: no extensions.
///
/// ```
/// use bowsprit::extension::grammar::parse;
///
/// let lines: [&[u8]; 2] = [b"foo", b"bar; baz=\"2\""];
/// let extensions = parse(lines)?;
/// assert_eq!(extensions[0].name, "foo");
/// assert_eq!(extensions[1].params[0].value.as_deref(), Some("2"));
/// # Ok::<(), bowsprit::extension::MalformedExtensions>(())
/// ```
///
/// # Errors
///
/// [`MalformedExtensions`] when a line breaks the grammar, or when there are lines but no extension.
pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Element<'a>>, MalformedExtensions> {
    let mut lines = lines.into_iter().peekable();
    let present = lines.peek().is_some();
    let mut extensions = Vec::new();
    // RFC 6455 section 9.1: several lines are the same as one, joined by commas. A quoted string cannot reach
    // over the seam: it would hold a comma, which is no token character.
    for line in lines {
        Cursor { rest: line }.list(&mut extensions).ok_or(MalformedExtensions)?;
    }
    if present && extensions.is_empty() { Err(MalformedExtensions) } else { Ok(extensions) }
}

/// Walks over one line: each byte is looked at a fixed number of times, and then left behind.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// `None`: malformed.
    fn list(&mut self, extensions: &mut Vec<Element<'a>>) -> Option<()> {
        loop {
            // RFC 9110 section 5.6.1.2: a recipient tolerates empty elements.
            while self.eat(b',') {}
            if self.rest.is_empty() {
                return Some(());
            }
            extensions.push(self.extension()?);
            if !self.rest.is_empty() && !self.eat(b',') {
                return None;
            }
        }
    }

    fn extension(&mut self) -> Option<Element<'a>> {
        let name = self.token()?;
        let mut params = Vec::new();
        while self.eat(b';') {
            let name = self.token()?;
            let value = if self.eat(b'=') { Some(self.value()?) } else { None };
            params.push(Param { name, value });
        }
        Some(Element { name, params })
    }

    fn value(&mut self) -> Option<Cow<'a, str>> {
        if !self.eat_exactly(b'"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut value = Cow::Borrowed(self.tchars()?);
        while !self.eat_exactly(b'"') {
            self.eat_exactly(b'\\');
            // RFC 6455 section 9.1: after unescaping, the value MUST conform to the token grammar.
            let escaped = self.peek().filter(|&byte| is_tchar(byte))?;
            value.to_mut().push(char::from(escaped));
            self.rest = &self.rest[1..];
        }
        self.skip_whitespace();
        if value.is_empty() { None } else { Some(value) }
    }

    /// A token and the whitespace around it.
    fn token(&mut self) -> Option<&'a str> {
        self.skip_whitespace();
        let token = self.tchars().filter(|token| !token.is_empty());
        self.skip_whitespace();
        token
    }

    /// A byte and the whitespace around it.
    fn eat(&mut self, byte: u8) -> bool {
        self.skip_whitespace();
        let eaten = self.eat_exactly(byte);
        self.skip_whitespace();
        eaten
    }

    fn eat_exactly(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.rest = &self.rest[usize::from(eaten)..];
        eaten
    }

    /// Always some: they are ASCII.
    fn tchars(&mut self) -> Option<&'a str> {
        str::from_utf8(self.take_while(is_tchar)).ok()
    }

    fn skip_whitespace(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.rest;
        while self.peek().is_some_and(&belongs) {
            self.rest = &self.rest[1..];
        }
        &start[..start.len() - self.rest.len()]
    }

    /// The only place that looks at a byte.
    fn peek(&self) -> Option<u8> {
        steps::count(1);
        self.rest.first().copied()
    }
}

/// Whether these bytes are a token (RFC 9110 section 5.6.2; the same characters as in RFC 2616).
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_tchar(byte))
}

fn token(text: &str) -> Option<&str> {
    is_token(text.as_bytes()).then_some(text)
}

const fn is_tchar(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~')
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    // HOSTILE: 16
    #[test]
    fn work_is_linear_in_the_length() {
        const LEN: usize = 64 << 10;
        let blanks = [b"b".as_slice(), &[b' '; LEN], b"x"].concat();
        let tabs = [b"b;".as_slice(), &[b'\t'; LEN], b"x"].concat();
        let escapes = [b"a; b=\"".as_slice(), &b"\\a".repeat(LEN / 2), b"\""].concat();
        let lists = ["a", ",", "\"", "a,", ";", "a;", " ,", "a; b=\"c\",", "=", "\\"];
        let lists = lists.map(|piece| piece.as_bytes().repeat(LEN / piece.len()));
        for line in [blanks, tabs, escapes].iter().chain(&lists) {
            let steps = steps::of(|| drop(parse([line.as_slice()])));
            assert!(steps <= 8 * line.len(), "{steps} steps over {} bytes", line.len());
        }
    }
}
