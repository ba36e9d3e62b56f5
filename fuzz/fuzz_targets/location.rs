//! `Location`: any reference at any address, and what a redirect sends along.
//!
//! A seed is two lines: the address, and the reference.

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use bowsprit::Config;
use bowsprit::HandshakeError;
use bowsprit::dial::{RedirectError, redirect, resolve_location};
use bowsprit::handshake::{ClientHandshake, ClientRequest, Headers, HttpVersion, ResponseValidator, Uri};
use bowsprit_fuzz::head;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (base, reference) = text.split_once('\n').unwrap_or(("wss://user:word@example.com/a/b?c", text));
    let Ok(base) = base.parse::<Uri>() else { return };
    let resolved = resolve_location(&base, reference);
    if let Ok(uri) = &resolved {
        assert!(!uri.has_user_info());
        assert_eq!(uri.to_string().parse().as_ref(), Ok(uri), "what is shown is the same URI");
        assert_eq!(resolve_location(&base, &uri.to_string()).map(|uri| uri.authority()), Ok(uri.authority()));
        let scheme = reference.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let path = reference.trim_start_matches(|char: char| char.is_ascii_alphabetic() || char == ':');
        if !["ws", "wss", "http", "https"].contains(&&*scheme) && !path.starts_with("//") {
            assert!(origin(uri) == origin(&base), "a relative reference stays at its origin: {uri}");
        }
    }

    let request = ClientRequest::new(base.clone()).header("Cookie", "id=hidden").expect("a header");
    let mut headers = Headers::new();
    if headers.push("Location", reference).is_err() {
        return;
    }
    let (_, validator) = ResponseValidator::new(&request, [7; 16], Arc::new(Config::default()));
    let Err(HandshakeError::Refused(response)) = validator.validate(307, HttpVersion::Http11, headers) else {
        panic!("a redirect is a refusal")
    };
    match redirect(&request, &response) {
        Ok(Some(next)) => {
            let mut output = BytesMut::new();
            let _ = ClientHandshake::start(&next, [7; 16], Arc::default(), Duration::ZERO, &mut output);
            let lines = head::only(&output);
            assert!(lines[0].split(' ').count() == 3);
            let same = origin(next.uri()) == origin(&base);
            let leaks = lines.iter().any(|line| line.starts_with("Cookie: ") || line.starts_with("Authorization: "));
            assert!(same || !leaks, "{lines:?}");
            assert!(!same || lines.contains(&"Cookie: id=hidden"));
            assert_eq!(next.uri().has_user_info(), same && base.has_user_info());
            assert!(next.uri().is_secure() || !base.is_secure());
        }
        Ok(None) => panic!("307 is a redirect"),
        Err(RedirectError::Insecure { .. }) => assert!(base.is_secure()),
        Err(error) => assert!(!error.to_string().contains(['\r', '\n', '\0'])),
    }
});

fn origin(uri: &Uri) -> (bool, String, u16, Option<&str>) {
    (uri.is_secure(), uri.host().to_ascii_lowercase(), uri.port(), uri.zone())
}
