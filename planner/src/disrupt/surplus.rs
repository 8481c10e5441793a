//! Static pools with more nodes than they are to have: which of them go.

use crate::model::Str;

/// What is lost with a claim, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// There is no instance behind it yet.
    Nothing,
    /// No pod is on its node, or pods of daemons alone that nobody protects.
    Empty,
    /// Pods that are protected by `karpenter.sh/do-not-disrupt` weigh more than whatever the others cost.
    Pods { are_protected: bool, cost: i128 },
}

impl Loss {
    /// Pods whose evictions cost so much together, in [`EVICTION_UNIT`](super::EVICTION_UNIT)s, on a node of whose life
    /// these millionths are left: one that goes soon anyhow costs less.
    pub fn of_pods(are_protected: bool, costs: impl IntoIterator<Item = i64>, millionths_left: u32) -> Self {
        let sum: i128 = costs.into_iter().map(i128::from).sum();
        Self::Pods { are_protected, cost: sum * i128::from(millionths_left) }
    }
}

/// The claims that go, `members` being all that run: those that lose least, by name among equals. Empty unless there are more
/// than `replicas`.
pub fn surplus(mut members: Vec<(Loss, Str)>, replicas: usize) -> Vec<Str> {
    members.sort();
    let n_over = members.len().saturating_sub(replicas);
    members.into_iter().take(n_over).map(|(_, claim)| claim).collect()
}

#[cfg(test)]
mod tests {
    use super::super::EVICTION_UNIT;
    use super::*;

    #[test]
    fn what_has_no_instance_goes_first_then_what_is_empty_then_what_costs_least() {
        let members: Vec<(Loss, Str)> = vec![
            (Loss::of_pods(true, [0], 0), "protected".into()),
            (Loss::of_pods(false, [EVICTION_UNIT; 3], 1_000_000), "dear".into()),
            (Loss::of_pods(false, [EVICTION_UNIT; 3], 300_000), "old".into()),
            (Loss::of_pods(false, [EVICTION_UNIT], 1_000_000), "cheap".into()),
            (Loss::Empty, "empty-b".into()),
            (Loss::Empty, "empty-a".into()),
            (Loss::Nothing, "unlaunched".into()),
        ];
        let all = ["unlaunched", "empty-a", "empty-b", "old", "cheap", "dear", "protected"];
        assert_eq!(surplus(members.clone(), 0), all.map(Str::from));
        assert_eq!(surplus(members.clone(), 5), ["unlaunched", "empty-a"].map(Str::from));
        assert_eq!(surplus(members, 7), [""; 0].map(Str::from));
    }
}
