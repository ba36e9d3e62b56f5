//! What is compressed: 64 different messages of JSON, all of one length.

use std::fmt::Write as _;

/// Records as an interface answers with them: identifiers, names, numbers, times, and sentences.
pub(crate) fn records(len: usize) -> Vec<String> {
    let mut random = Random(7);
    messages(len, |json| {
        let id = (random.next() << 32 | random.next(), random.next());
        let name = (random.of(&NAMES), random.of(&SURNAMES));
        let (price, ratio) = (random.next() % 1_000_000, random.next() % 100_000);
        let time = random.next() % 86_400;
        let _ = write!(
            json,
            r#"{{"id":"{:016x}{:08x}","user":{{"name":"{} {}","email":"{}.{}{}@example.com"}},"#,
            id.0,
            id.1,
            name.0,
            name.1,
            name.0.to_lowercase(),
            name.1.to_lowercase(),
            random.next() % 100,
        );
        let _ = write!(
            json,
            r#""created_at":"2026-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z","amount":{}.{:02},"score":0.{ratio:05},"#,
            1 + random.next() % 12,
            1 + random.next() % 28,
            time / 3_600,
            time / 60 % 60,
            time % 60,
            random.next() % 1_000,
            price / 100,
            price % 100,
        );
        json.push_str(r#""text":""#);
        for _ in 0..6 + random.next() % 12 {
            // Few words make most of a text.
            let word = WORDS[(random.next() % WORDS.len() as u64 * (random.next() % 100) / 100) as usize];
            json.push_str(word);
            json.push(' ');
        }
        let _ = write!(json, r#"","replies":{},"read":{}}},"#, random.next() % 50, random.next() < 1 << 31);
    })
}

/// The same record again and again, with other numbers.
pub(crate) fn regular(len: usize) -> Vec<String> {
    let mut number = 1_u32;
    messages(len, |json| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (id, price, name) =
            (number >> 12, number % 9_973, ["alpha", "beta", "gamma", "delta"][number as usize >> 30]);
        let _ = write!(json, r#"{{"id":{id},"name":"{name}","price":{price}.5,"tags":["new","sale"],"active":true}},"#);
    })
}

fn messages(len: usize, mut record: impl FnMut(&mut String)) -> Vec<String> {
    let message = |_| {
        let mut json = String::from("[");
        while json.len() < len {
            record(&mut json);
        }
        json.truncate(len);
        json
    };
    (0..64).map(message).collect()
}

/// Numbers that look random and are the same each time (xorshift64).
struct Random(u64);

impl Random {
    /// 32 bits.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 32
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.next()).expect("32 bits") % words.len()]
    }
}

const NAMES: [&str; 16] = [
    "Ada", "Bao", "Chloe", "Dmitri", "Elena", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kavya", "Liam", "Mei",
    "Nils", "Olu", "Petra",
];

const SURNAMES: [&str; 16] = [
    "Andersen", "Bianchi", "Cohen", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova", "Jansen",
    "Kowalski", "Lopez", "Moreau", "Nguyen", "Okafor", "Park",
];

const WORDS: [&str; 96] = [
    "the",
    "of",
    "and",
    "to",
    "a",
    "in",
    "is",
    "it",
    "for",
    "that",
    "was",
    "on",
    "with",
    "as",
    "at",
    "by",
    "this",
    "from",
    "not",
    "are",
    "be",
    "or",
    "have",
    "an",
    "we",
    "you",
    "they",
    "one",
    "all",
    "can",
    "more",
    "when",
    "there",
    "order",
    "delivery",
    "customer",
    "invoice",
    "payment",
    "account",
    "shipped",
    "address",
    "returned",
    "support",
    "please",
    "contact",
    "before",
    "after",
    "morning",
    "week",
    "month",
    "package",
    "number",
    "received",
    "waiting",
    "answer",
    "question",
    "problem",
    "solved",
    "version",
    "update",
    "server",
    "client",
    "message",
    "request",
    "failed",
    "again",
    "thanks",
    "regards",
    "between",
    "because",
    "without",
    "during",
    "against",
    "something",
    "nothing",
    "everything",
    "quality",
    "station",
    "weather",
    "report",
    "harbour",
    "anchor",
    "island",
    "captain",
    "northern",
    "signal",
    "engine",
    "pressure",
    "measured",
    "voltage",
    "rotation",
    "calibrated",
    "threshold",
    "exceeded",
    "inspection",
    "scheduled",
];
