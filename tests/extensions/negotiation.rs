//! What is offered, answered and agreed on.

use std::sync::Arc;

use bowsprit::extension::{Element, Extension, Negotiated, Param};
use bowsprit::handshake::{AcceptOptions, ResponseError};
use bowsprit::{HandshakeError, Rsv};

use crate::frames::{Claims, Split, Tag, Turn};
use crate::support::{agrees, answers, answers_with, offers, with};
use crate::xor::Xor;

fn names(config: &bowsprit::Config, answered: &[&str]) -> Result<Vec<String>, HandshakeError> {
    agrees(config, answered).map(|agreement| agreement.names().map(str::to_owned).collect())
}

#[test]
fn a_client_offers_each_in_its_order() {
    assert_eq!(offers(&with(vec![])), "");
    assert_eq!(offers(&with(vec![Arc::new(Xor(32))])), "x-xor; key=32");
    let all = with(vec![Arc::new(Split), Arc::new(Turn), Arc::new(Xor(7))]);
    assert_eq!(offers(&all), "x-split; max=4, x-split; max=1, x-turn, x-xor; key=7");
}

#[test]
fn of_one_name_the_first_counts() {
    let config = with(vec![Arc::new(Xor(1)), Arc::new(Xor(2))]);
    assert_eq!(offers(&config), "x-xor; key=1");
    assert_eq!(answers(&config, "x-xor; key=9").0, "x-xor; key=9");
    assert_eq!(names(&config, &["x-xor; key=2"]), Err(HandshakeError::Response(ResponseError::Extensions)));
}

#[test]
fn a_server_answers_what_it_can_accept() {
    let config = with(vec![Arc::new(Xor(0)), Arc::new(Turn)]);
    for (offered, answered) in [
        ("x-xor; key=5", "x-xor; key=5"),
        ("x-xor; key=\"5\"", "x-xor; key=5"),
        ("x-xor", ""),
        ("x-xor; key=300", ""),
        ("x-xor; key=300, x-other, x-xor; key=6, x-xor; key=7", "x-xor; key=6"),
        ("X-Xor; key=5", ""),
        ("x-turn; fast, x-turn", "x-turn"),
        ("x-turn; fast", ""),
    ] {
        assert_eq!(answers(&config, offered).0, answered, "{offered}");
    }
    // RFC 6455 section 9.1: what was not asked for is not answered.
    assert_eq!(answers(&config, "x-other").0, "");
}

#[test]
fn a_server_keeps_to_the_order_of_the_offers_but_messages_come_before_frames() {
    let config = with(vec![Arc::new(Xor(0)), Arc::new(Turn), Arc::new(Tag), Arc::new(Split)]);
    for (offered, answered) in [
        ("x-tag, x-turn", "x-tag, x-turn"),
        ("x-turn, x-tag", "x-turn, x-tag"),
        ("x-turn, x-xor; key=1, x-tag", "x-xor; key=1, x-turn, x-tag"),
        ("x-turn, x-split; max=9, x-xor; key=1", "x-split; max=9, x-xor; key=1, x-turn"),
    ] {
        let (answer, agreement) = answers(&config, offered);
        assert_eq!(answer, answered, "{offered}");
        let in_order = answered.split(", ").map(|element| element.split(';').next().unwrap());
        assert!(agreement.names().eq(in_order));
    }
}

#[test]
fn a_client_fails_on_what_was_not_offered_or_does_not_go_together() {
    let config = with(vec![Arc::new(Xor(5)), Arc::new(Turn), Arc::new(Split)]);
    assert_eq!(names(&config, &[]), Ok(vec![]));
    assert_eq!(names(&config, &["x-xor; key=5"]), Ok(vec!["x-xor".to_owned()]));
    // Each element in one line, or in a line of its own.
    let both = Ok(vec!["x-xor".to_owned(), "x-turn".to_owned()]);
    assert_eq!(names(&config, &["x-xor; key=5, x-turn"]), both);
    assert_eq!(names(&config, &["x-xor; key=5", "x-turn"]), both);
    // Only splitting has its place anywhere.
    assert!(names(&config, &["x-turn, x-split; max=1"]).is_ok());
    for answered in [
        "x-other",
        "x-xor; key=5, x-other",
        "x-xor",
        "x-xor; key=6",
        "x-xor; key=5, x-xor; key=5",
        "x-turn; fast",
        "x-turn, x-xor; key=5",
        "permessage-deflate",
    ] {
        assert_eq!(names(&config, &[answered]), Err(HandshakeError::Response(ResponseError::Extensions)), "{answered}");
    }
}

#[test]
fn no_two_claim_the_same_bit() {
    let config = with(vec![
        Arc::new(Claims("x-one", Rsv::RSV1)),
        Arc::new(Claims("x-two", Rsv::RSV1 | Rsv::RSV3)),
        Arc::new(Claims("x-three", Rsv::RSV2)),
    ]);
    assert_eq!(answers(&config, "x-one, x-two, x-three").0, "x-one, x-three");
    assert_eq!(answers(&config, "x-two, x-three, x-one").0, "x-two, x-three");
    assert_eq!(names(&config, &["x-one, x-two"]), Err(HandshakeError::Response(ResponseError::Extensions)));
    assert_eq!(names(&config, &["x-two, x-three, x-one"]), Err(HandshakeError::Response(ResponseError::Extensions)));
    assert_eq!(names(&config, &["x-two, x-three"]), Ok(vec!["x-two".to_owned(), "x-three".to_owned()]));
}

/// A name or a value that is no token.
#[derive(Debug)]
struct Malformed(&'static str, &'static str);

impl Extension for Malformed {
    fn name(&self) -> &str {
        self.0
    }

    fn offers(&self) -> Vec<Vec<Param<'static>>> {
        let param = |value: &'static str| vec![Param { name: "x", value: Some(value.into()) }];
        vec![param(self.1), param("right")]
    }

    fn accept(&self, _: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        Some((self.offers().swap_remove(0), Negotiated::identity()))
    }

    fn agree(&self, _: &[&Element<'_>]) -> Option<Negotiated> {
        Some(Negotiated::identity())
    }
}

#[test]
fn what_is_no_token_never_goes_out() {
    assert_eq!(offers(&with(vec![Arc::new(Malformed("x\r\ny", "a"))])), "");
    let config = with(vec![Arc::new(Malformed("x-bad", "a\r\nb: c"))]);
    assert_eq!(offers(&config), "x-bad; x=right");
    assert_eq!(answers(&config, "x-bad; x=right").0, "");
}

/// Named and offered by nobody: it is there for who asks for it.
#[derive(Debug)]
struct Silent;

impl Extension for Silent {
    fn name(&self) -> &str {
        "x-silent"
    }

    fn offers(&self) -> Vec<Vec<Param<'static>>> {
        Vec::new()
    }

    fn accept(&self, _: &[&Element<'_>]) -> Option<(Vec<Param<'static>>, Negotiated)> {
        Some((Vec::new(), Negotiated::identity()))
    }

    fn agree(&self, _: &[&Element<'_>]) -> Option<Negotiated> {
        Some(Negotiated::identity())
    }
}

#[test]
fn a_client_takes_no_answer_to_what_it_did_not_offer() {
    let config = with(vec![Arc::new(Silent)]);
    assert_eq!(offers(&config), "");
    assert_eq!(answers(&config, "x-silent").0, "x-silent");
    assert_eq!(names(&config, &["x-silent"]), Err(HandshakeError::Response(ResponseError::Extensions)));
}

#[test]
fn a_server_chooses_by_code_of_its_own() {
    let config = with(vec![Arc::new(Xor(0)), Arc::new(Turn)]);
    let offered = "x-turn, x-other, x-xor; key=1, x-xor; key=2, x-xor; key=3";
    let none = AcceptOptions::new().extensions(|_, _| false);
    assert_eq!(answers_with(&config, &none, offered).0, "");
    let second = AcceptOptions::new().extensions(|_, offer| offer.value("key") == Some("2"));
    assert_eq!(answers_with(&config, &second, offered).0, "x-xor; key=2");
    let here = AcceptOptions::new().extensions(|request, offer| {
        assert_ne!(offer.name, "x-other", "nobody could accept it");
        request.path() == "/chat"
    });
    assert_eq!(answers_with(&config, &here, offered).0, "x-xor; key=1, x-turn");
    assert_eq!(here, here.clone());
    assert_ne!(here, AcceptOptions::new());
}

#[test]
fn agreements_are_equal_if_they_come_from_the_same_handshake() {
    let config = with(vec![Arc::new(Xor(5))]);
    let agreement = agrees(&config, &["x-xor; key=5"]).unwrap();
    assert_eq!(agreement, agreement.clone());
    assert_ne!(agreement, agrees(&config, &["x-xor; key=5"]).unwrap());
    assert_eq!(config, config.clone());
    assert_ne!(config, with(vec![Arc::new(Xor(5))]));
}
