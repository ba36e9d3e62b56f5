//! What users can do, executed: `docs/features.md` states the rows. The files here and elsewhere prove them, each beside a
//! `FEATURE` comment, and [`every_feature_has_a_test`] looks for these.

#![cfg(unix)] // a reset connection and many open files are asked for as there

mod backplane;
mod beside_http;
#[cfg(feature = "deflate")]
mod compressed;
mod extensions;
mod handler_style;
mod hanging;
mod in_and_out;
#[cfg(feature = "rustls")]
mod secure;
mod shutdown;
mod slow;
mod support;
mod topics;
mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rows.
const TABLE: &str = include_str!("../../docs/features.md");

/// The files in which rows are cited, and the tests that the table names, by row.
type Files = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_feature_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (named, mut cited) = (named(), Files::new());
    for folder in ["tests", "examples"] {
        read(&root.join(folder), folder, &mut cited);
    }
    let untested: Vec<_> = named.keys().filter(|row| !cited.contains_key(*row)).collect();
    assert!(untested.is_empty(), "rows without a test: {untested:?}");
    let unknown: Vec<_> = cited.iter().filter(|(row, _)| !named.contains_key(*row)).collect();
    assert!(unknown.is_empty(), "comments that cite rows that the table does not have: {unknown:?}");
    for (row, tests) in &named {
        for test in tests {
            assert!(cited[row].contains(test), "{test} does not cite {row}, which the table says");
        }
    }
}

#[test]
fn the_table_is_read_whole() {
    // "| FL. Handler style | 10 |"
    let groups = TABLE.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(". "));
    let counts: Vec<(&str, usize)> = groups
        .filter_map(|(group, rest)| Some((group, rest.rsplit_once(" | ")?.1.strip_suffix(" |")?.parse().ok()?)))
        .collect();
    let named = named();
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), named.len());
    assert!(TABLE.contains(&format!("| **Total** | **{}** |", named.len())));
    for (group, count) in counts {
        for number in 1..=count {
            assert!(named.contains_key(&format!("{group}{number}")), "{group}{number}");
        }
    }
}

/// The rows, and the tests that the table names for each: "| FL1 | what | check | features/handler_style.rs |".
fn named() -> Files {
    let mut rows = Files::new();
    for line in TABLE.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, row, _, _, tests, _] = cells[..] else { continue };
        if row.starts_with(|first: char| first.is_ascii_uppercase())
            && row.ends_with(|last: char| last.is_ascii_digit())
        {
            let tests = tests.split(", ").map(|test| format!("tests/{test}")).collect();
            assert!(rows.insert(row.to_owned(), tests).is_none(), "{row} stands in the table twice");
        }
    }
    rows
}

/// Looks for the comments in the tests and scripts under `folder`, which is called `name`. A comment has a line of its own
/// and lists its rows with commas.
fn read(folder: &Path, name: &str, cited: &mut Files) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let entry = entry.expect("an entry");
        let (path, file_name) = (entry.path(), entry.file_name().into_string().expect("a name"));
        let name = format!("{name}/{file_name}");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            // What was built, or installed, is not ours.
            if !["node_modules", "target"].contains(&&*file_name) {
                read(&path, &name, cited);
            }
            continue;
        }
        let extension = path.extension().map_or("", |extension| extension.to_str().unwrap_or_default());
        if !kind.is_file() || !["", "js", "mjs", "py", "rs", "sh"].contains(&extension) {
            continue;
        }
        // A program without an extension is no text.
        let Ok(source) = fs::read_to_string(&path) else { continue };
        let comments = source.lines().filter_map(|line| {
            let line = line.trim().trim_start_matches(['/', '#']);
            line.strip_prefix(" FEATURE: ")
        });
        for row in comments.flat_map(|rows| rows.split(", ")) {
            cited.entry(row.to_owned()).or_default().insert(name.clone());
        }
    }
}
