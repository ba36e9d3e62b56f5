//! Engines that connections share, a message at a time.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::Compress;
use zlib_rs::Inflate;

use super::history::History;

/// Engines for directions without context takeover: taken for a message, given back at its end.
///
/// Without one, each connection keeps its own engines: some 300 KiB for what it sends, 48 KiB for what it receives. With
/// one, a connection between two messages has none, if its messages start from an empty window anyway. (A window that
/// is taken over belongs to its connection, and the pool does nothing for that direction.)
///
/// The budget bounds what the pool *keeps*: the heap of the engines in it, that no message uses. It does not bound those
/// in use: there are as many as there are messages in progress, since a message whose engine is not in the pool gets a
/// new one. An engine that comes back stays if it fits; those unused for the longest time make room.
///
/// A handle: clones share the engines. Every engine is reset before it is kept: no match reaches into the message of
/// another connection. (As without a pool, which of several matches an engine takes may depend on what it saw before, so
/// that lengths may vary by a few bytes. Who has to hide more sends plain: RFC 7692 section 8.)
///
/// ```
/// use bowsprit::extension::permessage_deflate::{Parameters, Pool};
/// use bowsprit::{Config, Deflate};
///
/// let alone = Parameters {
///     server_no_context_takeover: true,
///     client_no_context_takeover: true,
///     ..Parameters::default()
/// };
/// // All connections with this configuration together keep at most 16 MiB of engines between messages.
/// let deflate = Deflate { parameters: alone, pool: Some(Pool::new(16 << 20)), ..Deflate::default() };
/// let config = Config { compression: Some(deflate), ..Config::default() };
/// # let _ = config;
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    /// Bytes.
    budget: usize,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    /// As fresh as when they were made; unused for the longest time first.
    engines: VecDeque<Engine>,
    /// The heap of all of them: at most the budget.
    bytes: usize,
}

/// An engine between two messages.
pub(super) enum Engine {
    Compressor {
        engine: Compress,
        level: u8,
        window_bits: u8,
    },
    /// With the memory of the window beside it, which is empty.
    Decompressor(Inflate, History),
}

impl Pool {
    /// A pool that keeps engines of at most `budget` bytes, which no message uses.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self(Arc::new(Shared { budget, shelf: Mutex::default() }))
    }

    /// The heap of the engines that it keeps now, in bytes: at most its budget.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.shelf().bytes
    }

    pub(super) fn compressor(&self, level: u8, window_bits: u8) -> Option<Compress> {
        let wanted = (level, window_bits);
        let found = self.take(
            |engine| matches!(engine, Engine::Compressor { level, window_bits, .. } if (*level, *window_bits) == wanted),
        )?;
        match found {
            Engine::Compressor { engine, .. } => Some(engine),
            Engine::Decompressor(..) => None,
        }
    }

    pub(super) fn decompressor(&self) -> Option<(Inflate, History)> {
        match self.take(|engine| matches!(engine, Engine::Decompressor(..)))? {
            Engine::Decompressor(engine, history) => Some((engine, history)),
            Engine::Compressor { .. } => None,
        }
    }

    /// Keeps an engine that has been reset, if it fits.
    pub(super) fn keep(&self, engine: Engine) {
        let size = engine.size();
        if size > self.0.budget {
            return;
        }
        let mut shelf = self.shelf();
        let mut surplus = Vec::new();
        while shelf.bytes + size > self.0.budget
            && let Some(oldest) = shelf.engines.pop_front()
        {
            shelf.bytes -= oldest.size();
            surplus.push(oldest);
        }
        shelf.bytes += size;
        shelf.engines.push_back(engine);
        // Freed when nobody waits for it.
        drop(shelf);
        drop(surplus);
    }

    /// The one used last, for it may still be in the cache.
    fn take(&self, wanted: impl Fn(&Engine) -> bool) -> Option<Engine> {
        let mut shelf = self.shelf();
        let at = shelf.engines.iter().rposition(wanted)?;
        let engine = shelf.engines.remove(at)?;
        shelf.bytes -= engine.size();
        Some(engine)
    }

    /// Locked for a few steps at a time.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Its heap in bytes, or a little more: what zlib-rs allocates at its memory level of 8, and our part.
    fn size(&self) -> usize {
        match self {
            Self::Compressor { window_bits, .. } => (245 << 10) + (4 << window_bits),
            Self::Decompressor(_, history) => (48 << 10) + history.capacity(),
        }
    }
}

/// The same pool.
impl PartialEq for Pool {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Pool {}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("budget", &self.0.budget).field("kept", &self.kept()).finish()
    }
}
