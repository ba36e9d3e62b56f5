//! What makes a configuration, and what makes none.

use bowsprit::tls::rustls::crypto::CryptoProvider;
use bowsprit::tls::rustls::{Error, InconsistentKeys};
use bowsprit::tls::{Roots, client_config, server_config};

use crate::authority::Authority;

#[test]
fn configurations_speak_http_1_1_and_leave_the_process_alone() {
    let authority = Authority::new();
    assert_eq!(authority.client().alpn_protocols, [b"http/1.1"]);
    assert_eq!(authority.server(&["localhost"]).alpn_protocols, [b"http/1.1"]);
    assert!(CryptoProvider::get_default().is_none(), "the default of the process is not ours to choose");
}

#[test]
fn a_server_needs_a_certificate_and_the_key_to_it() {
    let authority = Authority::new();
    let (chain, key) = authority.certify(&["localhost"]);
    let (_, other) = authority.certify(&["localhost"]);
    let config = |chain: &str, key: &str| server_config(chain.as_bytes(), key.as_bytes()).map(drop);
    assert_eq!(config(&chain, &key), Ok(()));
    assert_eq!(config(&chain, &other), Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)));
    for (chain, key) in [(&*chain, ""), ("", &*key), (&key, &chain), ("-----BEGIN CERTIFICATE-----\n", &key)] {
        assert!(matches!(config(chain, key), Err(Error::General(_))), "{chain} {key}");
    }
}

#[test]
fn a_client_needs_somebody_to_trust() {
    assert!(matches!(Roots::from_pem(b""), Err(Error::General(_))));
    assert!(matches!(client_config(Roots::Only(Vec::new())), Err(Error::General(_))));
    assert!(matches!(
        client_config(Roots::Only(vec![b"no certificate".to_vec().into()])),
        Err(Error::InvalidCertificate(_))
    ));
    client_config(Roots::WebPki).unwrap();
}
