//! One scripted user: joins, talks, hears, is cut off, comes back; and checks all that it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bowsprit::aio::{Connector, WebSocket};
use bowsprit::handshake::client;
use bowsprit::{CloseCode, Message};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::protocol::{Reply, Request, Resumed, Seen};
use crate::random::Random;
use crate::room::Room;

/// Between two texts of a user, at most; half of it at least.
pub const PAUSE: Duration = Duration::from_secs(4);
/// Before the first try to come back, at most: doubled with each try.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// Before any try to come back.
pub const LONGEST_DELAY: Duration = Duration::from_secs(4);
/// The events in a room's history.
const HISTORY: u64 = 200;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What all users are to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Talk,
    /// Hear what is still on its way.
    Quiet,
    End,
}

/// How a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// With a reset: the server notices.
    Reset,
    /// Nothing is read or written any more, and the server does not notice before the user comes back.
    Silent,
}

/// What a user has seen so far.
#[derive(Clone, Default)]
pub struct Seeing {
    pub said: u64,
    pub said_again: u64,
    /// Said, and on the way when the server was killed: nobody can know.
    pub in_doubt: u64,
    pub receipts: u64,
    pub replayed: u64,
    /// Events that are missing, although the server said otherwise; and texts that never came back.
    pub lost: u64,
    /// Events that came twice, or too late.
    pub reordered: u64,
    /// Events that others saw differently.
    pub different: u64,
    /// Texts of this user that came back twice, or not as they were said.
    pub twice: u64,
    /// Events that the server said are not in its history any more.
    pub told_missing: u64,
    pub welcomes: u64,
    pub continued: u64,
    /// Welcomes in another epoch, with the time of the last.
    pub unknown: u64,
    pub unknown_at: Option<Instant>,
    pub cuts: u64,
    /// What went wrong besides, in words.
    pub trouble: Vec<String>,
    /// The last event, by epoch and number, of a user that waits for nothing else.
    pub at: Option<(String, u64)>,
}

pub struct User {
    pub name: String,
    pub room_name: String,
    pub room: Arc<Room>,
    pub server: SocketAddr,
    pub connector: Arc<Connector>,
    pub random: Random,
    pub starts: Instant,
    pub cut: Option<(Instant, Cut)>,
    pub phase: watch::Receiver<Phase>,
    pub seeing: Arc<Mutex<Seeing>>,
    pub state: State,
}

/// Where a user stands.
#[derive(Default)]
pub struct State {
    seen: Option<Seen>,
    epoch: String,
    /// The number of the next event.
    next: u64,
    /// Events up to this one happened before the welcome.
    past: u64,
    /// All of these have come.
    settled: bool,
    /// What was said and has not come back: by id, and whether it was sent.
    waiting: BTreeMap<u64, (String, bool)>,
    says_at: Option<Instant>,
}

type Connection = WebSocket<TcpStream>;

impl User {
    pub async fn run(mut self) {
        sleep_until(self.starts).await;
        let mut tries = 0;
        // A connection that is cut, and that the server takes for open.
        let mut silent = None;
        loop {
            if *self.phase.borrow() == Phase::End {
                return;
            }
            let welcomes = self.seeing().welcomes;
            match self.connect().await {
                Err(_) => {}
                Ok(mut ws) => match self.talk(&mut ws, &mut silent).await {
                    Ok(None) => {
                        if let Err(error) = ws.close(Some(CloseCode::NORMAL.into())).await {
                            self.seeing().trouble.push(error.to_string());
                        }
                        return;
                    }
                    Ok(Some(Cut::Reset)) => drop(ws.get_ref().set_zero_linger()),
                    Ok(Some(Cut::Silent)) => silent = Some(ws),
                    Err(_) => {}
                },
            }
            self.seeing().at = None;
            tries = if self.seeing().welcomes > welcomes { 0 } else { tries + 1 };
            let longest = FIRST_DELAY * 2_u32.pow(tries.min(10));
            sleep(self.random.up_to(longest.min(LONGEST_DELAY))).await;
        }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let connecting = async {
            let tcp = TcpStream::connect(self.server).await?;
            tcp.set_nodelay(true)?;
            Ok::<_, Error>(self.connector.connect_on(tcp).await?.0)
        };
        timeout(Duration::from_secs(10), connecting).await?
    }

    /// Until the end, or until the connection is lost or cut.
    async fn talk(&mut self, ws: &mut Connection, silent: &mut Option<Connection>) -> Result<Option<Cut>, Error> {
        let token = format!("secret of {}", self.name);
        let join =
            Request::Join { room: &self.room_name, name: &self.name, token: &token, seen: self.state.seen.as_ref() };
        ws.send(&*serde_json::to_string(&join)?).await?;
        self.state.settled = false;
        self.state.epoch.clear();
        let far = Instant::now() + Duration::from_secs(3_600);
        loop {
            let phase = *self.phase.borrow_and_update();
            if phase == Phase::End {
                return Ok(None);
            }
            let says_at = self.state.says_at.filter(|_| phase == Phase::Talk && self.state.settled).unwrap_or(far);
            let cut_at = self.cut.map_or(far, |(at, _)| at);
            tokio::select! {
                biased;
                changed = self.phase.changed() => changed?,
                received = ws.next() => {
                    let Some((message, _)) = received? else { return Err("closed".into()) };
                    self.hear(message)?;
                    // The server has answered: it knows that the other one is gone.
                    *silent = None;
                    self.settle(ws).await?;
                }
                () = sleep_until(says_at) => {
                    self.say(ws).await?;
                    self.state.says_at = Some(Instant::now() + self.random.up_to(PAUSE));
                }
                () = sleep_until(cut_at), if self.state.settled => {
                    let cut = self.cut.take().map(|(_, cut)| cut);
                    self.seeing().cuts += 1;
                    match cut {
                        // Said, and never on its way.
                        Some(Cut::Reset) => {
                            let (id, text) = self.text();
                            self.state.waiting.insert(id, (text, true));
                            self.seeing().said += 1;
                        }
                        // Said and heard, which the user does not learn before it comes back.
                        _ => self.say(ws).await?,
                    }
                    return Ok(cut);
                }
            }
            self.look();
        }
    }

    fn hear(&mut self, message: Message<'_>) -> Result<(), Error> {
        let json: &str = message.try_into()?;
        match serde_json::from_str(json)? {
            Reply::Welcome { epoch, seq, resumed, missing } => self.welcomed(epoch, seq, resumed, missing),
            Reply::Refused { reason } => self.seeing().trouble.push(format!("refused: {reason}")),
            Reply::Joined { seq } | Reply::Left { seq } => self.happened(seq, json),
            Reply::Said { seq, name, text, id } => {
                self.happened(seq, json);
                self.seeing().receipts += 1;
                if name == self.name {
                    let known = self.state.waiting.remove(&id);
                    if known.is_none_or(|(said, _)| said != text) {
                        self.seeing().twice += 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn welcomed(&mut self, epoch: String, seq: u64, resumed: Resumed, missing: u64) {
        let seeing = Arc::clone(&self.seeing);
        let mut seeing = lock(&seeing);
        seeing.welcomes += 1;
        seeing.told_missing += missing;
        let expected = match &self.state.seen {
            None => Resumed::New,
            Some(seen) if seen.epoch == epoch => Resumed::Continued,
            Some(_) => Resumed::Unknown,
        };
        if resumed != expected {
            seeing.trouble.push(format!("told {resumed:?}, where it is {expected:?}"));
        }
        match expected {
            Resumed::New => {}
            Resumed::Continued => seeing.continued += 1,
            Resumed::Unknown => {
                seeing.unknown += 1;
                seeing.unknown_at = Some(Instant::now());
                // Nobody knows.
                let before = self.state.waiting.len();
                self.state.waiting.retain(|_, (_, sent)| !*sent);
                seeing.in_doubt += (before - self.state.waiting.len()) as u64;
            }
        }
        drop(seeing);
        let state = &mut self.state;
        state.next = match (expected, &state.seen) {
            (Resumed::Continued, Some(seen)) => seen.seq + missing + 1,
            // All of the history, or all that there is.
            _ => seq.saturating_sub(HISTORY) + 1,
        };
        (state.epoch, state.past) = (epoch, seq);
        state.says_at.get_or_insert_with(Instant::now);
    }

    /// An event: the next one, and the same one that all others see.
    fn happened(&mut self, seq: u64, event: &str) {
        let agrees = self.room.agrees(&self.state.epoch, seq, event);
        let next = self.state.next;
        let mut seeing = self.seeing();
        seeing.different += u64::from(!agrees);
        seeing.lost += seq.saturating_sub(next);
        seeing.reordered += u64::from(seq < next);
        seeing.replayed += u64::from(seq <= self.state.past && seeing.continued > 0 && !self.state.settled);
        drop(seeing);
        self.state.next = seq + 1;
        self.state.seen = Some(Seen { epoch: self.state.epoch.clone(), seq });
    }

    /// Once all that was missed has come: what is not among it was not said, and is said again.
    async fn settle(&mut self, ws: &mut Connection) -> Result<(), Error> {
        let state = &mut self.state;
        let came = state.past == 0 || state.seen.as_ref().is_some_and(|seen| seen.seq >= state.past);
        let same = state.seen.as_ref().is_none_or(|seen| seen.epoch == state.epoch);
        if state.settled || state.epoch.is_empty() || !came || !same {
            return Ok(());
        }
        state.settled = true;
        let mut again = 0;
        for (_, sent) in state.waiting.values_mut() {
            again += u64::from(*sent);
            *sent = false;
        }
        self.seeing().said_again += again;
        self.transmit(ws).await
    }

    async fn say(&mut self, ws: &mut Connection) -> Result<(), Error> {
        let (id, text) = self.text();
        self.seeing().said += 1;
        self.state.waiting.insert(id, (text, false));
        self.transmit(ws).await
    }

    /// Sends what is not sent.
    async fn transmit(&mut self, ws: &mut Connection) -> Result<(), Error> {
        for (&id, (text, sent)) in &mut self.state.waiting {
            if !*sent {
                *sent = true;
                ws.feed(&*serde_json::to_string(&Request::Say { text, id })?).await?;
            }
        }
        Ok(ws.flush().await?)
    }

    fn text(&mut self) -> (u64, String) {
        let words = ["tea", "rain", "κόσμε", "the sea", "🦀", "a long walk", "nothing at all", "\"quoted\""];
        let count = self.random.next() % 24 + 1;
        let words = (0..count).map(|_| words[(self.random.next() % 8) as usize]).collect::<Vec<_>>().join(" ");
        // 53 bits, as of a page.
        (self.random.next() >> 11, words)
    }

    /// Shows where it is.
    fn look(&self) {
        let idle = self.state.settled && self.state.waiting.is_empty();
        let at = self.state.seen.as_ref().filter(|_| idle).map(|seen| (seen.epoch.clone(), seen.seq));
        self.seeing().at = at;
    }

    fn seeing(&self) -> MutexGuard<'_, Seeing> {
        lock(&self.seeing)
    }
}

pub fn lock(seeing: &Mutex<Seeing>) -> MutexGuard<'_, Seeing> {
    seeing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens connections to this server.
pub fn connector(server: SocketAddr) -> Result<Connector, Error> {
    use bowsprit::extension::permessage_deflate::Pool;
    use bowsprit::{Config, Deflate};

    let compression = Some(Deflate { pool: Some(Pool::new(4 << 20)), ..Deflate::default() });
    let request = client::Request::try_from(&*format!("ws://{server}/chat"))?;
    Ok(Connector::new(request).config(Config { compression, ..Config::default() }))
}
