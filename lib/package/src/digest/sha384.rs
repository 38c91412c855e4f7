//! SHA-384 (FIPS 180-4, section 6.5) at the speed that the processor allows.
//!
//! The `sha2` crate decides what a digest is: it starts the state, and it compresses wherever the processor lacks AVX2 or
//! BMI2. With both, the compression function of [`avx2`] replaces its own, which leaves a third of the processor idle
//! (ADR-0008). Checking one big package is as slow as this one function, since SHA-384 cannot be divided among cores.

#[cfg(target_arch = "x86_64")]
mod avx2;

use sha2::block_api::compress512;

/// Bytes that are compressed at a time.
const BLOCK: usize = 128;
/// Bytes at the end of the last block that hold the length of the message in bits.
const LENGTH: usize = 16;

/// The first 64 bits of the fractional parts of the square roots of the 9th to 16th primes (FIPS 180-4, section 5.3.4).
const INITIAL: [u64; 8] = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];

/// A digest in the making.
#[derive(Clone, Debug)]
pub(crate) struct Sha384 {
    state: [u64; 8],
    compress: Compress,
    /// Of which the first `len % BLOCK` bytes wait for the rest of their block.
    pending: [u8; BLOCK],
    /// Bytes so far.
    len: u128,
}

/// Which code compresses. Chosen once for each digest: asking the processor costs more than a short file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compress {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Available),
}

impl Sha384 {
    pub(crate) fn new() -> Self {
        Self::with(Compress::best())
    }

    fn with(compress: Compress) -> Self {
        Self { state: INITIAL, compress, pending: [0; BLOCK], len: 0 }
    }

    pub(crate) fn update(&mut self, mut data: &[u8]) {
        let waiting = self.waiting();
        self.len += data.len() as u128;
        if waiting > 0 {
            let (now, later) = data.split_at(data.len().min(BLOCK - waiting));
            self.pending[waiting..waiting + now.len()].copy_from_slice(now);
            if waiting + now.len() < BLOCK {
                return;
            }
            self.compress.run(&mut self.state, &[self.pending]);
            data = later;
        }
        let (blocks, rest) = data.as_chunks();
        self.compress.run(&mut self.state, blocks);
        self.pending[..rest.len()].copy_from_slice(rest);
    }

    pub(crate) fn finalize(mut self) -> [u8; 48] {
        let waiting = self.waiting();
        let mut end = [[0; BLOCK]; 2];
        let (bits, blocks) = (self.len * 8, if waiting < BLOCK - LENGTH { 1 } else { 2 });
        let padding = end.as_flattened_mut();
        padding[..waiting].copy_from_slice(&self.pending[..waiting]);
        padding[waiting] = 0x80;
        padding[blocks * BLOCK - LENGTH..blocks * BLOCK].copy_from_slice(&bits.to_be_bytes());
        self.compress.run(&mut self.state, &end[..blocks]);
        let mut digest = [0; 48];
        for (bytes, word) in digest.as_chunks_mut::<8>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    fn waiting(&self) -> usize {
        // Below the block's size, so it fits.
        usize::try_from(self.len % BLOCK as u128).unwrap_or(0)
    }
}

impl Compress {
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(available) = avx2::Available::detect() {
            return Self::Avx2(available);
        }
        Self::Portable
    }

    fn run(self, state: &mut [u64; 8], blocks: &[[u8; BLOCK]]) {
        match self {
            Self::Portable => compress512(state, blocks),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(available) => available.compress(state, blocks),
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    fn digest(compress: Compress, pieces: &[&[u8]]) -> [u8; 48] {
        let mut digest = Sha384::with(compress);
        for piece in pieces {
            digest.update(piece);
        }
        digest.finalize()
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        // NIST, "Descriptions of SHA-256, SHA-384, and SHA-512", and the empty message of the CAVP's short messages.
        let cases = [
            ("abc", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"),
            ("", "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b"),
        ];
        for (message, expected) in cases {
            for compress in [Compress::Portable, Compress::best()] {
                assert_eq!(hex::encode(digest(compress, &[message.as_bytes()])), expected, "{message:?} {compress:?}");
            }
        }
    }

    #[test]
    fn every_length_agrees_with_sha2_whatever_compresses() {
        let data = noise(9 * BLOCK + 1);
        for len in 0..=data.len() {
            let expected: [u8; 48] = sha2::Sha384::digest(&data[..len]).into();
            for compress in [Compress::Portable, Compress::best()] {
                assert_eq!(digest(compress, &[&data[..len]]), expected, "{len} bytes, {compress:?}");
            }
        }
    }

    #[test]
    fn a_message_in_pieces_is_the_message() {
        let data = noise(70_001);
        let expected: [u8; 48] = sha2::Sha384::digest(&data).into();
        for piece in [1, 127, 128, 129, 255, 256, 257, 4096, 65_536] {
            let pieces: Vec<&[u8]> = data.chunks(piece).collect();
            assert_eq!(digest(Compress::best(), &pieces), expected, "in pieces of {piece}");
        }
    }
}
