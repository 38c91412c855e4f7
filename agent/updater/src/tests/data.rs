//! The bot's data before, during and after a trial. The new release's start adds a column, as a migration does.

use std::process::Command;

use super::*;

/// Runs statements on a database, as a bot in Python does.
const SQL: &str = "
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    if sys.argv[2].startswith('select'):
        print(database.execute(sys.argv[2]).fetchone()[0])
    else:
        database.executescript(sys.argv[2])
";

impl Ground {
    /// Data that are copied before an update: a database that another program made, and a note.
    fn with_data() -> Self {
        let mut ground = Self::new();
        fs::create_dir_all(ground.root().join("data")).unwrap();
        fs::write(ground.root().join("data/note"), "before").unwrap();
        ground.sql("create table orders (id integer primary key); insert into orders values (1)");
        ground.settings.update.snapshot = vec!["data".into()];
        ground
    }

    fn database(&self) -> PathBuf {
        self.root().join("data/bot.db")
    }

    /// The answer to a question, or nothing.
    fn sql(&self, statements: &str) -> String {
        let output = Command::new("python3").args(["-c", SQL]).arg(self.database()).arg(statements).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

#[tokio::test]
async fn going_back_restores_a_database_that_the_old_release_could_not_read() {
    let ground = Ground::with_data();
    let (old, sick) = (ground.good("1.0"), ground.publish("2.0", Some("sick"), KEY));
    let mut short = ground.settings.clone();
    short.update.probation = Duration::from_secs(3);
    let ground = Ground { settings: short, ..ground };
    let agent = ground.spawn(ground.outside());
    agent.install(1, &old).await;
    agent.handle.want(install(2, &sick)).await.unwrap();
    agent.until(|report| report.phase == UpdatePhase::Probation).await;
    // The trial migrates, and trades.
    ground.sql("alter table orders add column venue text; insert into orders values (2, 'x')");
    fs::write(ground.root().join("data/note"), "during").unwrap();
    let report = agent.ends(2).await;
    assert_eq!(report.phase, UpdatePhase::RolledBack, "{}", report.detail);
    assert_eq!(ground.sql("select group_concat(id) from orders"), "1");
    assert_eq!(fs::read_to_string(ground.root().join("data/note")).unwrap(), "during", "no database: left");
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()));
}

#[tokio::test]
async fn an_update_that_goes_well_keeps_what_was_written() {
    let ground = Ground::with_data();
    let (old, new) = (ground.good("1.0"), ground.good("2.0"));
    let agent = ground.spawn(ground.outside());
    agent.install(1, &old).await;
    ground.sql("insert into orders values (2)");
    assert_eq!(agent.install(2, &new).await.phase, UpdatePhase::Committed);
    assert_eq!(ground.sql("select group_concat(id) from orders"), "1,2");
    let kept = names(ground.settings.state_dir.join("snapshots"));
    assert_eq!(kept, ["last"], "the copy of the last update stays for people");
}

#[tokio::test]
async fn data_that_cannot_be_copied_keep_the_update_away() {
    let ground = Ground::with_data();
    let (old, new) = (ground.good("1.0"), ground.good("2.0"));
    let agent = ground.spawn(ground.outside());
    agent.install(1, &old).await;
    fs::write(ground.root().join("data/broken.db"), b"SQLite format 3\0 and then nothing").unwrap();
    let report = agent.install(2, &new).await;
    assert_eq!(report.phase, UpdatePhase::Refused);
    assert!(report.detail.contains("copying the database"), "{}", report.detail);
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()));
}
