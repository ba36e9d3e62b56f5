//! The grammar of `Sec-WebSocket-Extensions`: any lines.

#![no_main]

use bowsprit::extension::grammar::{Element, is_token, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lines = || bytes.split(|&byte| byte == b'\n');
    let Ok(extensions) = parse(lines()) else { return };
    let params = || extensions.iter().flat_map(|extension| &extension.params);
    assert!(!extensions.is_empty() && extensions.len() + params().count() <= bytes.len());
    assert!(extensions.iter().all(|extension| is_token(extension.name.as_bytes())));
    for param in params() {
        assert!(is_token(param.name.as_bytes()) && param.value.as_ref().is_none_or(|value| is_token(value.as_bytes())));
    }

    for quote in ["", "\""] {
        let written = extensions.iter().map(|extension| write(extension, quote)).collect::<Vec<_>>().join(", ");
        assert_eq!(parse([written.as_bytes()]).as_ref(), Ok(&extensions), "{written}");
    }
    // RFC 6455 section 9.1: several lines are the same as one.
    let joined = lines().collect::<Vec<_>>().join(&b',');
    assert_eq!(parse([&*joined]).as_ref(), Ok(&extensions));
});

fn write(extension: &Element<'_>, quote: &str) -> String {
    let mut written = extension.name.to_owned();
    for param in &extension.params {
        written += &format!("; {}", param.name);
        if let Some(value) = &param.value {
            written += &format!("={quote}{value}{quote}");
        }
    }
    written
}
