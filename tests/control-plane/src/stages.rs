//! The kwok controller's configuration: what happens to Nodes and Pods, and after how long.

use std::time::Duration;

use crate::Stages;

/// Later than any test. A kind without any stage of ours would have kwok's own, so what is never to come has one too.
const NEVER: Duration = Duration::from_hours(10 * 365 * 24);

/// All stages in one document stream. They replace every built-in stage of both kinds: the built-in heartbeat of this
/// release would write each Node's status every 20 s, where a renewed Lease is enough.
pub(crate) fn text(stages: &Stages) -> String {
    let timed = [
        (include_str!("../config/node-ready.yaml"), stages.node_ready),
        (include_str!("../config/pod-ready.yaml"), stages.pod_ready),
        (include_str!("../config/pod-gone.yaml"), stages.pod_gone),
        (include_str!("../config/pod-complete.yaml"), Some(Duration::ZERO)),
    ];
    let documents = timed.into_iter().map(|(text, after)| {
        let after = after.unwrap_or(NEVER);
        text.replace("DELAY", &after.as_millis().to_string())
    });
    documents.collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_says_when_it_is_due_even_one_that_never_is() {
        let slow = Stages { node_ready: None, pod_ready: Some(Duration::from_secs(3)), ..Stages::default() };
        let text = text(&slow);
        for due in ["315360000000", "3000", "0"] {
            assert!(text.contains(&format!("durationMilliseconds: {due}\n")), "{due}: {text}");
        }
        assert!(!text.contains("DELAY"));
        assert_eq!(text.matches("kind: Stage").count(), 4);
    }
}
