//! [`Socks5`]: a tunnel through a SOCKS5 proxy (RFC 1928), without login or with user name and password (RFC 1929).
//!
//! ```text
//!  client                                        proxy
//!  05 n methods             ──────────────────>
//!                           <──────────────────  05 method
//!  01 len user len password ──────────────────>                       method 02 alone
//!                           <──────────────────  01 status
//!  05 01 00 type host port  ──────────────────>
//!                           <──────────────────  05 reply 00 type address port
//! ```

use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf as _, BufMut as _, BytesMut};

use super::proxy::Proxy;
use super::proxy_error::{ProxyError, SocksError};
use crate::proto::handshake::Uri;
use crate::proto::handshake::credentials::Credentials;

/// The client's side of SOCKS5.
///
/// [`Tunnel`](super::Tunnel) drives it over a transport.
///
/// ```
/// use bowsprit::dial::Socks5;
/// use bytes::BytesMut;
///
/// let (server, proxy) = ("ws://example.com/chat".parse()?, "socks5h://proxy.example".parse()?);
/// let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
/// let mut socks = Socks5::start(&server, None, &proxy, &mut output);
/// assert_eq!(output.split(), b"\x05\x01\x00"[..]);
///
/// input.extend_from_slice(b"\x05\x00");
/// assert!(!socks.receive(&mut input, &mut output)?);
/// assert_eq!(output.split(), b"\x05\x01\x00\x03\x0bexample.com\x00\x50"[..]);
///
/// input.extend_from_slice(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00");
/// assert!(socks.receive(&mut input, &mut output)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Socks5 {
    host: Host,
    port: u16,
    credentials: Option<Credentials>,
    awaits: Awaits,
}

#[derive(Debug)]
enum Host {
    /// At most 255 bytes, as every host of a [`Uri`].
    Name(String),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug)]
enum Awaits {
    Method,
    Login,
    Reply,
}

impl Socks5 {
    /// Appends the first message. The proxy connects to `address`, or, if there is none, to the host of `server`.
    #[must_use]
    pub fn start(server: &Uri, address: Option<SocketAddr>, proxy: &Proxy, output: &mut BytesMut) -> Self {
        let parsed = server.host().parse().map_or_else(|_| Host::Name(server.host().into()), Host::Address);
        let (host, port) = match address {
            Some(address) => (Host::Address(address.ip()), address.port()),
            None => (parsed, server.port()),
        };
        let credentials = proxy.credentials().cloned();
        output.put_slice(if credentials.is_some() {
            &[VERSION, 2, NO_LOGIN, PASSWORD]
        } else {
            &[VERSION, 1, NO_LOGIN]
        });
        Self { host, port, credentials, awaits: Awaits::Method }
    }

    /// Takes the proxy's next messages out of `input` and appends the answers to `output`. Returns whether the tunnel is
    /// open; what follows then stays in `input`. Do not call it again after that or after an error.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Socks`] with what the proxy refused, or the rule that it broke.
    pub fn receive(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<bool, ProxyError> {
        self.step(input, output).map_err(ProxyError::Socks)
    }

    fn step(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<bool, SocksError> {
        loop {
            let version = if matches!(self.awaits, Awaits::Login) { LOGIN_VERSION } else { VERSION };
            match input.first() {
                Some(&first) if first != version => return Err(SocksError::Version(first)),
                _ => {}
            }
            // Judged as soon as it is there: a proxy that refuses may end without the rest of its message.
            let Some(&code) = input.get(1) else { return Ok(false) };
            match self.awaits {
                Awaits::Method => {
                    self.awaits = self.answer_method(code, output)?;
                    input.advance(2);
                }
                Awaits::Login if code != 0 => return Err(SocksError::Login(code)),
                Awaits::Login => {
                    self.awaits = self.request(output);
                    input.advance(2);
                }
                Awaits::Reply if code != 0 => return Err(SocksError::Reply(code)),
                Awaits::Reply => {
                    let Some(len) = reply_len(input)?.filter(|&len| len <= input.len()) else { return Ok(false) };
                    input.advance(len);
                    return Ok(true);
                }
            }
        }
    }

    fn answer_method(&self, method: u8, output: &mut BytesMut) -> Result<Awaits, SocksError> {
        match (method, &self.credentials) {
            (NO_LOGIN, _) => Ok(self.request(output)),
            (PASSWORD, Some(credentials)) => {
                output.put_u8(LOGIN_VERSION);
                put_short(credentials.user(), output);
                put_short(credentials.password(), output);
                Ok(Awaits::Login)
            }
            (NO_METHOD, credentials) => Err(SocksError::NoMethod { offered_login: credentials.is_some() }),
            _ => Err(SocksError::Method(method)),
        }
    }

    fn request(&self, output: &mut BytesMut) -> Awaits {
        const CONNECT: u8 = 1;
        output.put_slice(&[VERSION, CONNECT, 0]);
        match &self.host {
            Host::Address(IpAddr::V4(address)) => {
                output.put_u8(IPV4);
                output.put_slice(&address.octets());
            }
            Host::Name(name) => {
                output.put_u8(NAME);
                put_short(name.as_bytes(), output);
            }
            Host::Address(IpAddr::V6(address)) => {
                output.put_u8(IPV6);
                output.put_slice(&address.octets());
            }
        }
        output.put_u16(self.port);
        Awaits::Reply
    }
}

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;

// RFC 1928 section 3: methods.
const NO_LOGIN: u8 = 0x00;
const PASSWORD: u8 = 0x02;
const NO_METHOD: u8 = 0xff;

// RFC 1928 section 5: types of addresses.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The length of the reply (RFC 1928 section 6), once it is known.
fn reply_len(input: &[u8]) -> Result<Option<usize>, SocksError> {
    // Version, reply, reserved, type; the address; the port. What is reserved is not judged.
    const HEAD: usize = 4;
    const PORT: usize = 2;
    let address = match input.get(HEAD - 1) {
        None => return Ok(None),
        Some(&IPV4) => size_of::<Ipv4Addr>(),
        Some(&IPV6) => size_of::<Ipv6Addr>(),
        Some(&NAME) => match input.get(HEAD) {
            None => return Ok(None),
            Some(&len) => 1 + usize::from(len),
        },
        Some(&other) => return Err(SocksError::AddressType(other)),
    };
    Ok(Some(HEAD + address + PORT))
}

/// A text of at most 255 bytes, behind its length: `Proxy` and `Uri` hold no longer one.
fn put_short(text: &[u8], output: &mut BytesMut) {
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    output.put_u8(len);
    output.put_slice(&text[..usize::from(len)]);
}
