//! The client's side of SOCKS5: any replies of a proxy, in any cut.
//!
//! A seed is [`Setup`], 10 bytes, and behind it what the proxy sends.

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use bowsprit::Config;
use bowsprit::dial::{ProxyError, Socks5, SocksError, Tunnel};
use bowsprit::driver::{Drive as _, Step};
use bowsprit_fuzz::cuts::Cuts;
use bowsprit_fuzz::tunnel;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setup: Setup,
    wire: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Setup {
    cuts: Cuts,
    login: bool,
    ends: bool,
}

fuzz_target!(|input: Input<'_>| {
    let Input { setup, wire } = input;
    let whole = setup.receive(Cuts::NONE, wire);
    for cuts in [setup.cuts, Cuts::EVERYWHERE] {
        assert_eq!(setup.receive(cuts, wire), whole, "{cuts:?}");
    }
    let (result, behind, output) = whole;
    assert_eq!(result, setup.reference(wire, wire.len() - behind));

    // What is sent: the methods, perhaps the login, and the request, each at most once.
    let login = b"\x01\x02me\x06secret";
    let request = b"\x05\x01\x00\x03\x0bexample.com\x00\x50";
    let methods: &[u8] = if setup.login { b"\x05\x02\x00\x02" } else { b"\x05\x01\x00" };
    let rest = output.strip_prefix(methods).expect("the methods come first");
    let rest = rest.strip_prefix(login).filter(|_| setup.login).unwrap_or(rest);
    assert!(rest.is_empty() || rest == request, "{rest:?}");
    assert!(result != Ok(true) || rest == request);

    let (server, proxy) = tunnel::peers(setup.proxy());
    let mut machine = Tunnel::new(&server, None, &proxy, Arc::new(Config::default()), Duration::ZERO);
    let (step, unread) = tunnel::drive(&mut machine, wire, setup.cuts, setup.ends);
    match step {
        Step::Ready => assert!(result == Ok(true) && unread == behind),
        Step::Closed => {
            let error = machine.result().expect_err("it is closed");
            assert!(result != Ok(true) || behind > 0 && error == ProxyError::EarlyBytes, "{error}");
            assert!(!error.to_string().is_empty());
        }
        _ => assert!(machine.poll_timeout().is_some() && result == Ok(false) && !setup.ends),
    }
});

impl Setup {
    const fn proxy(&self) -> &'static str {
        if self.login { "socks5h://me:secret@proxy.example" } else { "socks5h://proxy.example" }
    }

    /// What the handshake makes of `wire`, how many bytes of it stay, and what it sends.
    fn receive(&self, cuts: Cuts, wire: &[u8]) -> (Result<bool, ProxyError>, usize, Vec<u8>) {
        let (server, proxy) = tunnel::peers(self.proxy());
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let mut socks = Socks5::start(&server, None, &proxy, &mut output);
        let (mut start, mut received) = (0, 0);
        for end in cuts.ends(wire.len()) {
            input.extend_from_slice(&wire[start..end]);
            start = end;
            let result = socks.receive(&mut input, &mut output);
            received = end;
            if result != Ok(false) {
                // An error leaves what it judged: how much of the rest has arrived depends on the cut.
                let behind = if result.is_ok() { input.len() + wire.len() - received } else { 0 };
                return (result, behind, output.to_vec());
            }
        }
        (Ok(false), input.len() + wire.len() - received, output.to_vec())
    }

    /// The rules once more, over the whole input. `read`: how many bytes an open tunnel has read.
    fn reference(&self, wire: &[u8], read: usize) -> Result<bool, ProxyError> {
        let error = |error| Err(ProxyError::Socks(error));
        let mut rest = wire;
        let mut stage = 0; // methods, login, reply
        loop {
            let version = if stage == 1 { 1 } else { 5 };
            let Some(&first) = rest.first() else { return Ok(false) };
            if first != version {
                return error(SocksError::Version(first));
            }
            let Some(&code) = rest.get(1) else { return Ok(false) };
            match (stage, code) {
                (0, 0) => stage = 2,
                (0, 2) if self.login => stage = 1,
                (0, 0xff) => return error(SocksError::NoMethod { offered_login: self.login }),
                (0, code) => return error(SocksError::Method(code)),
                (1, 0) => stage = 2,
                (1, code) => return error(SocksError::Login(code)),
                (_, 0) => break,
                (_, code) => return error(SocksError::Reply(code)),
            }
            rest = &rest[2..];
        }
        let len = match (rest.get(3), rest.get(4)) {
            (None, _) | (Some(3), None) => return Ok(false),
            (Some(1), _) => 10,
            (Some(4), _) => 22,
            (Some(3), Some(&len)) => 7 + usize::from(len),
            (Some(&other), _) => return error(SocksError::AddressType(other)),
        };
        if rest.len() >= len {
            assert_eq!(read, wire.len() - rest.len() + len, "the reply and nothing else is read");
        }
        Ok(rest.len() >= len)
    }
}
