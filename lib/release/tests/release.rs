//! Releases signed at a desk, and hosts that are to believe them.
#![expect(clippy::unwrap_used, reason = "a test panics")]

#[path = "release/attacks.rs"]
mod attacks;
#[path = "release/desk.rs"]
mod desk;
#[path = "release/ground.rs"]
mod ground;
#[path = "release/interop.rs"]
mod interop;
