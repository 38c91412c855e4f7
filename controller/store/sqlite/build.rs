//! `sqlx::migrate!` notices a changed migration by itself, but not a new one: that needs the folder watched.

fn main() {
    let folder = "../../../migrations/sqlite";
    let mut out = std::io::stdout().lock();
    // Without this line the build is stale at worst, so a closed stdout is no reason to fail it.
    let _ = std::io::Write::write_all(&mut out, format!("cargo:rerun-if-changed={folder}\n").as_bytes());
}
