//! Without TLS, a secret stays where it is.

use std::io::ErrorKind;
use std::net::TcpListener;

use bowsprit::{Error, HandshakeError};

// HOSTILE: 24
#[tokio::test]
async fn without_tls_a_secure_address_is_refused_before_any_dial() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("wss://{}/", listener.local_addr().unwrap());
    let refused = bowsprit::tokio::connect(&uri).await;
    assert!(matches!(refused, Err(Error::Handshake(HandshakeError::TlsUnavailable))), "{refused:?}");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody dialled");
}
