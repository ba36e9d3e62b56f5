//! DEFLATE (RFC 1951) once more, naive, bit by bit: it tells how far back the matches reach.

/// Inflates the messages of one sender, one after the other.
#[derive(Default)]
pub(crate) struct Decoder {
    /// All that came out since the window was last empty.
    output: Vec<u8>,
    /// The largest distance of a match, in bytes.
    pub(crate) farthest: usize,
}

impl Decoder {
    /// What a message inflates to: its payload and the 4 bytes that were cut off are whole blocks. `None` when it is no
    /// DEFLATE.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let start = self.output.len();
        let bytes = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
        let mut bits = Bits { bytes: &bytes, at: 0 };
        while bits.at < 8 * bytes.len() {
            self.block(&mut bits)?;
        }
        Some(self.output[start..].to_vec())
    }

    /// The next message starts from an empty window.
    pub(crate) fn forget(&mut self) {
        self.output.clear();
    }

    fn block(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                bits.align();
                let (len, complement) = (bits.take(16)?, bits.take(16)?);
                // A stored block tells its length twice.
                if len != complement ^ 0xffff {
                    return None;
                }
                for _ in 0..len {
                    self.output.push(u8::try_from(bits.take(8)?).unwrap());
                }
            }
            1 => {
                let lens: Vec<u8> = (0..288)
                    .map(|symbol| [8, 9, 7, 8][[144, 256, 280].partition_point(|from| *from <= symbol)])
                    .collect();
                self.symbols(bits, &Code::new(&lens), &Code::new(&[5; 30]))?;
            }
            2 => {
                let (literals, distances) = dynamic(bits)?;
                self.symbols(bits, &literals, &distances)?;
            }
            _ => return None,
        }
        if last {
            // RFC 7692 section 7.2.3.4: padded to a whole byte, and then others may follow.
            bits.align();
        }
        Some(())
    }

    fn symbols(&mut self, bits: &mut Bits<'_>, literals: &Code, distances: &Code) -> Option<()> {
        loop {
            match literals.take(bits)? {
                literal @ ..256 => self.output.push(u8::try_from(literal).unwrap()),
                256 => return Some(()),
                symbol => {
                    let len = match symbol - 257 {
                        short @ ..8 => 3 + short,
                        28 => 258,
                        long => {
                            let extra = (long - 4) / 4;
                            3 + ((4 + long % 4) << extra) + bits.take(extra)?
                        }
                    };
                    let distance = match distances.take(bits)? {
                        near @ ..4 => 1 + near,
                        far => {
                            let extra = (far - 2) / 2;
                            1 + ((2 + far % 2) << extra) + bits.take(extra)?
                        }
                    };
                    self.farthest = self.farthest.max(distance);
                    for _ in 0..len {
                        // A match lies in the window.
                        let from = self.output.len().checked_sub(distance)?;
                        self.output.push(self.output[from]);
                    }
                }
            }
        }
    }
}

/// The two codes of a dynamic block (RFC 1951 section 3.2.7).
fn dynamic(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    let (literals, distances, lens) = (257 + bits.take(5)?, 1 + bits.take(5)?, 4 + bits.take(4)?);
    let mut code_lens = [0; 19];
    for at in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].into_iter().take(lens) {
        code_lens[at] = u8::try_from(bits.take(3)?).unwrap();
    }
    let code = Code::new(&code_lens);
    let mut lens: Vec<u8> = Vec::new();
    while lens.len() < literals + distances {
        let (len, times) = match code.take(bits)? {
            16 => (*lens.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            len => (u8::try_from(len).unwrap(), 1),
        };
        lens.resize(lens.len() + times, len);
    }
    let (literals, distances) = lens.split_at(literals);
    Some((Code::new(literals), Code::new(distances)))
}

/// A Huffman code: its symbols by length, and then by value (RFC 1951 section 3.2.2).
struct Code(Vec<(u8, usize)>);

impl Code {
    fn new(lens: &[u8]) -> Self {
        let mut symbols: Vec<(u8, usize)> = lens.iter().copied().zip(0..).filter(|(len, _)| *len > 0).collect();
        symbols.sort_unstable();
        Self(symbols)
    }

    fn take(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut read, mut code, mut len) = (0, 0_usize, 0);
        for &(symbol_len, symbol) in &self.0 {
            while len < symbol_len {
                read = read << 1 | bits.take(1)?;
                code <<= 1;
                len += 1;
            }
            if read == code {
                return Some(symbol);
            }
            code += 1;
        }
        None
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The lowest bit of a byte comes first. `None` at the end.
    fn take(&mut self, n: usize) -> Option<usize> {
        let bits = self.at..self.at + n;
        self.at = bits.end;
        bits.rev().try_fold(0, |value, at| Some(value << 1 | usize::from(self.bytes.get(at / 8)? >> (at % 8) & 1)))
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}
