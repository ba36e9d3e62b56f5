//! One scripted user: joins, talks, hears, is cut off, comes back; and checks all that it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bowsprit::client::{Backoff, ClientEvent, DisconnectReason, Handle, Reconnecting};
use bowsprit::session::BoxError;
use bowsprit::{CloseCode, Message};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::line::{Cut, Dial};
use crate::protocol::{Reply, Request, Resumed, Seen};
use crate::random::Random;
use crate::room::Room;

/// Between two texts of a user, at most; half of it at least.
pub const PAUSE: Duration = Duration::from_secs(4);
/// Before users come back.
pub const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(500),
    max: Duration::from_secs(5),
    retries: None,
    reset_after: Duration::from_secs(5),
};
/// The events in a room's history.
const HISTORY: u64 = 200;

/// What all users are to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Talk,
    /// Hear what is still on its way.
    Quiet,
    End,
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
    pub connections_lost: u64,
    pub attempts_failed: u64,
    /// What went wrong besides, in words.
    pub trouble: Vec<String>,
    /// The last event, by epoch and number, of a user that waits for nothing else.
    pub at: Option<(String, u64)>,
}

pub struct User {
    pub name: String,
    pub room_name: String,
    pub room: Arc<Room>,
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

impl User {
    pub async fn run(mut self, dial: Dial) {
        sleep_until(self.starts).await;
        let mut client = Reconnecting::new(dial).backoff(BACKOFF);
        if let Err(error) = self.live(&mut client).await {
            self.seeing().trouble.push(error.to_string());
        }
    }

    /// Until the end. A connection that is lost or cut is none.
    // FEATURE: HX7
    async fn live(&mut self, client: &mut Reconnecting<Dial>) -> Result<(), BoxError> {
        let handle = client.handle();
        let far = Instant::now() + Duration::from_secs(3_600);
        // A connection that is cut, and that the server takes for open.
        let mut silent = None;
        loop {
            let talks = self.state.settled && *self.phase.borrow() == Phase::Talk;
            let says_at = self.state.says_at.filter(|_| talks).unwrap_or(far);
            let cut_at = self.cut.map_or(far, |(at, _)| at);
            tokio::select! {
                biased;
                changed = self.phase.changed() => {
                    changed?;
                    if *self.phase.borrow() == Phase::End {
                        handle.close(Some(CloseCode::NORMAL.into()))?;
                    }
                }
                event = client.next() => match event? {
                    // What fails here is lost, which is told next.
                    Some(ClientEvent::Connected { mut out, .. }) => drop(out.send(&*self.join()?).await),
                    Some(ClientEvent::Message(message, _)) => {
                        self.hear(message)?;
                        // The server has answered: it knows that the other one is gone.
                        drop(silent.take());
                        self.settle(&handle)?;
                    }
                    Some(ClientEvent::Disconnected { reason: lost, .. }) => self.lost(matches!(lost, DisconnectReason::Closed(_))),
                    None => return self.ended(client.last_disconnect()),
                },
                () = sleep_until(says_at) => {
                    self.say(&handle)?;
                    self.state.says_at = Some(Instant::now() + self.random.up_to(PAUSE));
                }
                () = sleep_until(cut_at), if self.state.settled => {
                    if let (Some((_, cut)), Some(line)) = (self.cut.take(), client.get_ref()) {
                        line.cut(cut)?;
                        silent = Some(line.clone()).filter(|_| cut == Cut::Silent);
                        self.seeing().cuts += 1;
                    }
                    // Said, and after a reset never on its way; else said and heard, which the user does not learn before it
                    // comes back.
                    self.say(&handle)?;
                }
            }
            self.look();
        }
    }

    fn join(&self) -> serde_json::Result<String> {
        let token = format!("secret of {}", self.name);
        let seen = self.state.seen.as_ref();
        serde_json::to_string(&Request::Join { room: &self.room_name, name: &self.name, token: &token, seen })
    }

    /// There is no connection, and another attempt comes.
    fn lost(&mut self, was_open: bool) {
        self.state.settled = false;
        self.state.epoch.clear();
        let mut seeing = self.seeing();
        seeing.connections_lost += u64::from(was_open);
        seeing.attempts_failed += u64::from(!was_open);
    }

    /// There is no connection, and none will come.
    fn ended(&self, lost: Option<&DisconnectReason>) -> Result<(), BoxError> {
        match lost {
            Some(DisconnectReason::Closed(closed)) if closed.is_clean() && *self.phase.borrow() == Phase::End => Ok(()),
            _ => Err(format!("ended otherwise than by its own Close: {lost:?}").into()),
        }
    }

    fn hear(&mut self, message: Message<'_>) -> Result<(), BoxError> {
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
    fn settle(&mut self, handle: &Handle) -> Result<(), BoxError> {
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
        self.transmit(handle)
    }

    fn say(&mut self, handle: &Handle) -> Result<(), BoxError> {
        let (id, text) = self.text();
        self.seeing().said += 1;
        self.state.waiting.insert(id, (text, false));
        self.transmit(handle)
    }

    /// Sends what is not sent. What finds no connection is sent by the next one.
    fn transmit(&mut self, handle: &Handle) -> Result<(), BoxError> {
        for (&id, (text, sent)) in &mut self.state.waiting {
            if !*sent {
                *sent = handle.try_send(serde_json::to_string(&Request::Say { text, id })?).is_ok();
            }
        }
        Ok(())
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
