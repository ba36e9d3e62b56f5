//! Tokio echo with ONE read buffer and ONE write buffer per thread: a connection owns bytes only while a frame is
//! incomplete or a write is blocked. Frames from 4 KiB up are sent by writev straight out of the read buffer.
use super::masks::xor_to;
use std::cell::RefCell;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
thread_local! { static B: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::new((vec![0; 256 * 1024], Vec::with_capacity(256 * 1024))) }

#[derive(Default)]
struct Conn {
    rest: Vec<u8>,
    pend: Vec<u8>,
}
enum Step {
    Again,
    Eof,
    Blocked,
}

/// poll_read, not try_read: tokio then drops readiness after a short read and spares the EAGAIN syscall
fn rd(s: &mut TcpStream, cx: &mut Context<'_>, b: &mut [u8]) -> Poll<std::io::Result<usize>> {
    let mut rb = ReadBuf::new(b);
    ready!(Pin::new(s).poll_read(cx, &mut rb))?;
    Poll::Ready(Ok(rb.filled().len()))
}
fn step(s: &mut TcpStream, c: &mut Conn, cx: &mut Context<'_>) -> Poll<std::io::Result<Step>> {
    B.with(|b| {
        let (inb, out) = &mut *b.borrow_mut();
        out.clear();
        // a big incomplete message grows in its own buffer; everything else passes through the shared one
        if c.rest.len() >= 128 * 1024 {
            let need = header(&c.rest).map_or(0, |(h, l, ..)| h + l);
            let at = c.rest.len();
            c.rest.resize((need.max(at) + 65536).max(at + 65536), 0);
            let r = rd(s, cx, &mut c.rest[at..]);
            c.rest.truncate(at + if let Poll::Ready(Ok(n)) = &r { *n } else { 0 });
            if ready!(r)? == 0 {
                return Poll::Ready(Ok(Step::Eof));
            }
            let mut rest = std::mem::take(&mut c.rest);
            let used = pump(s, &mut rest, out, &mut c.pend)?;
            rest.drain(..used);
            c.rest = rest;
            if c.rest.is_empty() {
                c.rest = Vec::new()
            }
        } else {
            let at = c.rest.len();
            inb[..at].copy_from_slice(&c.rest);
            let n = ready!(rd(s, cx, &mut inb[at..]))?;
            if n == 0 {
                return Poll::Ready(Ok(Step::Eof));
            }
            let used = pump(s, &mut inb[..at + n], out, &mut c.pend)?;
            if used == at + n {
                c.rest = Vec::new()
            } else {
                c.rest.clear();
                c.rest.extend_from_slice(&inb[used..at + n]);
            }
        }
        if !out.is_empty() {
            let k = if c.pend.is_empty() {
                match s.try_write(out) {
                    Ok(k) => k,
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => 0,
                    Err(e) => return Poll::Ready(Err(e)),
                }
            } else {
                0
            };
            if k < out.len() {
                c.pend.extend_from_slice(&out[k..]);
            }
        }
        Poll::Ready(Ok(if c.pend.is_empty() { Step::Again } else { Step::Blocked }))
    })
}
/// (header length with mask, payload length, first byte, key)
fn header(h: &[u8]) -> Option<(usize, usize, u8, u32)> {
    if h.len() < 2 {
        return None;
    }
    let (hl, len) = match h[1] & 0x7f {
        126 => {
            if h.len() < 8 {
                return None;
            }
            (8, u16::from_be_bytes([h[2], h[3]]) as usize)
        }
        127 => {
            if h.len() < 14 {
                return None;
            }
            (14, u64::from_be_bytes(h[2..10].try_into().unwrap()) as usize)
        }
        l => {
            if h.len() < 6 {
                return None;
            }
            (6, l as usize)
        }
    };
    Some((hl, len, h[0], u32::from_ne_bytes(h[hl - 4..hl].try_into().unwrap())))
}
fn pump(s: &TcpStream, buf: &mut [u8], out: &mut Vec<u8>, pend: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut p = 0;
    while let Some((hl, len, b0, key)) = header(&buf[p..]) {
        if buf.len() - p < hl + len {
            break;
        }
        if b0 & 0x70 != 0 || buf[p + 1] & 0x80 == 0 || b0 & 15 == 8 {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut h = [b0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let n = if len < 126 {
            h[1] = len as u8;
            2
        } else if len < 65536 {
            h[1] = 126;
            h[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            4
        } else {
            h[1] = 127;
            h[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        };
        let src = unsafe { buf.as_mut_ptr().add(p + hl) };
        if len < 4096 {
            out.reserve(len + 10);
            unsafe {
                let at = out.len();
                let d = out.as_mut_ptr().add(at);
                std::ptr::copy_nonoverlapping(h.as_ptr(), d, 10);
                xor_to(src, d.add(n), len, key);
                out.set_len(at + n + len)
            }
        } else {
            unsafe { xor_to(src, src, len, key) }
            let pl = &buf[p + hl..p + hl + len];
            let total = out.len() + n + len;
            let k = if !pend.is_empty() {
                0
            } else {
                match s.try_write_vectored(&[IoSlice::new(out), IoSlice::new(&h[..n]), IoSlice::new(pl)]) {
                    Ok(k) => k,
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => 0,
                    Err(e) => return Err(e),
                }
            };
            if k < total {
                let mut skip = k;
                for part in [&out[..], &h[..n], pl] {
                    let d = skip.min(part.len());
                    pend.extend_from_slice(&part[d..]);
                    skip -= d
                }
            }
            out.clear();
        }
        p += hl + len;
    }
    Ok(p)
}
pub async fn serve(mut s: TcpStream) -> Option<()> {
    let mut c = Conn::default();
    loop {
        match std::future::poll_fn(|cx| step(&mut s, &mut c, cx)).await {
            Ok(Step::Again) => {}
            Ok(Step::Eof) => return None,
            Ok(Step::Blocked) => {
                let p = std::mem::take(&mut c.pend);
                s.write_all(&p).await.ok()?
            }
            Err(_) => return None,
        }
    }
}
