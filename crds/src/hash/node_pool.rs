//! The drift hash of a pool's template, version v3. Requirements are not part of it: they are compared by meaning.

use crate::class_ref::NodeClassRef;
use crate::duration::{Duration, Span};
use crate::node_pool::{NodeClaimTemplate, NodeClaimTemplateSpec, TemplateMeta};
use crate::taint::Taint;

use super::{Struct, long, map, set};

/// Which algorithm made a hash. Hashes of different versions are never compared.
pub const NODE_POOL_HASH_VERSION: &str = "v3";

/// The value of the annotation `karpenter.sh/nodepool-hash`. The template must have its defaults.
///
/// `timeAdded` of a taint is left out: a template has no such time.
pub fn node_pool(template: &NodeClaimTemplate) -> String {
    let hash = Struct::named("NodeClaimTemplate")
        .field("ObjectMeta", meta(&template.metadata))
        .field("Spec", spec(&template.spec))
        .hash();
    hash.to_string()
}

fn meta(meta: &TemplateMeta) -> Option<u64> {
    if meta.labels.is_none() && meta.annotations.is_none() {
        return None;
    }
    let hash = Struct::named("ObjectMeta")
        .field("Labels", meta.labels.as_ref().map(map))
        .field("Annotations", meta.annotations.as_ref().map(map))
        .hash();
    Some(hash)
}

fn spec(spec: &NodeClaimTemplateSpec) -> Option<u64> {
    if *spec == NodeClaimTemplateSpec::default() {
        return None;
    }
    let hash = Struct::named("NodeClaimTemplateSpec")
        .field("Taints", spec.taints.as_deref().map(taints))
        .field("StartupTaints", spec.startup_taints.as_deref().map(taints))
        .field("NodeClassRef", class_ref(&spec.node_class_ref))
        .field("TerminationGracePeriod", spec.termination_grace_period.as_ref().and_then(grace_period))
        .field("ExpireAfter", spec.expire_after.as_ref().and_then(expire_after))
        .hash();
    Some(hash)
}

fn taints(taints: &[Taint]) -> u64 {
    set(taints.iter().map(|taint| {
        Struct::named("Taint")
            .plain_text("Key", &taint.key)
            .plain_text("Value", &taint.value)
            .plain_text("Effect", taint.effect.as_str())
            .hash()
    }))
}

/// A reference that says nothing at all is one that Go does not have.
fn class_ref(reference: &NodeClassRef) -> Option<u64> {
    if *reference == NodeClassRef::default() {
        return None;
    }
    let hash = Struct::named("NodeClassReference")
        .plain_text("Kind", &reference.kind)
        .plain_text("Name", &reference.name)
        .plain_text("Group", &reference.group)
        .hash();
    Some(hash)
}

/// A grace period of zero is there, but its zero is not.
fn grace_period(period: &Duration) -> Option<u64> {
    let nanos = period.nanos()?;
    Some(Struct::named("Duration").field("Duration", (nanos != 0).then(|| long(nanos))).hash())
}

/// `Never` is not there; a zero is.
fn expire_after(age: &Duration) -> Option<u64> {
    match age.span()? {
        Span::Never => None,
        Span::Nanos(nanos) => Some(Struct::named("NillableDuration").field("Duration", Some(long(nanos))).hash()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::taint::TaintEffect;

    use super::*;

    fn base() -> NodeClaimTemplate {
        NodeClaimTemplate {
            metadata: TemplateMeta::default(),
            spec: NodeClaimTemplateSpec {
                node_class_ref: NodeClassRef {
                    group: "karpenter.kwok.sh".to_owned(),
                    kind: "KWOKNodeClass".to_owned(),
                    name: "default".to_owned(),
                },
                expire_after: Some("720h".into()),
                ..NodeClaimTemplateSpec::default()
            },
        }
    }

    fn texts(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
        Taint { key: key.to_owned(), value: value.to_owned(), effect, time_added: None }
    }

    /// Hash of the base template after a change, as the Go implementation gave it.
    type Vector = (&'static str, fn(&mut NodeClaimTemplate));

    #[test]
    fn the_hash_is_bit_for_bit_that_of_version_three() {
        let vectors: [Vector; 10] = [
            ("12745407319442031341", |_| {}),
            ("7428780003907761376", |t| t.spec.expire_after = Some("Never".into())),
            ("17411878721874582034", |t| t.metadata.labels = Some(texts(&[("team", "a"), ("env", "prod")]))),
            ("5327702334917744615", |t| t.metadata.labels = Some(texts(&[]))),
            ("12430946417653557431", |t| t.metadata.annotations = Some(texts(&[("foo", "bar")]))),
            ("15377148642321071670", |t| {
                t.spec.taints = Some(vec![taint("example.com/special", "true", TaintEffect::NoSchedule)]);
            }),
            ("1991878093962124333", |t| {
                let special = taint("example.com/special", "true", TaintEffect::NoSchedule);
                t.spec.taints = Some(vec![taint("b", "", TaintEffect::NoExecute), special]);
            }),
            ("3966465083848642819", |t| t.spec.startup_taints = Some(vec![taint("s", "", TaintEffect::NoSchedule)])),
            ("9459134817707510447", |t| t.spec.termination_grace_period = Some("24h".into())),
            ("16848824146983765585", |t| t.spec.termination_grace_period = Some("0s".into())),
        ];
        for (expected, change) in vectors {
            let mut template = base();
            change(&mut template);
            assert_eq!(node_pool(&template), expected, "{template:?}");
        }
        let empty = NodeClaimTemplate { metadata: TemplateMeta::default(), spec: NodeClaimTemplateSpec::default() };
        assert_eq!(node_pool(&empty), "17307646073972311821");
    }

    #[test]
    fn the_order_of_taints_does_not_matter() {
        let (a, b) = (taint("a", "", TaintEffect::NoSchedule), taint("b", "x", TaintEffect::NoExecute));
        let with = |taints: Vec<Taint>| {
            let mut template = base();
            template.spec.taints = Some(taints);
            node_pool(&template)
        };
        assert_eq!(with(vec![a.clone(), b.clone()]), with(vec![b, a]));
    }
}
