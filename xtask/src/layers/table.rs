//! The rules. A change here is a change of the architecture: it belongs in a commit of its own, with its reason.

/// Our crates that a crate of ours may depend on (dev-dependencies excepted).
#[derive(Debug, Clone, Copy)]
pub(super) enum Internal {
    /// These.
    Only(&'static [&'static str]),
    /// All of them: nothing depends on it, and nothing of it is installed.
    Any,
}

/// All rules.
pub(super) struct Tables {
    /// For each of our crates, those of ours that it may depend on. A crate that is not here is a breach.
    pub(super) internal: &'static [(&'static str, Internal)],
    /// Libraries that only these crates may name.
    pub(super) exclusive: &'static [(&'static str, &'static [&'static str])],
    /// Crates without IO, async or clocks.
    pub(super) pure: &'static [&'static str],
    /// What a pure crate may not even reach.
    pub(super) effects: &'static [&'static str],
    /// Crates, what they may never reach, and why.
    pub(super) never: &'static [(&'static [&'static str], &'static [&'static str], &'static str)],
    /// Libraries that may not be in any program, and why.
    pub(super) banned: &'static [(&'static str, &'static str)],
}

pub(super) const TABLES: Tables =
    Tables { internal: INTERNAL, exclusive: EXCLUSIVE, pure: PURE, effects: EFFECTS, never: NEVER, banned: BANNED };

use Internal::{Any, Only};

const INTERNAL: &[(&str, Internal)] = &[
    // the ground
    ("flota-model", Only(&[])),
    ("flota-daemon", Only(&[])),
    ("flota-net", Only(&[])),
    ("flota-seal", Only(&["flota-model"])),
    ("flota-package", Only(&["flota-model", "flota-seal"])),
    ("flota-release", Only(&["flota-model", "flota-package"])),
    ("flota-chunks", Only(&["flota-model"])),
    ("flota-proto", Only(&["flota-model"])),
    // the agent
    ("flota-engine", Only(&["flota-model"])),
    ("flota-snapshot", Only(&[])),
    (
        "flota-updater",
        Only(&[
            "flota-daemon",
            "flota-engine",
            "flota-model",
            "flota-package",
            "flota-release",
            "flota-seal",
            "flota-snapshot",
        ]),
    ),
    ("flota-tpm", Only(&["flota-model"])),
    ("flota-procedures", Only(&["flota-model", "flota-package", "flota-seal"])),
    (
        "flota-agent",
        Only(&[
            "flota-chunks",
            "flota-daemon",
            "flota-engine",
            "flota-model",
            "flota-net",
            "flota-package",
            "flota-procedures",
            "flota-proto",
            "flota-release",
            "flota-seal",
            "flota-tpm",
            "flota-updater",
        ]),
    ),
    ("flota-supervisor", Only(&["flota-daemon", "flota-model", "flota-updater"])),
    // agents without a host, for benches and load; they know the controller by the wire alone
    ("flota-sim", Only(&["flota-daemon", "flota-engine", "flota-model", "flota-net", "flota-proto", "flota-seal"])),
    // the controller
    ("flota-attest", Only(&["flota-model", "flota-seal"])),
    ("flota-planner", Only(&["flota-model"])),
    ("flota-alerts", Only(&["flota-model"])),
    ("flota-store", Only(&["flota-model"])),
    ("flota-store-sqlite", Only(&["flota-model", "flota-store"])),
    (
        "flota-controller",
        Only(&[
            "flota-alerts",
            "flota-attest",
            "flota-chunks",
            "flota-daemon",
            "flota-model",
            "flota-net",
            "flota-package",
            "flota-planner",
            "flota-proto",
            "flota-release",
            "flota-seal",
            "flota-store",
            "flota-store-sqlite",
        ]),
    ),
    // operators
    (
        "flota-cli",
        Only(&[
            "flota-daemon",
            "flota-model",
            "flota-net",
            "flota-package",
            "flota-proto",
            "flota-release",
            "flota-seal",
        ]),
    ),
    // what is never installed
    ("flota-swtpm", Only(&[])),
    ("flota-exchange-sim", Only(&[])),
    ("flota-stand-in-bot", Only(&[])),
    ("flota-fuzz-replay", Any),
    ("flota-tests", Any),
    ("xtask", Only(&[])),
];

const EXCLUSIVE: &[(&str, &[&str])] = &[
    // libtss2 is a system library, and the controller must build without it
    ("tss-esapi", &["flota-tpm"]),
    // SQL stays behind the use-cases of flota-store
    ("sqlx", &["flota-store-sqlite"]),
    // exchanges are asked by the health checks alone, the webhook by the controller
    ("reqwest", &["flota-controller", "flota-procedures"]),
    // what TUF's metadata are is decided in one place
    ("tough", &["flota-release"]),
    // a program that listens with axum is a test's
    ("axum", &["flota-exchange-sim"]),
];

const PURE: &[&str] = &["flota-model", "flota-seal", "flota-attest", "flota-engine", "flota-planner", "flota-alerts"];

const EFFECTS: &[&str] = &["hyper", "prost", "reqwest", "rustls", "sqlx", "tokio", "tonic", "tss-esapi"];

const NEVER: &[(&[&str], &[&str], &str)] = &[
    (
        &["flota-agent"],
        &["flota-attest", "flota-controller", "flota-planner", "flota-store", "flota-store-sqlite", "sqlx"],
        "agent and controller meet on the wire only: what both need belongs in lib/",
    ),
    (
        &["flota-controller"],
        &["flota-agent", "flota-engine", "flota-procedures", "flota-tpm", "tss-esapi"],
        "agent and controller meet on the wire only: what both need belongs in lib/",
    ),
    (
        &["flota-supervisor", "flota-updater"],
        &["flota-net", "hyper", "prost", "reqwest", "tokio-rustls", "tonic", "tss-esapi"],
        "a supervisor has the privileges and no network: what takes one, it asks of its outside",
    ),
    (
        &["flota-sim"],
        &[
            "flota-agent",
            "flota-attest",
            "flota-controller",
            "flota-planner",
            "flota-store",
            "flota-store-sqlite",
            "flota-tpm",
            "sqlx",
            "tss-esapi",
        ],
        "simulated agents meet a controller on the wire, and their TPM is of no use if the controller's verifier made it",
    ),
    (
        &["flota-cli"],
        &[
            "flota-agent",
            "flota-attest",
            "flota-controller",
            "flota-engine",
            "flota-planner",
            "flota-procedures",
            "flota-store",
            "flota-store-sqlite",
            "flota-tpm",
            "sqlx",
            "tss-esapi",
        ],
        "the operator's command asks the controller: add an RPC",
    ),
    (
        &["flota-procedures"],
        &["prost", "tonic"],
        "procedures work without a controller: return data, and let the agent send it",
    ),
    (
        &["flota-store"],
        &["sqlx", "tokio", "tonic"],
        "the store is use-cases; SQL belongs in a backend, the wire in controller/src/grpc",
    ),
    (
        &["flota-proto"],
        &["flota-seal", "flota-store", "sqlx", "tss-esapi"],
        "the wire knows the model and nothing else of ours",
    ),
];

const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls with aws-lc-rs (ADR-0003): choose the library's rustls feature"),
    ("native-tls", "TLS is rustls with aws-lc-rs (ADR-0003): choose the library's rustls feature"),
    ("ring", "one cryptographic provider, aws-lc-rs (ADR-0003): choose the library's aws-lc-rs feature"),
    ("ed25519-dalek", "Ed25519 is verified through aws-lc-rs (ADR-0003): use flota_seal::ed25519"),
];
