//! Messages that zlib compressed; `vectors/make.py` wrote them.

use std::sync::Arc;

use bowsprit::extension::permessage_deflate::Agreed;
use bowsprit::{Chunks, Config, Delivery, Messages};

use crate::support::{ROLES, frame, hear};

const VECTORS: &str = include_str!("vectors/zlib.txt");

struct Connection {
    agreed: Agreed,
    /// Payload, length and CRC of each message.
    messages: Vec<(Vec<u8>, usize, u32)>,
}

fn connections() -> Vec<Connection> {
    let mut connections: Vec<Connection> = Vec::new();
    for line in VECTORS.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["connection", bits, _, takeover] => {
                let (bits, alone) = (bits.parse().unwrap(), takeover == "alone");
                connections.push(Connection {
                    agreed: Agreed {
                        server_no_context_takeover: alone,
                        client_no_context_takeover: alone,
                        server_max_window_bits: bits,
                        client_max_window_bits: bits,
                    },
                    messages: Vec::new(),
                });
            }
            ["message", payload, len, crc] => {
                let digits: Vec<u32> = payload.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
                let payload = digits.chunks(2).map(|two| u8::try_from(two[0] << 4 | two[1]).unwrap()).collect();
                let messages = &mut connections.last_mut().expect("a connection comes first").messages;
                messages.push((payload, len.parse().unwrap(), crc.parse().unwrap()));
            }
            _ => assert!(line.starts_with('#'), "{line}"),
        }
    }
    connections
}

#[test]
fn what_zlib_compressed_inflates_to_what_it_was() {
    fn check<D: Delivery + Copy>(delivery: D) {
        let config = Arc::new(Config::default());
        let connections = connections();
        assert_eq!(connections.len(), 21);
        for Connection { agreed, messages } in &connections {
            assert_eq!(messages.len(), 8);
            for role in ROLES {
                let wire: Vec<u8> = messages.iter().flat_map(|(payload, ..)| frame(role, 0xc2, payload)).collect();
                for size in [wire.len(), 1, 2, 100] {
                    let pieces: Vec<&[u8]> = wire.chunks(size).collect();
                    let (heard, error) = hear(role, delivery, &config, *agreed, &pieces);
                    assert_eq!(error, None);
                    let heard: Vec<(usize, u32)> = heard.iter().map(|message| (message.len(), crc(message))).collect();
                    let expected: Vec<(usize, u32)> = messages.iter().map(|(_, len, crc)| (*len, *crc)).collect();
                    assert_eq!(heard, expected);
                }
            }
        }
    }
    check(Messages);
    check(Chunks { max_message: 1 << 20, max_fragments: 1_000 });
}

/// CRC-32 as zlib computes it.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
