//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Talk to a WebSocket server, or be one.
///
/// Each line of standard input is sent as a text message, each message is printed on a line of its own. At the end of the
/// input, the connection is closed; Ctrl-C closes it, too, and a second one leaves at once.
///
/// Exit status: 0 closed with 1000 or 1001, 1 not opened, 2 wrong arguments, 3 closed with another code, 4 broken.
#[derive(Parser, Debug)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Accept connections, and echo or distribute their messages
    Listen(Listen),
}

#[derive(Args, Debug)]
pub(crate) struct Connect {
    /// The server: ws://host:port/path or wss://...
    pub(crate) url: Option<String>,

    /// Send standard input as binary messages, in pieces as they are read, and write messages to standard output unchanged
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) binary: bool,

    /// Print binary messages in hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,

    /// Send one message (all of standard input), print one answer, and close
    #[arg(short = '1', long)]
    pub(crate) one: bool,

    /// Print an object in JSON for each event, on a line of its own
    #[arg(long)]
    pub(crate) json: bool,

    /// Add a header field to the request
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// Log in with user name and password
    #[arg(long, value_name = "USER:PASSWORD", conflicts_with = "bearer")]
    pub(crate) basic: Option<String>,

    /// Log in with a token
    #[arg(long, value_name = "TOKEN")]
    pub(crate) bearer: Option<String>,

    /// Offer a subprotocol; several times for several, the preferred one first
    #[arg(short, long = "subprotocol", value_name = "NAME")]
    pub(crate) subprotocols: Vec<String>,

    /// Send this Origin, as a page would
    #[arg(long)]
    pub(crate) origin: Option<String>,

    /// Use this proxy (http, https, socks5 or socks5h) instead of the environment's
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,

    /// Use no proxy
    #[arg(long, conflicts_with = "proxy")]
    pub(crate) no_proxy: bool,

    /// Follow up to this many redirects
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) redirects: u32,

    /// Trust the root certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,

    /// Trust any certificate: anybody in between can read and change everything
    #[arg(short = 'k', long, conflicts_with = "root")]
    pub(crate) insecure: bool,

    /// Send a keep-alive ping this often, in seconds, and report how long its answer took
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) ping: Option<Duration>,

    /// Offer compression (permessage-deflate)
    #[arg(long)]
    pub(crate) deflate: bool,

    /// How long opening the connection may take, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub(crate) timeout: Duration,

    /// Show the response, and how the connection ended
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Listen {
    /// Where to listen, for example 127.0.0.1:9001
    pub(crate) address: String,

    /// Send each message to all other clients instead of back
    #[arg(long)]
    pub(crate) broadcast: bool,

    /// Speak TLS with this certificate chain and key, both in PEM
    #[arg(long, num_args = 2, value_names = ["CHAIN", "KEY"])]
    pub(crate) tls: Option<Vec<PathBuf>>,

    /// Accept compression (permessage-deflate)
    #[arg(long)]
    pub(crate) deflate: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("not a number of seconds above 0".to_owned()),
    }
}
