//! Proxies that connect to where the test says, whatever they are asked for.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::servers::{Duplicated, Log, Server, head, relay};

/// Targets by name, as the client asks for them.
pub(crate) type Targets = Vec<(String, SocketAddr)>;

fn owned(targets: &[(&str, SocketAddr)]) -> Targets {
    targets.iter().map(|(name, address)| ((*name).into(), *address)).collect()
}

/// Answers CONNECT, with the login that it wants in base64.
pub(crate) fn http_proxy(login: Option<&'static str>, targets: &[(&str, SocketAddr)]) -> Server {
    let targets = owned(targets);
    Server::start(move |stream, log| tunnel(stream, log, login, &targets))
}

pub(crate) fn tunnel(
    mut stream: impl Read + Write + Send + Duplicated,
    log: &Log,
    login: Option<&str>,
    targets: &Targets,
) {
    let head = head(&mut BufReader::with_capacity(1, &mut stream));
    log.push(&*head);
    if login.is_some_and(|login| !head.contains(&format!("Proxy-Authorization: Basic {login}\r\n"))) {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\n\
            Content-Type: text/plain\r\nContent-Length: 12\r\n\r\nwho are you?";
        return stream.write_all(answer).unwrap();
    }
    let asked = head.split(' ').nth(1).unwrap_or_default();
    let Some((_, target)) = targets.iter().find(|(name, _)| name == asked) else {
        return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").unwrap();
    };
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    relay(stream, TcpStream::connect(target).unwrap());
}

/// Answers SOCKS5 (RFC 1928), with a login of RFC 1929 or without.
pub(crate) fn socks5_proxy(login: Option<(&'static str, &'static str)>, targets: &[(&str, SocketAddr)]) -> Server {
    let targets = owned(targets);
    Server::start(move |tcp, log| {
        let stream = &tcp;
        let bytes = |n: usize| {
            let (mut read, mut from) = (vec![0; n], stream);
            from.read_exact(&mut read).unwrap();
            read
        };
        let write = |bytes: &[u8]| (&mut { stream }).write_all(bytes).unwrap();
        let greeting = bytes(2);
        assert_eq!(greeting[0], 5);
        let methods = bytes(greeting[1].into());
        let method = if login.is_some() { 2 } else { 0 };
        assert!(methods.contains(&method));
        write(&[5, method]);
        if let Some((user, password)) = login {
            let user_len = bytes(2)[1];
            assert_eq!(bytes(user_len.into()), user.as_bytes());
            let password_len = bytes(1)[0];
            assert_eq!(bytes(password_len.into()), password.as_bytes());
            write(&[1, 0]);
        }
        let request = bytes(4);
        assert_eq!(request[..3], [5, 1, 0]);
        let host = match request[3] {
            1 => std::net::Ipv4Addr::from(<[u8; 4]>::try_from(bytes(4)).unwrap()).to_string(),
            3 => {
                let len = bytes(1)[0];
                String::from_utf8(bytes(len.into())).unwrap()
            }
            other => panic!("an address of type {other}"),
        };
        let port = u16::from_be_bytes(bytes(2).try_into().unwrap());
        let asked = format!("{host}:{port}");
        log.push(&*asked);
        let by_address = targets.iter().find(|(_, address)| address.to_string() == asked);
        match targets.iter().find(|(name, _)| *name == asked).or(by_address) {
            Some((_, target)) => {
                write(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]);
                relay(stream.try_clone().unwrap(), TcpStream::connect(target).unwrap());
            }
            None => write(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]),
        }
    })
}
