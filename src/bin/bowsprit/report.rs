//! What is printed: messages on standard output, everything else on standard error, or all of it as JSON.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bowsprit::handshake::ClientResponse;
use bowsprit::{End, Message};
use serde_json::{Value, json};

/// How a connection is reported.
pub(crate) struct Report {
    form: Form,
    verbose: bool,
    start: Instant,
}

/// How messages are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Text as it is, and the length of a binary message.
    Text,
    /// Text as it is, and binary messages in hexadecimal.
    Hex,
    /// The bytes of each message, and nothing between them.
    Raw,
    /// An object a line.
    Json,
}

impl Report {
    pub(crate) fn new(form: Form, verbose: bool) -> Self {
        Self { form, verbose, start: Instant::now() }
    }

    pub(crate) fn opened(&self, url: &str, response: &ClientResponse) -> io::Result<()> {
        if self.form == Form::Json {
            let subprotocol = response.subprotocol();
            return self.event("open", json!({ "url": url, "subprotocol": subprotocol }));
        }
        if self.verbose {
            eprintln!("< {}", response.status());
            for (name, value) in response.headers().iter() {
                eprintln!("< {name}: {}", String::from_utf8_lossy(value).escape_debug());
            }
        }
        Ok(())
    }

    pub(crate) fn message(&self, message: Message<'_>) -> io::Result<()> {
        let mut output = io::stdout().lock();
        match (self.form, message) {
            (Form::Json, Message::Text(text)) => return self.event("text", json!({ "data": text })),
            (Form::Json, Message::Binary(bytes)) => {
                return self.event("binary", json!({ "base64": STANDARD.encode(bytes) }));
            }
            (Form::Raw, message) => output.write_all(message.as_bytes())?,
            (_, Message::Text(text)) => writeln!(output, "{text}")?,
            (Form::Hex, Message::Binary(bytes)) => {
                for byte in bytes {
                    write!(output, "{byte:02x}")?;
                }
                writeln!(output)?;
            }
            (Form::Text, Message::Binary(bytes)) => writeln!(output, "(binary, {} bytes)", bytes.len())?,
        }
        output.flush()
    }

    pub(crate) fn round_trip(&self, time: Duration) -> io::Result<()> {
        if self.form == Form::Json {
            return self.event("pong", json!({ "seconds": time.as_secs_f64() }));
        }
        eprintln!("pong after {time:.1?}");
        Ok(())
    }

    /// How it ended: its Close with the reason, or what broke.
    pub(crate) fn ended(&self, end: Option<End>, reason: &str, error: Option<&bowsprit::Error>) -> io::Result<()> {
        let text = match (end, error) {
            (_, Some(error)) => error.to_string(),
            (Some(end), None) => end.with_reason(reason).to_string(),
            (None, None) => "the connection ended".into(),
        };
        if self.form == Form::Json {
            let code = end.map(|end| end.code().0);
            let clean = end.is_some_and(|end| end.clean) && error.is_none();
            return self.event("close", json!({ "code": code, "reason": reason, "clean": clean, "message": text }));
        }
        if self.verbose || error.is_some() || end.is_some_and(|end| !end.clean || !is_usual(end)) {
            eprintln!("{text}");
        }
        Ok(())
    }

    /// No connection was opened.
    pub(crate) fn not_opened(&self, error: &bowsprit::Error) -> io::Result<()> {
        if self.form == Form::Json {
            return self.event("error", json!({ "message": error.to_string() }));
        }
        eprintln!("bowsprit: {error}");
        Ok(())
    }

    fn event(&self, kind: &str, mut fields: Value) -> io::Result<()> {
        fields["event"] = kind.into();
        fields["seconds_since_start"] = self.start.elapsed().as_secs_f64().into();
        let mut output = io::stdout().lock();
        writeln!(output, "{fields}")?;
        output.flush()
    }
}

/// Whether it closed with 1000, 1001 or without a code.
pub(crate) fn is_usual(end: End) -> bool {
    matches!(end.code().0, 1000 | 1001 | 1005)
}
