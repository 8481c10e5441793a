//! Taints and what tolerates them.

use serde::{Deserialize, Serialize};

use super::Str;

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Effect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

impl Effect {
    /// By its API name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "NoSchedule" => Some(Self::NoSchedule),
            "PreferNoSchedule" => Some(Self::PreferNoSchedule),
            "NoExecute" => Some(Self::NoExecute),
            _ => None,
        }
    }

    /// The API name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// A mark on a node that keeps pods away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Taint {
    pub key: Str,
    pub value: Str,
    pub effect: Effect,
}

impl std::fmt::Display for Taint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let equals = if self.value.is_empty() { "" } else { "=" };
        write!(f, "{}{equals}{}:{}", self.key, self.value, self.effect.as_str())
    }
}

/// How a toleration compares the taint's value. `Gt` and `Lt` compare integers (Kubernetes 1.35).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TolerationOperator {
    Equal,
    Exists,
    Gt,
    Lt,
}

/// A pod's permission to ignore a taint. An empty key with `Exists` tolerates every key; no effect tolerates every effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Toleration {
    pub key: Str,
    pub operator: TolerationOperator,
    pub value: Str,
    pub effect: Option<Effect>,
}

impl Toleration {
    /// Does it cover `taint`?
    pub fn tolerates(&self, taint: &Taint) -> bool {
        if self.effect.is_some_and(|effect| effect != taint.effect) {
            return false;
        }
        if self.key.is_empty() {
            return self.operator == TolerationOperator::Exists;
        }
        if self.key != taint.key {
            return false;
        }
        let numbers = || Some((taint.value.parse::<i64>().ok()?, self.value.parse::<i64>().ok()?));
        match self.operator {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => self.value == taint.value,
            TolerationOperator::Gt => numbers().is_some_and(|(taint, bound)| taint > bound),
            TolerationOperator::Lt => numbers().is_some_and(|(taint, bound)| taint < bound),
        }
    }
}

/// The first of `taints` that nothing in `tolerations` covers. `PreferNoSchedule` counts only when `prefer` is set.
pub fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration], prefer: bool) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|taint| prefer || taint.effect != Effect::PreferNoSchedule)
        .find(|taint| !tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str, effect: Effect) -> Taint {
        Taint { key: key.into(), value: value.into(), effect }
    }

    fn toleration(key: &str, operator: TolerationOperator, value: &str, effect: Option<Effect>) -> Toleration {
        Toleration { key: key.into(), operator, value: value.into(), effect }
    }

    #[test]
    fn a_toleration_covers_what_its_operator_says() {
        use TolerationOperator::{Equal, Exists, Gt, Lt};
        let gpu = taint("gpu", "a100", Effect::NoSchedule);
        let sla = taint("sla", "950", Effect::NoExecute);
        for (tolerates, key, operator, value, effect, of) in [
            (true, "gpu", Equal, "a100", None, &gpu),
            (true, "gpu", Equal, "a100", Some(Effect::NoSchedule), &gpu),
            (false, "gpu", Equal, "a100", Some(Effect::NoExecute), &gpu),
            (false, "gpu", Equal, "h100", None, &gpu),
            (false, "gpu", Equal, "", None, &gpu),
            (true, "gpu", Exists, "", None, &gpu),
            (false, "cpu", Exists, "", None, &gpu),
            (true, "", Exists, "", None, &gpu),
            (false, "", Equal, "a100", None, &gpu),
            (true, "", Exists, "", Some(Effect::NoExecute), &sla),
            (true, "sla", Gt, "900", None, &sla),
            (false, "sla", Gt, "950", None, &sla),
            (false, "sla", Lt, "950", None, &sla),
            (true, "sla", Lt, "951", None, &sla),
            (false, "sla", Gt, "high", None, &sla),
            (false, "gpu", Gt, "1", None, &gpu),
        ] {
            let toleration = toleration(key, operator, value, effect);
            assert_eq!(toleration.tolerates(of), tolerates, "{toleration:?} of {of}");
        }
    }

    #[test]
    fn a_preference_counts_only_where_asked() {
        let taints = [taint("a", "", Effect::PreferNoSchedule), taint("b", "x", Effect::NoSchedule)];
        assert_eq!(untolerated(&taints, &[], true), Some(&taints[0]));
        assert_eq!(untolerated(&taints, &[], false), Some(&taints[1]));
        let b = toleration("b", TolerationOperator::Exists, "", None);
        assert_eq!(untolerated(&taints, std::slice::from_ref(&b), false), None);
        assert_eq!(untolerated(&taints, &[b], true), Some(&taints[0]));
    }

    #[test]
    fn taints_and_effects_are_written_as_kubectl_writes_them() {
        assert_eq!(taint("a", "b", Effect::NoSchedule).to_string(), "a=b:NoSchedule");
        assert_eq!(taint("a", "", Effect::NoExecute).to_string(), "a:NoExecute");
        for effect in [Effect::NoSchedule, Effect::NoExecute, Effect::PreferNoSchedule] {
            assert_eq!(Effect::parse(effect.as_str()), Some(effect));
        }
        assert_eq!(Effect::parse("noschedule"), None);
    }
}
