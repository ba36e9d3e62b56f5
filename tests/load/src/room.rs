//! What all users of a room have seen together.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The events of a room, by epoch and number, as the first user saw them.
#[derive(Default)]
pub struct Room(Mutex<HashMap<String, HashMap<u64, String>>>);

impl Room {
    /// Whether this event is what all others have seen under that number.
    pub fn agrees(&self, epoch: &str, seq: u64, event: &str) -> bool {
        let mut epochs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !epochs.contains_key(epoch) {
            epochs.insert(epoch.into(), HashMap::new());
        }
        match epochs.get_mut(epoch) {
            Some(events) => events.entry(seq).or_insert_with(|| event.into()) == event,
            None => false,
        }
    }

    /// The number of the last event that anybody has seen in this epoch.
    pub fn last(&self, epoch: &str) -> u64 {
        let epochs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.get(epoch).and_then(|events| events.keys().max().copied()).unwrap_or(0)
    }

    pub fn epochs(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
