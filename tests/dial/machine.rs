//! The machine: which steps lead to a server, and what it does with reports.

use std::sync::Arc;
use std::time::Duration;

use bowsprit::dial::{
    Dial, DialAddress, DialFailure, DialOptions, DialPeer, DialPhase, DialStep, ProxyChoice, ProxyError,
};
use bowsprit::driver::{Drive as _, OpeningError, TransportError};
use bowsprit::{Config, HandshakeError, Timeout};

use crate::sim::{START, Wire, agree, at, dial, drive, request, travel};

fn through(proxy: &str) -> DialOptions {
    DialOptions { proxy: ProxyChoice::Always(proxy.parse().expect("a proxy")), ..DialOptions::default() }
}

/// Proxies of either kind agree, and servers.
fn agreeable(message: &[u8]) -> Vec<u8> {
    match message {
        [5, 1, 0] => b"\x05\x00".to_vec(),
        [5, 1, 0, ..] => b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec(),
        _ if message.starts_with(b"CONNECT ") => b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        _ => agree(message),
    }
}

fn steps(uri: &str, options: DialOptions) -> Vec<String> {
    let trip = travel(&mut dial(uri, options), agreeable);
    assert_eq!(trip.result, Ok(()), "{uri}");
    trip.steps
}

#[test]
fn each_way_to_a_server_has_its_steps() {
    let [resolve, connect] = ["resolve h (the server)", "connect to 192.0.2.1:80 (the server)"];
    let [tls, upgrade] = ["establish TLS with h (the server)", "ask the server for the upgrade"];
    let [resolve_proxy, tunnel] = ["resolve p (the proxy)", "ask the proxy for a tunnel"];
    let connect_proxy = |port: u16| format!("connect to 192.0.2.1:{port} (the proxy)");
    assert_eq!(steps("ws://h/", DialOptions::default()), [resolve, connect, upgrade]);
    assert_eq!(steps("wss://h:80/", DialOptions::default()), [resolve, connect, tls, upgrade]);
    assert_eq!(steps("ws://h/", through("http://p")), [resolve_proxy, &connect_proxy(80), tunnel, upgrade]);
    assert_eq!(steps("wss://h/", through("socks5h://p")), [resolve_proxy, &connect_proxy(1080), tunnel, tls, upgrade]);
    assert_eq!(
        steps("wss://h/", through("https://p")),
        [resolve_proxy, &connect_proxy(443), "establish TLS with p (the proxy)", tunnel, tls, upgrade]
    );
    assert_eq!(
        steps("ws://h/", through("socks5://p")),
        [resolve, resolve_proxy, &connect_proxy(1080), tunnel, upgrade]
    );
}

#[test]
fn socks5_gives_the_proxy_the_first_address() {
    let mut dial = dial("ws://example.com/", through("socks5://192.0.2.8"));
    assert!(matches!(dial.poll(START), DialStep::Resolve { peer: DialPeer::Server, .. }));
    dial.resolved(["[2001:db8::1]:80", "192.0.2.1:80"].map(|address| address.parse().expect("an address")));
    let DialStep::Connect { attempt, .. } = dial.poll(START) else { panic!("no attempt") };
    assert!(dial.connected(attempt));
    assert_eq!(dial.poll(START), DialStep::Tunnel);
    let (mut tunnel, mut wire) = (dial.tunnel(), Wire::default());
    wire.reads.push_back(b"\x05\x00".to_vec());
    drive(&mut tunnel, &mut wire, START);
    let address = b"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50";
    assert_eq!(wire.written, [b"\x05\x01\x00\x05\x01\x00\x04", &address[..]].concat());
}

#[test]
fn socks5_gives_the_proxy_the_next_address_when_one_is_not_reachable() {
    let dial_with = |code: u8| {
        let mut dial = dial("wss://example.com/", through("socks5://p"));
        dial.poll(START);
        dial.resolved(
            ["[2001:db8::1]:443", "192.0.2.1:443", "192.0.2.2:443"].map(|it| it.parse().expect("an address")),
        );
        travel(&mut dial, |message| match message {
            [5, 1, 0] => b"\x05\x00".to_vec(),
            [5, 1, 0, 1, 192, 0, 2, 2, ..] => b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec(),
            [5, 1, 0, ..] => vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0],
            _ => agree(message),
        })
    };
    for code in [3, 4, 5, 6, 8] {
        let trip = dial_with(code);
        assert_eq!((trip.result, trip.to_proxies.len()), (Ok(()), 6), "{code}");
        assert_eq!(
            trip.steps[..4],
            [
                "resolve p (the proxy)",
                "connect to 192.0.2.1:1080 (the proxy)",
                "ask the proxy for a tunnel",
                "connect to 192.0.2.1:1080 (the proxy)",
            ]
        );
    }
    for code in [1, 2, 7, 9] {
        let trip = dial_with(code);
        assert_eq!(trip.to_proxies.len(), 2, "{code}");
        assert!(trip.result.is_err());
    }
}

#[test]
fn the_name_of_the_certificate_has_no_brackets_and_no_zone() {
    let all = steps("wss://[fe80::1%253]/", DialOptions::default());
    assert_eq!(all[1], "establish TLS with fe80::1 (the server)");
    let all = steps("ws://h/", through("https://[::1]:8443"));
    assert_eq!(all[..2], ["connect to [::1]:8443 (the proxy)", "establish TLS with ::1 (the proxy)"]);
}

#[test]
fn a_unix_socket_needs_neither_names_nor_a_proxy() {
    let options = DialOptions { unix_path: Some("/run/chat.sock".into()), ..through("http://p") };
    let mut machine = dial("ws://h/", options.clone());
    assert!(matches!(machine.poll(START), DialStep::Connect { address: DialAddress::Unix(path), .. }
        if path == "/run/chat.sock"));
    assert_eq!(
        steps("wss://h/", options),
        [
            "connect to \"/run/chat.sock\" (the server)",
            "establish TLS with h (the server)",
            "ask the server for the upgrade"
        ]
    );
}

#[test]
fn a_function_chooses_the_proxy_for_each_address() {
    let choose = |uri: &bowsprit::handshake::Uri| (uri.host() == "far").then(|| "http://p".parse().expect("a proxy"));
    let options = DialOptions { proxy: ProxyChoice::By(Arc::new(choose)), redirects: 1, ..DialOptions::default() };
    let mut machine = dial("ws://near/x", options);
    let trip = travel(&mut machine, |message| match message {
        _ if message.starts_with(b"GET /x") => {
            b"HTTP/1.1 302 x\r\nLocation: //far/y\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
        _ => agreeable(message),
    });
    assert_eq!(trip.result, Ok(()));
    assert_eq!(trip.to_proxies, ["CONNECT far:80 HTTP/1.1\r\nHost: far:80\r\n\r\n"]);
    assert_eq!((machine.proxy().map(|proxy| proxy.host()), machine.redirects()), (Some("p"), 1));
    assert_eq!(machine.request().uri().to_string(), "ws://far/y");
}

#[test]
fn without_tls_what_needs_it_is_an_error_before_anything_is_dialled() {
    for (uri, options, text) in [
        ("wss://h/", DialOptions::default(), "cannot establish TLS with h:443: this program was built without TLS"),
        (
            "ws://h/",
            through("https://p"),
            "cannot establish TLS with the proxy p:443: this program was built without TLS",
        ),
    ] {
        let trip = travel(&mut dial(uri, DialOptions { tls: false, ..options }), agreeable);
        assert!(trip.steps.is_empty());
        assert_eq!(trip.result.expect_err("no TLS").to_string(), text);
    }
    let options = DialOptions { tls: false, redirects: 1, ..DialOptions::default() };
    let trip = travel(&mut dial("ws://h/", options), |_| {
        b"HTTP/1.1 302 x\r\nLocation: wss://h/\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    assert!(matches!(trip.result, Err(error) if *error.failure() == DialFailure::TlsUnavailable));
}

#[test]
fn each_step_is_given_once_and_then_awaited() {
    let mut dial = dial("wss://h/", DialOptions::default());
    let wait = DialStep::Wait { until: Some(at(10_000)) };
    assert!(matches!(dial.poll(START), DialStep::Resolve { .. }));
    assert_eq!((dial.poll(START), dial.phase()), (wait.clone(), DialPhase::Resolve(DialPeer::Server)));
    dial.resolved([([192, 0, 2, 1], 443).into()]);
    let DialStep::Connect { attempt, .. } = dial.poll(START) else { panic!("no attempt") };
    assert_eq!((dial.poll(START), dial.phase()), (wait.clone(), DialPhase::Connect(DialPeer::Server)));
    assert!(dial.connected(attempt));
    assert!(matches!(dial.poll(START), DialStep::Tls { .. }));
    assert_eq!((dial.poll(START), dial.phase()), (wait.clone(), DialPhase::Tls(DialPeer::Server)));
    dial.tls_established();
    assert_eq!(dial.poll(START), DialStep::Upgrade);
    assert_eq!((dial.poll(START), dial.phase()), (wait, DialPhase::Upgrade));
}

#[test]
fn reports_that_nobody_waits_for_change_nothing() {
    let mut dial = dial("ws://h/", DialOptions::default());
    dial.resolved([([192, 0, 2, 9], 80).into()]); // before it was asked for
    dial.tls_established();
    dial.tls_failed(OpeningError::Transport(TransportError::Failed));
    dial.tunnel_finished(Ok(()));
    dial.tunnel_finished(Err(ProxyError::EarlyBytes));
    dial.upgrade_failed(OpeningError::Transport(TransportError::Failed));
    assert!(matches!(dial.poll(START), DialStep::Resolve { .. }));
    dial.tls_established();
    dial.resolved([([192, 0, 2, 1], 80).into()]);
    dial.resolved([([192, 0, 2, 2], 80).into()]);
    dial.resolve_failed("too late");
    assert!(matches!(dial.poll(START), DialStep::Connect { address: DialAddress::Tcp(address), .. }
        if address.to_string() == "192.0.2.1:80"));
}

#[test]
fn the_deadline_ends_each_phase_with_its_name() {
    let text = |dial: &mut Dial| match dial.poll(at(10_000)) {
        DialStep::Failed(error) => {
            assert!(matches!(error.failure(), DialFailure::Timeout { limit, .. } if *limit == Duration::from_secs(10)));
            error.to_string()
        }
        step => panic!("{step}"),
    };
    let mut dial = dial("wss://h/", through("https://p"));
    let mut texts = Vec::new();
    // A fresh machine is led to each phase in turn.
    for phase in 0..6 {
        dial = Dial::new(request("wss://h/"), through("https://p").into(), Arc::default(), START);
        let mut attempts = Vec::new();
        for _ in 0..phase {
            match dial.poll(START) {
                DialStep::Resolve { .. } => dial.resolved([([192, 0, 2, 1], 443).into()]),
                DialStep::Connect { attempt, .. } => {
                    attempts.push(attempt);
                    assert!(dial.connected(attempt));
                }
                DialStep::Tls { .. } => dial.tls_established(),
                DialStep::Tunnel => dial.tunnel_finished(Ok(())),
                step => panic!("{step}"),
            }
        }
        assert_ne!(dial.poll(at(9_999)), DialStep::Wait { until: None });
        texts.push(text(&mut dial));
    }
    assert_eq!(
        texts,
        [
            "cannot find the host of the proxy p:443: not complete after 10s",
            "cannot connect to the proxy p:443: not complete after 10s (192.0.2.1:443: no answer)",
            "cannot establish TLS with the proxy p:443: not complete after 10s",
            "cannot reach h:443 through the proxy p:443: not complete after 10s",
            "cannot establish TLS with h:443: not complete after 10s",
            "cannot open a WebSocket at h:443: not complete after 10s",
        ]
    );
    assert_eq!(dial.poll_timeout(), None);
    assert!(matches!(dial.poll(at(20_000)), DialStep::Failed(_)), "it stays failed");
}

#[test]
fn the_deadline_of_tunnel_and_upgrade_is_that_of_the_dial() {
    let mut dial = dial("ws://h/", through("http://192.0.2.1"));
    let DialStep::Connect { attempt, .. } = dial.poll(START) else { panic!("no attempt") };
    assert!(dial.connected(attempt));
    assert_eq!(dial.poll(at(4_000)), DialStep::Tunnel);
    assert_eq!(dial.tunnel().poll_timeout(), Some(at(10_000)));
    dial.tunnel_finished(Ok(()));
    assert_eq!(dial.poll(at(8_000)), DialStep::Upgrade);
    assert_eq!(dial.connecting([1; 16]).poll_timeout(), Some(at(10_000)));
    dial.upgrade_failed(OpeningError::Timeout(Timeout::Handshake, Duration::from_secs(10)));
    assert!(matches!(dial.poll(at(9_000)), DialStep::Failed(error)
        if matches!(error.failure(), DialFailure::Timeout { .. })));
}

#[test]
fn a_tunnel_that_runs_into_the_deadline_is_the_deadline_of_the_dial() {
    let mut dial = dial("ws://h/", through("http://192.0.2.1"));
    let DialStep::Connect { attempt, .. } = dial.poll(START) else { panic!("no attempt") };
    assert!(dial.connected(attempt));
    assert_eq!(dial.poll(START), DialStep::Tunnel);
    dial.tunnel_finished(Err(ProxyError::Timeout(Duration::from_secs(10))));
    let DialStep::Failed(error) = dial.poll(at(9_999)) else { panic!("it has failed") };
    assert_eq!(*error.failure(), DialFailure::Timeout { limit: Duration::from_secs(10), attempts: vec![] });
}

#[test]
fn without_a_deadline_it_waits_for_ever() {
    let config = Config { handshake_timeout: None, ..Config::default() };
    let mut dial = Dial::new(request("ws://h/"), Arc::default(), config.into(), START);
    assert!(matches!(dial.poll(START), DialStep::Resolve { .. }));
    assert_eq!(dial.poll(Duration::MAX), DialStep::Wait { until: None });
    assert_eq!(dial.poll_timeout(), None);
}

#[test]
fn a_deadline_of_zero_dials_nothing() {
    let config = Config { handshake_timeout: Some(Duration::ZERO), ..Config::default() };
    let mut dial = Dial::new(request("ws://h/"), Arc::default(), config.into(), START);
    assert!(matches!(dial.poll(START), DialStep::Failed(_)));
}

#[test]
fn the_same_reports_give_the_same_steps() {
    let run = || steps("wss://h/", through("https://p"));
    assert_eq!(run(), run());
}

#[test]
fn a_failure_is_named_with_its_phase_and_peer() {
    let mut machine = dial("wss://h/", through("https://p"));
    machine.poll(START);
    machine.resolve_failed("Name or service not known");
    let DialStep::Failed(error) = machine.poll(START) else { panic!("it has failed") };
    assert_eq!((error.phase(), error.peer()), (DialPhase::Resolve(DialPeer::Proxy), "the proxy p:443"));
    assert_eq!(error.uri().to_string(), "wss://h/");
    assert_eq!(*error.failure(), DialFailure::Resolve("Name or service not known".into()));
    assert_eq!(error.clone().into_failure(), *error.failure());
    assert_eq!(error.to_string(), "cannot find the host of the proxy p:443: Name or service not known");

    let mut machine = dial("wss://192.0.2.1/", DialOptions::default());
    let DialStep::Connect { attempt, .. } = machine.poll(START) else { panic!("no attempt") };
    assert!(machine.connected(attempt));
    machine.poll(START);
    machine.tls_failed(OpeningError::Handshake(HandshakeError::TlsUnavailable));
    let DialStep::Failed(error) = machine.poll(START) else { panic!("it has failed") };
    assert_eq!(error.phase(), DialPhase::Tls(DialPeer::Server));
    assert!(matches!(error.failure(), DialFailure::Opening(OpeningError::Handshake(HandshakeError::TlsUnavailable))));
}

/// Whatever is reported, and whenever: the machine never spins, waits for nothing that is past, and stays within its bounds.
#[test]
fn any_reports_in_any_order_are_survived() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (mut upgraded, mut failed) = (0, 0);
    for round in 0..2_000 {
        let scheme = ["http", "https", "socks5", "socks5h"][round % 4];
        let options = if round % 5 == 0 { DialOptions::default() } else { through(&format!("{scheme}://p")) };
        let mut dial = dial(["ws://h/", "wss://h/"][round % 2], DialOptions { redirects: 2, ..options });
        let (mut now, mut attempts, mut last) = (START, Vec::new(), None);
        for _ in 0..200 {
            let step = dial.poll(now);
            match &step {
                DialStep::Connect { attempt, .. } => {
                    assert!(!attempts.contains(attempt), "no attempt is named twice");
                    attempts.push(*attempt);
                }
                DialStep::Wait { until } => assert!(until.is_some_and(|until| until > now), "{step} at {now:?}"),
                DialStep::Upgrade => upgraded += 1,
                DialStep::Failed(error) => {
                    assert!(last.is_none_or(|last| last == *error), "it stays failed");
                    last = Some(error.clone());
                }
                _ => {}
            }
            match random(9) {
                0 => dial.resolved((0..random(5)).map(|n| ([192, 0, 2, u8::try_from(n).expect("small")], 80).into())),
                1 if random(8) == 0 => dial.resolve_failed("no such name"),
                2 => {
                    if let Some(attempt) = attempts.get(usize::try_from(random(4)).expect("small")) {
                        dial.connect_failed(*attempt, TransportError::Failed);
                    }
                }
                3 => {
                    let wins = attempts.iter().filter(|attempt| dial.connected(**attempt)).count();
                    assert!(wins <= 1, "one attempt wins");
                }
                4 => dial.tls_established(),
                5 if random(8) == 0 => dial.tls_failed(OpeningError::Transport(TransportError::Failed)),
                6 => dial.tunnel_finished(Ok(())),
                7 if random(8) == 0 => dial.tunnel_finished(Err(ProxyError::EarlyBytes)),
                _ => now += Duration::from_millis(random(100)),
            }
        }
        failed += usize::from(last.is_some());
        assert!(attempts.len() <= 3 * DialOptions::MAX_ADDRESSES);
    }
    assert!(upgraded > 100 && failed > 100, "{upgraded} upgraded, {failed} failed");
}
