//! On real files, with real databases that somebody has open.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use rusqlite::Connection;

use super::*;

struct Ground {
    dir: tempfile::TempDir,
    snapshots: Snapshots,
}

impl Ground {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("var/flota")).unwrap();
        let snapshots = Snapshots::new(&dir.path().join("var/flota/snapshots"), dir.path());
        Self { dir, snapshots }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn database(&self, name: &str) -> Connection {
        let database = Connection::open(self.path(name)).unwrap();
        database.pragma_update(None, "journal_mode", "wal").unwrap();
        database
    }

    fn take(&self, name: &str) {
        self.snapshots.take(name, &["var".into(), "config/a.json".into(), "not-there".into()]).unwrap();
    }

    fn copied(&self, name: &str, path: &str) -> PathBuf {
        self.path("var/flota/snapshots").join(name).join(COPIES).join(path)
    }
}

fn orders(path: &Path) -> i64 {
    Connection::open(path).unwrap().query_row("select count(*) from orders", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_snapshot_holds_what_was_named_as_it_was() {
    let ground = Ground::new();
    fs::create_dir_all(ground.path("var/deep/er")).unwrap();
    fs::create_dir_all(ground.path("config")).unwrap();
    fs::write(ground.path("var/deep/er/state.json"), "{}").unwrap();
    fs::set_permissions(ground.path("var/deep/er/state.json"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("state.json", ground.path("var/deep/er/link")).unwrap();
    fs::write(ground.path("config/a.json"), "a").unwrap();
    fs::write(ground.path("config/b.json"), "b").unwrap();
    let _socket = UnixListener::bind(ground.path("var/socket")).unwrap();
    ground.take("7");
    let copied = ground.copied("7", "var/deep/er/state.json");
    assert_eq!(fs::read_to_string(&copied).unwrap(), "{}");
    assert_eq!(fs::metadata(&copied).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_link(ground.copied("7", "var/deep/er/link")).unwrap(), Path::new("state.json"));
    assert!(ground.copied("7", "config/a.json").exists() && !ground.copied("7", "config/b.json").exists());
    assert!(!ground.copied("7", "var/socket").exists() && !ground.copied("7", "var/flota/snapshots").exists());

    // It is of that moment, whoever asks again; and the next one takes its place.
    fs::write(ground.path("config/a.json"), "changed").unwrap();
    ground.take("7");
    assert_eq!(fs::read_to_string(ground.copied("7", "config/a.json")).unwrap(), "a");
    ground.take("8");
    assert_eq!(ground.snapshots.names(), ["8"]);
    assert_eq!(fs::read_to_string(ground.copied("8", "config/a.json")).unwrap(), "changed");
}

#[test]
fn a_database_that_is_written_to_is_copied_whole() {
    let ground = Ground::new();
    let database = ground.database("var/bot.db");
    database.execute_batch("create table orders (id integer primary key); insert into orders values (1), (2)").unwrap();
    assert!(ground.path("var/bot.db-wal").metadata().unwrap().len() > 0, "what was written is in the log alone");
    // A transaction that is open is no part of it.
    database.execute_batch("begin; insert into orders values (3)").unwrap();
    ground.take("7");
    database.execute_batch("commit").unwrap();
    assert_eq!(orders(&ground.copied("7", "var/bot.db")), 2);
    assert!(!ground.copied("7", "var/bot.db-wal").exists());
    assert_eq!(orders(&ground.path("var/bot.db")), 3);
}

#[test]
fn a_database_whose_schema_moved_is_restored_and_others_are_left() {
    let ground = Ground::new();
    let [moved, stayed, versioned] =
        ["moved", "stayed", "versioned"].map(|name| ground.database(&format!("var/{name}.db")));
    for database in [&moved, &stayed, &versioned] {
        database.execute_batch("create table orders (id integer primary key); insert into orders values (1)").unwrap();
    }
    fs::write(ground.path("var/notes.txt"), "before").unwrap();
    ground.take("7");
    // The new release trades, and changes two of them.
    for database in [&moved, &stayed, &versioned] {
        database.execute_batch("insert into orders values (2)").unwrap();
    }
    moved.execute_batch("alter table orders add column venue text").unwrap();
    versioned.pragma_update(None, "user_version", 5).unwrap();
    fs::write(ground.path("var/notes.txt"), "after").unwrap();
    drop((moved, versioned));

    let restored = ground.snapshots.restore("7").unwrap();
    assert_eq!(restored.len(), 2, "{restored:?}");
    let counts = ["moved", "stayed", "versioned"].map(|name| orders(&ground.path(&format!("var/{name}.db"))));
    assert_eq!(counts, [1, 2, 1]);
    assert_eq!(fs::read_to_string(ground.path("var/notes.txt")).unwrap(), "after", "what is no database is left");
    let aside = ground.path("var/flota/snapshots/7").join(REPLACED).join("var/moved.db");
    assert_eq!(orders(&aside), 2, "what was replaced is kept");
    assert_eq!(ground.snapshots.restore("7").unwrap(), Vec::<PathBuf>::new(), "done once");
    assert_eq!(ground.snapshots.restore("none").unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn a_log_of_the_new_release_does_not_come_over_the_old_database() {
    let ground = Ground::new();
    let database = ground.database("var/bot.db");
    database.execute_batch("create table orders (id integer primary key); insert into orders values (1)").unwrap();
    ground.take("7");
    database.execute_batch("alter table orders add column venue text; insert into orders values (2, 'x')").unwrap();
    // It was killed: its log of changes stays behind.
    let wal = fs::read(ground.path("var/bot.db-wal")).unwrap();
    drop(database);
    fs::write(ground.path("var/bot.db-wal"), wal).unwrap();
    assert_eq!(ground.snapshots.restore("7").unwrap(), [PathBuf::from("var/bot.db")]);
    assert_eq!(orders(&ground.path("var/bot.db")), 1);
}

#[test]
fn a_restore_that_was_interrupted_goes_on() {
    let ground = Ground::new();
    let database = ground.database("var/bot.db");
    database.execute_batch("create table orders (id integer primary key); insert into orders values (1)").unwrap();
    ground.take("7");
    drop(database);
    // Killed between putting aside and putting in place.
    fs::remove_file(ground.path("var/bot.db")).unwrap();
    fs::write(ground.path("var/bot.db-flota-restore"), "half").unwrap();
    assert_eq!(ground.snapshots.restore("7").unwrap(), [PathBuf::from("var/bot.db")]);
    assert_eq!(orders(&ground.path("var/bot.db")), 1);
    assert!(!ground.path("var/bot.db-flota-restore").exists());
}

#[test]
fn an_unfinished_snapshot_is_none_and_is_made_anew() {
    let ground = Ground::new();
    let unfinished = ground.path("var/flota/snapshots/7.unfinished");
    fs::create_dir_all(unfinished.join(COPIES)).unwrap();
    fs::write(unfinished.join(LIST), "{}").unwrap();
    assert_eq!(ground.snapshots.names(), Vec::<String>::new());
    ground.take("7");
    assert_eq!(ground.snapshots.names(), ["7"]);
}

#[test]
fn a_snapshot_of_an_earlier_update_is_not_taken_for_that_of_a_later_one_of_the_same_name() {
    let ground = Ground::new();
    fs::write(ground.path("var/state"), "earlier").unwrap();
    ground.take("1");
    ground.snapshots.retire().unwrap();
    ground.snapshots.retire().unwrap();
    assert_eq!(ground.snapshots.names(), [LAST]);
    assert_eq!(fs::read_to_string(ground.copied(LAST, "var/state")).unwrap(), "earlier", "kept for people");
    fs::write(ground.path("var/state"), "later").unwrap();
    ground.take("1");
    assert_eq!(fs::read_to_string(ground.copied("1", "var/state")).unwrap(), "later");
    assert_eq!(ground.snapshots.names(), ["1"]);
}

#[test]
fn a_path_that_leaves_the_bots_folder_is_refused() {
    let ground = Ground::new();
    for path in ["../etc", "/etc/passwd", "var/../../etc", ""] {
        let refused = ground.snapshots.take("7", &[path.into()]).unwrap_err();
        assert!(matches!(refused, SnapshotError::Outside(_)), "{path}: {refused}");
    }
}
