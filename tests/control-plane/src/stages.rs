//! The kwok controller's configuration: what happens to Nodes and Pods, and after how long.

use std::time::Duration;

use crate::Stages;

/// All stages in one document stream. They replace every built-in stage of both kinds: the built-in heartbeat of this
/// release would write each Node's status every 20 s, where a renewed Lease is enough.
pub(crate) fn text(stages: &Stages) -> String {
    let timed = [
        (include_str!("../config/node-ready.yaml"), stages.node_ready),
        (include_str!("../config/pod-ready.yaml"), stages.pod_ready),
        (include_str!("../config/pod-gone.yaml"), stages.pod_gone),
        (include_str!("../config/pod-complete.yaml"), Some(Duration::ZERO)),
    ];
    let documents = timed.into_iter().filter_map(|(text, after)| {
        let after = after?;
        Some(text.replace("DELAY", &after.as_millis().to_string()))
    });
    documents.collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happens_has_no_stage_and_the_rest_says_when() {
        let slow = Stages { node_ready: None, pod_ready: Some(Duration::from_secs(3)), ..Stages::default() };
        let text = text(&slow);
        assert!(!text.contains("name: node-ready") && text.contains("durationMilliseconds: 3000"));
        assert!(text.contains("durationMilliseconds: 0") && !text.contains("DELAY"));
        assert_eq!(text.matches("kind: Stage").count(), 3);
    }
}
