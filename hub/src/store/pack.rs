//! Packing of large values: deflate, quick rather than small.

use std::io::{self, Read, Write};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};

/// Most bytes that a packed value may unpack to: far above any snapshot, far below what hurts.
const UNPACKED_MAX: u64 = 256 << 20;

/// Packs `bytes`.
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    packed.expect("a vector takes every byte")
}

/// What was packed; an error names a value that is damaged, cut off, or unpacks to more than it may.
pub fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed).take(UNPACKED_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > UNPACKED_MAX {
        return Err(io::Error::other("it is too large"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_what_is_cut_off_does_not() {
        let bytes = "the same digest ".repeat(10_000).into_bytes();
        let packed = pack(&bytes);
        assert!(packed.len() * 20 < bytes.len());
        assert_eq!(unpack(&packed).unwrap(), bytes);
        assert!(unpack(&packed[..packed.len() / 2]).is_err());
        assert_eq!(unpack(&pack(b"")).unwrap(), b"");
    }
}
