//! Every corpus file, and many small changes of each, through its target; and whether `fuzz/` has what it must have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use flota_fuzz_replay::{MESSAGES, Reach, TARGETS, Target};
use prost_types::FileDescriptorSet;

/// Most files in one corpus, and most bytes in all of them: they are read by everyone who clones the repository.
const MAX_FILES: usize = 40;
const MAX_TOTAL_BYTES: u64 = 200 << 10;

/// Small changes of each corpus file. The same ones in every run.
const CHANGES: u64 = 60;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
    let mut paths: Vec<PathBuf> = paths.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    paths.sort();
    paths
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_else(|| panic!("{} has no name", path.display()))
}

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let files = entries(&fuzz().join("corpus").join(target.name));
    files.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

fn names(paths: &[PathBuf]) -> BTreeSet<&str> {
    paths.iter().map(|path| stem(path)).collect()
}

/// What a panic says names the file, for the one who has to mend it.
fn run(target: &Target, input: &[u8], origin: &str) -> Reach {
    std::panic::catch_unwind(|| (target.run)(input)).unwrap_or_else(|_| {
        panic!("{} broke a promise (see above) over {origin}: {}", target.name, input.escape_ascii())
    })
}

#[test]
fn every_corpus_file_keeps_the_promises_of_its_target() {
    for target in TARGETS {
        let mut reached = Vec::new();
        for (path, input) in corpus(target) {
            reached.push(run(target, &input, &path.display().to_string()));
        }
        for reach in [Reach::Accepted, Reach::Refused] {
            assert!(reached.contains(&reach), "the corpus of {} has nothing that is {reach:?}", target.name);
        }
    }
}

#[test]
fn small_changes_of_corpus_files_keep_the_promises_too() {
    for target in TARGETS {
        for (path, original) in corpus(target) {
            for number in 0..CHANGES {
                let changed = change(&original, number);
                run(target, &changed, &format!("change {number} of {}", path.display()));
            }
        }
    }
}

#[test]
fn corpora_stay_small() {
    let mut total = 0;
    for target in TARGETS {
        let files = corpus(target);
        assert!(files.len() < MAX_FILES, "{} has {} files", target.name, files.len());
        total += files.iter().map(|(_, input)| input.len() as u64).sum::<u64>();
    }
    assert!(total <= MAX_TOTAL_BYTES, "the corpora have {total} bytes");
}

#[test]
fn every_target_has_its_program_and_its_corpus_and_there_are_no_others() {
    let expected: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(expected.len(), TARGETS.len());
    assert_eq!(names(&entries(&fuzz().join("corpus"))), expected);
    let programs = entries(&fuzz().join("fuzz_targets"));
    assert_eq!(names(&programs), expected);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for path in &programs {
        let name = stem(path);
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in fuzz/Cargo.toml");
        let source = fs::read_to_string(path).unwrap();
        assert!(source.contains(&format!("run(\"{name}\", input)")), "{name} runs another target");
    }
}

#[test]
fn no_message_is_left_out() {
    let set = <FileDescriptorSet as prost::Message>::decode(flota_proto::DESCRIPTORS).unwrap();
    let files = set.file.iter().filter(|file| file.package() == "flota.v1");
    let there: BTreeSet<&str> =
        files.flat_map(|file| &file.message_type).map(prost_types::DescriptorProto::name).collect();
    assert_eq!(MESSAGES.iter().copied().collect::<BTreeSet<_>>(), there);
}

/// The input with some bytes changed, cut off, repeated or put in: deeper than random bytes get.
fn change(original: &[u8], number: u64) -> Vec<u8> {
    let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (original.len() as u64 + 1));
    let mut bytes = original.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.byte()),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 if !bytes.is_empty() => {
                let piece = bytes[at..bytes.len().min(at + 1 + random.below(16))].to_vec();
                let to = random.below(bytes.len());
                drop(bytes.splice(to..to, piece));
            }
            4 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            _ if !bytes.is_empty() => bytes[at] = random.byte(),
            _ => bytes.push(random.byte()),
        }
    }
    bytes
}

/// xorshift64 (Marsaglia 2003): the same changes on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to `end`, which is not reached unless it is 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end as u64).max(1)).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[3]
    }
}
