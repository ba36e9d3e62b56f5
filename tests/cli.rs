//! The command `bowsprit`, as a shell runs it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread;

use bowsprit::blocking;
use bowsprit::{Close, CloseCode, Message};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bowsprit");

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was built");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writes = thread::spawn(move || {
        let _ = stdin.write_all(&input); // it may have ended already
    });
    let output = child.wait_with_output().expect("it ends");
    writes.join().expect("it does not panic");
    output
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("text")
}

/// `bowsprit listen`, until it is dropped.
struct Listening {
    child: Child,
    url: String,
    _stderr: BufReader<ChildStderr>,
}

impl Listening {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["listen", "127.0.0.1:0"])
            .args(options)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").expect("the address").to_owned();
        Self { child, url, _stderr: stderr }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server for one connection, which does this; its address.
fn server(serve: impl FnOnce(blocking::WebSocket<std::net::TcpStream>) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let (tcp, _) = listener.accept().expect("a connection");
        serve(blocking::accept(tcp).expect("a request"));
    });
    format!("ws://{address}/")
}

#[test]
fn lines_are_echoed_and_the_end_of_the_input_closes() {
    let listening = Listening::start(&["--deflate"]);
    for options in [&[][..], &["--deflate"], &["--verbose", "--no-proxy"]] {
        let output = run(&[options, &[&*listening.url]].concat(), "one\ntwo, größer\r\nwithout an end".as_bytes());
        assert_eq!(text(&output.stdout), "one\ntwo, größer\nwithout an end\n");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

#[test]
fn bytes_come_back_as_they_were() {
    let listening = Listening::start(&[]);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let output = run(&["--binary", &listening.url], &bytes);
    assert!(output.stdout == bytes, "{} of {} bytes: {}", output.stdout.len(), bytes.len(), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn one_message_one_answer() {
    let url = server(|mut ws| {
        let (message, out) = ws.next().unwrap().unwrap();
        assert_eq!(message, Message::Text("a\nb"));
        out.send("first").unwrap();
        out.send("second").unwrap();
        while ws.next().unwrap().is_some() {}
    });
    let output = run(&["-1", &url], b"a\nb\n");
    assert_eq!((text(&output.stdout), output.status.code()), ("first\n", Some(0)));
}

#[test]
fn json_has_an_object_for_each_event() {
    let url = server(|mut ws| {
        ws.send("{\"a\": \"\\u00e4\"}").unwrap();
        ws.send(Message::Binary(&[0xff, 0x00])).unwrap();
        ws.close(Some(Close { code: CloseCode(4_001), reason: "enough" })).unwrap();
    });
    let output = run(&["--json", &url], b"");
    let events: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["open", "text", "binary", "close"]);
    assert_eq!(events[1]["data"], "{\"a\": \"\\u00e4\"}");
    assert_eq!(events[2]["base64"], "/wA=");
    assert_eq!((&events[3]["code"], &events[3]["reason"]), (&4_001.into(), &"enough".into()));
    assert!(events.iter().all(|event| event["seconds_since_start"].is_number()));
}

#[test]
fn how_it_ended_is_the_exit_status() {
    let closes = |code: u16| server(move |ws| drop(ws.close(Some(Close { code: CloseCode(code), reason: "so" }))));
    // Standard input is open: the server is the one that closes.
    let waits = |url: &str| {
        let mut child =
            Command::new(PROGRAM).arg(url).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it was built");
        let stdin = child.stdin.take();
        let status = child.wait().expect("it ends").code();
        drop(stdin);
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        (status, said)
    };
    assert_eq!(waits(&closes(1_000)), (Some(0), String::new()));
    let (status, said) = waits(&closes(1_008));
    assert_eq!(status, Some(3));
    assert!(said.contains("1008") && said.contains("so"), "{said}");
    let (status, said) = waits(&server(drop));
    assert_eq!(status, Some(4), "{said}");

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&[&format!("ws://{nobody}/")], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&nobody.to_string()), "{}", text(&output.stderr));
    for wrong in [&["http://a/"][..], &["ws://a/", "-H", "no colon"], &["ws://a/", "--basic", "alone"]] {
        assert_eq!(run(wrong, b"").status.code(), Some(1), "{wrong:?}");
    }
    assert_eq!(run(&[], b"").status.code(), Some(2));
    assert_eq!(run(&["--ping", "0", "ws://a/"], b"").status.code(), Some(2));
}

#[test]
fn headers_logins_and_subprotocols_are_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(&tcp).lines().map(Result::unwrap);
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        (&tcp).write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").unwrap();
        head
    });
    let options = ["-H", "X-A: b", "--basic", "me:secret", "-s", "chat", "--origin", "https://a.example", &url];
    let output = run(&options, b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("403"), "{}", text(&output.stderr));
    let head = asked.join().unwrap();
    for line in
        ["X-A: b", "Authorization: Basic bWU6c2VjcmV0", "Sec-WebSocket-Protocol: chat", "Origin: https://a.example"]
    {
        assert!(head.iter().any(|sent| sent == line), "{line}: {head:?}");
    }
}

#[test]
fn a_broadcast_goes_to_all_others() {
    let listening = Listening::start(&["--broadcast"]);
    let mut receivers: Vec<_> = (0..2).map(|_| blocking::connect(&listening.url).expect("it listens")).collect();
    // A client is among them once its connection is open there, too.
    thread::sleep(std::time::Duration::from_millis(300));
    let output = run(&[&listening.url], b"to all\n");
    assert_eq!((text(&output.stdout), output.status.code()), ("", Some(0)));
    for ws in &mut receivers {
        assert!(matches!(ws.next().unwrap(), Some((Message::Text("to all"), _))));
    }
}
