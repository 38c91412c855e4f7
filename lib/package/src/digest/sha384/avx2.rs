//! The compression function of SHA-512 and SHA-384 for x86-64 with AVX2 and BMI2.
//!
//! The 80 rounds of a block depend on each other and keep the scalar half of a core busy; what they are fed with, the
//! message schedule, does not depend on them. So the schedules of the *next two* blocks are computed in the vector half,
//! two blocks to a register, a step after every four rounds of the present two: the processor does both at once, because
//! they stand close together in the program.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_set_epi64x, _mm256_add_epi64, _mm256_alignr_epi8,
    _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_set_m128i, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::BLOCK;

/// Proof that the processor has what this module needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Available(());

impl Available {
    pub(super) fn detect() -> Option<Self> {
        let all =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
        all.then_some(Self(()))
    }

    #[expect(unsafe_code, reason = "code for this processor is called by code for any")]
    #[expect(clippy::unused_self, reason = "that there is a `self` is the proof")]
    pub(super) fn compress(self, state: &mut [u64; 8], blocks: &[[u8; BLOCK]]) {
        // SAFETY: `self` exists only where `detect` has found every feature that the function is compiled for.
        unsafe { compress(state, blocks) }
    }
}

/// Words of the schedules of two blocks with their round constants added, in groups of four: two words of the first
/// block, then the same two of the second. Flat, because the compiler makes better code of it.
type Schedules = [u64; 160];

/// Steps in which two schedules are made, two words of each at a time.
const STEPS: usize = 40;
/// Steps whose words are those of the message.
const MESSAGE_STEPS: usize = 8;

#[target_feature(enable = "avx2,bmi1,bmi2")]
fn compress(state: &mut [u64; 8], blocks: &[[u8; BLOCK]]) {
    let (pairs, last) = blocks.as_chunks::<2>();
    let mut schedules = [[0; 160]; 2];
    let [mut present, mut next] = schedules.each_mut();
    if let Some(first) = pairs.first() {
        schedule(first, present);
    }
    for (at, pair) in pairs.iter().enumerate() {
        // After the last pair nothing follows; it is scheduled again in vain, which costs less than a second loop.
        rounds::<2>(state, present, pairs.get(at + 1).unwrap_or(pair), next);
        std::mem::swap(&mut present, &mut next);
    }
    if let [block] = last {
        let twice = [*block, *block];
        schedule(&twice, present);
        rounds::<1>(state, present, &twice, next);
    }
}

/// Schedules two blocks while no others are compressed.
#[target_feature(enable = "avx2")]
fn schedule(blocks: &[[u8; BLOCK]; 2], schedules: &mut Schedules) {
    let mut window = [_mm256_setzero_si256(); 8];
    for step in 0..STEPS {
        let words = if step < MESSAGE_STEPS { message(blocks, step) } else { following(window) };
        store(schedules, step, words);
        let [_, x1, x2, x3, x4, x5, x6, x7] = window;
        window = [x1, x2, x3, x4, x5, x6, x7, words];
    }
}

/// One round (FIPS 180-4, section 6.4.2, step 3). The variables are not moved: each round is given them in another order.
/// `$previous` is b XOR c, which the round before has computed as its a XOR b:
/// Maj(a, b, c) = ((a XOR b) AND (b XOR c)) XOR b. The halves of Ch(e, f, g) share no bit, so they may be added apart,
/// which shortens the chain.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $previous:ident, $word:expr) => {
        $h = $h.wrapping_add($word).wrapping_add(($e & $f).wrapping_add(!$e & $g));
        $h = $h.wrapping_add($e.rotate_right(14) ^ $e.rotate_right(18) ^ $e.rotate_right(41));
        $d = $d.wrapping_add($h);
        let a_xor_b = $a ^ $b;
        $h = $h.wrapping_add((a_xor_b & $previous) ^ $b);
        $h = $h.wrapping_add($a.rotate_right(28) ^ $a.rotate_right(34) ^ $a.rotate_right(39));
        $previous = a_xor_b;
    };
}

/// Four rounds, after which the variables have changed places by four.
macro_rules! four_rounds {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $previous:ident, $words:ident, $at:expr) => {
        round!($a $b $c $d $e $f $g $h, $previous, $words[$at]);
        round!($h $a $b $c $d $e $f $g, $previous, $words[$at + 1]);
        round!($g $h $a $b $c $d $e $f, $previous, $words[$at + 4]);
        round!($f $g $h $a $b $c $d $e, $previous, $words[$at + 5]);
    };
}

/// Compresses the first `COUNT` of two blocks, whose schedules are `present`, and schedules the two of `next` meanwhile.
#[target_feature(enable = "avx2,bmi1,bmi2")]
#[expect(clippy::many_single_char_names, reason = "a to h are their names in the standard")]
fn rounds<const COUNT: usize>(
    state: &mut [u64; 8],
    present: &Schedules,
    next: &[[u8; BLOCK]; 2],
    schedules: &mut Schedules,
) {
    let mut window = [_mm256_setzero_si256(); 8];
    const { assert!(COUNT <= 2) };
    for block in 0..COUNT {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
        let mut previous = b ^ c;
        for sixteen in 0..5 {
            let at = sixteen * 32 + 2 * block;
            let from_message = block == 0 && sixteen < MESSAGE_STEPS / 4;
            // A macro, since it must not be a call: the window would move through memory.
            macro_rules! advance {
                ($step:literal) => {
                    let step = block * (STEPS / 2) + sixteen * 4 + $step;
                    let words = if from_message { message(next, step) } else { following(window) };
                    store(schedules, step, words);
                    let [_, x1, x2, x3, x4, x5, x6, x7] = window;
                    window = [x1, x2, x3, x4, x5, x6, x7, words];
                };
            }
            four_rounds!(a b c d e f g h, previous, present, at);
            advance!(0);
            four_rounds!(e f g h a b c d, previous, present, at + 8);
            advance!(1);
            four_rounds!(a b c d e f g h, previous, present, at + 16);
            advance!(2);
            four_rounds!(e f g h a b c d, previous, present, at + 24);
            advance!(3);
        }
        for (sum, word) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *sum = sum.wrapping_add(word);
        }
    }
}

/// Words `2 step` and `2 step + 1` of both blocks, from big-endian bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn message(blocks: &[[u8; BLOCK]; 2], step: usize) -> __m256i {
    let swap = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607));
    let [first, second] = blocks.each_ref().map(|block| load16(&block.as_chunks::<16>().0[step % MESSAGE_STEPS]));
    _mm256_shuffle_epi8(_mm256_set_m128i(second, first), swap)
}

/// The words that follow in each schedule (FIPS 180-4, section 6.4.2, step 1) on the 16 before them.
#[inline]
#[target_feature(enable = "avx2")]
fn following([x0, x1, _, _, x4, x5, _, x7]: [__m256i; 8]) -> __m256i {
    let (minus_15, minus_7, minus_2) = (_mm256_alignr_epi8::<8>(x1, x0), _mm256_alignr_epi8::<8>(x5, x4), x7);
    let sigma0 = xor3(rotate::<1, 63>(minus_15), rotate::<8, 56>(minus_15), _mm256_srli_epi64::<7>(minus_15));
    let sigma1 = xor3(rotate::<19, 45>(minus_2), rotate::<61, 3>(minus_2), _mm256_srli_epi64::<6>(minus_2));
    _mm256_add_epi64(_mm256_add_epi64(x0, sigma0), _mm256_add_epi64(minus_7, sigma1))
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(a, b), c)
}

/// `LEFT` is 64 - `RIGHT`.
#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const RIGHT: i32, const LEFT: i32>(words: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi64::<RIGHT>(words), _mm256_slli_epi64::<LEFT>(words))
}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "a load into a vector register")]
fn load16(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes may be read there, and no alignment is asked for.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Puts a step's words, with their constants added, into their place.
#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "a load into and a store from a vector register")]
fn store(schedules: &mut Schedules, step: usize, words: __m256i) {
    // The compiler sees at every caller that it holds. A branch would keep it from mixing these steps with the rounds.
    assert!(step < STEPS);
    // SAFETY: both arrays hold four words for each step, and no alignment is asked for.
    unsafe {
        let constants = _mm256_loadu_si256(CONSTANTS.as_ptr().add(4 * step).cast());
        let place = schedules.as_mut_ptr().add(4 * step).cast();
        _mm256_storeu_si256(place, _mm256_add_epi64(words, constants));
    }
}

/// [`K`], as the schedules are laid out.
static CONSTANTS: Schedules = {
    let mut constants = [0; 160];
    let mut at = 0;
    while at < 160 {
        constants[at] = K[at / 4 * 2 + at % 2];
        at += 1;
    }
    constants
};

/// The first 64 bits of the fractional parts of the cube roots of the first 80 primes (FIPS 180-4, section 4.2.3).
#[rustfmt::skip]
const K: [u64; 80] = [
    0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd, 0xb5c0_fbcf_ec4d_3b2f, 0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538, 0x59f1_11f1_b605_d019, 0x923f_82a4_af19_4f9b, 0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242, 0x1283_5b01_4570_6fbe, 0x2431_85be_4ee4_b28c, 0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f, 0x80de_b1fe_3b16_96b1, 0x9bdc_06a7_25c7_1235, 0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2, 0xefbe_4786_384f_25e3, 0x0fc1_9dc6_8b8c_d5b5, 0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275, 0x4a74_84aa_6ea6_e483, 0x5cb0_a9dc_bd41_fbd4, 0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab, 0xa831_c66d_2db4_3210, 0xb003_27c8_98fb_213f, 0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2, 0xd5a7_9147_930a_a725, 0x06ca_6351_e003_826f, 0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc, 0x2e1b_2138_5c26_c926, 0x4d2c_6dfc_5ac4_2aed, 0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de, 0x766a_0abb_3c77_b2a8, 0x81c2_c92e_47ed_aee6, 0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364, 0xa81a_664b_bc42_3001, 0xc24b_8b70_d0f8_9791, 0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218, 0xd699_0624_5565_a910, 0xf40e_3585_5771_202a, 0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8, 0x1e37_6c08_5141_ab53, 0x2748_774c_df8e_eb99, 0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63, 0x4ed8_aa4a_e341_8acb, 0x5b9c_ca4f_7763_e373, 0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc, 0x78a5_636f_4317_2f60, 0x84c8_7814_a1f0_ab72, 0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28, 0xa450_6ceb_de82_bde9, 0xbef9_a3f7_b2c6_7915, 0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c, 0xd186_b8c7_21c0_c207, 0xeada_7dd6_cde0_eb1e, 0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba, 0x0a63_7dc5_a2c8_98a6, 0x113f_9804_bef9_0dae, 0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84, 0x32ca_ab7b_40c7_2493, 0x3c9e_be0a_15c9_bebc, 0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6, 0x597f_299c_fc65_7e2a, 0x5fcb_6fab_3ad6_faec, 0x6c44_198c_4a47_5817,
];
