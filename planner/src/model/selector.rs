//! Label selectors over pods.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Labels, Str};

/// The four operators of a pod selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SelectorOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// One condition on a pod label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Expression {
    pub key: Str,
    pub operator: SelectorOperator,
    pub values: BTreeSet<Str>,
}

/// A `LabelSelector`: all conditions must hold. `matchLabels` entries are `In` with one value; duplicates collapse.
/// An empty one selects every pod; where the API says null (selects none) the field that holds it is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LabelSelector(pub BTreeSet<Expression>);

impl LabelSelector {
    /// Every pod with `key` = `value`.
    pub fn equal(pairs: impl IntoIterator<Item = (Str, Str)>) -> Self {
        let one = |(key, value)| Expression { key, operator: SelectorOperator::In, values: BTreeSet::from([value]) };
        Self(pairs.into_iter().map(one).collect())
    }

    /// Does it select a pod with these labels?
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|e| {
            let value = labels.get(&e.key);
            match e.operator {
                SelectorOperator::In => value.is_some_and(|v| e.values.contains(v)),
                SelectorOperator::NotIn => value.is_none_or(|v| !e.values.contains(v)),
                SelectorOperator::Exists => value.is_some(),
                SelectorOperator::DoesNotExist => value.is_none(),
            }
        })
    }

    /// The label keys it looks at.
    pub fn keys(&self) -> impl Iterator<Item = &Str> {
        self.0.iter().map(|e| &e.key)
    }
}

/// As `kubectl get --selector` takes it; nothing for the one that selects every pod.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Expression { key, operator, values }) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let all = || values.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(",");
            match operator {
                SelectorOperator::In if values.len() == 1 => write!(f, "{comma}{key}={}", all())?,
                SelectorOperator::In => write!(f, "{comma}{key} in ({})", all())?,
                SelectorOperator::NotIn => write!(f, "{comma}{key} notin ({})", all())?,
                SelectorOperator::Exists => write!(f, "{comma}{key}")?,
                SelectorOperator::DoesNotExist => write!(f, "{comma}!{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    fn one(key: &str, operator: SelectorOperator, values: &[&str]) -> LabelSelector {
        let values = values.iter().map(|v| (*v).into()).collect();
        LabelSelector([Expression { key: key.into(), operator, values }].into())
    }

    #[test]
    fn each_operator_says_what_it_says() {
        use SelectorOperator::{DoesNotExist, Exists, In, NotIn};
        let web = labels(&[("app", "web")]);
        for (matches, selector) in [
            (true, one("app", In, &["api", "web"])),
            (false, one("app", In, &["api"])),
            (false, one("tier", In, &["x"])),
            (false, one("app", NotIn, &["web"])),
            (true, one("app", NotIn, &["api"])),
            (true, one("tier", NotIn, &["x"])),
            (true, one("app", Exists, &[])),
            (false, one("tier", Exists, &[])),
            (false, one("app", DoesNotExist, &[])),
            (true, one("tier", DoesNotExist, &[])),
            (true, LabelSelector::default()),
        ] {
            assert_eq!(selector.matches(&web), matches, "{selector:?}");
        }
    }

    #[test]
    fn it_is_written_as_kubectl_takes_it() {
        use SelectorOperator::{DoesNotExist, Exists, In, NotIn};
        let all = [
            one("app", In, &["web"]),
            one("b", In, &["x", "y"]),
            one("c", NotIn, &["z"]),
            one("d", Exists, &[]),
            one("e", DoesNotExist, &[]),
        ];
        let all = LabelSelector(all.into_iter().flat_map(|selector| selector.0).collect());
        assert_eq!(all.to_string(), "app=web,b in (x,y),c notin (z),d,!e");
        assert_eq!(LabelSelector::default().to_string(), "");
    }

    #[test]
    fn all_conditions_must_hold_and_duplicates_collapse() {
        let pair = |k: &str, v: &str| (Str::from(k), Str::from(v));
        let both = LabelSelector::equal([pair("app", "web"), pair("tier", "x"), pair("app", "web")]);
        assert_eq!(both.0.len(), 2);
        assert!(both.matches(&labels(&[("app", "web"), ("tier", "x"), ("z", "")])));
        assert!(!both.matches(&labels(&[("app", "web")])));
        assert_eq!(both.keys().map(AsRef::as_ref).collect::<Vec<&str>>(), ["app", "tier"]);
    }
}
