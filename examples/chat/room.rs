//! The rooms: members, events, and the order of events.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use bowsprit::server::Session;
use bowsprit::{Close, Prepared};

use crate::protocol::{Join, Refusal, Reply, Resumed, Seen, Stamp};

/// The most rooms. A further one replaces the room that has been empty for the longest time.
const MAX_ROOMS: usize = 200;
/// The most members of a room.
const MAX_MEMBERS: usize = 200;
/// The most events in a room's history.
const MAX_HISTORY: usize = 200;
/// The most bytes in it.
const MAX_HISTORY_BYTES: usize = 256 << 10;
/// The compression level, 0 to 9. Each event is compressed once for all members.
const LEVEL: u8 = 6;

/// All rooms.
///
/// One lock for all rooms: an event gets its number and enters the queues of all members before the next event does, so
/// that all members see one order. Nothing waits while it holds the lock; a member whose queue is full is disconnected.
#[derive(Default)]
pub(crate) struct Rooms(Mutex<HashMap<String, Room>>);

/// The room and the name of a member.
pub(crate) struct Place {
    room: String,
    name: String,
}

struct Room {
    /// A random text, new each time that the room is created.
    epoch: String,
    /// The number of the last event.
    seq: u64,
    /// The last events, up to that one.
    history: VecDeque<Prepared>,
    /// The bytes of the payloads in `history`.
    history_bytes: usize,
    members: BTreeMap<String, Member>,
    /// When the last member left.
    empty_since: Instant,
}

struct Member {
    session: Session,
    token: String,
}

impl Rooms {
    /// Adds a session to a room and announces it to the other members.
    pub(crate) fn join(&self, session: &Session, join: Join) -> Result<Place, Refusal> {
        join.check()?;
        let mut rooms = self.lock();
        if !rooms.contains_key(&join.room) {
            make_place(&mut rooms)?;
            rooms.insert(join.room.clone(), Room::new()?);
        }
        let place = Place { room: join.room.clone(), name: join.name.clone() };
        if let Some(room) = rooms.get_mut(&join.room) {
            room.enter(session, join)?;
        }
        Ok(place)
    }

    /// Publishes a text to all members of the room, the sender included.
    pub(crate) fn say(&self, session: &Session, place: &Place, text: &str, id: u64) {
        let mut rooms = self.lock();
        if let Some(room) = rooms.get_mut(&place.room).filter(|room| room.has(session, place)) {
            room.publish(|stamp| Reply::Said { stamp, name: &place.name, text, id });
        }
    }

    /// Removes a session that has ended.
    pub(crate) fn leave(&self, session: &Session, place: &Place, lost: bool) {
        let mut rooms = self.lock();
        // If another connection has taken over, the member stays.
        if let Some(room) = rooms.get_mut(&place.room).filter(|room| room.has(session, place)) {
            room.members.remove(&place.name);
            room.empty_since = Instant::now();
            room.publish(|stamp| Reply::Left { stamp, name: &place.name, lost });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one more entry.
fn make_place(rooms: &mut HashMap<String, Room>) -> Result<(), Refusal> {
    if rooms.len() < MAX_ROOMS {
        return Ok(());
    }
    let empty = rooms.iter().filter(|(_, room)| room.members.is_empty());
    let oldest = empty.min_by_key(|(_, room)| room.empty_since).map(|(name, _)| name.clone());
    rooms.remove(&oldest.ok_or(Refusal::NO_ROOM_LEFT)?);
    Ok(())
}

impl Room {
    fn new() -> Result<Self, Refusal> {
        // Without random numbers, a client could not distinguish two epochs.
        let epoch = getrandom::u64().map_err(|_| Refusal::NO_ROOM_LEFT)?;
        Ok(Self {
            epoch: format!("{epoch:016x}"),
            seq: 0,
            history: VecDeque::new(),
            history_bytes: 0,
            members: BTreeMap::new(),
            empty_since: Instant::now(),
        })
    }

    fn enter(&mut self, session: &Session, join: Join) -> Result<(), Refusal> {
        let Join { name, token, seen, .. } = join;
        match self.members.get(&name) {
            Some(member) if member.token != token => return Err(Refusal::NAME_TAKEN),
            None if self.members.len() == MAX_MEMBERS => return Err(Refusal::ROOM_FULL),
            _ => {}
        }
        self.welcome(session, seen.as_ref());
        let member = Member { session: session.clone(), token };
        match self.members.insert(name.clone(), member) {
            // The same client, whose earlier connection is lost, which the server has not noticed yet.
            Some(Member { session: before, .. }) => refuse(&before, &Refusal::TAKEN_OVER),
            None => self.publish(|stamp| Reply::Joined { stamp, name: &name }),
        }
        Ok(())
    }

    /// Sends the welcome, then the events of the history that the client has not seen.
    fn welcome(&self, session: &Session, seen: Option<&Seen>) {
        let forgotten = self.seq - self.history.len() as u64;
        let (resumed, missing, after) = match seen {
            None => (Resumed::New, 0, forgotten),
            Some(seen) if seen.epoch != self.epoch => (Resumed::Unknown, 0, forgotten),
            Some(seen) => (Resumed::Continued, forgotten.saturating_sub(seen.seq), forgotten.max(seen.seq)),
        };
        let members = self.members.keys().map(String::as_str).collect();
        send(session, &prepare(&Reply::Welcome { epoch: &self.epoch, seq: self.seq, resumed, missing, members }));
        for (seq, event) in (forgotten + 1..).zip(&self.history) {
            if seq > after {
                send(session, event);
            }
        }
    }

    /// Whether the member is this session; another connection of the same client may have taken over.
    fn has(&self, session: &Session, place: &Place) -> bool {
        self.members.get(&place.name).is_some_and(|member| member.session == *session)
    }

    /// Gives an event its number and queues it for all members.
    fn publish<'a>(&mut self, event: impl FnOnce(Stamp) -> Reply<'a>) {
        self.seq += 1;
        let event = prepare(&event(Stamp { seq: self.seq, at: now() }));
        for member in self.members.values() {
            send(&member.session, &event);
        }
        self.history_bytes += event.payload().len();
        self.history.push_back(event);
        while (self.history.len() > MAX_HISTORY || self.history_bytes > MAX_HISTORY_BYTES)
            && let Some(oldest) = self.history.pop_front()
        {
            self.history_bytes -= oldest.payload().len();
        }
    }
}

/// Sends the reason to a session, then closes it.
pub(crate) fn refuse(session: &Session, refusal: &Refusal) {
    let Refusal { code, reason } = *refusal;
    send(session, &prepare(&Reply::Refused { reason }));
    // An error: the session is closing already.
    let _ = session.close(Some(Close { code, reason }));
}

/// Queues a message without waiting. A session whose queue is full is disconnected, one that is closing is skipped.
fn send(session: &Session, message: &Prepared) {
    let _ = session.sender().try_send_prepared(message);
}

/// Encodes a message once for all its receivers.
fn prepare(reply: &Reply<'_>) -> Prepared {
    // Cannot fail: a reply is text, numbers and lists of text.
    let text = serde_json::to_string(reply).unwrap_or_default();
    Prepared::text(&text).deflated(LEVEL)
}

fn now() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
