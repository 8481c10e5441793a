//! What a log line looks like.

use std::sync::Arc;

use super::testing::logged;
use super::*;

#[test]
fn a_line_has_the_keys_of_karpenter_and_the_fields_of_its_spans() {
    let lines = logged(|| {
        let span = tracing::info_span!("reconcile", controller = "nodeclaim.lifecycle", NodeClaim = "general-1");
        let _in = span.enter();
        let error = std::io::Error::other("gone");
        tracing::error!(
            Pod = "shop/web-0",
            attempts = 3,
            error = &error as &dyn std::error::Error,
            "launch {}",
            "refused"
        );
    });
    let line = &lines[0];
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["logger"], "controller");
    assert_eq!(line["message"], "launch refused");
    assert_eq!(line["controller"], "nodeclaim.lifecycle");
    assert_eq!(line["NodeClaim"]["name"], "general-1");
    assert_eq!(line["Pod"], serde_json::json!({"namespace": "shop", "name": "web-0"}));
    assert_eq!(line["attempts"], 3);
    assert_eq!(line["error"], "gone");
    let time = line["time"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.len() == "2026-01-01T00:00:00.000Z".len(), "{time}");
}

#[test]
fn the_first_keys_of_a_line_are_level_time_logger_message() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let layer = Json { output: Mutex::new(Output::memory(lines.clone())) };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info!(level = "mine", aaa = 1, "x \"quoted\"");
    });
    let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    let keys = [r#"{"level":"INFO","time":"#, r#","logger":"controller","message":"x \"quoted\""#, r#","aaa":1}"#];
    assert!(text.starts_with(keys[0]) && text.contains(keys[1]) && text.ends_with(&format!("{}\n", keys[2])), "{text}");
}
