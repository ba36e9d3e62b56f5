//! What must hold. Each case has topics of its own, and leaves both servers and Redis as it found them.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use bowsprit::OwnedMessage;
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::broker::Broker;
use crate::client::{Client, PATIENCE, until};
use crate::process::Process;
use crate::serve::PREFIX;

struct Stage {
    broker: Broker,
    one: Process,
    two: Process,
}

/// Runs all of them, and says how many passed.
pub async fn run(folder: &Path) -> Result<()> {
    let broker = Broker::start(folder).await?;
    let (one, two) = (Process::start(&broker.address()).await?, Process::start(&broker.address()).await?);
    let mut stage = Stage { broker, one, two };
    let mut tally = Tally::default();
    tally.add("every client gets every message once, all in one order", one_order(&stage)).await;
    tally.add("text stays text, binary stays binary, of any length", kinds(&stage)).await;
    tally.add("a topic gets nothing of another", topics_apart(&stage)).await;
    tally.add("counts match over 100 joins and leaves", joins_and_leaves(&stage)).await;
    tally.add("the channel goes with the last subscriber", last_leaves(&stage)).await;
    tally.add("what others put on a channel is told and skipped", foreign(&stage)).await;
    tally.add("a client that does not read holds up nobody, and costs no more than its queue", slow(&stage)).await;
    tally.add("connections that Redis ends come back", ended_by_redis(&stage)).await;
    tally.add("Redis is killed and comes back", killed(&mut stage)).await;
    tally.add("Redis stops answering and goes on", stopped(&stage)).await;
    let Stage { broker, one, two } = stage;
    tally
        .add("the servers end when they are told to", async {
            one.end().await?;
            two.end().await?;
            until("nobody subscribes", || Ok(broker.channels()?.is_empty())).await
        })
        .await;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 { Ok(()) } else { Err("failed".into()) }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    async fn add(&mut self, name: &str, case: impl Future<Output = Result<()>>) {
        let start = Instant::now();
        let done = timeout(2 * PATIENCE, case).await.unwrap_or_else(|_| Err("it took too long".into()));
        match done {
            Ok(()) => {
                self.passed += 1;
                println!("ok      {name} ({:.1} s)", start.elapsed().as_secs_f64());
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED  {name}: {error}");
            }
        }
    }
}

impl Stage {
    /// So many clients of each server.
    async fn clients(&self, topic: &str, each: usize) -> Result<Vec<Client>> {
        let mut clients = Vec::new();
        for process in [&self.one, &self.two] {
            for _ in 0..each {
                clients.push(process.client(topic).await?);
            }
        }
        Ok(clients)
    }

    /// How often each server said that messages may be missing.
    fn missed(&self) -> [usize; 2] {
        [&self.one, &self.two].map(|process| process.count("missed "))
    }

    /// Waits until both said so once more.
    async fn both_missed(&self, before: [usize; 2]) -> Result<()> {
        until("both servers say that messages may be missing", || {
            Ok(self.missed().iter().zip(before).all(|(now, before)| *now > before))
        })
        .await
    }
}

// FEATURE: HX10
async fn one_order(stage: &Stage) -> Result<()> {
    const EACH: usize = 300;
    let clients = stage.clients("order", 4).await?;
    let total = clients.len() * EACH;
    let mut tasks = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        // All publish at once, and read meanwhile.
        tasks.push(tokio::spawn(async move {
            let (mut reader, mut writer) = client.ws.split();
            let writing = tokio::spawn(async move {
                for count in 0..EACH {
                    writer.send(format!("{number} {count}").as_str()).await?;
                }
                Ok::<_, bowsprit::Error>(writer)
            });
            let mut received = Vec::new();
            while received.len() < total {
                let message = timeout(PATIENCE, reader.recv()).await??.ok_or("closed")?;
                received.push(message.into_text().ok_or("no text")?);
            }
            // Nothing comes twice.
            if let Ok(more) = timeout(Duration::from_millis(300), reader.recv()).await {
                return Err(format!("one more: {more:?}").into());
            }
            writing.await??;
            Result::Ok(received)
        }));
    }
    let publishers = tasks.len();
    let mut orders = Vec::new();
    for task in tasks {
        orders.push(task.await??);
    }
    if orders.iter().any(|order| *order != orders[0]) {
        return Err("the orders differ".into());
    }
    for number in 0..publishers {
        let start = format!("{number} ");
        let counts = orders[0].iter().filter_map(|text| text.strip_prefix(&start));
        if !counts.eq((0..EACH).map(|count| count.to_string())) {
            return Err(format!("the messages of publisher {number} are not in order, or not all there").into());
        }
    }
    Ok(())
}

async fn kinds(stage: &Stage) -> Result<()> {
    let mut clients = stage.clients("kinds", 1).await?;
    let messages = [
        OwnedMessage::from("text: κόσμε"),
        b"binary: \x00\xff\r\n"[..].into(),
        "".into(),
        b""[..].into(),
        "\0\r\n$1".into(),
        "é".repeat(1 << 18).into(),
        vec![0x81; 3 << 20].into(),
        b"\x01text?"[..].into(),
    ];
    for (count, message) in messages.into_iter().enumerate() {
        let publisher = count % clients.len();
        clients[publisher].send(message.as_message()).await?;
        for client in &mut clients {
            client.expect(message.clone()).await?;
        }
    }
    Ok(())
}

async fn topics_apart(stage: &Stage) -> Result<()> {
    // Names that are patterns to Redis, or hold what others are made of.
    let names = ["apart", "apar", "apart:", "a*", "%5Bap%5Dart", "%3F", "%CE%BA", "%20", "test:apart"];
    let mut pairs = Vec::new();
    for name in names {
        pairs.push((name, stage.one.client(name).await?, stage.two.client(name).await?));
    }
    for round in ["first", "second"] {
        for (name, publisher, _) in &mut pairs {
            publisher.send(format!("{round} of {name}").as_str()).await?;
        }
        // One that got something else would see it before its own.
        for (name, one, two) in &mut pairs {
            one.expect(format!("{round} of {name}")).await?;
            two.expect(format!("{round} of {name}")).await?;
        }
    }
    Ok(())
}

// FEATURE: HX10
async fn joins_and_leaves(stage: &Stage) -> Result<()> {
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(stage.one.client("counted").await?);
        clients.push(stage.two.client("counted").await?);
    }
    for client in clients {
        client.close().await?;
    }
    for process in [&stage.one, &stage.two] {
        until("all have left", || Ok(process.count("left counted ") == 50)).await?;
        let said = process.said();
        let counts = |start| said.iter().filter_map(move |line| line.strip_prefix(start));
        let up = counts("joined counted ").eq((1..=50).map(|count| count.to_string()));
        let down = counts("left counted ").eq((0..50).rev().map(|count| count.to_string()));
        if !up || !down {
            return Err("the counts do not match".into());
        }
    }
    Ok(())
}

async fn last_leaves(stage: &Stage) -> Result<()> {
    let channel = format!("{PREFIX}leaving");
    let [first, second, third] =
        [stage.one.client("leaving").await?, stage.one.client("leaving").await?, stage.two.client("leaving").await?];
    if !stage.broker.channels()?.contains(&channel) || stage.broker.subscribers("leaving")? != 2 {
        return Err("it is not each server that subscribes, once".into());
    }
    first.close().await?;
    third.close().await?;
    until("one server is left", || Ok(stage.broker.subscribers("leaving")? == 1)).await?;
    drop(second); // without a Close
    until("the channel is gone", || Ok(!stage.broker.channels()?.contains(&channel))).await?;
    // And it comes again.
    let mut again = stage.clients("leaving", 1).await?;
    again[1].send("again").await?;
    for client in &mut again {
        client.expect("again").await?;
    }
    Ok(())
}

async fn foreign(stage: &Stage) -> Result<()> {
    let mut clients = stage.clients("foreign", 1).await?;
    let before = stage.missed();
    for bytes in [&b"hello"[..], b"\x01\xff\xfe", b"\x08\x03\xe8", b"\x00"] {
        stage.broker.publish("foreign", bytes)?;
    }
    stage.broker.ask(&["PUBLISH", &format!("{PREFIX}foreign"), ""])?;
    stage.broker.publish("foreign", b"\x01as it should be")?;
    for client in &mut clients {
        client.expect("as it should be").await?;
    }
    if stage.missed() == before.map(|before| before + 5) { Ok(()) } else { Err("not all five were told".into()) }
}

async fn slow(stage: &Stage) -> Result<()> {
    let silent = stage.one.client("flood").await?;
    let mut reader = stage.one.client("flood").await?;
    let mut publisher = stage.two.client("flood").await?;
    let (message, count) = (vec![0x55; 64 << 10], 1024);
    for _ in 0..count {
        publisher.send(&message[..]).await?;
        publisher.expect(&message[..]).await?;
        reader.expect(&message[..]).await?;
    }
    let peak = stage.one.peak()?;
    if peak > 48 << 20 {
        return Err(format!("{peak} bytes, of {} published", count * message.len()).into());
    }
    drop(silent);
    Ok(())
}

async fn ended_by_redis(stage: &Stage) -> Result<()> {
    let mut clients = stage.clients("ended", 1).await?;
    let before = stage.missed();
    stage.broker.ask(&["CLIENT", "KILL", "TYPE", "pubsub"])?;
    stage.both_missed(before).await?;
    stage.broker.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
    flows_again(&mut clients, Duration::from_secs(3)).await
}

async fn killed(stage: &mut Stage) -> Result<()> {
    let mut clients = stage.clients("killed", 2).await?;
    let before = stage.missed();
    stage.broker.kill()?;
    stage.both_missed(before).await?;
    for client in &mut clients {
        client.send("into the void").await?;
        client.expect("refused").await?;
    }
    // A new topic is refused at once.
    let start = Instant::now();
    if stage.one.client("late").await.is_ok() || start.elapsed() > Duration::from_secs(2) {
        return Err("subscribed without Redis, or hung".into());
    }
    sleep(Duration::from_secs(4)).await;
    stage.broker.restart().await?;
    // The longest delay, and some for the machine.
    flows_again(&mut clients, Duration::from_secs(7)).await?;
    let mut late = stage.clients("late", 1).await?;
    late[0].send("now").await?;
    late[1].expect("now").await
}

async fn stopped(stage: &Stage) -> Result<()> {
    let mut clients = stage.clients("stopped", 1).await?;
    let before = stage.missed();
    stage.broker.signal("STOP")?;
    let start = Instant::now();
    let noticed = async {
        clients[0].send("to nobody").await?;
        clients[0].expect("refused").await?;
        if start.elapsed() > Duration::from_secs(7) {
            return Err(format!("refused only after {:?}", start.elapsed()).into());
        }
        stage.both_missed(before).await
    };
    let noticed = noticed.await;
    stage.broker.signal("CONT")?;
    noticed?;
    flows_again(&mut clients, Duration::from_secs(12)).await
}

/// A message of the first client reaches all of them, once Redis is back; until then it may be refused, or reach some.
async fn flows_again(clients: &mut [Client], bound: Duration) -> Result<()> {
    let start = Instant::now();
    for round in 0.. {
        let text = format!("round {round}");
        clients[0].send(text.as_str()).await?;
        let mut reached = 0;
        for client in &mut *clients {
            // Others come first where an earlier round reached it late.
            let own = async {
                while client.receive().await? != text.as_str().into() {}
                Result::Ok(())
            };
            if let Ok(received) = timeout(Duration::from_millis(200), own).await {
                received?;
                reached += 1;
            }
        }
        if start.elapsed() > bound {
            return Err(format!("in {bound:?} it reached {reached} of {}", clients.len()).into());
        }
        if reached == clients.len() {
            break;
        }
    }
    for client in &mut *clients {
        client.send("all again").await?;
    }
    let count = clients.len();
    for client in clients {
        let mut left = count;
        while left > 0 {
            // What Redis was given before may arrive after all.
            left -= usize::from(client.receive().await? == "all again".into());
        }
    }
    Ok(())
}
