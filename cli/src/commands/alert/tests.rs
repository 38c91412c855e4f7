use crate::exit::Exit;
use crate::output::Format;
use crate::testing::controller::{Controller, Script};

#[tokio::test]
async fn an_alert_leads_to_its_first_command() {
    let controller = Controller::start(Script::default()).await;
    let (exit, told) = controller.run(&["alert", "list"], Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("next: flota alert show 12"), "{told}");
    assert!(told.contains("nobody is told"), "{told}");
    let (exit, told) = controller.run(&["alert", "show", "12"], Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("next: flota health show --by exchange"), "{told}");
    let (exit, told) = controller.run(&["alert", "show", "7"], Format::Table, None).await.told();
    assert!(exit == Exit::NotFound && told.contains("flota alert list --all"), "{told}");
}

#[tokio::test]
async fn a_silence_begins_now_and_ends_when_it_is_said() {
    let controller = Controller::start(Script::default()).await;
    let words = ["silence", "create", "-l", "venue=binance", "--until", "2h", "--reason", "new disks"];
    let (exit, told) = controller.run(&words, Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("silence 3 of venue=binance"), "{told}");
    assert!(told.contains("undo: flota silence end 3"), "{told}");
    let (exit, told) = controller.run(&["silence", "end", "3"], Format::Table, None).await.told();
    assert!(exit == Exit::Good && told.contains("is over"), "{told}");
    let (exit, told) =
        controller.run(&["silence", "create", "--until", "2h", "--reason", "x"], Format::Table, None).await.told();
    assert!(exit == Exit::Usage, "nobody is silenced by omission: {told}");
    let (exit, told) = controller.run(&["silence", "list"], Format::Name, None).await.told();
    assert!(exit == Exit::Good && told.trim() == "3", "{told}");
}
