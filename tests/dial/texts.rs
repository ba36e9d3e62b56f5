//! What errors and steps say to people.

use bowsprit::dial::{DialPeer, DialStep, ProxyError, ProxyUriError, RedirectError};
use bowsprit::driver::TransportError;
use bowsprit::handshake::{HeadError, UriError};

use crate::sim::at;

#[test]
fn errors_of_proxies() {
    for (error, text) in [
        (ProxyError::EarlyBytes, "bytes arrived before anything was sent to the server"),
        (ProxyError::Timeout(std::time::Duration::from_secs(10)), "not complete after 10s"),
        (
            ProxyError::Transport(TransportError::UnexpectedEof),
            "the proxy ended the stream before its handshake was complete",
        ),
        (ProxyError::Transport(TransportError::WriteZero), "the transport accepts no bytes"),
        (ProxyError::Head(HeadError::TooLong { limit: 16384 }), "the peer sent a head longer than 16384 bytes"),
        (
            ProxyError::Head(HeadError::Tls),
            "the proxy speaks TLS on this port: the scheme of its address may be wrong (http:// instead of https://)",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
    #[cfg(feature = "std")]
    assert_eq!(
        ProxyError::Transport(TransportError::Io(std::io::ErrorKind::ConnectionReset)).to_string(),
        "connection reset"
    );
}

#[test]
fn errors_of_addresses() {
    for (error, text) in [
        (
            ProxyUriError::Scheme,
            "the address of the proxy does not begin with http://, https://, socks5:// or socks5h://",
        ),
        (
            ProxyUriError::Credentials,
            "the user name or the password of the proxy cannot be sent: percent-encode special characters; a user name \
             holds no colon, neither holds control characters, and SOCKS5 takes 1 to 255 bytes of each",
        ),
        (ProxyUriError::Host, "the address of the proxy has no valid host"),
        (ProxyUriError::Port, "the port of the proxy is not a number from 1 to 65535"),
        (ProxyUriError::Path, "the address of the proxy holds something after its host and port"),
    ] {
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(
        UriError::UserInfo.to_string(),
        "the user name or the password of the address holds a character that has to be percent-encoded, a control \
         character, or (in the name) a colon"
    );
}

#[test]
fn errors_of_redirects() {
    let location = || String::from("http://b/");
    for (error, text) in [
        (RedirectError::NoLocation, "the server redirects, but its response has not exactly one Location"),
        (
            RedirectError::Location { location: location(), error: UriError::Host },
            "the server redirects to http://b/: the address has no valid host",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn steps() {
    let resolve = DialStep::Resolve { peer: DialPeer::Proxy, host: "p".into(), port: 80 };
    assert_eq!(resolve.to_string(), "resolve p (the proxy)");
    assert_eq!(DialStep::Wait { until: Some(at(250)) }.to_string(), format!("wait until {:?}", at(250)));
    assert_eq!(DialStep::Wait { until: None }.to_string(), "wait");
    assert_eq!(DialStep::Tunnel.to_string(), "ask the proxy for a tunnel");
}
