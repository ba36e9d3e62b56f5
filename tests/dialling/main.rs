//! Both adapters dial over loopback: proxies, redirects, addresses that do not answer, resolvers, Unix sockets.

#![cfg(unix)]

#[cfg(feature = "rustls")]
#[path = "../tls/authority.rs"]
mod authority;
mod client;
mod proxies;
#[cfg(feature = "rustls")]
mod secure;
mod servers;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowsprit::dial::{Proxy, ProxyChoice};
use bowsprit::{Error, HandshakeError, Timeout};

use client::{CLIENTS, Setup};
use proxies::{http_proxy, socks5_proxy};
use servers::{closed_port, echo, redirecting, silent};

const FAR: &str = "ws://far.example/chat";

#[test]
fn an_http_proxy_opens_a_tunnel_and_sees_its_login_alone() {
    for client in CLIENTS {
        let server = echo();
        let proxy = http_proxy(Some("bWU6c2VjcmV0"), &[("far.example:80", server.address)]);
        let choice: Proxy = format!("http://me:secret@{}", proxy.address).parse().unwrap();
        let setup = Setup { proxy: choice.into(), ..Setup::default() };
        client.echo(FAR, setup).expect("the proxy opens a tunnel");
        let asked = proxy.requests();
        assert!(asked[0].starts_with("CONNECT far.example:80 HTTP/1.1\r\nHost: far.example:80\r\n"), "{asked:?}");
        assert!(asked[0].contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"));
        let request = &server.requests()[0];
        assert!(
            request.contains("Host: far.example\r\n") && !request.to_ascii_lowercase().contains("proxy-"),
            "{request}"
        );
    }
}

#[test]
fn a_proxy_that_requires_a_login_is_reported_with_its_status() {
    for client in CLIENTS {
        let proxy = http_proxy(Some("bWU6c2VjcmV0"), &[]);
        let choice: Proxy = format!("http://{}", proxy.address).parse().unwrap();
        let error = client.echo(FAR, Setup { proxy: choice.into(), ..Setup::default() }).unwrap_err();
        assert!(matches!(error, Error::Dial(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("far.example:80") && text.contains("407") && text.contains("who are you"), "{text}");
    }
}

#[test]
fn a_socks_proxy_resolves_names_or_is_given_an_address() {
    for client in CLIENTS {
        let server = echo();
        for (scheme, expected) in [("socks5h", "far.example:80"), ("socks5", &*server.address.to_string())] {
            let proxy = socks5_proxy(Some(("me", "secret")), &[("far.example:80", server.address)]);
            let choice: Proxy = format!("{scheme}://me:secret@{}", proxy.address).parse().unwrap();
            let addresses = vec![("far.example".into(), vec![server.address])];
            client.echo(FAR, Setup { proxy: choice.into(), addresses, ..Setup::default() }).expect("a tunnel");
            assert_eq!(proxy.requests(), [expected]);
        }
    }
}

#[test]
fn a_socks_proxy_that_refuses_says_why() {
    for client in CLIENTS {
        let proxy = socks5_proxy(None, &[]);
        let choice: Proxy = format!("socks5h://{}", proxy.address).parse().unwrap();
        let text = client.echo(FAR, Setup { proxy: choice.into(), ..Setup::default() }).unwrap_err().to_string();
        assert!(text.contains("far.example:80") && text.contains("refused"), "{text}");
    }
}

#[test]
fn a_function_chooses_the_proxy() {
    for client in CLIENTS {
        let server = echo();
        let proxy = http_proxy(None, &[("far.example:80", server.address)]);
        let address = proxy.address;
        let choice = ProxyChoice::By(Arc::new(move |uri| {
            (uri.host() == "far.example").then(|| format!("http://{address}").parse().expect("a proxy"))
        }));
        client.echo(FAR, Setup { proxy: choice.clone(), ..Setup::default() }).expect("through the proxy");
        client.echo(&server.uri("/"), Setup { proxy: choice, ..Setup::default() }).expect("without a proxy");
        assert_eq!((proxy.requests().len(), server.requests().len()), (1, 2));
    }
}

#[test]
fn a_redirect_is_a_refusal_unless_it_is_to_be_followed() {
    for client in CLIENTS {
        let server = echo();
        let first = redirecting(307, &server.uri("/new"));
        let error = client.echo(&first.uri("/old"), Setup::default()).unwrap_err();
        assert!(matches!(error, Error::Handshake(HandshakeError::Refused(_))), "{error:?}");
        assert!(error.to_string().contains(&server.uri("/new")), "{error}");

        let setup = Setup { redirects: 1, basic_auth: true, ..Setup::default() };
        client.echo(&first.uri("/old"), setup).expect("it is followed");
        let requests = first.requests();
        assert!(requests[1].contains("Authorization: Basic "), "{requests:?}");
        let request = server.requests().pop().unwrap();
        assert!(request.starts_with("GET /new HTTP/1.1\r\n"), "{request}");
        assert!(!request.contains("Authorization"), "another port is another origin: {request}");
    }
}

#[test]
fn a_redirect_loop_ends() {
    for client in CLIENTS {
        let server = redirecting(302, "/again");
        let text = client.echo(&server.uri("/"), Setup { redirects: 3, ..Setup::default() }).unwrap_err().to_string();
        assert!(text.contains("redirect") && text.contains('3'), "{text}");
        assert_eq!(server.requests().len(), 4);
    }
}

#[test]
fn the_next_address_is_tried_when_one_refuses_or_is_silent() {
    for client in CLIENTS {
        let server = echo();
        let (silent, _held) = silent();
        for (dead, range) in [(closed_port(), 0..200), (silent, 200..3_000)] {
            let addresses = vec![("far.example".into(), vec![dead, server.address])];
            let start = Instant::now();
            client.echo(FAR, Setup { addresses, ..Setup::default() }).expect("the second one answers");
            let took = start.elapsed().as_millis();
            assert!(range.contains(&i32::try_from(took).unwrap()), "{took} ms");
        }
    }
}

#[test]
fn addresses_that_all_fail_are_named() {
    for client in CLIENTS {
        let (first, second) = (closed_port(), closed_port());
        let addresses = vec![("far.example".into(), vec![first, second])];
        let error = client.echo(FAR, Setup { addresses, ..Setup::default() }).unwrap_err();
        let Error::Dial(dial) = &error else { panic!("{error:?}") };
        assert_eq!(dial.io_kind(), Some(ErrorKind::ConnectionRefused));
        let text = error.to_string();
        assert!(
            ["far.example:80", &first.to_string(), &second.to_string()].iter().all(|part| text.contains(part)),
            "{text}"
        );
    }
}

#[test]
fn one_deadline_covers_names_and_addresses() {
    for client in CLIENTS {
        let (silent, _held) = silent();
        let timeout = Duration::from_millis(400);
        let slow = |_: &str, _: u16| -> io::Result<Vec<SocketAddr>> {
            std::thread::sleep(Duration::from_secs(2));
            Ok(Vec::new())
        };
        let addresses = vec![("far.example".into(), vec![silent])];
        for setup in [
            Setup { addresses, timeout, ..Setup::default() },
            Setup { resolver: Some(Arc::new(slow)), timeout, ..Setup::default() },
        ] {
            let start = Instant::now();
            let error = client.echo(FAR, setup).unwrap_err();
            assert!(matches!(error, Error::Timeout(Timeout::Handshake, limit) if limit == timeout), "{error:?}");
            assert!(start.elapsed() < Duration::from_millis(1_800), "{:?}", start.elapsed());
        }
    }
}

#[test]
fn a_resolver_of_ones_own_is_asked_for_names() {
    for client in CLIENTS {
        let server = echo();
        let address = server.address;
        let resolver = move |host: &str, port: u16| match (host, port) {
            ("far.example", 80) => Ok(vec![address]),
            _ => Err(io::Error::other("a name that nobody knows")),
        };
        let resolver: Arc<client::Resolver> = Arc::new(resolver);
        client.echo(FAR, Setup { resolver: Some(resolver.clone()), ..Setup::default() }).expect("it is found");
        let text = client.echo("ws://other.example/", Setup { resolver: Some(resolver), ..Setup::default() });
        let text = text.unwrap_err().to_string();
        assert!(text.contains("other.example:80") && text.contains("a name that nobody knows"), "{text}");
    }
}

#[test]
fn a_unix_socket_is_dialled_instead_of_the_network() {
    for client in CLIENTS {
        let folder = std::env::temp_dir().join(format!("bowsprit-dialling-{}-{client:?}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let server = servers::echo_unix(&path);
        let setup = Setup { unix: Some(path.to_str().unwrap().into()), ..Setup::default() };
        client.echo(FAR, setup).expect("it is accepted");
        assert!(server.requests()[0].contains("Host: far.example\r\n"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
