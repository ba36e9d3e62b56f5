//! A message that is encoded once for all who agreed on the same.

use std::collections::HashSet;
use std::sync::{Arc, Barrier};
use std::thread;

use bowsprit::extension::permessage_deflate::{Agreed, Pool};
use bowsprit::{Chunk, Config, Connection, Deflate, Message, Messages, Outgoing, Prepared, Role};
use bytes::BytesMut;
use flate2::{Compress, Compression, FlushCompress};
use hex_literal::hex;

use crate::decoder::Decoder;
use crate::support::{AGREED, ROLES, Random, messages, pair, payloads, receive};

#[test]
fn each_window_has_a_form_that_keeps_to_it_and_uses_it() {
    let news: Vec<u8> = messages(50_000).concat();
    for level in [1, 6, 9] {
        let prepared = Prepared::binary(&news).deflated(level);
        for role in ROLES {
            for bits in 8..=15 {
                let (mut sender, mut receiver) = ends(role, both(false, bits), Deflate::default());
                let wire = prepared_by(&mut sender, &prepared);
                let mut decoder = Decoder::default();
                let [(0xc2, payload)] = &payloads(role, &wire)[..] else { panic!("one frame, compressed") };
                assert_eq!(
                    decoder.message(payload).as_deref(),
                    Some(&news[..]),
                    "{role:?}, {bits} bits, level {level}"
                );
                let farthest = decoder.farthest;
                assert!(farthest <= 1 << bits, "{role:?}, {bits} bits, level {level}: {farthest}");
                assert!(5 * farthest >= 2 << bits, "{role:?}, {bits} bits, level {level}: {farthest}");
                assert_eq!(receive(&mut receiver, &wire), Ok(vec![news.clone()]));
            }
        }
        assert_eq!(prepared.encodings(), 8);
    }
}

#[test]
fn prepared_messages_between_all_others_leave_the_windows_right() {
    let parts = messages(30_000);
    let mut random = Random::new(11);
    let noise: Vec<u8> = (0..3_000).map(|_| random.byte()).collect();
    // Some shrink, some do not.
    let news: Vec<Prepared> = parts
        .iter()
        .take(5)
        .chain([&noise, &vec![], &b"x".to_vec()])
        .map(|news| Prepared::binary(news).deflated(6))
        .collect();
    for role in ROLES {
        for bits in 8..=15 {
            for no_takeover in [false, true] {
                for pool in [None, Some(Pool::new(1 << 20))] {
                    let deflate = Deflate { threshold: 0, pool, ..Deflate::default() };
                    let (mut sender, mut receiver) = ends(role, both(no_takeover, bits), deflate);
                    let mut decoder = Decoder::default();
                    for turn in 0..60 {
                        let (message, wire) = send(&mut sender, &parts, &news, &mut random);
                        let told = format!("{role:?}, {bits} bits, {no_takeover}, {turn}");
                        assert_eq!(inflated(role, &wire, no_takeover, &mut decoder), message, "{told}");
                        assert_eq!(receive(&mut receiver, &wire), Ok(vec![message]), "{told}");
                    }
                    assert!(decoder.farthest <= 1 << bits, "{role:?}, {bits} bits: {}", decoder.farthest);
                }
            }
        }
    }
    assert!(news.iter().all(|news| news.encodings() == 8));
}

#[test]
fn what_would_not_shrink_goes_plain() {
    for bits in 9..=15 {
        let mut differences = HashSet::new();
        for len in 0..30 {
            let text = "a".repeat(len);
            let mut engine = Compress::new_with_window_bits(Compression::new(9), false, bits);
            let mut payload = Vec::with_capacity(100);
            engine.compress_vec(text.as_bytes(), &mut payload, FlushCompress::Sync).unwrap();
            let payload = payload.strip_suffix(&[0x00, 0x00, 0xff, 0xff]).unwrap_or(&payload);
            differences.insert(len.cmp(&payload.len()));

            let news = Prepared::text(&text).deflated(9);
            let (mut server, _) = ends(Role::Server, both(false, bits), Deflate::default());
            let (first, sent) = if payload.len() < len { (0xc1, payload) } else { (0x81, text.as_bytes()) };
            assert_eq!(payloads(Role::Server, &prepared_by(&mut server, &news)), [(first, sent.to_vec())]);
            assert_eq!(news.encodings(), 2);
        }
        // Longer, as long, and shorter: all of it was tried.
        assert_eq!(differences.len(), 3);
    }
}

#[test]
fn the_window_starts_empty_behind_what_went_compressed_alone() {
    let mut random = Random::new(5);
    let noise: Vec<u8> = (0..200).map(|_| random.byte()).collect();
    let (news, incompressible) =
        (Prepared::text(&"news ".repeat(40)).deflated(9), Prepared::binary(&noise).deflated(9));
    let repeated = "one two three four five six seven eight nine ten ".repeat(4);
    for bits in 8..=15 {
        for role in ROLES {
            let (mut sender, mut receiver) = ends(role, both(false, bits), Deflate::default());
            let (first, plain) = (text(&mut sender, &repeated), prepared_by(&mut sender, &incompressible));
            assert_eq!(payloads(role, &plain), [(0x82, noise.clone())]);
            // It refers to the first one still.
            let again = text(&mut sender, &repeated);
            assert!(3 * again.len() < 2 * first.len(), "{bits} bits: {} of {}", again.len(), first.len());
            // Behind a compressed one it does not; nor behind a second one.
            let mut wire = vec![first.clone(), plain, again];
            for compressed in [1, 2] {
                wire.extend((0..compressed).map(|_| prepared_by(&mut sender, &news)));
                wire.push(text(&mut sender, &repeated));
                assert_eq!(payloads(role, &wire[wire.len() - 1]), payloads(role, &first));
            }
            let (repeated, news) = (repeated.as_bytes(), news.payload());
            let sent = [repeated, &noise, repeated, news, repeated, news, news, repeated];
            assert_eq!(receive(&mut receiver, &wire.concat()), Ok(sent.map(<[u8]>::to_vec).to_vec()));
        }
    }
}

#[test]
fn a_thousand_connections_need_one_encoding_for_each_window() {
    let text = "one two three four five six seven eight nine ten ".repeat(20);
    let news = Prepared::text(&text).deflated(9);
    assert_eq!(news.encodings(), 1);
    let config = Arc::new(Config::default());
    let mut random = Random::new(1);
    let mut windows = HashSet::new();
    let mut wires = HashSet::new();
    for n in 0..1_000_u16 {
        let role = ROLES[random.below(2)];
        // At first, a few of them.
        let (server_bits, client_bits) = (8 + random.byte() % (2 + n.to_be_bytes()[0] * 2), 15 - random.byte() % 2);
        let agreed = Agreed {
            server_no_context_takeover: random.below(2) == 0,
            client_no_context_takeover: random.below(2) == 0,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        };
        let mut sender = match role {
            Role::Server => Connection::server(Messages, config.clone()),
            Role::Client => Connection::client(Messages, config.clone(), [random.byte(); 32]),
        };
        if random.below(3) > 0 {
            sender = sender.with_extensions(&agreed.into());
            windows.insert(if role == Role::Server { server_bits.max(9) } else { client_bits });
        }
        let wire = prepared_by(&mut sender, &news.clone());
        wires.extend(payloads(role, &wire));
        assert_eq!(news.encodings(), 1 + windows.len(), "connection {n}");
    }
    assert_eq!(news.encodings(), 8);
    assert!((2..=8).contains(&wires.len()), "{}", wires.len());
}

#[test]
fn threads_that_ask_at_once_get_the_same_form() {
    const THREADS: usize = 8;
    let text = "one two three four five six seven eight nine ten ".repeat(2_000);
    for _ in 0..20 {
        let news = Prepared::text(&text).deflated(6);
        let barrier = Barrier::new(THREADS);
        let race = |news: Prepared| {
            barrier.wait();
            let forms = (9..=15).map(|bits| {
                let (mut server, _) = ends(Role::Server, both(true, bits), Deflate::default());
                let uncopied = server.begin(&news, &BytesMut::new()).unwrap().expect("nothing masks it");
                let [_, frame] = uncopied.slices();
                assert!(frame.len() < text.len() / 10);
                (frame.as_ptr().addr(), frame.len())
            });
            forms.collect::<Vec<_>>()
        };
        let raced: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| race(news.clone()))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // One place in memory for each window.
        assert!(raced.iter().all(|forms| *forms == raced[0]));
        assert_eq!(raced[0].iter().collect::<HashSet<_>>().len(), 7);
        assert_eq!(news.encodings(), 8);
    }
}

#[test]
fn a_frame_to_be_sent_uncopied_is_the_one_that_is_appended() {
    let news = Prepared::binary(&messages(50_000).concat()).deflated(6);
    let plain = Prepared::binary(news.payload());
    let output = BytesMut::new();
    for bits in 8..=15 {
        let (mut server, mut client) = ends(Role::Server, both(false, bits), Deflate::default());
        let frame = server.begin(&news, &output).unwrap().expect("nothing masks it").slices().concat();
        assert!(frame.len() < plain.payload().len());
        assert_eq!(prepared_by(&mut server, &news), frame);
        let wire =
            [&frame[..], &text(&mut server, "and more of it, and more of it, and more of it, and more")].concat();
        assert_eq!(receive(&mut client, &wire).unwrap()[0], news.payload());
        let frame = server.begin(&plain, &output).unwrap().expect("nothing masks it").slices().concat();
        assert_eq!(frame[4..], *plain.payload());
    }
}

#[test]
fn a_clone_is_a_pointer_and_shares_what_was_encoded() {
    assert!(size_of::<Prepared>() <= 2 * size_of::<usize>());
    let text = "news ".repeat(100);
    let plain = Prepared::text(&text);
    let news = plain.clone().deflated(6);
    let clone = news.clone();
    let (mut server, mut client) = ends(Role::Server, both(false, 10), Deflate::default());
    prepared_by(&mut server, &clone);
    prepared_by(&mut client, &clone);
    assert_eq!([&plain, &news, &clone].map(Prepared::encodings), [1, 2, 2]);
    assert!([&plain, &clone].iter().all(|other| other.payload().as_ptr() == news.payload().as_ptr()));
    // Compressed anew, at another level: a message of its own.
    let other = news.clone().deflated(1);
    assert_eq!((other.encodings(), news.encodings()), (1, 2));
    assert_eq!(prepared_by(&mut server, &plain), [&hex!("81 7e 01 f4")[..], text.as_bytes()].concat());
    assert_eq!(plain.encodings(), 1);
}

#[test]
fn two_are_equal_where_kind_payload_and_level_are() {
    let news = Prepared::text("news, news").deflated(6);
    let (mut server, _) = ends(Role::Server, AGREED, Deflate::default());
    prepared_by(&mut server, &news);
    assert_eq!(news, Prepared::text("news, news").deflated(6));
    assert_eq!(news.clone().deflated(200), news.clone().deflated(9));
    for other in [
        Prepared::text("news, news"),
        Prepared::text("news, news").deflated(5),
        Prepared::text("news, more").deflated(6),
        Prepared::binary(b"news, news").deflated(6),
    ] {
        assert_ne!(news, other);
    }
    let told = r#"Prepared { opcode: Text, payload: b"news, news", level: Some(6), encodings: 2 }"#;
    assert_eq!(format!("{news:?}"), told);
}

/// A sender of this role, and who receives from it.
fn ends(sender: Role, agreed: Agreed, deflate: Deflate) -> (Connection, Connection) {
    let (client, server) = pair(agreed, deflate);
    match sender {
        Role::Client => (client, server),
        Role::Server => (server, client),
    }
}

/// The same for both directions.
fn both(no_context_takeover: bool, bits: u8) -> Agreed {
    Agreed {
        server_no_context_takeover: no_context_takeover,
        client_no_context_takeover: no_context_takeover,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    }
}

fn prepared_by(sender: &mut Connection, news: &Prepared) -> BytesMut {
    let mut output = BytesMut::new();
    sender.send(news, &mut output).unwrap();
    output
}

fn text(sender: &mut Connection, text: &str) -> BytesMut {
    let mut output = BytesMut::new();
    sender.send(Outgoing::text(text), &mut output).unwrap();
    output
}

/// Sends a message in some way: what it is, and what went out.
fn send(sender: &mut Connection, parts: &[Vec<u8>], news: &[Prepared], random: &mut Random) -> (Vec<u8>, BytesMut) {
    let mut output = BytesMut::new();
    let message = &parts[random.below(parts.len())][..];
    match random.below(8) {
        0 => sender.send(Outgoing::binary(message), &mut output).unwrap(),
        1 => sender.send(Outgoing::message(Message::Binary(message)).uncompressed(), &mut output).unwrap(),
        2 => {
            let (start, end) = message.split_at(message.len() / 2);
            sender.send(Chunk { data: Message::Binary(start), end: false }, &mut output).unwrap();
            sender.send(Chunk { data: Message::Binary(end), end: true }, &mut output).unwrap();
        }
        3 => {
            sender.release_compression();
            sender.send(Outgoing::binary(message), &mut output).unwrap();
        }
        way => {
            let news = &news[random.below(news.len())];
            match sender.begin(news, &output).unwrap() {
                // As an adapter does.
                Some(frame) if way < 6 => output.extend_from_slice(&frame.slices().concat()),
                // Twice in a row, the second one alone: asked for, and never sent.
                Some(_) | None => sender.send(news, &mut output).unwrap(),
            }
            return (news.payload().to_vec(), output);
        }
    }
    (message.to_vec(), output)
}

/// The message in these frames, as the decoder sees it that works bit by bit.
fn inflated(sender: Role, wire: &[u8], no_takeover: bool, decoder: &mut Decoder) -> Vec<u8> {
    if no_takeover {
        decoder.forget();
    }
    let frames = payloads(sender, wire);
    let compressed = frames[0].0 & 0x40 != 0;
    let message = frames.into_iter().map(|(_, payload)| payload).collect::<Vec<_>>().concat();
    if compressed { decoder.message(&message).expect("DEFLATE in a window") } else { message }
}
