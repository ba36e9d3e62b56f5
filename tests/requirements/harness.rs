//! The matrix of `docs/requirements.md`, and the log of what was executed of it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bowsprit::Role;

/// Both ends, for rows that apply to both.
pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// The matrix itself.
pub(crate) const MATRIX: &str = include_str!("../../docs/requirements.md");

/// One row of the matrix.
pub(crate) struct Row {
    /// The letter of its group.
    pub(crate) group: char,
    /// `client`, `server`, `both`, or `library user`.
    pub(crate) who: &'static str,
    client: bool,
    server: bool,
}

impl Row {
    /// The ends for which the row still has to be executed.
    fn missing(&self) -> Vec<Role> {
        let (client, server) = match self.who.split(" (").next() {
            Some("client") => (!self.client, false),
            Some("server") => (false, !self.server),
            Some("both") => (!self.client, !self.server),
            Some("library user") => (!self.client && !self.server, false),
            _ => panic!("nobody is called {:?} in the column Who", self.who),
        };
        [(client, Role::Client), (server, Role::Server)]
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, role)| role)
            .collect()
    }
}

/// What was executed: every test of a row says so here, after its last assertion.
pub(crate) struct Log {
    rows: BTreeMap<&'static str, Row>,
    /// What did not hold, each with its reason. The log fails when it is dropped, so that all of it is reported.
    failures: Vec<String>,
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.failures.is_empty() && !std::thread::panicking() {
            panic!("{} did not hold:\n{}", self.failures.len(), self.failures.join("\n"));
        }
    }
}

impl Log {
    pub(crate) fn new() -> Self {
        let mut rows = BTreeMap::new();
        let mut group = None;
        for line in MATRIX.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                // "## G. Base framing and masking"
                group = heading.split_once(". ").and_then(|(letter, _)| letter.parse().ok());
            }
            let (Some(group), Some(cells)) = (group, line.strip_prefix("| ")) else { continue };
            let mut cells = cells.split(" | ");
            let (Some(id), Some(who)) = (cells.next(), cells.nth(1)) else { continue };
            if id.contains('-') {
                let row = Row { group, who, client: false, server: false };
                assert!(rows.insert(id, row).is_none(), "{id} stands in the matrix twice");
            }
        }
        Self { rows, failures: Vec::new() }
    }

    /// Runs the tests of some rows; where one fails, so that those of the other rows run, too.
    pub(crate) fn group(&mut self, rows: fn(&mut Self)) {
        if let Err(reason) = catch(|| rows(self)) {
            self.failures.push(reason);
        }
    }

    /// Runs the case of a row; whether it held.
    pub(crate) fn case(&mut self, case: impl FnOnce()) -> bool {
        let result = catch(case);
        let held = result.is_ok();
        self.failures.extend(result.err());
        held
    }

    /// The row `id` held for `role`.
    ///
    /// # Panics
    ///
    /// When the matrix has no such row.
    #[track_caller]
    pub(crate) fn proved(&mut self, id: &str, role: Role) {
        let row = self.rows.get_mut(id).unwrap_or_else(|| panic!("the matrix has no row {id}"));
        match role {
            Role::Client => row.client = true,
            Role::Server => row.server = true,
        }
    }

    /// The rows that `demanded` chooses and that were not executed for each of their roles.
    pub(crate) fn missing(&self, demanded: impl Fn(&str, &Row) -> bool) -> Vec<(&'static str, Vec<Role>)> {
        let rows = self.rows.iter().filter(|(id, row)| demanded(id, row));
        rows.map(|(id, row)| (*id, row.missing())).filter(|(_, roles)| !roles.is_empty()).collect()
    }

    /// How many rows were executed as a client, and how many as a server.
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.rows.values().filter(|row| row.client).count(), self.rows.values().filter(|row| row.server).count())
    }

    pub(crate) fn row(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    pub(crate) fn rows_of(&self, group: &str) -> usize {
        self.rows.values().filter(|row| group.starts_with(row.group)).count()
    }

    pub(crate) fn executed(&self) -> BTreeSet<String> {
        self.rows.iter().filter(|(_, row)| row.client || row.server).map(|(id, _)| (*id).to_owned()).collect()
    }
}

/// Runs a test; why it failed.
fn catch(test: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(test)).map_err(|reason| {
        let text = reason.downcast_ref::<String>().cloned();
        text.or_else(|| reason.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// The IDs in the `REQ` comments of the Rust files under `folder`, which is relative to the package. Such a comment
/// has a line of its own and lists its IDs with commas.
pub(crate) fn cited(folder: &str) -> BTreeSet<String> {
    fn read(folder: &Path, ids: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, ids);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                let comments = source.lines().filter_map(|line| line.trim().strip_prefix("// REQ: "));
                ids.extend(comments.flat_map(|ids| ids.split(", ").map(str::to_owned)));
            }
        }
    }
    let mut ids = BTreeSet::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut ids);
    ids
}

/// The ways to cut `wire` into reads: whole, byte by byte, and in two at every place. A wire of more than
/// 2 KiB is cut in two at every place of its first and last 64 bytes, and at 64 places between.
pub(crate) fn cuts(wire: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let end = wire.len();
    let places: Vec<usize> = if end <= 2 << 10 {
        (1..end).collect()
    } else {
        let between = (1..=64).map(|i| 64 + i * (end - 128) / 65);
        (1..=64).chain(between).chain(end - 64..end).collect()
    };
    let whole_and_bytes = [vec![wire], wire.chunks(1).collect()];
    whole_and_bytes.into_iter().chain(places.into_iter().map(|place| vec![&wire[..place], &wire[place..]]))
}
