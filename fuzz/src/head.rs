//! Heads of HTTP/1.1: where one ends; and that each which the crate has written is one, with nothing smuggled in.

/// Whether a whole head stands in these bytes, behind the empty lines that a reader skips.
pub fn is_whole(mut bytes: &[u8]) -> bool {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    bytes.windows(4).any(|four| four == b"\r\n\r\n")
}

/// The lines of the head that `output` begins with, and what stands behind it.
///
/// # Panics
///
/// Where a line holds what would end it for some reader, or NUL; and where the head is not whole.
pub fn split(output: &[u8]) -> (Vec<&str>, &[u8]) {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").expect("the head is whole");
    let lines: Vec<_> = str::from_utf8(&output[..end]).expect("the head is text").split("\r\n").collect();
    for line in &lines {
        assert!(!line.is_empty() && !line.contains(['\r', '\n', '\0']), "{line:?}");
    }
    (lines, &output[end + 4..])
}

/// The one head that `output` is.
pub fn only(output: &[u8]) -> Vec<&str> {
    let (lines, behind) = split(output);
    assert!(behind.is_empty(), "{} bytes behind the head", behind.len());
    lines
}

/// The lines of a response with this status and the body that its length announces.
pub fn response(output: &[u8], status: u16) -> (Vec<&str>, &[u8]) {
    let (lines, body) = split(output);
    assert!(lines[0].starts_with(&format!("HTTP/1.1 {status} ")), "{}", lines[0]);
    assert!(lines.iter().filter(|line| line.starts_with("Content-Length: ")).count() <= 1);
    (lines, body)
}
