//! What the log says of a claim on its way, with the words and keys of Karpenter.

use crds::names;

use super::draft::{Draft, INITIALIZED, LAUNCHED, REGISTERED};
use super::launch::resources;

/// What the claim has come to since it was read or last written.
pub(super) fn reached(draft: &Draft) -> Vec<&'static str> {
    let steps = [LAUNCHED, REGISTERED, INITIALIZED].into_iter();
    steps.filter(|step| draft.is_true(step) && !draft.was_true(step)).collect()
}

/// Says what it has come to, once that is written.
pub(super) fn tell(draft: &Draft, reached: &[&'static str]) {
    let meta = &draft.claim.metadata;
    let label = |key: &str| meta.labels.get(key).map(String::as_str).unwrap_or_default();
    let Some(status) = &draft.claim.status else { return };
    let node = status.node_name.as_deref().unwrap_or_default();
    for step in reached {
        match *step {
            LAUNCHED => tracing::info!(
                NodeClaim = meta.name(),
                NodePool = label(names::core::NODE_POOL),
                "provider-id" = status.provider_id.as_deref().unwrap_or_default(),
                "instance-type" = label(names::kubernetes::INSTANCE_TYPE),
                zone = label(names::kubernetes::ZONE),
                "capacity-type" = label(names::core::CAPACITY_TYPE),
                allocatable = %resources(&status.allocatable),
                "launched nodeclaim"
            ),
            REGISTERED => tracing::info!(NodeClaim = meta.name(), Node = node, "registered nodeclaim"),
            _ => tracing::info!(NodeClaim = meta.name(), Node = node, "initialized nodeclaim"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{claim, launched};
    use super::*;
    use crate::telemetry::logs::testing::logged;

    #[test]
    fn each_step_of_a_claim_is_told_once_with_what_was_bought() {
        let mut draft = Draft::new(claim("a"), 0);
        draft.claim.metadata.labels.insert(names::kubernetes::INSTANCE_TYPE.to_owned(), "c-2x".to_owned());
        let status = draft.claim.status.get_or_insert_default();
        (status.provider_id, status.node_name) = (Some("kwok://a".to_owned()), Some("n".to_owned()));
        assert_eq!(reached(&draft), [""; 0]);
        for step in [LAUNCHED, REGISTERED, INITIALIZED] {
            draft.conditions.set_true(step);
        }
        let lines = logged(|| tell(&draft, &reached(&draft)));
        let said: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(said, ["launched nodeclaim", "registered nodeclaim", "initialized nodeclaim"]);
        assert_eq!((&lines[0]["provider-id"], &lines[0]["instance-type"]), (&"kwok://a".into(), &"c-2x".into()));
        assert!(lines.iter().all(|line| line["level"] == "INFO" && line["NodeClaim"]["name"] == "a"));
        assert_eq!(lines[2]["Node"]["name"], "n");
        assert_eq!(reached(&Draft::new(launched("a"), 0)), [""; 0], "that was told when it was written");
    }
}
