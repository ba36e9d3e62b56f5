//! An echo server on the event loop: `event_loop_echo ADDR`. It compresses with clients that offer permessage-deflate.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bowsprit::driver::SendHalf;
use bowsprit::{Config, Deflate, Message, SendError};
use bowsprit_drivers::{Application, EventLoop, Pool};

struct Echo;

impl Application for Echo {
    fn received(&mut self, _: usize, message: Message<'_>, send: &mut SendHalf<Pool>) -> Result<(), SendError> {
        send.feed(message)
    }

    fn closed(&mut self, key: usize, result: Result<(), bowsprit::Error>) {
        if let Err(error) = result {
            eprintln!("{key}: {error}");
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args().nth(1).ok_or("usage: event_loop_echo ADDR")?.parse()?;
    let config = Config { compression: Some(Deflate::default()), ..Config::default() };
    let mut event_loop = EventLoop::new(Arc::new(config))?;
    println!("listening on {}", event_loop.listen(address)?);
    loop {
        event_loop.turn(&mut Echo, Duration::MAX)?;
    }
}
