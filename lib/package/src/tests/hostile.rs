//! Archives and folders made to do harm.

use std::io::Write as _;
use std::os::unix::fs::symlink;

use super::*;
use sha2::{Digest as _, Sha256};

/// A tar archive, written block by block: the `tar` crate refuses to write most of what a hostile one has.
#[derive(Default)]
struct RawTar(Vec<u8>);

impl RawTar {
    fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(name, tar::EntryType::Regular, data)
    }

    fn entry(mut self, name: &str, kind: tar::EntryType, data: &[u8]) -> Self {
        self.header(name.as_bytes(), kind, data.len() as u64);
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn header(&mut self, name: &[u8], kind: tar::EntryType, size: u64) {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
    }

    /// A manifest that lists these files, signed with the key of the tests.
    fn manifest(self, files: &[(&str, &[u8])]) -> Self {
        let text = signed_manifest(files);
        self.file("manifest.json", text.as_bytes())
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(super) fn signed_manifest(files: &[(&str, &[u8])]) -> String {
    let artifacts = files.iter().map(|(path, data)| {
        Json::object([
            ("path", Json::from(*path)),
            ("size", Json::from(data.len())),
            ("sha256", Json::from(hex::encode(Sha256::digest(data)).as_str())),
        ])
    });
    let fields = [
        ("version", Json::from("1")),
        ("platform", Json::from("p")),
        ("runtime", Json::from("r")),
        ("artifacts", Json::Array(artifacts.collect())),
    ];
    let signature = flota_seal::signature::Algorithm::HmacSha256;
    let signature = Signature::sign(&Json::object(fields.clone()), &key(), signature, None);
    Json::object(fields.into_iter().chain([("signature", signature.to_json())])).pretty()
}

/// A temporary folder with these bytes as `package.tar`.
fn saved(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("package.tar");
    fs::write(&path, bytes).unwrap();
    (root, path)
}

/// The codes of bad files in an archive, which must fail.
fn bad_files(tar: RawTar) -> Vec<(String, &'static str)> {
    let (_root, path) = saved(&tar.finish());
    let report = check_with_key(&path).unwrap();
    assert_eq!(report.exit_code(), 1);
    assert!(report.checked_package().is_none());
    codes(&report).into_iter().map(|(path, code)| (path.to_owned(), code)).collect()
}

fn one(path: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(path.to_owned(), code)]
}

fn make_pipe(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

#[test]
fn names_that_leave_the_package_are_refused_in_archive_and_manifest() {
    for name in ["../evil", "a/../../evil", "/etc/evil", "a\\evil", "C:evil"] {
        let in_archive = RawTar::default().manifest(&[]).file(name, b"x");
        assert_eq!(bad_files(in_archive), one(name, "path"), "{name}");
        let in_manifest = RawTar::default().manifest(&[(name, b"x")]);
        assert_eq!(bad_files(in_manifest), one(name, "path"), "{name}");
    }
    let folder = RawTar::default().manifest(&[]).entry("../evil/", tar::EntryType::Directory, b"");
    assert_eq!(bad_files(folder), one("../evil/", "path"));
}

#[test]
fn a_nul_in_a_pax_name_is_refused() {
    let tar = RawTar::default()
        .manifest(&[])
        .entry("pax", tar::EntryType::XHeader, b"16 path=a\0b.bin\n")
        .file("ignored", b"x");
    assert_eq!(bad_files(tar), one("a\0b.bin", "path"));
}

#[test]
fn links_devices_and_pipes_are_refused_listed_or_not() {
    for (kind, code) in [
        (tar::EntryType::Symlink, "link"),
        (tar::EntryType::Link, "link"),
        (tar::EntryType::Char, "special_file"),
        (tar::EntryType::Block, "special_file"),
        (tar::EntryType::Fifo, "special_file"),
        (tar::EntryType::GNUSparse, "special_file"),
    ] {
        let unlisted = RawTar::default().manifest(&[]).entry("thing", kind, b"");
        assert_eq!(bad_files(unlisted), one("thing", code), "{kind:?}");
        let listed = RawTar::default().manifest(&[("thing", b"")]).entry("thing", kind, b"");
        assert_eq!(bad_files(listed), one("thing", code), "{kind:?}");
    }
}

#[test]
fn duplicates_are_refused_also_by_letter_case_and_even_if_equal() {
    let twice = RawTar::default().manifest(&[("a", b"x")]).file("a", b"x").file("./a", b"x");
    assert_eq!(bad_files(twice), one("a", "duplicate"));
    let by_case = RawTar::default().manifest(&[("a", b"x")]).file("a", b"x").file("A", b"x");
    assert_eq!(bad_files(by_case), one("A", "case_clash"));
    let in_manifest = RawTar::default().manifest(&[("a", b"x"), ("A", b"x")]).file("a", b"x");
    assert_eq!(bad_files(in_manifest), one("A", "case_clash"));
    let file_and_folder = RawTar::default().manifest(&[("a", b"x")]).file("a", b"x").file("a/b", b"x");
    assert_eq!(bad_files(file_and_folder), one("a/b", "file_and_folder"));
}

#[test]
fn a_second_manifest_does_not_replace_the_first() {
    let tar = RawTar::default().manifest(&[]).manifest(&[("a", b"x")]).file("a", b"x");
    let bad = bad_files(tar);
    assert!(bad.contains(&("manifest.json".to_owned(), "duplicate")), "{bad:?}");
}

#[test]
fn an_endless_archive_is_left_at_the_limits() {
    let limits = Limits { unpacked_bytes: 1 << 20, entries: 100, manifest_bytes: 4096 };
    let cannot = |bytes: &[u8]| {
        let (_root, path) = saved(bytes);
        match check(&CheckRequest { limits, ..CheckRequest::new(&path, now()) }) {
            Err(CannotCheck::Archive { source, .. }) => source,
            other => panic!("{:?}", other.map(|report| report.to_json())),
        }
    };

    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut tar = RawTar::default().manifest(&[]);
    tar.header(b"zeros", tar::EntryType::Regular, 1 << 40);
    bomb.write_all(&tar.0).unwrap();
    bomb.write_all(&vec![0; 4 << 20]).unwrap();
    assert!(matches!(cannot(&bomb.finish().unwrap()), ArchiveError::TooLarge(_)));

    let many = (0..200).fold(RawTar::default(), |tar, at| tar.file(&format!("f{at}"), b""));
    assert!(matches!(cannot(&many.finish()), ArchiveError::TooManyEntries(100)));

    let big_manifest = RawTar::default().file("manifest.json", &[b' '; 5000]);
    assert!(matches!(cannot(&big_manifest.finish()), ArchiveError::TooLarge(4096)));

    let long_name = RawTar::default().entry("long", tar::EntryType::GNULongName, &vec![b'a'; 70_000]);
    assert!(matches!(cannot(&long_name.finish()), ArchiveError::ExtensionTooLarge));
}

#[test]
fn a_damaged_or_continued_archive_has_no_verdict() {
    let good = RawTar::default().manifest(&[("a", b"x")]).file("a", b"x").finish();
    let refused = |bytes: &[u8]| {
        let (_root, path) = saved(bytes);
        matches!(check_with_key(&path), Err(CannotCheck::Archive { .. }))
    };
    assert!(!refused(&good));
    assert!(refused(&good[..good.len() - 1024]), "the end mark is gone");
    assert!(refused(&good[..good.len() - 1200]), "the last file is cut");
    let mut damaged = good.clone();
    damaged[0] ^= 1;
    assert!(refused(&damaged));
    let continued = [good.clone(), RawTar::default().file("b", b"y").finish()].concat();
    assert!(refused(&continued));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&good).unwrap();
    let mut gzip = gzip.finish().unwrap();
    assert!(!refused(&gzip));
    *gzip.last_mut().unwrap() ^= 1;
    assert!(refused(&gzip), "the checksum of the gzip stream is wrong");
}

#[test]
fn what_is_no_archive_is_named_for_what_it_is() {
    let open_error = |bytes: &[u8]| {
        let (_root, path) = saved(bytes);
        match check_with_key(&path) {
            Err(CannotCheck::Open { source, .. }) => source,
            other => panic!("{:?}", other.map(|report| report.to_json())),
        }
    };
    assert!(matches!(open_error(b"just a text"), OpenError::Unknown));
    assert!(matches!(open_error(b""), OpenError::Unknown));
    let (_root, path) = saved(&RawTar::default().file("a", b"x").finish());
    assert!(matches!(check_with_key(&path), Err(CannotCheck::NoManifest { .. })));
}

#[test]
fn a_pipe_or_device_as_the_package_is_refused_and_not_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let pipe = root.path().join("package.tar");
    make_pipe(&pipe);
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        let result = check_with_key(path).map(|_| ());
        assert!(matches!(result, Err(CannotCheck::Open { source: OpenError::Unknown, .. })), "{result:?}");
    }
}

#[test]
fn sparse_tricks_are_refused_in_every_dialect() {
    let refused = |tar: RawTar| {
        let (_root, path) = saved(&tar.finish());
        match check_with_key(&path) {
            Err(CannotCheck::Archive { source, .. }) => source,
            other => panic!("{:?}", other.map(|report| report.to_json())),
        }
    };
    for record in [&b"22 GNU.sparse.major=1\n"[..], b"27 GNU.sparse.size=9999999\n", b"24 GNU.sparse.name=evil\n"] {
        let tar = RawTar::default().manifest(&[]).entry("pax", tar::EntryType::XHeader, record).file("sparse", b"x");
        assert!(matches!(refused(tar), ArchiveError::Unsupported("sparse files")));
    }
    // The old GNU form has its own type; the blocks of its map are not headers.
    let mapped = RawTar::default().manifest(&[]).entry("sparse", tar::EntryType::GNUSparse, b"").file("more", b"x");
    assert_eq!(bad_files(mapped)[0], ("sparse".to_owned(), "special_file"));
    // A size in a pax header that is not the header's own decides how far the data goes.
    let stretched = RawTar::default().manifest(&[]).entry("pax", tar::EntryType::XHeader, b"20 size=99999999999\n");
    assert!(matches!(refused(stretched.file("a", b"x")), ArchiveError::TooLarge(_) | ArchiveError::Read(_)));
}

#[test]
fn huge_or_malformed_pax_headers_are_refused() {
    let refused = |data: &[u8], kind| {
        let (_root, path) = saved(&RawTar::default().entry("pax", kind, data).file("a", b"x").finish());
        matches!(check_with_key(&path), Err(CannotCheck::Archive { .. }))
    };
    let huge = format!("70010 path={}\n", "a".repeat(69_998));
    assert!(refused(huge.as_bytes(), tar::EntryType::XHeader));
    assert!(refused(&vec![b'a'; 70_000], tar::EntryType::GNULongLink));
    for data in [&b"5 path=a\n"[..], b"99 path=a\n", b"path=a\n", b"9 path=ab", b"7 size=x\n", b"-1 path=a\n"] {
        assert!(refused(data, tar::EntryType::XHeader), "{}", String::from_utf8_lossy(data));
    }
    assert!(refused(b"10 path=a\n", tar::EntryType::XGlobalHeader), "a path for every entry that follows");
}

#[test]
fn endless_data_is_left_at_the_limit() {
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let end = |bytes: Vec<u8>| {
        let (_root, path) = saved(&bytes);
        check(&CheckRequest { limits, ..CheckRequest::new(&path, now()) }).map(|_| ()).unwrap_err()
    };
    // Zeros for ever after the end of the archive, in a few kilobytes of gzip or zstd.
    let mut endless = RawTar::default().manifest(&[]).finish();
    endless.resize(16 << 20, 0);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&endless).unwrap();
    for packed in [gzip.finish().unwrap(), zstd::encode_all(endless.as_slice(), 3).unwrap()] {
        assert!(matches!(end(packed), CannotCheck::Archive { source: ArchiveError::Trailing, .. }));
    }
    // Entry after entry, each small.
    let many = (0..2000).fold(RawTar::default(), |tar, at| tar.file(&format!("f{at}"), &[0; 600]));
    assert!(matches!(end(many.finish()), CannotCheck::Archive { source: ArchiveError::TooLarge(_), .. }));
    // A zstd frame that wants a window of 2 GiB.
    let mut greedy = zstd::Encoder::new(Vec::new(), 3).unwrap();
    greedy.window_log(27).unwrap();
    greedy.include_contentsize(false).unwrap();
    greedy.write_all(&vec![1; 1 << 20]).unwrap();
    assert!(matches!(end(greedy.finish().unwrap()), CannotCheck::Archive { source: ArchiveError::Read(_), .. }));
}

#[test]
fn a_link_and_then_a_file_through_it_is_refused_and_not_unpacked() {
    let listed: &[(&str, &[u8])] = &[("dir/file", b"x")];
    let through =
        || RawTar::default().manifest(listed).entry("dir", tar::EntryType::Symlink, b"").file("dir/file", b"x");
    assert_eq!(bad_files(through()), one("dir", "link"));
    let (root, path) = saved(&RawTar::default().manifest(listed).file("dir/file", b"x").finish());
    let checked = check_with_key(&path).unwrap().checked_package().unwrap();
    fs::write(&path, through().finish()).unwrap();
    let result = unpack(&path, &checked, &root.path().join("out"));
    assert!(matches!(result, Err(UnpackError::Changed { .. })), "{result:?}");
}

#[test]
fn a_name_may_not_be_taken_by_two_kinds_of_entry() {
    let folder = tar::EntryType::Directory;
    let file_first = RawTar::default().manifest(&[("a", b"x")]).file("a", b"x").entry("a/", folder, b"");
    assert_eq!(bad_files(file_first), one("a", "file_and_folder"));
    let folder_first = RawTar::default().manifest(&[("a", b"x")]).entry("a/", folder, b"").file("a", b"x");
    assert_eq!(bad_files(folder_first), one("a", "file_and_folder"));
    let by_case = RawTar::default().manifest(&[("A", b"x")]).entry("a/", folder, b"").file("A", b"x");
    assert_eq!(bad_files(by_case), one("A", "file_and_folder"));
    let and_link = RawTar::default().manifest(&[("a", b"x")]).file("a", b"x").entry("a", tar::EntryType::Link, b"");
    assert_eq!(bad_files(and_link), one("a", "link"));
    let twice = RawTar::default().manifest(&[]).entry("d/", folder, b"").entry("./d", folder, b"");
    let (_root, path) = saved(&twice.finish());
    assert!(check_with_key(&path).unwrap().is_ok(), "a folder may be named twice");
}

#[test]
fn a_manifest_that_is_a_link_is_refused_for_that() {
    let (root, path) = saved(&RawTar::default().entry("manifest.json", tar::EntryType::Symlink, b"").finish());
    assert!(matches!(check_with_key(&path), Err(CannotCheck::ManifestRefused { .. })));
    let folder = root.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(root.path().join("elsewhere"), signed_manifest(&[])).unwrap();
    symlink(root.path().join("elsewhere"), folder.join("manifest.json")).unwrap();
    assert!(matches!(check_with_key(&folder), Err(CannotCheck::ManifestRefused { .. })));
}

#[test]
fn an_archive_cut_anywhere_has_no_verdict() {
    let good = RawTar::default().manifest(&[("a", b"x")]).file("a", &[b'x'; 5000]).finish();
    let packed = zstd::encode_all(good.as_slice(), 3).unwrap();
    for (bytes, step) in [(&good, 700), (&packed, 40)] {
        for cut in (1..bytes.len() - 520.min(bytes.len() / 2)).step_by(step) {
            let (_root, path) = saved(&bytes[..bytes.len() - cut]);
            let result = check_with_key(&path).map(|report| report.to_json().pretty());
            // Of the two blocks that end a tar archive, one is enough.
            assert!(result.is_err() || (step == 700 && cut <= 512), "{cut}: {result:?}");
        }
    }
}

#[test]
fn links_and_pipes_in_a_folder_are_refused_and_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("package");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(root.path().join("outside")).unwrap();
    fs::write(root.path().join("outside/file"), b"x").unwrap();
    symlink(root.path().join("outside/file"), folder.join("link")).unwrap();
    symlink(root.path().join("outside"), folder.join("sub")).unwrap();
    make_pipe(&folder.join("pipe"));
    let listed: &[(&str, &[u8])] = &[("link", b"x"), ("sub/file", b"x"), ("pipe", b"")];
    fs::write(folder.join("manifest.json"), signed_manifest(listed)).unwrap();
    let report = check_with_key(&folder).unwrap();
    assert_eq!(codes(&report), [("link", "link"), ("sub/file", "missing"), ("pipe", "special_file"), ("sub", "link")]);
}

#[test]
fn unlisted_files_are_warnings_and_errors_when_strict() {
    let (_root, path) = saved(&RawTar::default().manifest(&[]).file("extra", b"x").finish());
    let report = check_with_key(&path).unwrap();
    assert!(report.is_ok());
    assert_eq!(codes(&report), [("extra", "unlisted")]);
    let request = CheckRequest { strictness: Strictness::Strict, ..CheckRequest::new(&path, now()) };
    assert_eq!(check(&request).unwrap().exit_code(), 1);
}

#[test]
fn an_archive_changed_after_its_check_is_not_unpacked() {
    let good = RawTar::default().manifest(&[("a", b"x")]).file("a", b"x");
    let (root, path) = saved(&good.finish());
    let checked = check_with_key(&path).unwrap().checked_package().unwrap();
    let manifest = [("a", &b"x"[..])];
    let changed = [
        RawTar::default().manifest(&manifest).file("a", b"y"),
        RawTar::default().manifest(&manifest).file("a", b"xx"),
        RawTar::default().manifest(&manifest),
        RawTar::default().manifest(&[]).file("a", b"x"),
        RawTar::default().manifest(&manifest).entry("a", tar::EntryType::Symlink, b""),
    ];
    for (number, tar) in changed.into_iter().enumerate() {
        fs::write(&path, tar.finish()).unwrap();
        let result = unpack(&path, &checked, &root.path().join(format!("out{number}")));
        assert!(matches!(result, Err(UnpackError::Changed { .. })), "{number}: {result:?}");
    }
    // Twice the same name: the second write must not win, or even happen.
    let twice = RawTar::default().manifest(&manifest).file("a", b"x").file("a", b"x");
    fs::write(&path, twice.finish()).unwrap();
    assert!(matches!(unpack(&path, &checked, &root.path().join("twice")), Err(UnpackError::File { .. })));
}
