//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455 sections 4.1, 4.2.2 and 11.3).
//!
//! The key is 16 fresh random bytes in base64; the answer proves that a server has read it as a WebSocket
//! handshake. It is no secret and authenticates nobody.

use alloc::string::String;
use alloc::vec;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest as _, Sha1};

/// A `Sec-WebSocket-Key` of this nonce.
///
/// ```
/// use bowsprit::handshake::key;
///
/// let nonce = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// assert_eq!(&key::encode(nonce), b"AQIDBAUGBwgJCgsMDQ4PEA==");
/// ```
#[must_use]
pub fn encode(nonce: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    base64(&nonce, &mut key);
    key
}

/// The `Sec-WebSocket-Accept` that answers this `Sec-WebSocket-Key`, hashed as it was sent.
///
/// ```
/// use bowsprit::handshake::key;
///
/// assert_eq!(&key::accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept(key: &[u8]) -> [u8; 28] {
    let mut accept = [0; 28];
    // RFC 6455 section 4.2.2: the key and this GUID, concatenated.
    let digest = Sha1::new().chain_update(key).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    base64(&digest, &mut accept);
    accept
}

/// Whether a received key is base64 of 16 bytes.
///
/// Non-zero pad bits are accepted: the example that RFC 6455 printed before erratum 3150 has them.
///
/// ```
/// use bowsprit::handshake::key;
///
/// assert!(key::is_valid(b"AQIDBAUGBwgJCgsMDQ4PEC=="));
/// assert!(!key::is_valid(b"AQIDBAUGBwgJCgsMDQ4PEA"));
/// ```
#[must_use]
pub fn is_valid(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    // 24 characters are 16, 17 or 18 bytes, by their padding.
    key.len() == 24 && ENGINE.decode_slice(key, &mut nonce) == Ok(16)
}

/// Base64 of any bytes.
pub(super) fn base64_text(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len().div_ceil(3) * 4];
    base64(bytes, &mut text);
    text.into_iter().map(char::from).collect()
}

/// `text` holds exactly as many bytes as `bytes` takes in base64.
fn base64(bytes: &[u8], text: &mut [u8]) {
    let encoded = ENGINE.encode_slice(bytes, text);
    debug_assert_eq!(encoded, Ok(text.len()));
}

const ENGINE: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
