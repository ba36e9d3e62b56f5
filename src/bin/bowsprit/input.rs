//! Standard input, as messages.

use std::io::{self, BufRead as _, Read as _};
use std::thread;

use bowsprit::OwnedMessage;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How standard input becomes messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// A text message for each line.
    Lines,
    /// A binary message for each piece, as it is read.
    Pieces,
    /// One text message of all.
    OneText,
    /// One binary message of all.
    OneBinary,
}

/// The messages, one ahead of what was sent. A thread reads, since a read from a terminal cannot be interrupted; it ends with
/// the process.
pub(crate) fn messages(form: Form) -> Receiver<io::Result<OwnedMessage>> {
    let (sender, receiver) = channel(1);
    thread::spawn(move || {
        if let Err(error) = read(form, &sender) {
            // The receiver is gone once the connection has ended.
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

fn read(form: Form, sender: &Sender<io::Result<OwnedMessage>>) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut goes_on = true;
    match form {
        Form::Lines => {
            let mut line = String::new();
            while goes_on && input.read_line(&mut line)? > 0 {
                let text = line.trim_end_matches('\n').trim_end_matches('\r');
                goes_on = sender.blocking_send(Ok(text.into())).is_ok();
                line.clear();
            }
        }
        Form::Pieces => {
            let mut piece = vec![0; 64 << 10];
            while goes_on {
                match input.read(&mut piece)? {
                    0 => break,
                    n => goes_on = sender.blocking_send(Ok(piece[..n].into())).is_ok(),
                }
            }
        }
        Form::OneText => {
            let text = io::read_to_string(input)?;
            let _ = sender.blocking_send(Ok(text.trim_end_matches('\n').into()));
        }
        Form::OneBinary => {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes)?;
            let _ = sender.blocking_send(Ok(bytes[..].into()));
        }
    }
    Ok(())
}
