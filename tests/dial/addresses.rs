//! Happy eyeballs (RFC 8305): which address is tried when.

use std::net::SocketAddr;
use std::time::Duration;

use bowsprit::dial::{DialFailure, DialOptions, DialPeer, DialStep};
use bowsprit::driver::TransportError;

use crate::sim::{Attempted, Fate, START, at, connect, dial};

const V6: [&str; 3] = ["[2001:db8::1]:80", "[2001:db8::2]:80", "[2001:db8::3]:80"];
const V4: [&str; 3] = ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"];

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The attempts to `addresses`, in the resolver's order, in a network of this fate.
fn attempts(addresses: &[&str], fate: impl Fn(&str) -> Fate) -> (Vec<Attempted>, Option<Attempted>) {
    let mut dial = dial("ws://example.com/", DialOptions::default());
    assert_eq!(dial.poll(START), DialStep::Resolve { peer: DialPeer::Server, host: "example.com".into(), port: 80 });
    dial.resolved(addresses.iter().copied().map(socket));
    connect(&mut dial, fate)
}

fn order(addresses: &[&str]) -> Vec<String> {
    attempts(addresses, |_| Fate::Silent).0.into_iter().map(|(_, address)| address).collect()
}

#[test]
fn families_take_turns_beginning_with_that_of_the_first_address() {
    let [a, b, c] = V6;
    let [x, y, z] = V4;
    assert_eq!(order(&[a, b, c, x, y, z]), [a, x, b, y, c, z]);
    assert_eq!(order(&[x, y, z, a, b]), [x, a, y, b, z]);
    assert_eq!(order(&[x, a, b, c]), [x, a, b, c]);
    assert_eq!(order(&[a]), [a]);
    assert_eq!(order(&[x, y]), [x, y]);
}

#[test]
fn each_address_is_tried_once() {
    let [a, b, _] = V6;
    assert_eq!(order(&[a, a, b, a, b]), [a, b]);
}

#[test]
fn a_silent_address_is_given_250_ms_before_the_next_one_starts() {
    let (begun, won) = attempts(&[V6[0], V4[0], V6[1]], |address| match address {
        _ if address == V6[1] => Fate::Connects(20),
        _ => Fate::Silent,
    });
    assert_eq!(begun, [(0, V6[0].into()), (250, V4[0].into()), (500, V6[1].into())]);
    assert_eq!(won, Some((520, V6[1].into())));
}

#[test]
fn a_failure_starts_the_next_attempt_at_once() {
    let (begun, won) = attempts(&[V6[0], V4[0], V6[1]], |address| match address {
        _ if address == V6[0] => Fate::Fails(3),
        _ if address == V4[0] => Fate::Fails(0),
        _ => Fate::Connects(10),
    });
    assert_eq!(begun, [(0, V6[0].into()), (3, V4[0].into()), (3, V6[1].into())]);
    assert_eq!(won, Some((13, V6[1].into())));
}

#[test]
fn the_delay_counts_from_the_last_attempt() {
    let (begun, _) = attempts(&[V6[0], V4[0], V6[1], V4[1]], |address| match address {
        _ if address == V6[0] => Fate::Fails(100),
        _ => Fate::Silent,
    });
    assert_eq!(begun.iter().map(|(time, _)| *time).collect::<Vec<_>>(), [0, 100, 350, 600]);
}

#[test]
fn the_first_that_connects_wins_even_if_it_began_first() {
    let (begun, won) = attempts(&[V6[0], V4[0], V6[1]], |address| match address {
        _ if address == V6[0] => Fate::Connects(260),
        _ => Fate::Connects(15),
    });
    assert_eq!(begun.len(), 2);
    assert_eq!(won, Some((260, V6[0].into())));
}

#[test]
fn the_other_attempts_are_abandoned() {
    let mut dial = dial("ws://example.com/", DialOptions::default());
    dial.poll(START);
    dial.resolved([socket(V6[0]), socket(V4[0])]);
    let attempt = |step| match step {
        DialStep::Connect { attempt, .. } => attempt,
        step => panic!("{step:?}"),
    };
    let first = attempt(dial.poll(START));
    let second = attempt(dial.poll(at(250)));
    assert_ne!(first, second);
    assert!(dial.connected(second), "it wins");
    assert!(!dial.connected(first), "it is to be dropped");
    dial.connect_failed(first, TransportError::Failed);
    assert!(!dial.connected(second), "it has won already");
    assert_eq!(dial.poll(at(260)), DialStep::Upgrade);
}

#[test]
fn when_all_have_failed_each_failure_is_named() {
    let mut dial = dial("ws://example.com/", DialOptions::default());
    dial.poll(START);
    dial.resolved([socket(V6[0]), socket(V4[0])]);
    let (_, won) = connect(&mut dial, |address| if address == V4[0] { Fate::Fails(1) } else { Fate::Fails(300) });
    assert_eq!(won, None);
    let DialStep::Failed(error) = dial.poll(at(300)) else { panic!("it has failed") };
    let DialFailure::Connect(attempts) = error.failure() else { panic!("{error:?}") };
    assert_eq!(attempts.iter().map(|it| it.address.to_string()).collect::<Vec<_>>(), [V4[0], V6[0]]);
    assert!(attempts.iter().all(|it| it.error == Some(TransportError::Failed)));
    assert_eq!(
        error.to_string(),
        "cannot connect to example.com:80: 192.0.2.1:80: the transport failed; [2001:db8::1]:80: the transport failed"
    );
}

#[test]
fn the_deadline_names_the_attempts_that_were_going_on() {
    let mut dial = dial("ws://example.com/", DialOptions::default());
    dial.poll(START);
    dial.resolved([socket(V6[0]), socket(V4[0])]);
    let (_, won) = connect(&mut dial, |address| if address == V4[0] { Fate::Fails(1) } else { Fate::Silent });
    assert_eq!(won, None);
    assert!(matches!(dial.poll(at(10_000)), DialStep::Failed(error) if error.to_string() == "cannot connect to \
        example.com:80: not complete after 10s (192.0.2.1:80: the transport failed; [2001:db8::1]:80: no answer)"));
}

#[test]
fn the_delay_can_be_set_but_is_never_below_10_ms() {
    for (delay, second) in [(400, 400), (10, 10), (0, 10)] {
        let options = DialOptions { attempt_delay: Duration::from_millis(delay), ..DialOptions::default() };
        let mut dial = dial("ws://example.com/", options);
        dial.poll(START);
        dial.resolved([socket(V6[0]), socket(V4[0])]);
        let (begun, _) = connect(&mut dial, |_| Fate::Silent);
        assert_eq!(begun, [(0, V6[0].into()), (second, V4[0].into())]);
    }
}

#[test]
fn of_a_thousand_addresses_64_are_tried() {
    let mut dial = dial("ws://example.com/", DialOptions::default());
    dial.poll(START);
    dial.resolved((0..1_000_u16).map(|n| ([10, 0, (n >> 8) as u8, (n & 0xff) as u8], 80).into()));
    let (begun, _) = connect(&mut dial, |_| Fate::Fails(0));
    assert_eq!(begun.len(), 64);
}

#[test]
fn a_name_without_addresses_is_an_error() {
    let mut dial = dial("ws://example.com/", DialOptions::default());
    dial.poll(START);
    dial.resolved([]);
    assert!(matches!(dial.poll(START), DialStep::Failed(error)
        if error.to_string() == "cannot find the host of example.com:80: the name has no addresses"));
}

#[test]
fn fixed_addresses_take_the_place_of_the_resolver() {
    let options = DialOptions {
        addresses: vec![("Example.COM".into(), vec![socket("192.0.2.7:0"), socket("[2001:db8::7]:9001")])],
        ..DialOptions::default()
    };
    let mut machine = dial("wss://example.com/", options.clone());
    let (begun, _) = connect(&mut machine, |_| Fate::Silent);
    assert_eq!(begun, [(0, "192.0.2.7:443".into()), (250, "[2001:db8::7]:9001".into())]);
    let mut machine = dial("wss://example.org/", options);
    assert!(matches!(machine.poll(START), DialStep::Resolve { host, port: 443, .. } if host == "example.org"));
}

#[test]
fn an_address_in_place_of_a_name_needs_no_resolver() {
    for (uri, address) in [
        ("ws://192.0.2.1/", "192.0.2.1:80"),
        ("wss://[2001:db8::1]:9001/", "[2001:db8::1]:9001"),
        ("ws://[fe80::1%253]/", "[fe80::1%3]:80"),
    ] {
        let (begun, _) = connect(&mut dial(uri, DialOptions::default()), |_| Fate::Silent);
        assert_eq!(begun, [(0, address.into())], "{uri}");
    }
}

#[test]
fn a_zone_that_is_a_name_is_for_the_resolver() {
    let mut dial = dial("ws://[fe80::1%25eth0]:9001/", DialOptions::default());
    assert_eq!(dial.poll(START), DialStep::Resolve { peer: DialPeer::Server, host: "fe80::1%eth0".into(), port: 9001 });
}

#[cfg(feature = "idna")]
#[test]
fn hosts_in_unicode_become_punycode() {
    use bowsprit::handshake::{Uri, UriError};

    for (text, host) in [
        ("ws://bücher.example/", "xn--bcher-kva.example"),
        ("ws://BÜCHER.example:81/", "xn--bcher-kva.example"),
        ("ws://日本語。jp/", "xn--wgv71a119e.jp"),
        ("ws://faß.example/", "xn--fa-hia.example"),
    ] {
        let uri: Uri = text.parse().unwrap();
        assert_eq!(uri.host(), host);
        assert!(uri.host_field().starts_with(host));
    }
    // What would become another URI: a full-width slash, at sign and number sign; and what no name may hold.
    for text in ["ws://a\u{ff0f}b/", "ws://a\u{ff20}b/", "ws://a\u{ff03}b/", "ws://\u{200d}/", "ws://ü b/"] {
        assert_eq!(text.parse::<Uri>(), Err(UriError::Host), "{text}");
    }
}
