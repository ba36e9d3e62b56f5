//! [`HttpConnect`]: a tunnel through an HTTP proxy (RFC 9110 section 9.3.6).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use bytes::{BufMut as _, BytesMut};

use super::proxy::Proxy;
use super::proxy_error::ProxyError;
use crate::proto::config::Config;
use crate::proto::handshake::head::HeadReader;
use crate::proto::handshake::{ClientResponse, Uri};

/// The client's side of `CONNECT`: writes the request, and reads the head of the response.
///
/// [`Tunnel`](super::Tunnel) drives it over a transport.
///
/// ```
/// use core::time::Duration;
///
/// use bowsprit::dial::HttpConnect;
/// use bytes::BytesMut;
///
/// let (server, proxy) = ("wss://example.com/chat".parse()?, "http://me:secret@proxy.example:3128".parse()?);
/// let mut output = BytesMut::new();
/// let mut connect = HttpConnect::start(&server, &proxy, Default::default(), Duration::ZERO, &mut output);
/// assert_eq!(output, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\
///     Proxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n");
///
/// let mut input = BytesMut::from("HTTP/1.1 200 Connection established\r\n");
/// assert!(!connect.receive(&mut input)?);
/// input.extend_from_slice(b"\r\n");
/// assert!(connect.receive(&mut input)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HttpConnect {
    reader: HeadReader,
}

impl HttpConnect {
    /// Appends the request for a tunnel to the host of `server`. The response's head is bounded by
    /// [`Config::max_head`] and [`Config::max_head_fields`].
    #[must_use]
    pub fn start(server: &Uri, proxy: &Proxy, config: Arc<Config>, now: Duration, output: &mut BytesMut) -> Self {
        let authority = server.authority();
        for part in ["CONNECT ", &authority, " HTTP/1.1\r\nHost: ", &authority, "\r\n"] {
            output.put_slice(part.as_bytes());
        }
        if let Some(credentials) = proxy.credentials() {
            for part in ["Proxy-Authorization: ", &credentials.basic(), "\r\n"] {
                output.put_slice(part.as_bytes());
            }
        }
        output.put_slice(b"\r\n");
        Self { reader: HeadReader::new(config, now) }
    }

    /// Takes the head of the response out of `input`: whether it is complete, and the tunnel open. What follows the head
    /// stays in `input`.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Refused`] with the response when its status is not 2xx:
    /// [`ClientResponse::receive_body`] reads its body. [`ProxyError::Head`] when it cannot be read.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<bool, ProxyError> {
        while let Some(head) = self.reader.response(input).map_err(ProxyError::Head)? {
            match head.status {
                // RFC 9110 section 15.2: interim responses may be ignored.
                100 | 102..=199 => {}
                // RFC 9110 section 9.3.6: any 2xx switches to the tunnel, and a length in its head means nothing.
                200..=299 => return Ok(true),
                _ => return Err(ProxyError::Refused(Box::new(ClientResponse::refusal(head)))),
            }
        }
        Ok(false)
    }
}
