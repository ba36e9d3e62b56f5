//! Both ends over the tokio adapter.

use std::path::Path;

use bowsprit::handshake::{AcceptOptions, ClientRequest};
use bowsprit::tokio::{Connector, Stream, TlsStream, accept_with};
use bowsprit::{Message, Messages};
use tokio::net::TcpListener;

use crate::{
    CLIENT_CLOSES, Ended, PLEASE_CLOSE, Result, SERVER_CLOSES, Session, closed, compare, corpus, ended, thirds,
};

/// Echoes one connection.
pub(crate) async fn serve(session: &Session) -> Result<Ended> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("port {}", listener.local_addr()?.port());
    let (tcp, _) = listener.accept().await?;
    let stream = match session.server_tls()? {
        Some(tls) => TlsStream::server(tcp, tls)?.into(),
        None => Stream::from(tcp),
    };
    let mut ws = accept_with(stream, &AcceptOptions::new(), Messages, session.config.clone()).await?;
    ws.ping(b"from the server").await?;
    let mut fragment = false;
    while let Some((message, out)) = ws.next().await? {
        if message == Message::Text(PLEASE_CLOSE) {
            return closed(ws.close(Some(SERVER_CLOSES)).await?);
        }
        if fragment {
            for chunk in thirds(message) {
                out.feed(chunk).await?;
            }
        } else {
            out.feed(message).await?;
        }
        fragment = !fragment;
    }
    ended(ws.end(), ws.close_reason())
}

/// Sends the files one by one and wants each back.
pub(crate) async fn connect(session: &Session, folder: &Path, url: &str) -> Result<Ended> {
    let mut connector = Connector::new(ClientRequest::new(url.parse()?)).config(session.config.clone());
    if let Some(tls) = session.client_tls()? {
        connector = connector.tls(tls);
    }
    let (mut ws, _) = connector.connect().await?;
    ws.ping(b"from the client").await?;
    for (at, file) in corpus(folder)?.iter().enumerate() {
        let message = file.message()?;
        if at % 2 == 0 {
            ws.send(message).await?;
        } else {
            for chunk in thirds(message) {
                ws.feed(chunk).await?;
            }
        }
        let (echo, _) = ws.next().await?.ok_or("closed early")?;
        compare(file, echo)?;
    }
    if !session.asked {
        return closed(ws.close(Some(CLIENT_CLOSES)).await?);
    }
    ws.send(PLEASE_CLOSE).await?;
    match ws.next().await? {
        Some(_) => Err("a message, and no Close".into()),
        None => ended(ws.end(), ws.close_reason()),
    }
}
