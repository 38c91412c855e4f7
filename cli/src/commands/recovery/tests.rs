use crate::exit::Exit;
use crate::output::Format;
use crate::testing::controller::{Controller, Script};

#[tokio::test]
async fn a_recovery_that_needs_a_person_says_for_what_and_ends_with_9() {
    let controller = Controller::start(Script::default()).await;
    let (exit, told) = controller.run(&["recovery", "plan", "fra-bot-07"], Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("nothing was changed"), "{told}");
    let (exit, told) = controller.run(&["recovery", "run", "fra-bot-07"], Format::Table, None).await.told();
    assert!(exit == Exit::Usage && told.contains("flota recovery run fra-bot-07 --yes"), "{told}");
    assert!(controller.calls().is_empty(), "nobody agreed");
    let (exit, told) = controller.run(&["recovery", "run", "fra-bot-07", "--yes"], Format::Table, None).await.told();
    assert!(exit == Exit::Decision && told.contains("next  flota rollout approve R-9"), "{told}");
    assert_eq!(controller.calls().len(), 1);
    let (exit, told) = controller.run(&["recovery", "list"], Format::Name, None).await.told();
    assert!(exit == Exit::Good && told.trim() == "fra-bot-07", "{told}");
    let words = ["recovery", "abort", "fra-bot-07", "--reason", "it came back"];
    let (exit, told) = controller.run(&words, Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("flota rollout abort R-9"), "{told}");
}
