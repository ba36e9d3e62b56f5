//! The client's side of the opening handshake: any response, in any cut, with the body of a refusal.
//!
//! A seed is [`Setup`], 15 bytes, and behind it what the server sends to a client whose nonce is "the sample nonce".

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use bowsprit::handshake::{ClientHandshake, ClientRequest, ClientResponse};
use bowsprit::{Config, HandshakeError};
use bowsprit_fuzz::cuts::Cuts;
use bowsprit_fuzz::head;
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
    /// Whether the client offers `chat`, and whether it requires that the server agrees.
    offers: bool,
    requires: bool,
    max_body: u8,
}

fuzz_target!(|input: Input<'_>| {
    let Input { setup, wire } = input;
    let (result, behind) = setup.receive(Cuts::NONE, wire);
    for cuts in [setup.cuts, Cuts::EVERYWHERE] {
        assert_eq!(setup.receive(cuts, wire), (result.clone(), behind), "{cuts:?}");
    }
    match result {
        Ok(Some(response)) => {
            assert_eq!((response.status(), response.body()), (101, &b""[..]));
            assert!(matches!(response.subprotocol(), None | Some("chat")));
            assert!(response.subprotocol().is_none() || setup.offers);
            assert!(response.subprotocol().is_some() || !(setup.offers && setup.requires));
            let accept = response.headers().get("Sec-WebSocket-Accept");
            assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            setup.check(&response, wire, behind);
        }
        Err(HandshakeError::Refused(response)) => {
            assert!(matches!(response.status(), 200..=999));
            assert!(response.body().len() <= setup.max_body.into());
            setup.check(&response, wire, behind);
        }
        Ok(None) => {
            let rest = &wire[wire.len() - behind..];
            assert!(wire.len() <= setup.max_head.into() && !head::is_whole(rest), "no result is overdue");
        }
        Err(error) => assert_eq!(error.status().filter(|&status| status == 500), None, "it is not our fault: {error}"),
    }
});

impl Setup {
    /// What the handshake makes of `wire`, and how many bytes of it stay behind what was read.
    fn receive(&self, cuts: Cuts, wire: &[u8]) -> (Result<Option<ClientResponse>, HandshakeError>, usize) {
        let config = Arc::new(Config {
            max_head: self.max_head.into(),
            max_head_fields: self.max_head_fields.into(),
            ..Config::default()
        });
        let mut request = ClientRequest::try_from("ws://server.example.com/chat").expect("it is a URI");
        if self.offers {
            request = request.subprotocol("chat").expect("it is a token");
        }
        let request = request.require_subprotocol(self.requires);
        let mut output = BytesMut::new();
        let mut handshake = ClientHandshake::start(&request, *b"the sample nonce", config, Duration::ZERO, &mut output);

        let (mut input, mut start) = (BytesMut::new(), 0);
        let mut refused: Option<Box<ClientResponse>> = None;
        for end in cuts.ends(wire.len()) {
            input.extend_from_slice(&wire[start..end]);
            start = end;
            let (arrived, behind) = (input.len(), wire.len() - end);
            if refused.is_none() {
                match handshake.receive(&mut input) {
                    Ok(None) => {}
                    Err(HandshakeError::Refused(response)) => refused = Some(response),
                    result => return (result, input.len() + behind),
                }
            }
            let done = refused.as_mut().is_some_and(|response| response.receive_body(&mut input, self.max_body.into()));
            assert!(input.len() <= arrived, "the input never grows");
            if done {
                return (refused.map(HandshakeError::Refused).map_or(Ok(None), Err), input.len() + behind);
            }
        }
        (refused.map(HandshakeError::Refused).map_or(Ok(None), Err), input.len())
    }

    fn check(&self, response: &ClientResponse, wire: &[u8], behind: usize) {
        assert!(behind <= wire.len() && response.headers().len() <= self.max_head_fields.into());
        for (name, value) in response.headers().iter() {
            assert!(!name.is_empty() && !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        }
        assert!(response.versions().count() <= wire.len());
    }
}
