//! The bot comes to rest before it is stopped, or the update does not happen.

use super::*;
use crate::NOT_NOW;

/// A host that runs 1.0, and 2.0 to come.
async fn host() -> (Ground, Agent, ReleaseRef) {
    let ground = Ground::new();
    let (old, new) = (ground.good("1.0"), ground.good("2.0"));
    let agent = ground.spawn(ground.outside());
    agent.install(1, &old).await;
    (ground, agent, new)
}

impl Ground {
    /// The bot answers a question for rest with this exit code.
    fn busy(&self, code: i32) {
        fs::write(self.root().join("busy"), code.to_string()).unwrap();
    }
}

#[tokio::test]
async fn a_bot_that_is_busy_for_now_is_asked_until_it_comes_to_rest() {
    let (ground, agent, new) = host().await;
    ground.busy(NOT_NOW);
    agent.handle.want(install(2, &new)).await.unwrap();
    let asked = agent.until(|report| report.detail.contains("quiesce")).await;
    assert_eq!(asked.phase, UpdatePhase::Staged, "{}", asked.detail);
    assert_eq!(fs::read_to_string(ground.root().join("running")).unwrap(), "healthy 1.0\n", "it trades on meanwhile");
    fs::remove_file(ground.root().join("busy")).unwrap();
    let report = agent.ends(2).await;
    assert_eq!(report.phase, UpdatePhase::Committed, "{}", report.detail);
    assert_eq!(ground.runs(), Some("healthy 2.0".to_owned()));
}

#[tokio::test]
async fn a_bot_that_refuses_to_come_to_rest_trades_on_with_what_it_was() {
    let (ground, agent, new) = host().await;
    ground.busy(1);
    let report = agent.install(2, &new).await;
    assert_eq!(report.phase, UpdatePhase::Refused);
    assert!(report.detail.contains("quiesce command ended with"), "{}", report.detail);
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()));
    // It is no fault of the release: the next time it may be installed.
    fs::remove_file(ground.root().join("busy")).unwrap();
    assert_eq!(agent.install(3, &new).await.phase, UpdatePhase::Committed);
}

#[tokio::test]
async fn an_update_is_called_off_while_the_bot_is_asked() {
    let (ground, agent, new) = host().await;
    ground.busy(NOT_NOW);
    agent.handle.want(install(2, &new)).await.unwrap();
    agent.until(|report| report.detail.contains("quiesce")).await;
    agent.handle.want(want(3, Goal::Stay)).await.unwrap();
    let report = agent.ends(3).await;
    assert_eq!((report.phase, report.version.as_str()), (UpdatePhase::Committed, "1.0"), "{}", report.detail);
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()));
}

#[tokio::test]
async fn a_bot_that_does_not_trade_again_when_asked_is_started_anew() {
    let (ground, agent, new) = host().await;
    fs::write(ground.root().join("stuck"), "").unwrap();
    fs::write(ground.root().join("resting"), "").unwrap();
    ground.busy(1);
    let report = agent.install(2, &new).await;
    assert_eq!(report.phase, UpdatePhase::Refused, "{}", report.detail);
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()), "it was started anew, and is not at rest");
}

#[tokio::test]
async fn a_bot_that_cannot_be_started_again_either_is_for_people() {
    let (ground, agent, new) = host().await;
    fs::write(ground.root().join("stuck"), "").unwrap();
    ground.busy(1);
    // Its program is gone: nobody can start it.
    fs::remove_file(ground.root().join("current/bot")).unwrap();
    let report = agent.install(2, &new).await;
    assert_eq!(report.phase, UpdatePhase::SafeHold, "{}", report.detail);
    assert!(report.detail.contains("could not be made to trade again"), "{}", report.detail);
}

#[tokio::test]
async fn the_history_says_how_each_update_ended() {
    let (ground, agent, new) = host().await;
    let noted = || crate::history::read(&ground.settings.state_dir).unwrap();
    assert_eq!(noted().len(), 1);
    agent.install(2, &new).await;
    // What runs already is no update.
    agent.install(3, &new).await;
    ground.busy(1);
    agent.install(4, &ground.good("3.0")).await;
    let told: Vec<_> = noted()
        .into_iter()
        .map(|entry| (entry.generation.number(), entry.from_version, entry.to_version, entry.outcome))
        .collect();
    let entry = |generation, from: &str, to: &str, outcome| (generation, from.to_owned(), to.to_owned(), outcome);
    let expected = [
        entry(1, "", "1.0", UpdatePhase::Committed),
        entry(2, "1.0", "2.0", UpdatePhase::Committed),
        entry(4, "2.0", "3.0", UpdatePhase::Refused),
    ];
    assert_eq!(told, expected);
    assert!(noted()[2].detail.contains("quiesce"), "{:?}", noted()[2]);
    // The same end is noted once, however often the agent starts.
    drop(agent);
    let (mut updater, _handle) = ground.open().await;
    updater.begin().await;
    assert_eq!(noted().len(), 3);
}

#[tokio::test]
async fn nothing_is_moved_by_hand_while_the_bot_may_be_at_rest() {
    let (ground, agent, new) = host().await;
    ground.busy(NOT_NOW);
    agent.handle.want(install(2, &new)).await.unwrap();
    agent.until(|report| report.detail.contains("quiesce")).await;
    drop(agent);
    // The agent has stopped when the journal can be opened.
    drop(ground.open().await);
    let state_dir = &ground.settings.state_dir;
    let state = crate::Journal::peek(state_dir).unwrap().unwrap();
    let why = crate::under_way(&state).unwrap();
    assert!(why.contains("start the agent"), "{why}");
    // Nor is what an update would go back to taken away.
    let current = fs::read_link(ground.root().join("current")).unwrap();
    let record = serde_json::json!({
        "digest": current.file_name().unwrap().to_str().unwrap(), "version": "1.0", "package": "bot.tar.gz", "size": 1,
    });
    fs::create_dir_all(state_dir.join("adopted")).unwrap();
    fs::write(state_dir.join("adopted/adopted.json"), record.to_string()).unwrap();
    let refused = crate::adopt::undo(&ground.settings).unwrap_err().to_string();
    assert!(refused.contains("an update is on its way"), "{refused}");
    assert_eq!(ground.runs(), Some("healthy 1.0".to_owned()), "it stands, and the bot with it");
}
