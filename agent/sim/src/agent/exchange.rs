//! An exchange as hosts find it: several of them trade at the same one.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

/// It is up or down for everybody who trades there.
#[derive(Debug)]
pub struct SimulatedExchange {
    name: String,
    is_down: AtomicBool,
}

impl SimulatedExchange {
    /// One that is up.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), is_down: AtomicBool::new(false) }
    }

    /// It goes down, or comes back.
    pub fn set_down(&self, down: bool) {
        self.is_down.store(down, Ordering::Relaxed);
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// What a host reports of it (manual section 4).
    pub(super) fn report(&self) -> Value {
        let (status, message) =
            if self.is_down() { ("unavailable", "no answer in 10.0 s") } else { ("healthy", "it answers") };
        let result =
            json!({ "name": "public_api", "status": status, "latency": null, "details": { "message": message } });
        json!({ "exchange": self.name, "overall_status": status, "results": [result] })
    }
}
