//! The controller: enrols hosts, judges their evidence, gives them work, and keeps the record.
//!
//! It decides when and where, never what is authentic; all its state is in the store. Never: libtss2, the agent's
//! crates, an SQL statement. Start at `run`, then `grpc::access` (who may do what), `rollouts` (how plans are carried
//! out), `enrolment` and `attestation` (what a host must prove).

pub mod alerting;
pub mod archive;
pub mod attestation;
pub mod backup;
pub mod blobs;
pub mod ca;
pub mod checklists;
pub mod checkpoints;
pub mod core;
pub mod denied;
pub mod enrolment;
pub mod escalations;
pub mod fault;
pub mod files;
pub mod grpc;
pub mod health;
pub mod init;
pub mod listener;
pub mod outbound;
pub mod peer;
pub mod policies;
pub mod quotas;
pub mod receipts;
pub mod recoveries;
pub mod releases;
pub mod rollouts;
pub mod run;
pub mod schedule;
pub mod sessions;
pub mod settings;
pub mod standing;
pub mod tickets;
pub mod upkeep;
