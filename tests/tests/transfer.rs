//! Packages over a link that is cut, and packages of which most is there already.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::time::Duration;

use flota_tests::{Bins, Fleet, FleetOptions, Link, noise, wait};

const BOUND: Duration = Duration::from_mins(3);
const MIB: usize = 1 << 20;
/// Size of the model in the package, in MiB, unless `FLOTA_TRANSFER_MIB` says another one: 1024 is that of a real package.
const MODEL_MIB: usize = 64;
/// Cuts of the link.
const CUTS: u64 = 20;
/// What a cut may cost: a chunk of the largest size, with what a new session needs.
const PER_CUT: u64 = 256 << 10;

fn roll_out(fleet: &Fleet, version: &str, model: &[u8]) -> u64 {
    let package = fleet.packages.with_model(version, model).unwrap();
    fleet.publish(&package).unwrap();
    let size = std::fs::metadata(&package.path).unwrap().len();
    let created = fleet.admin.json(&["rollout", "create", "--release", version, "--all"]).unwrap();
    fleet.admin.run(&["rollout", "start", created["id"].as_str().unwrap(), "--yes", "--no-wait"]).unwrap();
    let arrived = wait::until(&format!("the update to {version}"), BOUND, || {
        Ok((fleet.hosts[0].bot_version()? == version).then_some(()))
    });
    arrived.unwrap_or_else(|error| panic!("{error}\n{}", fleet.hosts[0].log()));
    size
}

#[test]
fn a_link_that_is_cut_costs_a_chunk_a_cut_and_what_is_there_is_not_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let bins = Bins::beside_this_program().unwrap();
    let mut fleet = Fleet::install(&bins, dir.path(), FleetOptions::default()).unwrap();
    let link = Link::to(&fleet.controller.fleet).unwrap();
    fleet.hosts[0].redirect(&fleet.controller.fleet, &link.endpoint()).unwrap();
    fleet.enroll_all().unwrap();
    fleet.start_agents().unwrap();
    fleet.wait_until_trusted(1).unwrap();

    let model_mib = std::env::var("FLOTA_TRANSFER_MIB").map_or(MODEL_MIB, |text| text.parse().unwrap());
    let length = model_mib * MIB;
    let model = noise(length, 1);
    link.cut_every(length as u64 / (CUTS + 1), CUTS);
    let before = link.down();
    let size = roll_out(&fleet, "4.12.1", &model);
    let down = link.down() - before;
    eprintln!("transfer: {size} bytes, {} cuts, {down} bytes came down", link.cuts());
    assert_eq!(link.cuts(), CUTS);
    assert!(down < size + size / 500 + CUTS * PER_CUT, "{down} bytes for {size}");

    // The next version changes one per cent of the model, in the middle.
    let mut changed = model;
    let at = length / 2;
    changed[at..at + length / 100].copy_from_slice(&noise(length / 100, 2));
    let before = link.down();
    let size = roll_out(&fleet, "4.12.2", &changed);
    let down = link.down() - before;
    eprintln!("transfer: {size} bytes of which 1 % is new, {down} bytes came down");
    assert!(down < size / 25, "{down} bytes for 1 % of {size}");
}
