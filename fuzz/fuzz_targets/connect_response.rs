//! The client's side of CONNECT: any response of a proxy, in any cut, with the body of a refusal.
//!
//! A seed is [`Setup`], 14 bytes, and behind it what the proxy sends.

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use bowsprit::Config;
use bowsprit::dial::{HttpConnect, ProxyError, Tunnel};
use bowsprit::driver::{Drive as _, Step};
use bowsprit::handshake::ClientResponse;
use bowsprit_fuzz::cuts::Cuts;
use bowsprit_fuzz::{head, tunnel};
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setup: Setup,
    wire: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Setup {
    max_head: u16,
    max_head_fields: u16,
    cuts: Cuts,
    max_body: u8,
    ends: bool,
}

fuzz_target!(|input: Input<'_>| {
    let Input { setup, wire } = input;
    let (result, behind) = setup.receive(Cuts::NONE, wire);
    for cuts in [setup.cuts, Cuts::EVERYWHERE] {
        assert_eq!(setup.receive(cuts, wire), (result.clone(), behind), "{cuts:?}");
    }
    match &result {
        Ok(true) => assert!(behind <= wire.len() && head::is_whole(&wire[..wire.len() - behind])),
        Ok(false) => {
            let rest = &wire[wire.len() - behind..];
            assert!(wire.len() <= setup.max_head.into() && !head::is_whole(rest), "no result is overdue");
        }
        Err(ProxyError::Refused(response)) => setup.check(response),
        Err(error) => assert!(matches!(error, ProxyError::Head(_)), "{error}"),
    }
    setup.drive(wire, result.is_ok_and(|open| open).then_some(behind));
});

impl Setup {
    fn config(&self) -> Arc<Config> {
        Arc::new(Config {
            max_head: self.max_head.into(),
            max_head_fields: self.max_head_fields.into(),
            ..Config::default()
        })
    }

    /// What the handshake makes of `wire`, and how many bytes of it stay behind what was read.
    fn receive(&self, cuts: Cuts, wire: &[u8]) -> (Result<bool, ProxyError>, usize) {
        let (server, proxy) = tunnel::peers("http://me:secret@proxy.example");
        let mut output = BytesMut::new();
        let mut connect = HttpConnect::start(&server, &proxy, self.config(), Duration::ZERO, &mut output);

        let (mut input, mut start) = (BytesMut::new(), 0);
        let mut refused: Option<Box<ClientResponse>> = None;
        for end in cuts.ends(wire.len()) {
            input.extend_from_slice(&wire[start..end]);
            start = end;
            let (arrived, behind) = (input.len(), wire.len() - end);
            if refused.is_none() {
                match connect.receive(&mut input) {
                    Ok(false) => {}
                    Err(ProxyError::Refused(response)) => refused = Some(response),
                    result => return (result, input.len() + behind),
                }
            }
            let done = refused.as_mut().is_some_and(|response| response.receive_body(&mut input, self.max_body.into()));
            assert!(input.len() <= arrived, "the input never grows");
            if done {
                return (refused.map(ProxyError::Refused).map_or(Ok(false), Err), input.len() + behind);
            }
        }
        (refused.map(ProxyError::Refused).map_or(Ok(false), Err), input.len())
    }

    fn check(&self, response: &ClientResponse) {
        assert!(matches!(response.status(), 101 | 300..=999));
        assert!(response.body().len() <= self.max_body.into());
        assert!(response.headers().len() <= self.max_head_fields.into());
        for (name, value) in response.headers().iter() {
            assert!(!name.is_empty() && !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        }
    }

    /// The same over a transport. `open`: how many bytes stand behind an agreement.
    fn drive(&self, wire: &[u8], open: Option<usize>) {
        let (server, proxy) = tunnel::peers("http://me:secret@proxy.example");
        let mut tunnel = Tunnel::new(&server, None, &proxy, self.config(), Duration::ZERO);
        let (step, unread) = tunnel::drive(&mut tunnel, wire, self.cuts, self.ends);
        match step {
            Step::Ready => assert_eq!(open, Some(unread), "what stands behind an agreement is not read"),
            Step::Closed => {
                let error = tunnel.result().expect_err("it is closed");
                assert!(open.is_none_or(|behind| behind > 0 && error == ProxyError::EarlyBytes), "{error}");
                assert!(error.to_string().len() < 2_000 && !error.to_string().contains(['\r', '\n', '\0']));
            }
            _ => assert!(tunnel.poll_timeout().is_some() && !self.ends, "it waits under a deadline"),
        }
    }
}
