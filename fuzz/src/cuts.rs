//! Where the fuzzer cuts an input: any cutting must give the same result.

use arbitrary::Arbitrary;

/// The sizes of the pieces in bytes, in turn; 0 is all the rest.
#[derive(Clone, Copy, Arbitrary, Debug)]
pub struct Cuts([u8; 8]);

impl Cuts {
    /// One piece.
    pub const NONE: Self = Self([0; 8]);
    /// A piece a byte.
    pub const EVERYWHERE: Self = Self([1; 8]);

    /// Where the pieces of an input of this length end; the last one ends with it.
    pub fn ends(self, len: usize) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut end = 0;
        for size in self.0.into_iter().cycle().map(usize::from) {
            end = if size == 0 { len } else { len.min(end + size) };
            ends.push(end);
            if end == len {
                break;
            }
        }
        ends
    }
}
