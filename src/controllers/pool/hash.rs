//! The drift hash of a pool and of its claims, when one of them was written under another version.

use crds::{NodePool, hash, names};

use crate::controllers::claim::Draft;
use crate::controllers::claim::draft::DRIFTED;

/// Stamps the pool with its hash and the version of the algorithm.
pub fn stamp(pool: &mut NodePool) {
    let annotations = &mut pool.metadata.annotations;
    annotations.insert(names::core::NODE_POOL_HASH.to_owned(), hash::node_pool(&pool.spec.template));
    annotations.insert(names::core::NODE_POOL_HASH_VERSION.to_owned(), hash::NODE_POOL_HASH_VERSION.to_owned());
}

/// A claim stamped under another version takes up the pool's version, and its hash too unless it has drifted already:
/// what cannot be compared any more counts as unchanged.
pub fn adopt(claim: &mut Draft, pool: &NodePool) {
    let of_pool = |key| pool.metadata.annotations.get(key).cloned();
    let keys = (names::core::NODE_POOL_HASH_VERSION, names::core::NODE_POOL_HASH);
    let (Some(version), Some(hash)) = (of_pool(keys.0), of_pool(keys.1)) else { return };
    let has_drifted = claim.is_true(DRIFTED);
    let annotations = &mut claim.claim.metadata.annotations;
    if version != hash::NODE_POOL_HASH_VERSION || annotations.get(keys.0) == Some(&version) {
        return;
    }
    annotations.insert(keys.0.to_owned(), version);
    if !has_drifted {
        annotations.insert(keys.1.to_owned(), hash);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::pool;
    use super::*;
    use crate::controllers::claim::testing::launched;

    #[test]
    fn a_pool_is_stamped_with_the_hash_of_its_template() {
        let mut pool = pool("p");
        stamp(&mut pool);
        let first = pool.metadata.annotations.clone();
        assert_eq!(first["karpenter.sh/nodepool-hash-version"], "v3");
        pool.spec.weight = Some(5);
        stamp(&mut pool);
        assert_eq!(pool.metadata.annotations, first, "what nodes do not carry changes no hash");
        pool.spec.template.spec.expire_after = Some("1h".into());
        stamp(&mut pool);
        assert_ne!(pool.metadata.annotations, first);
    }

    #[test]
    fn claims_of_another_version_are_taken_over_and_drifted_ones_stay_drifted() {
        let mut pool = pool("p");
        stamp(&mut pool);
        let current = pool.metadata.annotations["karpenter.sh/nodepool-hash"].clone();
        for (version, drifted, expected) in [("v2", false, current.as_str()), ("v2", true, "old"), ("v3", false, "old")]
        {
            let mut claim = launched("a");
            claim.metadata.annotations.insert("karpenter.sh/nodepool-hash".to_owned(), "old".to_owned());
            claim.metadata.annotations.insert("karpenter.sh/nodepool-hash-version".to_owned(), version.to_owned());
            let mut draft = Draft::new(claim, 0);
            if drifted {
                draft.conditions.set_true(DRIFTED);
            }
            adopt(&mut draft, &pool);
            assert_eq!(draft.claim.metadata.annotations["karpenter.sh/nodepool-hash"], expected, "{version} {drifted}");
            assert_eq!(draft.claim.metadata.annotations["karpenter.sh/nodepool-hash-version"], "v3");
        }
    }
}
