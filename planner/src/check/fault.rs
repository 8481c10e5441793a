//! What can be wrong with a plan, each with what identifies it.

use crate::model::resources::quantity;
use crate::model::{Code, MicroUsdPerHour, Str};
use crate::plan::RankedOffering;

/// One broken promise of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    // Who is told.
    #[error("pod {pod}: the plan is silent about it")]
    Silent { pod: Str },
    #[error("pod {pod}: told {times} times (launches, nominations, unplaced)")]
    ToldAgain { pod: Str, times: usize },
    #[error("pod {pod}: is not a pod to place")]
    UnknownPod { pod: Str },
    #[error("pod {pod}: has a place although it was refused for every pool")]
    Refused { pod: Str },
    #[error("pod {pod}: pods and stand-ins without a place are told apart, and it is among the wrong ones")]
    StandIn { pod: Str },
    #[error("the plan counts {told} pods, there are {there}")]
    PodCount { told: usize, there: usize },
    #[error("the ignored pods are not those of the snapshot")]
    Ignored,
    // Why not.
    #[error("pod {pod}: unplaced without a reason")]
    NoReason { pod: Str },
    #[error("pod {pod}: {times} reasons for pool {pool}, must be one")]
    ReasonsForPool { pod: Str, pool: Str, times: usize },
    #[error("pod {pod}: a reason names {pool}, which is no pool that buys for pods")]
    ReasonForUnknownPool { pod: Str, pool: Str },
    #[error("pod {pod}: {code:?} is no reason against a pod, or it has no message")]
    NotAReason { pod: Str, code: Code },
    #[error("pod {pod}: unplaced, though {instance_type} of pool {pool} would take it alone")]
    PlaceExists { pod: Str, pool: Str, instance_type: Str },
    // Where to.
    #[error("pod {pod}: nominated to {node}, no such node or claim stays")]
    UnknownNode { pod: Str, node: Str },
    #[error("{host}: {misfit}")]
    Misfit { host: Str, misfit: Misfit },
    // What is bought.
    #[error("launch {launch}: the name is taken")]
    NameTaken { launch: Str },
    #[error("launch {launch}: unknown pool {pool}")]
    UnknownPool { launch: Str, pool: Str },
    #[error("launch {launch}: pool {pool} is not ready")]
    PoolNotReady { launch: Str, pool: Str },
    #[error("launch {launch}: for no pod")]
    NoPods { launch: Str },
    #[error("launch {launch}: pods on a purchase of static pool {pool}")]
    StaticWithPods { launch: Str, pool: Str },
    #[error("static pool {pool}: {bought} nodes bought, {wanted} are missing")]
    StaticReplicas { pool: Str, bought: usize, wanted: usize },
    #[error("launch {launch}: no offerings")]
    NoOfferings { launch: Str },
    #[error("launch {launch}: {} is not sold under its pool", show(.offering))]
    NotSold { launch: Str, offering: RankedOffering },
    #[error("launch {launch}: {} is out of capacity", show(.offering))]
    Unavailable { launch: Str, offering: RankedOffering },
    #[error("launch {launch}: {} is outside its pool's or its own requirement on {key}", show(.offering))]
    OutsideRequirements { launch: Str, offering: RankedOffering, key: Str },
    #[error("launch {launch}: {} costs {price}", show(.offering))]
    WrongPrice { launch: Str, offering: RankedOffering, price: MicroUsdPerHour },
    #[error("launch {launch}: {} is listed after a dearer one", show(.offering))]
    NotRanked { launch: Str, offering: RankedOffering },
    #[error("launch {launch}: {} is listed twice", show(.offering))]
    OfferingTwice { launch: Str, offering: RankedOffering },
    #[error("launch {launch}: {} cannot stand in: {misfit}", show(.offering))]
    CannotHold { launch: Str, offering: RankedOffering, misfit: Misfit },
    #[error("launch {launch}: {instance_type} in {zone} at {price} would hold the contents for less")]
    CheaperExists { launch: Str, instance_type: Str, zone: Str, price: MicroUsdPerHour },
    #[error("reservation {id}: {bought} launches draw on it, {left} are left")]
    ReservationOversold { id: Str, bought: u32, left: u32 },
    #[error("launch {launch}: {have} values of {key} among its offerings, minValues {want}")]
    MinValues { launch: Str, key: Str, have: usize, want: u32 },
    #[error("launch {launch}: minValues of {key} was lowered without leave")]
    MinValuesLowered { launch: Str, key: Str },
    #[error("launch {launch}: heavier pool {pool} would take each of its pods")]
    LighterPool { launch: Str, pool: Str },
    // What is said of it.
    #[error("launch {launch}: label {key} is not what the node will carry")]
    WrongLabel { launch: Str, key: Str },
    #[error("launch {launch}: the taints are not those of its pool")]
    WrongTaints { launch: Str },
    #[error("launch {launch}: requests.{resource} {}, must be {}", quantity(.resource, *.told), quantity(.resource, *.true_))]
    WrongRequests { launch: Str, resource: Str, told: i64, true_: i64 },
    #[error("launch {launch}: allocatable is not that of its first offering")]
    WrongAllocatable { launch: Str },
    #[error("launch {launch}: capacity is not that of its first offering")]
    WrongCapacity { launch: Str },
    // Sums.
    #[error("pool {pool}: limits.{resource} {}, {} after the plan", quantity(.resource, *.limit), quantity(.resource, *.used))]
    OverLimit { pool: Str, resource: Str, limit: i64, used: i64 },
    #[error("launch {launch}: {} would break limits.{resource} of its pool", show(.offering))]
    OfferingOverLimit { launch: Str, offering: RankedOffering, resource: Str },
    #[error("cost {told}, the launches sum up to {sum}")]
    Cost { told: MicroUsdPerHour, sum: MicroUsdPerHour },
    #[error("lower bound {bound} above cost {cost}")]
    Bound { bound: MicroUsdPerHour, cost: MicroUsdPerHour },
    #[error("cost {cost} above the greedy plan's {greedy}")]
    DearerThanGreedy { cost: MicroUsdPerHour, greedy: MicroUsdPerHour },
}

/// What a fault is about, where it is about a part of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'f> {
    /// `namespace/name`.
    Pod(&'f Str),
    /// A node, a claim or a launch, by its name.
    Host(&'f Str),
}

impl Fault {
    /// Is the plan one that may be acted on all the same? It is legal, but not the best there is, or a figure beside it is wrong.
    pub fn is_harmless(&self) -> bool {
        let is_not_the_best = matches!(
            self,
            Self::PlaceExists { .. }
                | Self::CheaperExists { .. }
                | Self::LighterPool { .. }
                | Self::DearerThanGreedy { .. }
        );
        is_not_the_best || self.is_a_wrong_bound()
    }

    /// Is it about what was proven, and not about the plan?
    pub fn is_a_wrong_bound(&self) -> bool {
        matches!(self, Self::Bound { .. })
    }

    /// The one pod or machine that it is about; nothing for what is wrong with a sum or the whole.
    pub fn subject(&self) -> Option<Subject<'_>> {
        Some(match self {
            Self::Silent { pod }
            | Self::ToldAgain { pod, .. }
            | Self::UnknownPod { pod }
            | Self::Refused { pod }
            | Self::StandIn { pod }
            | Self::NoReason { pod }
            | Self::ReasonsForPool { pod, .. }
            | Self::ReasonForUnknownPool { pod, .. }
            | Self::NotAReason { pod, .. }
            | Self::PlaceExists { pod, .. }
            | Self::UnknownNode { pod, .. } => Subject::Pod(pod),
            Self::Misfit { host, .. } => Subject::Host(host),
            Self::NameTaken { launch }
            | Self::UnknownPool { launch, .. }
            | Self::PoolNotReady { launch, .. }
            | Self::NoPods { launch }
            | Self::StaticWithPods { launch, .. }
            | Self::NoOfferings { launch }
            | Self::NotSold { launch, .. }
            | Self::Unavailable { launch, .. }
            | Self::OutsideRequirements { launch, .. }
            | Self::WrongPrice { launch, .. }
            | Self::NotRanked { launch, .. }
            | Self::OfferingTwice { launch, .. }
            | Self::CannotHold { launch, .. }
            | Self::CheaperExists { launch, .. }
            | Self::MinValues { launch, .. }
            | Self::MinValuesLowered { launch, .. }
            | Self::LighterPool { launch, .. }
            | Self::WrongLabel { launch, .. }
            | Self::WrongTaints { launch }
            | Self::WrongRequests { launch, .. }
            | Self::WrongAllocatable { launch }
            | Self::WrongCapacity { launch }
            | Self::OfferingOverLimit { launch, .. } => Subject::Host(launch),
            Self::PodCount { .. }
            | Self::Ignored
            | Self::StaticReplicas { .. }
            | Self::ReservationOversold { .. }
            | Self::OverLimit { .. }
            | Self::Cost { .. }
            | Self::Bound { .. }
            | Self::DearerThanGreedy { .. } => return None,
        })
    }

    /// The kind of fault, without what it is about: few enough for the label of a metric.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Silent { .. } => "Silent",
            Self::ToldAgain { .. } => "ToldAgain",
            Self::UnknownPod { .. } => "UnknownPod",
            Self::Refused { .. } => "Refused",
            Self::StandIn { .. } => "StandIn",
            Self::PodCount { .. } => "PodCount",
            Self::Ignored => "Ignored",
            Self::NoReason { .. } => "NoReason",
            Self::ReasonsForPool { .. } => "ReasonsForPool",
            Self::ReasonForUnknownPool { .. } => "ReasonForUnknownPool",
            Self::NotAReason { .. } => "NotAReason",
            Self::PlaceExists { .. } => "PlaceExists",
            Self::UnknownNode { .. } => "UnknownNode",
            Self::Misfit { .. } => "Misfit",
            Self::NameTaken { .. } => "NameTaken",
            Self::UnknownPool { .. } => "UnknownPool",
            Self::PoolNotReady { .. } => "PoolNotReady",
            Self::NoPods { .. } => "NoPods",
            Self::StaticWithPods { .. } => "StaticWithPods",
            Self::StaticReplicas { .. } => "StaticReplicas",
            Self::NoOfferings { .. } => "NoOfferings",
            Self::NotSold { .. } => "NotSold",
            Self::Unavailable { .. } => "Unavailable",
            Self::OutsideRequirements { .. } => "OutsideRequirements",
            Self::WrongPrice { .. } => "WrongPrice",
            Self::NotRanked { .. } => "NotRanked",
            Self::OfferingTwice { .. } => "OfferingTwice",
            Self::CannotHold { .. } => "CannotHold",
            Self::CheaperExists { .. } => "CheaperExists",
            Self::ReservationOversold { .. } => "ReservationOversold",
            Self::MinValues { .. } => "MinValues",
            Self::MinValuesLowered { .. } => "MinValuesLowered",
            Self::LighterPool { .. } => "LighterPool",
            Self::WrongLabel { .. } => "WrongLabel",
            Self::WrongTaints { .. } => "WrongTaints",
            Self::WrongRequests { .. } => "WrongRequests",
            Self::WrongAllocatable { .. } => "WrongAllocatable",
            Self::WrongCapacity { .. } => "WrongCapacity",
            Self::OverLimit { .. } => "OverLimit",
            Self::OfferingOverLimit { .. } => "OfferingOverLimit",
            Self::Cost { .. } => "Cost",
            Self::Bound { .. } => "Bound",
            Self::DearerThanGreedy { .. } => "DearerThanGreedy",
        }
    }
}

/// Why a machine cannot take what the plan puts on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Misfit {
    #[error("{} of {resource} asked, {} allocatable", quantity(.resource, *.asked), quantity(.resource, *.room))]
    Room { resource: Str, asked: i64, room: i64 },
    #[error("pod {pod} selects other labels")]
    Selector { pod: Str },
    #[error("pod {pod} does not tolerate {taint}")]
    Taint { pod: Str, taint: Str },
    #[error("a volume of pod {pod} cannot be reached")]
    VolumeZone { pod: Str },
    #[error("{asked} volumes of {driver}, {room} can be attached")]
    Attachments { driver: Str, asked: usize, room: u32 },
    #[error("pod {pod} and {other} open the same host port")]
    HostPort { pod: Str, other: Str },
    #[error(
        "pod {pod} spreads over {key}, which the machine has not, or skews it: {here} here, {least} at the least, maxSkew {max_skew}"
    )]
    Spread { pod: Str, key: Str, here: i64, least: i64, max_skew: u32 },
    #[error("pod {pod} finds none of the pods it needs in the same {key}")]
    Affinity { pod: Str, key: Str },
    #[error("pod {pod} does not go with {other} in the same {key}")]
    AntiAffinity { pod: Str, other: Str, key: Str },
}

fn show(offering: &RankedOffering) -> String {
    format!("{}/{}/{}", offering.instance_type, offering.zone, offering.capacity_type.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_name_of_its_fault() {
        let pod: Str = "n/a".into();
        let misfit = Misfit::Selector { pod: pod.clone() };
        assert_eq!(Fault::Silent { pod }.code(), "Silent");
        assert_eq!(Fault::Ignored.code(), "Ignored");
        assert_eq!(Fault::Misfit { host: "h".into(), misfit }.code(), "Misfit");
    }
}
