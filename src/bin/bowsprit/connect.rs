//! A client: standard input to messages, messages to standard output.

use std::error::Error;

use bowsprit::dial::{Proxy, ProxyChoice};
use bowsprit::handshake::ClientRequest;
use bowsprit::tokio::{Connector, Stream, WebSocketReader, WebSocketWriter};
use bowsprit::{Close, CloseCode, Config, Deflate, OwnedMessage, SendError};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::Outcome;
use crate::arguments::Connect;
use crate::report::{Form, Report, is_usual};
use crate::{input, trust};

pub(crate) async fn run(arguments: Connect) -> Result<Outcome, Box<dyn Error>> {
    let url = arguments.url.clone().unwrap_or_default();
    let connector = connector(&url, &arguments)?;
    let form = match (arguments.json, arguments.binary, arguments.hex) {
        (true, _, _) => Form::Json,
        (_, true, _) => Form::Raw,
        (_, _, true) => Form::Hex,
        _ => Form::Text,
    };
    let report = Report::new(form, arguments.verbose);
    let (ws, response) = match connector.connect().await {
        Ok(opened) => opened,
        Err(error) => {
            report.not_opened(&error)?;
            return Ok(Outcome::NotOpened);
        }
    };
    report.opened(&url, &response)?;

    let (mut reader, writer) = ws.split();
    let messages = input::messages(match (arguments.one, arguments.binary) {
        (false, false) => input::Form::Lines,
        (false, true) => input::Form::Pieces,
        (true, false) => input::Form::OneText,
        (true, true) => input::Form::OneBinary,
    });
    let (close, closing) = watch::channel(false);
    tokio::spawn(send_all(messages, writer, closing, arguments.one));
    let ended = receive_all(&mut reader, &report, &close, &arguments).await?;
    let end = reader.end();
    report.ended(end, reader.close_reason(), ended.as_ref())?;
    Ok(match (ended, end) {
        (None, Some(end)) if end.clean && is_usual(end) => Outcome::Closed,
        (None, Some(end)) if end.clean => Outcome::ClosedWithCode,
        _ => Outcome::Broken,
    })
}

fn connector(url: &str, arguments: &Connect) -> Result<Connector, Box<dyn Error>> {
    let mut request = ClientRequest::try_from(url)?;
    for field in &arguments.headers {
        let (name, value) = field.split_once(':').ok_or_else(|| format!("a header field without a colon: {field}"))?;
        request = request.header(name.trim(), value.trim())?;
    }
    for name in &arguments.subprotocols {
        request = request.subprotocol(name)?;
    }
    if let Some(origin) = &arguments.origin {
        request = request.origin(origin)?;
    }
    if let Some(login) = &arguments.basic {
        let (user, password) = login.split_once(':').ok_or("--basic wants USER:PASSWORD")?;
        request = request.basic_auth(user, password)?;
    }
    if let Some(token) = &arguments.bearer {
        request = request.bearer_auth(token)?;
    }
    let config = Config {
        ping_interval: arguments.ping,
        handshake_timeout: Some(arguments.timeout),
        compression: arguments.deflate.then(Deflate::default),
        ..Config::default()
    };
    let mut connector = Connector::new(request).config(config).redirects(arguments.redirects);
    if let Some(proxy) = &arguments.proxy {
        connector = connector.proxy(proxy.parse::<Proxy>()?);
    }
    if arguments.no_proxy {
        connector = connector.proxy(ProxyChoice::None);
    }
    if let Some(file) = &arguments.root {
        connector = connector.tls(trust::only(file)?);
    }
    if arguments.insecure {
        eprintln!("bowsprit: -k: NOT CHECKING who the server is; anybody in between can read and change everything");
        connector = connector.tls(trust::anything()?);
    }
    Ok(connector)
}

/// Sends the messages, then a Close; a Close at once when that is asked for.
async fn send_all(
    mut messages: Receiver<std::io::Result<OwnedMessage>>,
    mut writer: WebSocketWriter<Stream>,
    mut closing: watch::Receiver<bool>,
    one: bool,
) {
    let sent = async {
        while let Some(message) = messages.recv().await {
            let message = message.inspect_err(|error| eprintln!("bowsprit: standard input: {error}")).ok()?;
            // What fails, the reader reports.
            writer.send(&message).await.ok()?;
        }
        Some(())
    };
    let told = async {
        let _ = closing.clone().wait_for(|closing| *closing).await;
    };
    tokio::select! {
        _ = sent => {}
        () = told => {}
    }
    if one {
        // The answer comes first.
        let _ = closing.wait_for(|closing| *closing).await;
    }
    let close = Some(Close::from(CloseCode::NORMAL));
    if let Err(error) = writer.start_close(close).await
        && !matches!(error, bowsprit::Error::Send(SendError::Closing) | bowsprit::Error::Io(_))
    {
        eprintln!("bowsprit: {error}");
    }
}

/// Prints messages until the end; the error that ended it, if one did.
async fn receive_all(
    reader: &mut WebSocketReader<Stream>,
    report: &Report,
    close: &watch::Sender<bool>,
    arguments: &Connect,
) -> Result<Option<bowsprit::Error>, Box<dyn Error>> {
    let mut ticks = interval(arguments.ping.unwrap_or(std::time::Duration::from_secs(3_600)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut interrupted = false;
    loop {
        tokio::select! {
            message = reader.next() => match message {
                Ok(Some(message)) if !arguments.one || !*close.borrow() => {
                    report.message(message)?;
                    if arguments.one {
                        close.send_replace(true);
                    }
                }
                Ok(Some(_)) => {} // more than one answer
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error)),
            },
            _ = ticks.tick() => {
                if let Some(time) = reader.latency() {
                    report.round_trip(time)?;
                }
            }
            signal = tokio::signal::ctrl_c() => {
                signal?;
                if interrupted {
                    std::process::exit(130);
                }
                interrupted = true;
                close.send_replace(true);
            }
        }
    }
}
