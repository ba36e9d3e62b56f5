//! Hostile input: failures of other WebSocket implementations, each as an attack on this one, with the bound that
//! must hold.
//!
//! Each attack stands beside a `HOSTILE` comment with the number of its row. Heap is read from a counting allocator,
//! work is counted in calls and bytes; nothing here depends on the time something takes.

#![cfg(all(feature = "blocking", feature = "deflate", unix))]

#[cfg(feature = "rustls")]
#[path = "../tls/authority.rs"]
mod authority;
mod blocking;
mod chain;
mod core;
mod deflate;
mod handshake;
mod heap;
#[path = "../deflate/heard.rs"]
mod heard;
mod stream;
#[cfg(feature = "rustls")]
mod tls;
mod wire;

use std::collections::BTreeSet;
use std::sync::OnceLock;

/// The rows that this crate answers. Missing are redirects (22) and proxies (54), which stand in `tests/dial`, and futures
/// (33), which stand in `tests/tokio`.
const ROWS: &[u8] = &[
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
    23,
    24,
    26,
    27,
    28,
    29,
    30,
    31,
    32,
    34,
    35,
    36,
    39,
    40,
    41,
    47,
    50,
    52,
    #[cfg(feature = "rustls")]
    25,
];

struct Attack {
    row: u8,
    name: &'static str,
    run: fn(),
    survived: OnceLock<()>,
}

impl Attack {
    /// Runs it, unless it has been run before.
    fn survive(&self) {
        self.survived.get_or_init(self.run);
    }
}

/// Makes each attack a test of its name, and all of them a table.
macro_rules! attacks {
    ($($(#[$cfg:meta])? $row:literal $topic:ident::$name:ident)*) => {
        $(
            $(#[$cfg])?
            #[test]
            fn $name() {
                ATTACKS.iter().find(|attack| attack.name == stringify!($name)).expect("it is in the table").survive();
            }
        )*

        static ATTACKS: [Attack; [$($(#[$cfg])? $row),*].len()] = [
            $($(#[$cfg])? Attack { row: $row, name: stringify!($name), run: $topic::$name, survived: OnceLock::new() }),*
        ];
    };
}

attacks! {
    2 core::a_length_that_nothing_follows
    3 core::pings_from_a_peer_that_never_reads
    3 core::pings_behind_a_full_queue
    4 core::lengths_at_the_edges_of_integers
    5 core::random_bytes_that_must_not_spin
    5 core::deadlines_of_zero
    6 core::masking_keys_that_could_be_guessed
    7 core::a_message_that_never_ends
    8 core::a_million_tiny_fragments
    11 core::reserved_bits_everywhere
    14 core::text_in_tiny_fragments
    14 core::text_in_tiny_reads
    15 core::an_oversized_close_reason
    52 core::a_close_reason_that_is_too_long_to_send
    18 core::ten_million_unsolicited_pongs
    19 core::an_oversized_control_frame
    20 core::a_peer_that_never_lets_go
    28 core::nothing_configured
    30 core::one_huge_message_and_then_silence
    31 core::idle_machines
    31 core::messages_that_cost_allocations
    39 core::an_input_that_its_owner_changes_between_two_reads

    9 deflate::bombs
    9 chain::bombs_behind_an_extension
    10 deflate::bad_window_bits
    11 deflate::reserved_bits_where_one_is_agreed
    12 deflate::bytes_behind_a_final_block
    13 deflate::windows_that_lose_step
    31 deflate::idle_compression
    31 deflate::idle_connections_that_share_engines
    31 deflate::broadcasts_that_are_kept
    36 deflate::empty_final_blocks_without_end
    40 chain::decoders_that_change_what_was_there
    41 deflate::a_compressed_fragment_and_then_silence

    1 handshake::a_head_that_comes_byte_by_byte
    16 handshake::fields_of_blanks_commas_and_quotes
    17 handshake::too_many_header_fields
    23 handshake::header_injection
    26 handshake::pages_of_other_origins
    47 handshake::pages_of_apps_and_extensions
    50 handshake::refusals_without_an_end
    27 handshake::what_a_proxy_might_misread
    32 handshake::frames_in_the_segment_of_the_head

    2 blocking::a_length_that_nothing_follows_over_a_stream
    3 blocking::pings_over_a_stream_that_takes_nothing
    6 blocking::masking_keys_of_two_connections
    52 blocking::a_close_reason_that_is_too_long_to_send_over_a_stream
    20 blocking::a_peer_that_never_lets_go_of_its_socket
    21 blocking::sending_and_closing_at_once
    #[cfg(not(feature = "rustls"))] 24 blocking::a_secret_in_plaintext
    #[cfg(feature = "rustls")] 24 tls::a_secret_in_plaintext
    #[cfg(feature = "rustls")] 25 tls::a_certificate_for_another_host
    #[cfg(feature = "rustls")] 31 tls::idle_connections_inside_tls
    27 blocking::frames_before_the_checks
    29 blocking::kept_messages_that_hold_the_read_buffer
    30 blocking::one_huge_message_over_a_stream_and_then_silence
    31 blocking::idle_connections
    31 blocking::messages_over_a_stream_that_cost_allocations
    32 blocking::frames_in_the_segment_of_the_head_over_a_stream
    34 blocking::streams_that_fail_at_each_step
    35 blocking::a_close_behind_a_flood
    35 blocking::a_refusal_behind_a_flood
}

#[test]
fn every_row_is_executed() {
    let executed: BTreeSet<u8> = ATTACKS
        .iter()
        .map(|attack| {
            attack.survive();
            attack.row
        })
        .collect();
    assert_eq!(executed, ROWS.iter().copied().collect());
    println!("survived {} attacks of {} rows", ATTACKS.len(), ROWS.len());
}
