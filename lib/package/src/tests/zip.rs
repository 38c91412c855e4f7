//! Zip packages: good ones from the writer of the zip crate, hostile ones written record by record.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use super::hostile::signed_manifest;
use super::*;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const UTF8: u16 = 1 << 11;

/// A zip file, record by record, with a lie wherever a test wants one.
#[derive(Default)]
struct RawZip {
    body: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

/// One entry, and what is said of it.
#[derive(Clone)]
struct Piece {
    name: Vec<u8>,
    /// The name before the data.
    local_name: Vec<u8>,
    flags: u16,
    method: u16,
    data: Vec<u8>,
    size: u32,
    crc: u32,
    mode: u32,
    extra: Vec<u8>,
    /// Where the directory says it starts, if not where it does.
    offset: Option<u32>,
}

fn crc(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

impl Piece {
    fn stored(name: &str, data: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: name.into(),
            flags: UTF8,
            method: STORED,
            data: data.to_vec(),
            size: u32::try_from(data.len()).unwrap(),
            crc: crc(data),
            mode: 0o100_644,
            extra: Vec::new(),
            offset: None,
        }
    }

    fn deflated(name: &str, data: &[u8]) -> Self {
        Self { method: DEFLATED, data: deflate(data), ..Self::stored(name, data) }
    }

    /// The fields that local header and directory share, from the flags to the sizes.
    fn shared(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in [self.flags, self.method, 0, 0x21] {
            out.extend(field.to_le_bytes());
        }
        for field in [self.crc, u32::try_from(self.data.len()).unwrap(), self.size] {
            out.extend(field.to_le_bytes());
        }
        out
    }
}

impl RawZip {
    fn with(mut self, piece: &Piece) -> Self {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_le_bytes();
        let start = piece.offset.unwrap_or_else(|| u32::try_from(self.body.len()).unwrap());
        if piece.offset.is_none() {
            self.body.extend(b"PK\x03\x04\x14\x00");
            self.body.extend(piece.shared());
            self.body.extend(length(&piece.local_name));
            self.body.extend(length(&piece.extra));
            self.body.extend(&piece.local_name);
            self.body.extend(&piece.extra);
            self.body.extend(&piece.data);
        }
        self.directory.extend(b"PK\x01\x02\x14\x03\x14\x00");
        self.directory.extend(piece.shared());
        self.directory.extend(length(&piece.name));
        self.directory.extend(length(&piece.extra));
        self.directory.extend([0; 6]); // comment, disk, internal attributes
        self.directory.extend((piece.mode << 16).to_le_bytes());
        self.directory.extend(start.to_le_bytes());
        self.directory.extend(&piece.name);
        self.directory.extend(&piece.extra);
        self.entries += 1;
        self
    }

    /// A signed manifest that lists these files.
    fn manifest(self, files: &[(&str, &[u8])]) -> Self {
        self.with(&Piece::stored("manifest.json", signed_manifest(files).as_bytes()))
    }

    fn finish(self) -> Vec<u8> {
        self.finish_with(b"")
    }

    fn finish_with(self, comment: &[u8]) -> Vec<u8> {
        let Self { mut body, directory, entries } = self;
        let start = u32::try_from(body.len()).unwrap();
        body.extend(&directory);
        body.extend(b"PK\x05\x06\x00\x00\x00\x00");
        body.extend(entries.to_le_bytes());
        body.extend(entries.to_le_bytes());
        body.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
        body.extend(start.to_le_bytes());
        body.extend(u16::try_from(comment.len()).unwrap().to_le_bytes());
        body.extend(comment);
        body
    }
}

fn saved(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("package.zip");
    fs::write(&path, bytes).unwrap();
    (root, path)
}

fn checked(bytes: &[u8]) -> Result<CheckReport, CannotCheck> {
    let (_root, path) = saved(bytes);
    check_with_key(&path)
}

/// Why the archive cannot be checked at all.
fn refusal(bytes: &[u8]) -> ArchiveError {
    match checked(bytes) {
        Err(CannotCheck::Archive { source, .. }) => source,
        other => panic!("{:?}", other.map(|report| report.to_json().pretty())),
    }
}

/// The codes of what is wrong in a package of that one file beside an empty manifest.
fn fault_of(piece: &Piece) -> Vec<(String, &'static str)> {
    let report = checked(&RawZip::default().manifest(&[]).with(piece).finish()).unwrap();
    assert_eq!(report.exit_code(), 1, "{}", report.to_json().pretty());
    codes(&report).into_iter().map(|(path, code)| (path.to_owned(), code)).collect()
}

#[test]
fn a_good_zip_passes_and_unpacks_to_the_same_files() {
    let big: Vec<u8> = (0..3_000_000_u32).map(|at| u8::try_from(at % 241).unwrap()).collect();
    let listed: &[(&str, &[u8])] =
        &[("a", b"x"), ("sub/poprawka-ż.bin", &big), ("run.sh", b"#!/bin/sh\n"), ("empty", b"")];
    let zip = listed.iter().fold(RawZip::default().manifest(listed), |zip, (name, data)| match *name {
        "run.sh" => zip.with(&Piece { mode: 0o100_755, ..Piece::stored(name, data) }),
        _ => zip.with(&Piece::deflated(name, data)),
    });
    let zip = zip.with(&Piece { mode: 0o040_755, ..Piece::stored("sub/", b"") });
    let (root, path) = saved(&zip.finish_with(b"made by hand"));
    let report = check_with_key(&path).unwrap();
    assert!(report.is_ok() && codes(&report).is_empty(), "{}", report.to_json().pretty());

    let out = root.path().join("out");
    unpack(&path, &report.checked_package().unwrap(), &out).unwrap();
    for (name, data) in listed {
        assert_eq!(&fs::read(out.join(name)).unwrap(), data, "{name}");
    }
    let mode = |name| fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("a")), (0o755, 0o644));
    assert!(check_with_key(&out).unwrap().is_ok());
}

#[test]
fn a_zip_of_python_passes() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("python.zip");
    let listed: &[(&str, &[u8])] = &[("sub/poprawka-ż.bin", b"abc")];
    fs::write(root.path().join("manifest.json"), signed_manifest(listed)).unwrap();
    // The second file is streamed, so its sizes follow its data.
    let script = "import sys, zipfile\n\
        class Pipe:\n    def __init__(self, f): self.f = f\n    def write(self, b): return self.f.write(b)\n    def flush(self): pass\n\
        with open(sys.argv[1], 'wb') as f, zipfile.ZipFile(Pipe(f), 'w', zipfile.ZIP_DEFLATED) as z:\n\
        \x20   z.write(sys.argv[2], 'manifest.json')\n    z.writestr('sub/poprawka-ż.bin', b'abc')\n";
    let python = std::process::Command::new("python3")
        .args(["-c", script])
        .args([&path, &root.path().join("manifest.json")])
        .status();
    if !python.is_ok_and(|status| status.success()) {
        return; // no Python here: the cases above do not need it
    }
    let report = check_with_key(&path).unwrap();
    assert!(report.is_ok() && codes(&report).is_empty(), "{}", report.to_json().pretty());
}

#[test]
fn zip_names_that_leave_the_package_are_refused() {
    for name in ["../evil", "/etc/evil", "a\\evil", "C:evil", "a\0b", "../evil/"] {
        assert_eq!(fault_of(&Piece::stored(name, b"")), [(name.to_owned(), "path")], "{name:?}");
    }
}

#[test]
fn zip_links_devices_and_pipes_are_refused_by_their_mode() {
    for (mode, code) in [
        (0o120_777, "link"),
        (0o010_644, "special_file"),
        (0o020_644, "special_file"),
        (0o060_644, "special_file"),
        (0o140_644, "special_file"),
    ] {
        assert_eq!(
            fault_of(&Piece { mode, ..Piece::stored("thing", b"/etc") }),
            [("thing".to_owned(), code)],
            "{mode:o}"
        );
    }
}

#[test]
fn zip_link_and_then_a_file_through_it_is_refused() {
    let zip = RawZip::default()
        .manifest(&[("dir/file", b"x")])
        .with(&Piece { mode: 0o120_777, ..Piece::stored("dir", b"/etc") })
        .with(&Piece::stored("dir/file", b"x"));
    assert_eq!(codes(&checked(&zip.finish()).unwrap()), [("dir", "link")]);
}

#[test]
fn zip_duplicates_are_refused_also_by_letter_case_and_across_kinds() {
    let zip = |second: &Piece| RawZip::default().manifest(&[("a", b"x")]).with(&Piece::stored("a", b"x")).with(second);
    for (second, bad) in [("a", ("a", "duplicate")), ("A", ("A", "case_clash")), ("a/b", ("a/b", "file_and_folder"))] {
        assert_eq!(codes(&checked(&zip(&Piece::stored(second, b"x")).finish()).unwrap()), [bad]);
    }
    assert_eq!(codes(&checked(&zip(&Piece::stored("a/", b"")).finish()).unwrap()), [("a", "file_and_folder")]);
}

#[test]
fn zip_entries_that_are_encrypted_or_oddly_compressed_are_refused() {
    for flags in [1, 1 << 6 | 1, 1 << 13] {
        let piece = Piece { flags: flags | UTF8, ..Piece::stored("secret", b"x") };
        assert_eq!(fault_of(&piece), [("secret".to_owned(), "special_file")]);
    }
    for method in [9, 12, 14, 93, 99] {
        assert_eq!(fault_of(&Piece { method, ..Piece::stored("odd", b"x") }), [("odd".to_owned(), "special_file")]);
    }
    let two_sizes = Piece { size: 5, ..Piece::stored("odd", b"x") };
    assert_eq!(fault_of(&two_sizes), [("odd".to_owned(), "special_file")]);
    assert_eq!(fault_of(&Piece::stored("odd/", b"x")), [("odd/".to_owned(), "special_file")]);
}

#[test]
fn zip_names_that_readers_decode_differently_are_refused() {
    let unmarked = Piece { flags: 0, ..Piece::stored("ż", b"x") };
    assert_eq!(fault_of(&unmarked), [("ż".to_owned(), "special_file")]);
    let field =
        |name: &[u8]| [b"up".as_slice(), &[u8::try_from(5 + name.len()).unwrap(), 0, 1, 0, 0, 0, 0], name].concat();
    let renamed = Piece { extra: field(b"other"), ..Piece::stored("a", b"x") };
    assert_eq!(fault_of(&renamed), [("a".to_owned(), "special_file")]);
    let same = Piece { flags: 0, extra: field("ż".as_bytes()), ..Piece::stored("ż", b"x") };
    assert!(checked(&RawZip::default().manifest(&[("ż", b"x")]).with(&same).finish()).unwrap().is_ok());
}

#[test]
fn zip_bomb_is_left_at_the_declared_size() {
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let bomb = RawZip::default().manifest(&[]).with(&Piece { size: 1 << 30, ..Piece::deflated("bomb", &[0; 9]) });
    let (_root, path) = saved(&bomb.finish());
    let result = check(&CheckRequest { limits, ..CheckRequest::new(&path, now()) });
    assert!(matches!(result, Err(CannotCheck::Archive { source: ArchiveError::TooLarge(_), .. })));
}

#[test]
fn zip_bomb_is_left_when_it_exceeds_what_it_declared() {
    let lie = Piece { size: 9, crc: crc(&[0; 9]), ..Piece::deflated("bomb", &vec![0; 8 << 20]) };
    assert!(matches!(refusal(&RawZip::default().manifest(&[]).with(&lie).finish()), ArchiveError::Read(_)));
    let short = Piece { size: 900, ..Piece::deflated("short", &[0; 9]) };
    assert!(matches!(refusal(&RawZip::default().manifest(&[]).with(&short).finish()), ArchiveError::Read(_)));
}

#[test]
fn zip_bomb_of_overlapping_entries_is_refused() {
    let zip = RawZip::default().manifest(&[]).with(&Piece::stored("a", b"x"));
    let start = u32::try_from(zip.body.len()).unwrap() - u32::try_from(30 + 1 + 1).unwrap();
    let zip = zip.with(&Piece { offset: Some(start), ..Piece::stored("a", b"x") });
    assert!(matches!(refusal(&zip.finish()), ArchiveError::Contradiction(_)));
}

#[test]
fn zip_with_two_readings_is_refused() {
    let good = || RawZip::default().manifest(&[("a", b"x")]);
    let other_name = Piece { local_name: b"b".to_vec(), ..Piece::stored("a", b"x") };
    assert!(matches!(refusal(&good().with(&other_name).finish()), ArchiveError::Contradiction(_)));

    let mut gap = good();
    gap.body.extend(b"hidden");
    assert!(matches!(refusal(&gap.with(&Piece::stored("a", b"x")).finish()), ArchiveError::Contradiction(_)));

    let end = RawZip::default().finish();
    refusal(&good().finish_with(&end)); // whichever of the two ends is taken for the end

    let mut counted = good();
    counted.entries = 7;
    assert!(matches!(refusal(&counted.finish()), ArchiveError::Contradiction(_)));
}

#[test]
fn zip_with_data_before_or_after_it_is_refused() {
    let good = RawZip::default().manifest(&[("a", b"x")]).with(&Piece::stored("a", b"x")).finish();
    assert!(checked(&good).unwrap().is_ok());
    assert!(matches!(refusal(&[&good[..], b"more"].concat()), ArchiveError::Trailing));
    assert!(matches!(checked(&[b"#!/bin/sh\n", &good[..]].concat()), Err(CannotCheck::Open { .. })));
    assert!(matches!(refusal(&[b"PK\x03\x04", &good[..]].concat()), ArchiveError::Contradiction(_)));
}

#[test]
fn zip_cut_anywhere_has_no_verdict() {
    let good = RawZip::default().manifest(&[("a", b"x")]).with(&Piece::deflated("a", b"x")).finish();
    for cut in [1, 10, 22, 30, good.len() / 2] {
        assert!(matches!(refusal(&good[..good.len() - cut]), ArchiveError::Directory(_)), "{cut}");
    }
}

#[test]
fn zip_with_a_wrong_checksum_or_hidden_bytes_has_no_verdict() {
    let good = || RawZip::default().manifest(&[("a", b"x")]);
    let wrong = Piece { crc: 1, ..Piece::deflated("a", b"x") };
    assert!(matches!(refusal(&good().with(&wrong).finish()), ArchiveError::Read(_)));
    let mut hiding = Piece::deflated("a", b"x");
    hiding.data.extend(b"hidden");
    assert!(matches!(refusal(&good().with(&hiding).finish()), ArchiveError::Read(_)));
}

#[test]
fn zip_with_too_many_entries_is_left_at_the_limit() {
    let limits = Limits { entries: 10, ..Limits::default() };
    let many = (0..20).fold(RawZip::default(), |zip, at| zip.with(&Piece::stored(&format!("f{at}"), b"")));
    let (_root, path) = saved(&many.finish());
    let result = check(&CheckRequest { limits, ..CheckRequest::new(&path, now()) });
    assert!(matches!(result, Err(CannotCheck::Archive { source: ArchiveError::TooManyEntries(10), .. })));
}

#[test]
fn zip_changed_after_its_check_is_not_unpacked() {
    let build = |data: &[u8]| RawZip::default().manifest(&[("a", b"x")]).with(&Piece::deflated("a", data)).finish();
    let (root, path) = saved(&build(b"x"));
    let package = check_with_key(&path).unwrap().checked_package().unwrap();
    fs::write(&path, build(b"y")).unwrap();
    let result = unpack(&path, &package, &root.path().join("out"));
    assert!(matches!(result, Err(UnpackError::Changed { .. })), "{result:?}");
}
