//! The same inside TLS: of the server, of the proxy, of both.

use std::io::Read;
use std::sync::Arc;

use bowsprit::blocking::TlsStream;
use bowsprit::dial::Proxy;
use bowsprit::{Error, HandshakeError};

use crate::authority::Authority;
use crate::client::{CLIENTS, Setup};
use crate::proxies::{http_proxy, tunnel};
use crate::servers::{Duplicated, End, Server, echo_over};

impl End for TlsStream<std::net::TcpStream> {
    fn end(&mut self) {
        let _ = bowsprit::blocking::Transport::shutdown_write(self);
    }
}

impl Duplicated for TlsStream<std::net::TcpStream> {
    fn duplicated(self) -> (Box<dyn Read + Send>, Box<dyn End>) {
        use bowsprit::blocking::Duplicate as _;
        (Box::new(self.duplicate().unwrap()), Box::new(self))
    }
}

fn echo_inside_tls(authority: &Authority, host: &str) -> Server {
    let config = authority.server(&[host]);
    Server::start(move |tcp, log| echo_over(TlsStream::server(tcp, config.clone()).unwrap(), log))
}

#[test]
fn a_proxy_sees_nothing_of_what_is_inside_tls() {
    let authority = Authority::new();
    for client in CLIENTS {
        let server = echo_inside_tls(&authority, "far.example");
        let proxy = http_proxy(None, &[("far.example:443", server.address)]);
        let choice: Proxy = format!("http://{}", proxy.address).parse().unwrap();
        let setup = Setup { proxy: choice.into(), tls: Some(authority.client()), ..Setup::default() };
        client.echo("wss://far.example/secret", setup).expect("a tunnel");
        let asked = proxy.requests();
        assert!(asked.len() == 1 && asked[0].starts_with("CONNECT far.example:443 ") && !asked[0].contains("secret"));
    }
}

#[test]
fn a_proxy_is_reached_over_tls_and_the_server_inside_of_that() {
    let authority = Arc::new(Authority::new());
    for client in CLIENTS {
        let server = echo_inside_tls(&authority, "far.example");
        let config = authority.server(&["localhost"]);
        let targets = vec![("far.example:443".to_owned(), server.address)];
        let proxy = Server::start(move |tcp, log| {
            tunnel(TlsStream::server(tcp, config.clone()).unwrap(), log, None, &targets);
        });
        let choice: Proxy = format!("https://localhost:{}", proxy.address.port()).parse().unwrap();
        let addresses = vec![("localhost".into(), vec![proxy.address])];
        let setup = Setup { proxy: choice.into(), addresses, tls: Some(authority.client()), ..Setup::default() };
        client.echo("wss://far.example/", setup).expect("a tunnel inside TLS");
        assert_eq!(proxy.requests().len(), 1);
    }
}

#[test]
fn a_proxy_that_is_not_who_it_should_be_learns_nothing() {
    let authority = Authority::new();
    for client in CLIENTS {
        let config = authority.server(&["other.example"]);
        let proxy = Server::start(move |tcp, log| {
            tunnel(TlsStream::server(tcp, config.clone()).unwrap(), log, None, &Vec::new());
        });
        let choice: Proxy = format!("https://me:secret@localhost:{}", proxy.address.port()).parse().unwrap();
        let addresses = vec![("localhost".into(), vec![proxy.address])];
        let setup = Setup { proxy: choice.into(), addresses, tls: Some(authority.client()), ..Setup::default() };
        let error = client.echo("wss://far.example/", setup).unwrap_err();
        assert!(matches!(error, Error::Handshake(HandshakeError::Tls(_))), "{error:?}");
        assert!(proxy.requests().iter().all(|head| !head.contains("CONNECT")));
    }
}
