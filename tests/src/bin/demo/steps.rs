//! The working day, step by step. Everything is done with the commands that operators have.

use std::path::Path;

use anyhow::{Context as _, ensure};
use flota_tests::Fleet;
use serde_json::Value;

use crate::script::Script;

/// A PCR that the baseline covers and that nothing but tampering changes while a host runs.
const TAMPERED_PCR: u8 = 7;

pub(crate) fn enrol(script: &mut Script, fleet: &mut Fleet) -> anyhow::Result<()> {
    script.must("Enrol: each TPM proves its keys by credential activation", || {
        fleet.enroll_all()?;
        Ok((format!("{} hosts, one token each", fleet.hosts.len()), ()))
    })?;
    script.step("A used token is refused", || {
        let created = fleet.admin.json(&["token", "create"])?;
        let token = text(&created, "token");
        let (first, second) = (fleet.hosts.first().context("no host")?, fleet.hosts.get(1).context("no host")?);
        // A token without a name enrols a known host again, which keeps its own; the token is used up by that.
        let again = first.enroll(token)?;
        ensure!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        let used = second.enroll(token)?;
        ensure!(!used.status.success(), "a token was used twice");
        let words = String::from_utf8_lossy(&used.stderr).into_owned();
        ensure!(words.contains("FLT-0401"), "an unexpected refusal: {words}");
        Ok("FLT-0401: the enrolment token cannot be used: it was used".into())
    });
    script.must("Start the agents: sessions over mTLS with TPM keys", || {
        fleet.start_supervisors()?;
        fleet.start_agents()?;
        let count = fleet.hosts.len();
        fleet.wait_until_trusted(count)?;
        Ok((format!("{count} hosts connected and trusted"), ()))
    })
}

pub(crate) fn attest(script: &mut Script, fleet: &Fleet) -> anyhow::Result<()> {
    script.must("Attest all: fresh nonce, quote, verdict", || {
        let outcomes = fleet.admin.items(&["attest", "challenge", "--all"])?;
        ensure!(outcomes.len() == fleet.hosts.len(), "{} outcomes", outcomes.len());
        ensure!(all(&outcomes, "verdict", "pass"), "{outcomes:?}");
        Ok((format!("{} pass", outcomes.len()), ()))
    })?;
    script.step("Ping all", || {
        let answer = fleet.admin.ok(&["host", "ping", "--all"])?;
        Ok(answer.stdout.lines().chain(answer.stderr.lines()).last().unwrap_or_default().trim().to_owned())
    });
    Ok(())
}

pub(crate) fn health(script: &mut Script, fleet: &Fleet) -> anyhow::Result<()> {
    script.must("Health of all: public and signed private check", || {
        fleet.admin.ok(&["health", "run", "--all"])?;
        let hosts = fleet.admin.items(&["health", "show"])?;
        ensure!(all(&hosts, "overall", "healthy"), "{hosts:?}");
        Ok((format!("{} healthy", hosts.len()), ()))
    })?;
    script.step("The exchange fails: health says so", || {
        fleet.exchange.order(&serde_json::json!({ "mode": "fail" }))?;
        let answer = fleet.admin.run(&["health", "run", "fra-bot-01"])?;
        fleet.exchange.order(&serde_json::json!({ "mode": "normal" }))?;
        ensure!(answer.code == 1, "exit code {}: {}{}", answer.code, answer.stdout, answer.stderr);
        let again = fleet.admin.run(&["health", "run", "fra-bot-01"])?;
        ensure!(again.code == 0, "it did not recover: {}{}", again.stdout, again.stderr);
        Ok("exit 1 while it fails, healthy again after".into())
    });
    Ok(())
}

pub(crate) fn exports(script: &mut Script, fleet: &Fleet) -> anyhow::Result<()> {
    script.must("Security export from all, each signature verified", || {
        fleet.admin.ok(&["export", "run", "--all", "--reason", "daily archive"])?;
        let folder = fleet.dir.join("fetched");
        std::fs::create_dir_all(&folder)?;
        for host in &fleet.hosts {
            let file = folder.join(format!("{}.json", host.name));
            let path = file.to_string_lossy();
            fleet.admin.ok(&["export", "get", "--host", &host.name, "--latest", "-f", &path])?;
            let key = host.root().join("secrets/audit.key");
            let verdict =
                host.agent_command(&["verify-security-bundle", &path, "--hmac-key", &key.to_string_lossy()])?;
            ensure!(verdict.status.success(), "{}: {}", host.name, String::from_utf8_lossy(&verdict.stdout));
        }
        Ok((format!("{} bundles fetched, {0} valid", fleet.hosts.len()), ()))
    })
}

pub(crate) fn bad_release(script: &mut Script, fleet: &Fleet) -> anyhow::Result<()> {
    script.must("Sign and publish releases: 4.11.3 (runs now), 4.12.0, 4.12.1", || {
        fleet.publish(&fleet.first_release)?;
        fleet.publish(&fleet.packages.bot("4.12.0", "sick", 256 * 1024)?)?;
        fleet.publish(&fleet.packages.bot("4.12.1", "healthy", 256 * 1024)?)?;
        Ok(("3 releases, signed, verified and stored".to_owned(), ()))
    })?;
    script.step("A package with a wrong hash is not signed", || {
        let path = fleet.dir.join("packages/spoiled.dudzianpkg");
        spoil(&fleet.dir.join("packages/bot-4.12.1.dudzianpkg"), &path)?;
        let desk = fleet.controller.desk().to_string_lossy();
        let answer = fleet.admin.run(&["release", "sign", &desk, &path.to_string_lossy()])?;
        ensure!(answer.code != 0 && answer.stderr.contains("is not good"), "{}{}", answer.stdout, answer.stderr);
        Ok("refused: the package is not good".into())
    });
    script.must("Roll out 4.12.0: canary fails, goes back, rollout halts", || {
        let id = create(fleet, "4.12.0")?;
        let answer = fleet.admin.run(&["rollout", "start", &id, "--yes"])?;
        ensure!(
            answer.code == 9,
            "exit code {}, expected 9 (waits for a person): {}{}",
            answer.code,
            answer.stdout,
            answer.stderr
        );
        for host in &fleet.hosts {
            ensure!(host.current()? == fleet.first_release.digest, "{} does not run 4.11.3", host.name);
            let (code, health) = host.bot_health()?;
            ensure!(code == 0, "{}: its bot is not healthy: {health}", host.name);
        }
        let targets = targets(fleet, &id)?;
        let state = |state: &str| targets.iter().filter(|target| text(target, "state") == state).count();
        ensure!(state("rolled_back") == 1 && state("pending") == 4, "{targets:?}");
        fleet.admin.ok(&["rollout", "abort", &id, "--yes"])?;
        Ok((format!("{id} halted: canary rolled back to 4.11.3, 4 hosts untouched"), ()))
    })
}

pub(crate) fn good_release(script: &mut Script, fleet: &Fleet) -> anyhow::Result<()> {
    script.must("Roll out 4.12.1: canary, then two waves of two", || {
        let id = create(fleet, "4.12.1")?;
        fleet.admin.ok(&["rollout", "start", &id, "--yes"])?;
        for host in &fleet.hosts {
            ensure!(host.bot_version()? == "4.12.1", "{} runs {}", host.name, host.bot_version()?);
        }
        let targets = targets(fleet, &id)?;
        ensure!(all(&targets, "state", "committed"), "{targets:?}");
        Ok((format!("{id} succeeded: {} hosts run it, confirmed by quotes", targets.len()), ()))
    })?;
    script.step("An export was archived before every update", || {
        let exports = fleet.admin.items(&["export", "list", "--limit", "100"])?;
        let before = exports.iter().filter(|export| text(export, "reason").starts_with("before the update")).count();
        ensure!(before == fleet.hosts.len() + 1, "{before} exports before updates: {exports:?}");
        Ok(format!("{before}: 1 for the failed canary, {} for the good rollout", fleet.hosts.len()))
    });
    Ok(())
}

pub(crate) fn tampering(script: &mut Script, fleet: &mut Fleet) -> anyhow::Result<()> {
    script.must("Tamper with a PCR of fra-bot-03: it is flagged", || {
        let host = fleet.hosts.iter_mut().find(|host| host.name == "fra-bot-03").context("no fra-bot-03")?;
        host.tpm().extend_pcr(TAMPERED_PCR, [0xee; 32])?;
        let answer = fleet.admin.run(&["attest", "challenge", "--all"])?;
        ensure!(answer.code == 1, "exit code {}: {}{}", answer.code, answer.stdout, answer.stderr);
        let flagged: Vec<String> = fleet
            .admin
            .items(&["host", "list", "--limit", "0"])?
            .iter()
            .filter(|host| text(host, "trust") != "trusted")
            .map(|host| format!("{} is {}", text(host, "name"), text(host, "trust")))
            .collect();
        ensure!(flagged == ["fra-bot-03 is drifted"], "{flagged:?}");
        Ok((format!("{}: PCR {TAMPERED_PCR} differs; the other 4 are trusted", flagged.join(", ")), ()))
    })
}

pub(crate) fn audit(script: &mut Script, fleet: &Fleet) -> anyhow::Result<()> {
    script.must("The audit log's hash chain is intact", || {
        let verified = fleet.admin.json(&["audit", "verify"])?;
        let entries = verified.get("entries").and_then(Value::as_u64).unwrap_or(0);
        ensure!(entries > 50, "only {entries} entries: {verified}");
        Ok((format!("{entries} entries"), ()))
    })?;
    Ok(())
}

fn create(fleet: &Fleet, version: &str) -> anyhow::Result<String> {
    let created = fleet.admin.json(&[
        "rollout",
        "create",
        "--release",
        version,
        "--all",
        "--canary",
        "1",
        "--wave-size",
        "2",
        "--ticket",
        "OPS-912",
    ])?;
    Ok(text(&created, "id").to_owned())
}

fn targets(fleet: &Fleet, id: &str) -> anyhow::Result<Vec<Value>> {
    let answer = fleet.admin.run(&["rollout", "status", id, "-o", "json"])?;
    let document: Value = serde_json::from_str(&answer.stdout).with_context(|| answer.stdout.clone())?;
    document.get("targets").and_then(Value::as_array).cloned().context("the rollout has no targets")
}

/// Copies a package and changes one byte in the middle, where a file's contents are.
fn spoil(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(from)?;
    let middle = bytes.len() / 2;
    let byte = bytes.get_mut(middle).context("an empty package")?;
    *byte ^= 0xff;
    Ok(std::fs::write(to, bytes)?)
}

fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn all(documents: &[Value], field: &str, expected: &str) -> bool {
    !documents.is_empty() && documents.iter().all(|document| text(document, field) == expected)
}
