//! A chat under load. It starts the example `chat` as a child, and scripted users that talk in its rooms. Some of them are
//! cut off and come back; in the middle, the server is killed and started again. Every user checks that the events of its
//! room have no hole and one order, that what it said came back once, and that it was told of each gap as it is.
//!
//! ```text
//! usage: load CHAT [--smoke]
//! ```

mod line;
#[path = "../../../benches/sockets/src/open_files.rs"]
mod open_files;
mod protocol;
mod random;
mod room;
mod server;
mod user;

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use line::{Cut, Dial};
use random::Random;
use room::Room;
use server::{Server, Used};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use user::{BACKOFF, Phase, Seeing, State, User, lock};

/// How much of everything.
struct Plan {
    users: usize,
    rooms: usize,
    length: Duration,
    /// All users have started by then.
    begins: Duration,
    /// From the server's end to its new start.
    pause: Duration,
}

const FULL: Plan = Plan {
    users: 1_000,
    rooms: 50,
    length: Duration::from_secs(60),
    begins: Duration::from_secs(4),
    pause: Duration::from_secs(2),
};
const SMOKE: Plan = Plan {
    users: 50,
    rooms: 5,
    length: Duration::from_secs(6),
    begins: Duration::from_millis(500),
    pause: Duration::from_millis(500),
};

/// The time that a machine with other work may take, beside the delays that are meant.
const SLACK: Duration = Duration::from_secs(5);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let (program, plan) = match &arguments[..] {
        [program] => (program, FULL),
        [program, option] if option == "--smoke" => (program, SMOKE),
        _ => return Err("usage: load CHAT [--smoke]".into()),
    };
    // A user that is cut off may have two.
    open_files::allow(plan.users + plan.users / 10)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let good = runtime.block_on(run(Path::new(program), &plan))?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(program: &Path, plan: &Plan) -> Result<bool, Box<dyn Error>> {
    let mut server = Server::start(program)?;
    let start = Instant::now();
    let rooms: Vec<Arc<Room>> = (0..plan.rooms).map(|_| Arc::default()).collect();
    let (phase, begun) = watch::channel(Phase::Talk);
    let dial = Dial::new(server.address)?;
    let mut users = JoinSet::new();
    let mut seeing = Vec::new();
    for number in 0..plan.users {
        let mut random = Random::new(number as u64);
        let seen = Arc::<Mutex<Seeing>>::default();
        seeing.push(Arc::clone(&seen));
        let cut = if number % 20 < 10 { Cut::Reset } else { Cut::Silent };
        // A tenth of the users is cut off before the server is killed, another tenth behind that.
        let cut = match number % 10 {
            0 => Some((start + random.up_to(plan.length * 3 / 10), cut)),
            5 => Some((start + plan.length * 7 / 10 + random.up_to(plan.length / 5), cut)),
            _ => None,
        };
        let user = User {
            name: format!("user {number}"),
            room_name: format!("room {}", number % plan.rooms),
            room: Arc::clone(&rooms[number % plan.rooms]),
            starts: start + plan.begins.mul_f64(number as f64 / plan.users as f64),
            random,
            cut,
            phase: begun.clone(),
            seeing: seen,
            state: State::default(),
        };
        users.spawn(user.run(dial.clone()));
    }

    sleep_until(start + plan.length / 2).await;
    let here = seeing.iter().filter(|seen| lock(seen).welcomes > 0).count();
    let before = server.kill()?;
    sleep(plan.pause).await;
    server.restart()?;
    let restarted = Instant::now();
    sleep_until(start + plan.length).await;
    phase.send(Phase::Quiet)?;
    let patience = Instant::now() + BACKOFF.max + SLACK;
    let through = || {
        let last = |at: &(String, u64), number: usize| rooms[number % plan.rooms].last(&at.0) == at.1;
        let seen = seeing.iter().enumerate();
        seen.filter(|(number, seen)| lock(seen).at.as_ref().is_some_and(|at| last(at, *number))).count()
    };
    // Everybody learns of the phase before anybody is asked.
    sleep(Duration::from_millis(100)).await;
    while through() < plan.users && Instant::now() < patience {
        sleep(Duration::from_millis(50)).await;
    }
    let (through, after) = (through(), server.used()?);
    phase.send(Phase::End)?;
    let ended = timeout(Duration::from_secs(15), async {
        while let Some(user) = users.join_next().await {
            user?;
        }
        Ok::<_, Box<dyn Error>>(())
    });
    ended.await.map_err(|_| "the users did not end")??;
    let status = server.end()?;

    let seen: Vec<Seeing> = seeing.iter().map(|seen| lock(seen).clone()).collect();
    let mut good = report(plan, &seen, restarted);
    print_used(before, after, &seen);
    good &= check(here == plan.users, "all had joined when the server was killed", here);
    good &= check(through == plan.users, "all have seen the last event of their room, and all they said", through);
    good &= check(rooms.iter().all(|room| room.epochs() == 2), "each room had two epochs", 2);
    good &= check(status.success(), "the server ended as it was asked to", status);
    println!("{}", if good { "all is well" } else { "FAILED" });
    Ok(good)
}

/// Prints what all have seen; whether that is as it should be.
fn report(plan: &Plan, seen: &[Seeing], restarted: Instant) -> bool {
    let sum = |count: fn(&Seeing) -> u64| seen.iter().map(count).sum::<u64>();
    let users = seen.len() as u64;
    let back = seen.iter().filter_map(|seen| seen.unknown_at).max();
    let last_back = back.map_or(Duration::MAX, |back| back.duration_since(restarted));
    println!("{users} users in {} rooms, {} s", plan.rooms, plan.length.as_secs());
    println!(
        "said {}, of these {} again after a cut, {} on their way when the server was killed (nobody can know)",
        sum(|seen| seen.said),
        sum(|seen| seen.said_again),
        sum(|seen| seen.in_doubt)
    );
    println!("receipts {}", sum(|seen| seen.receipts));
    let lost = sum(|seen| seen.lost);
    let cuts = sum(|seen| seen.cuts);
    let unknown = sum(|seen| seen.unknown);
    let continued = sum(|seen| seen.continued);
    println!("cut off {cuts}: came back {continued}, {} events replayed", sum(|seen| seen.replayed));
    println!("server killed and restarted: reconnected {unknown} of {users}, the last after {last_back:.1?}");
    let connections = sum(|seen| seen.connections_lost);
    println!("connections lost {connections}, attempts that failed {}", sum(|seen| seen.attempts_failed));
    for trouble in seen.iter().flat_map(|seen| &seen.trouble).take(10) {
        println!("trouble: {trouble}");
    }
    let mut good = check(lost == 0, "messages lost", lost);
    let reordered = sum(|seen| seen.reordered);
    good &= check(reordered == 0, "messages reordered", reordered);
    let different = sum(|seen| seen.different);
    good &= check(different == 0, "events that two users saw differently", different);
    let twice = sum(|seen| seen.twice);
    good &= check(twice == 0, "texts that came back twice, or otherwise than said", twice);
    let missing = sum(|seen| seen.told_missing);
    good &= check(missing == 0, "events that were in no history any more", missing);
    good &=
        check(cuts == users / 5 && continued == cuts, "all that were cut off came back, and nothing else was", cuts);
    good &= check(connections == users + cuts, "connections were lost by the cuts and the kill alone", connections);
    let once = seen.iter().filter(|seen| seen.unknown == 1).count();
    good &= check(once == seen.len(), "told once of a gap that nobody knows", once);
    good &= check(last_back < BACKOFF.max + SLACK, "the last was back in time", format!("{last_back:.1?}"));
    let troubles = seen.iter().map(|seen| seen.trouble.len()).sum::<usize>();
    good & check(troubles == 0, "other trouble", troubles)
}

fn print_used(before: Used, after: Used, seen: &[Seeing]) {
    let receipts: u64 = seen.iter().map(|seen| seen.receipts).sum();
    let cpu = before.cpu + after.cpu;
    println!(
        "server: {:.2} s of CPU before it was killed, {:.2} s after ({:.1} µs a receipt); peak RSS {:.1} and {:.1} MiB",
        before.cpu.as_secs_f64(),
        after.cpu.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / receipts.max(1) as f64,
        before.peak as f64 / f64::from(1 << 20),
        after.peak as f64 / f64::from(1 << 20),
    );
}

fn check(good: bool, what: &str, value: impl std::fmt::Display) -> bool {
    println!("{} {what}: {value}", if good { "ok:" } else { "FAILED:" });
    good
}
