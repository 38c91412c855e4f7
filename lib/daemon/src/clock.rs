//! The one place that reads the wall clock.

/// Microseconds since 1970-01-01 UTC; zero on a machine whose clock stands before that.
pub fn present() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok().and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or(0)
}
