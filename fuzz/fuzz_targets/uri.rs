//! URIs, proxies and origins: any text.

#![no_main]

use bowsprit::dial::Proxy;
use bowsprit::handshake::{Origin, OriginPolicy, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(uri) = text.parse::<Uri>() {
        let shown = uri.clone().without_user_info();
        assert_eq!(uri.to_string().parse(), Ok(shown), "what is shown is the same URI, without user information");
        let resource = uri.resource_name();
        assert!(resource.starts_with('/') && resource.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
        assert!(!resource.ends_with('?') || resource.matches('?').count() > 1, "an empty query is none");
        assert!(resource.len() <= 1 + 3 * text.len() && uri.port() != 0);
        let host = uri.host();
        assert!(!host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!host.contains(['/', '?', '#', '@', '[', ']', '\\']));

        // A page of this very host may connect to it. No page has an origin with a `*`, which stands for subdomains.
        let scheme = if uri.is_secure() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", uri.host_field());
        let accepted = OriginPolicy::SameOrigin.accepts(Some(&origin), &uri.host_field());
        assert!(accepted != uri.host().contains('*'), "{origin}");
    }
    if let Ok(proxy) = text.parse::<Proxy>() {
        let shown: Proxy = proxy.to_string().parse().expect("what is shown is a proxy");
        assert!(!shown.has_credentials() && proxy.to_string() == shown.to_string());
    }
    if let Ok(origin) = text.parse::<Origin>() {
        assert!(OriginPolicy::Allow(vec![origin.into()]).accepts(Some(text), "h"));
    }
    if let Some((origin, host)) = text.split_once(' ') {
        let _ = OriginPolicy::SameOrigin.accepts(Some(origin), host);
    }
});
