//! What is logged by a piece of work.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Json, Output};

/// What this thread logs from now on, until it is dropped.
pub(crate) struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

impl Capture {
    pub(crate) fn start() -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let layer = Json { output: Mutex::new(Output::memory(bytes.clone())) };
        Self { bytes, _guard: tracing_subscriber::registry().with(layer).set_default() }
    }

    /// The lines until now, in order.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What this work logs.
pub(crate) fn logged(work: impl FnOnce()) -> Vec<Value> {
    let capture = Capture::start();
    work();
    capture.lines()
}
