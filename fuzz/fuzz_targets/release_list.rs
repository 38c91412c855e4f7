#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    flota_fuzz_replay::run("release_list", input);
});
