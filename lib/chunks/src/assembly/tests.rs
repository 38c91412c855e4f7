use std::fs;

use super::*;
use crate::index::tests::noise;
use crate::piece::pack;

struct Sender {
    file: Vec<u8>,
    index: Index,
}

impl Sender {
    fn new(file: Vec<u8>) -> Self {
        let index = Index::of(file.as_slice()).unwrap();
        Self { file, index }
    }

    fn piece(&self, number: usize) -> Vec<u8> {
        let chunk = self.index.chunks()[number];
        let start = usize::try_from(chunk.offset).unwrap();
        pack(&self.file[start..start + chunk.length as usize]).unwrap()
    }

    /// Sends until all is there, or so many pieces were.
    fn send(&self, assembly: &mut Assembly, seeds: &Seeds, mut pieces: usize) -> bool {
        loop {
            assembly.take(seeds).unwrap();
            let Some(run) = assembly.missing(seeds) else { return true };
            for number in run.first..run.first + run.count {
                if pieces == 0 {
                    return false;
                }
                pieces -= 1;
                assembly.accept(number, &self.piece(number)).unwrap();
            }
        }
    }
}

#[test]
fn a_file_is_put_together_and_a_cut_costs_one_chunk_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("partial");
    let sender = Sender::new(noise(2_000_000, 5));
    let (mut sent, none) = (0, Seeds::default());
    loop {
        let mut assembly = Assembly::open(sender.index.clone(), &path).unwrap();
        let done = sender.send(&mut assembly, &none, 3);
        sent += assembly.tally().fetched;
        drop(assembly);
        if done {
            break;
        }
        // The link is cut, and with it half a chunk is lost.
        let length = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 100).unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), sender.file);
    let cuts = sender.index.chunks().len().div_ceil(2) as u64;
    assert!(sent <= 2_000_000 + cuts * u64::from(crate::MAX_CHUNK_BYTES), "{sent}");
}

#[test]
fn what_is_here_but_wrong_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("partial");
    let sender = Sender::new(noise(1_000_000, 5));
    let mut damaged = sender.file.clone();
    damaged[500_000] ^= 1;
    damaged.extend_from_slice(b"and more");
    fs::write(&path, damaged).unwrap();
    let mut assembly = Assembly::open(sender.index.clone(), &path).unwrap();
    assert!(assembly.tally().resumed < 500_000 && assembly.tally().resumed > 0);
    assert!(sender.send(&mut assembly, &Seeds::default(), usize::MAX));
    assembly.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), sender.file);
}

#[test]
fn a_piece_that_is_not_the_next_or_not_right_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sender = Sender::new(noise(1_000_000, 5));
    let mut assembly = Assembly::open(sender.index.clone(), &folder.path().join("partial")).unwrap();
    assert!(matches!(assembly.accept(1, &sender.piece(1)), Err(AssemblyError::Order { found: 1, expected: 0 })));
    let length = sender.index.chunks()[0].length as usize;
    let other = pack(&noise(length, 9)).unwrap();
    assert!(matches!(assembly.accept(0, &other), Err(AssemblyError::Digest { .. })));
    assert!(matches!(
        assembly.accept(0, &sender.piece(1)),
        Err(AssemblyError::Piece(_) | AssemblyError::Digest { .. })
    ));
    assembly.accept(0, &sender.piece(0)).unwrap();
    assert!(sender.send(&mut assembly, &Seeds::default(), usize::MAX));
    assert!(matches!(assembly.accept(99, b""), Err(AssemblyError::Order { .. })));
}

/// An archive of files of these sizes, and the same files unpacked.
fn archive(folder: &Path, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    fs::create_dir_all(folder).unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn an_archive_is_mostly_found_in_what_the_one_before_was_unpacked_to() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut files: Vec<(&str, Vec<u8>)> = (1..).zip(names).map(|(seed, name)| (name, noise(2 << 20, seed))).collect();
    archive(&folder.path().join("old"), &files);
    files[4].1 = noise(2 << 20, 99);
    let sender = Sender::new(archive(&folder.path().join("new"), &files));
    let seeds = Seeds::scan(&[folder.path().join("old"), folder.path().join("not there")], &sender.index);
    let path = folder.path().join("partial");
    let mut assembly = Assembly::open(sender.index.clone(), &path).unwrap();
    assert!(sender.send(&mut assembly, &seeds, usize::MAX));
    let tally = assembly.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), sender.file);
    assert!(tally.reused * 100 > sender.index.size() * 80, "one of ten files is new: {tally:?}");
    assert!(tally.fetched < 5 << 20, "2 MiB are new, and the edges of ten files: {tally:?}");
}

#[test]
fn one_per_cent_of_change_costs_a_few_per_cent() {
    let folder = tempfile::tempdir().unwrap();
    let old = noise(32 << 20, 11);
    let mut new = old.clone();
    new[10 << 20..(10 << 20) + (320 << 10)].copy_from_slice(&noise(320 << 10, 12));
    // Something is put in as well: all that follows is in another place.
    new.splice(1 << 20..1 << 20, noise(1000, 13));
    fs::create_dir(folder.path().join("old")).unwrap();
    fs::write(folder.path().join("old/model"), &old).unwrap();
    let sender = Sender::new(new);
    let seeds = Seeds::scan(&[folder.path().join("old")], &sender.index);
    let mut assembly = Assembly::open(sender.index.clone(), &folder.path().join("partial")).unwrap();
    assert!(sender.send(&mut assembly, &seeds, usize::MAX));
    let tally = assembly.finish().unwrap();
    assert!(tally.fetched < 1 << 20, "{tally:?}");
}

#[test]
fn a_seed_that_was_changed_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = noise(1_000_000, 21);
    fs::create_dir(folder.path().join("old")).unwrap();
    fs::write(folder.path().join("old/model"), &file).unwrap();
    let sender = Sender::new(file);
    let seeds = Seeds::scan(&[folder.path().join("old")], &sender.index);
    assert_eq!(seeds.len(), sender.index.chunks().len());
    fs::write(folder.path().join("old/model"), noise(1_000_000, 22)).unwrap();
    let path = folder.path().join("partial");
    let mut assembly = Assembly::open(sender.index.clone(), &path).unwrap();
    assert!(sender.send(&mut assembly, &seeds, usize::MAX));
    assert_eq!(assembly.finish().unwrap().reused, 0);
    assert_eq!(fs::read(&path).unwrap(), sender.file);
}
