//! The client of the Autobahn testsuite on the event loop: echoes every case of its server, then requests the report.
//! `event_loop_autobahn_client ADDR`. It offers permessage-deflate.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::driver::SendHalf;
use bowsprit::handshake::ClientRequest;
use bowsprit::{Config, Deflate, Message, Outgoing, SendError};
use bowsprit_drivers::{Application, EventLoop, Pool};

#[derive(Default)]
struct Client {
    /// How many cases the server has, once it has told.
    cases: Option<u32>,
}

impl Application for Client {
    fn received(&mut self, _: usize, message: Message<'_>, send: &mut SendHalf<Pool>) -> Result<(), SendError> {
        match message {
            Message::Text(count) if self.cases.is_none() => {
                self.cases = count.parse().ok();
                send.feed(Outgoing::close(None))
            }
            message => send.feed(message),
        }
    }

    fn closed(&mut self, _: usize, result: Result<(), bowsprit::Error>) {
        // Most cases break the protocol on purpose, so an error is the expected result.
        if let Err(error) = result {
            println!("{error}");
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args().nth(1).ok_or("usage: event_loop_autobahn_client ADDR")?.parse()?;
    let config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let mut event_loop = EventLoop::new(Arc::new(config))?;
    let mut client = Client::default();
    let mut visit = |client: &mut Client, resource: &str| -> Result<(), Box<dyn Error>> {
        let request = ClientRequest::try_from(&*format!("ws://{address}/{resource}"))?;
        event_loop.connect(address, &request)?;
        while event_loop.connections() > 0 {
            event_loop.turn(client, Duration::MAX)?;
        }
        Ok(())
    };

    visit(&mut client, "getCaseCount")?;
    for case in 1..=client.cases.ok_or("the server did not say how many cases it has")? {
        visit(&mut client, &format!("runCase?case={case}&agent=bowsprit"))?;
    }
    visit(&mut client, "updateReports?agent=bowsprit")
}
