//! The frame header: decoding any bytes, and encoding any header.

#![no_main]

use arbitrary::Arbitrary;
use bowsprit::{Header, Mask, OpCode, ProtocolError, Rsv};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    bytes: [u8; 18],
    opcode: u8,
    fin: bool,
    rsv: u8,
    mask: Option<[u8; 4]>,
    /// How far the length is shifted down: lengths of all sizes are as likely.
    shift: u8,
    len: u64,
}

fuzz_target!(|input: Input| {
    decode(&input.bytes);

    let Ok(opcode) = OpCode::try_from(input.opcode & 0x0f) else { return };
    let len = input.len >> 1 >> (input.shift % 63);
    let mask = input.mask.map(Mask);
    let header = Header { fin: input.fin, rsv: Rsv::from_first_byte(input.rsv), opcode, mask, len };
    let encoded = header.encode();
    let expected = match (opcode.is_control(), header.fin, len) {
        (true, false, _) => Err(ProtocolError::FragmentedControl),
        (true, true, 126..) => Err(ProtocolError::ControlTooLong),
        _ => Ok(Some((header, encoded.len()))),
    };
    assert_eq!(Header::decode(&encoded), expected);
});

/// Each beginning of the bytes, in a block of exactly its size, so that a read behind its end is caught.
fn decode(bytes: &[u8]) {
    let result = Header::decode(bytes);
    for size in 0..bytes.len() {
        let beginning = bytes[..size].to_vec().into_boxed_slice();
        match Header::decode(&beginning) {
            Ok(None) => assert!(!matches!(result, Ok(Some((_, whole))) if whole <= size), "it needs no more bytes"),
            early => assert_eq!(early, result, "more bytes change nothing"),
        }
    }
    match result {
        Ok(Some((header, size))) => {
            assert!(size <= Header::MAX_SIZE && header.len < 1 << 63);
            assert!(!header.opcode.is_control() || header.fin && header.len <= 125);
            assert_eq!(header.encode()[..], bytes[..size], "a header has one encoding");
        }
        Ok(None) => assert!(bytes.len() < Header::MAX_SIZE, "no header is longer"),
        Err(_) => {}
    }
}
