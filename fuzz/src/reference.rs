//! The receiving rules of RFC 6455 sections 5, 7.4 and 8.1 once more: naive, over a whole input, in a style as far from the
//! machine's as can be, so that the two do not share their errors.

use bowsprit::{Config, Role};

use crate::heard::Told;

/// What an endpoint of this role makes of `wire`: the events, and the close code with which it fails the connection.
pub fn receive(role: Role, config: &Config, wire: &[u8]) -> (Vec<Told>, Option<u16>) {
    let mut told = Vec::new();
    let failure = frames(role, config, wire, &mut told).err();
    (told, failure)
}

#[derive(Default)]
struct Progress {
    text: bool,
    data: Vec<u8>,
    fragments: u32,
    empty: u16,
}

fn frames(role: Role, config: &Config, mut wire: &[u8], told: &mut Vec<Told>) -> Result<(), u16> {
    let mut message: Option<Progress> = None;
    // Each turn is one frame; an input that ends inside it ends the loop, once what is there has been judged.
    while let Some(&first) = wire.first() {
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        let control = opcode >= 0x8;
        let fits = match opcode {
            0x0 => message.is_some(),
            0x1 | 0x2 => message.is_none(),
            0x8..=0xa => fin,
            _ => false,
        };
        check(first & 0x70 == 0 && fits, 1002)?;

        let Some(&second) = wire.get(1) else { break };
        let masked = second & 0x80 != 0;
        check(masked == (role == Role::Server), 1002)?;
        let short = second & 0x7f;
        check(!control || short <= 125, 1002)?;

        let extended = [0, 2, 8][usize::from(short.saturating_sub(125))];
        let Some(digits) = wire.get(2..2 + extended) else { break };
        let len = digits.iter().fold(0, |len: u64, digit| len << 8 | u64::from(*digit));
        let (len, least) = [(short.into(), 0), (len, 126), (len, 0x1_0000)][usize::from(short.saturating_sub(125))];
        check((least..1 << 63).contains(&len), 1002)?;
        if !control {
            check(config.max_frame.is_none_or(|max| len <= max), 1009)?;
            let before = message.as_ref().map_or(0, |message| message.data.len());
            check(before as u64 + len <= config.max_message, 1009)?;
        }

        let header = 2 + extended + if masked { 4 } else { 0 };
        if wire.len() < header {
            break;
        }
        let key = if masked { [0, 1, 2, 3].map(|i| wire[2 + extended + i]) } else { [0; 4] };
        let here = usize::try_from(len).map_or(wire.len() - header, |len| len.min(wire.len() - header));
        let whole = here as u64 == len;
        let payload = wire[header..header + here].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
        wire = &wire[header + here..];

        match opcode {
            _ if control && !whole => break,
            0x8 => {
                told.push(close(payload)?);
                return Ok(());
            }
            0x9 => told.push(Told::Ping(payload)),
            0xa => told.push(Told::Pong(payload)),
            _ => {
                let text = opcode == 0x1;
                let alone = message.is_none() && fin;
                let message_now = message.get_or_insert(Progress { text, ..Progress::default() });
                if !alone {
                    message_now.fragments += 1;
                    message_now.empty = if len == 0 { message_now.empty + 1 } else { 0 };
                    let many = message_now.fragments > config.max_fragments;
                    check(!many && message_now.empty <= config.max_empty_fragments, 1008)?;
                }
                message_now.data.extend_from_slice(&payload);
                let end = fin && whole;
                if message_now.text
                    && let Err(error) = std::str::from_utf8(&message_now.data)
                {
                    // No length: the input ended inside a character.
                    check(!end && error.error_len().is_none(), 1007)?;
                }
                if end && let Some(Progress { text, data, .. }) = message.take() {
                    told.push(Told::message(text, data));
                }
            }
        }
    }
    Ok(())
}

fn close(payload: Vec<u8>) -> Result<Told, u16> {
    if payload.is_empty() {
        return Ok(Told::Close(None));
    }
    check(payload.len() >= 2, 1002)?;
    let code = u16::from(payload[0]) << 8 | u16::from(payload[1]);
    let reserved = [1004, 1005, 1006, 1015].contains(&code);
    check((1000..=1014).contains(&code) && !reserved || (3000..5000).contains(&code), 1002)?;
    let reason = String::from_utf8(payload[2..].to_vec()).map_err(|_| 1007_u16)?;
    Ok(Told::Close(Some((code, reason))))
}

fn check(holds: bool, code: u16) -> Result<(), u16> {
    if holds { Ok(()) } else { Err(code) }
}
