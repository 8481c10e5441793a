//! What a person may set about how objects are read and planned.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use cloud::catalog::{PriceList, UnavailablePattern};
use planner::model::snapshot::DEFAULT_EFFORT;

use super::error::InputError;
use super::scheduler::{SchedulerConfig, read_text};
use super::strict::nearest;

/// The region that is meant where none is named.
pub(crate) const DEFAULT_REGION: &str = "us-east-1";

/// Everything beside the objects that a snapshot depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Of the EC2 catalogue.
    pub region: String,
    /// Only these zones; unset: those of the node class, else all of the region.
    pub zones: Option<Vec<String>>,
    /// Laid over the catalogue's prices.
    pub prices: PriceList,
    /// Offerings known to be out of capacity.
    pub unavailable: Vec<UnavailablePattern>,
    pub preference_policy: PreferencePolicy,
    pub min_values_policy: MinValuesPolicy,
    pub feature_gates: FeatureGates,
    /// The snapshot's clock, seconds since the Unix epoch.
    pub now: i64,
    /// Steps the solver may take.
    pub effort: u64,
    /// Pools and classes without a status count as ready. Unset: they do when none in the input has a status.
    pub assume_ready: Option<bool>,
    /// Instance types of kwok, in place of the generated ones.
    pub instance_types_file: Option<PathBuf>,
    /// Spread constraints of pods that have none.
    pub scheduler_config: Option<SchedulerConfig>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            region: DEFAULT_REGION.into(),
            zones: None,
            prices: PriceList::default(),
            unavailable: Vec::new(),
            preference_policy: PreferencePolicy::Respect,
            min_values_policy: MinValuesPolicy::Strict,
            feature_gates: FeatureGates::default(),
            now: 0,
            effort: DEFAULT_EFFORT,
            assume_ready: None,
            instance_types_file: None,
            scheduler_config: None,
        }
    }
}

/// What becomes of preferences that cannot all be met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreferencePolicy {
    /// They are given up one by one.
    #[default]
    Respect,
    /// They are not looked at.
    Ignore,
}

impl FromStr for PreferencePolicy {
    /// What to write instead.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "Respect" => Ok(Self::Respect),
            "Ignore" => Ok(Self::Ignore),
            _ => Err("write Respect or Ignore".to_owned()),
        }
    }
}

/// What becomes of `minValues` that cannot be met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinValuesPolicy {
    /// The pool is not used.
    #[default]
    Strict,
    /// They are lowered.
    BestEffort,
}

impl FromStr for MinValuesPolicy {
    /// What to write instead.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "Strict" => Ok(Self::Strict),
            "BestEffort" => Ok(Self::BestEffort),
            _ => Err("write Strict or BestEffort".to_owned()),
        }
    }
}

/// Features that can be switched, with the defaults of Karpenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureGates {
    pub reserved_capacity: bool,
    pub spot_to_spot_consolidation: bool,
    pub node_repair: bool,
    pub node_overlay: bool,
    pub static_capacity: bool,
    pub capacity_buffer: bool,
}

impl Default for FeatureGates {
    fn default() -> Self {
        Self {
            reserved_capacity: true,
            spot_to_spot_consolidation: false,
            node_repair: false,
            node_overlay: false,
            static_capacity: false,
            capacity_buffer: false,
        }
    }
}

impl FeatureGates {
    /// Names of the gates.
    pub const NAMES: [&str; 6] = [
        "ReservedCapacity",
        "SpotToSpotConsolidation",
        "NodeRepair",
        "NodeOverlay",
        "StaticCapacity",
        "CapacityBuffer",
    ];

    /// Reads `NodeOverlay=true,StaticCapacity=true`; gates that are not named keep their default.
    ///
    /// # Errors
    /// On a gate that is not known, or a value that is neither true nor false.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let mut out = Self::default();
        for switch in switches("--feature-gates", text) {
            let Switch { part, name, on } = switch?;
            let gate = match name {
                "ReservedCapacity" => &mut out.reserved_capacity,
                "SpotToSpotConsolidation" => &mut out.spot_to_spot_consolidation,
                "NodeRepair" => &mut out.node_repair,
                "NodeOverlay" => &mut out.node_overlay,
                "StaticCapacity" => &mut out.static_capacity,
                "CapacityBuffer" => &mut out.capacity_buffer,
                other => {
                    let remedy = nearest(other, Self::NAMES).map_or_else(
                        || format!("known: {}", Self::NAMES.join(", ")),
                        |near| format!("did you mean {near}?"),
                    );
                    let wrong = InputError::new("is no known feature gate").field("--feature-gates").value(part);
                    return Err(wrong.remedy(remedy));
                }
            };
            *gate = on;
        }
        Ok(out)
    }
}

/// One part of `NAME=true,NAME=false`.
pub(crate) struct Switch<'a> {
    /// As it is written.
    pub(crate) part: &'a str,
    pub(crate) name: &'a str,
    pub(crate) on: bool,
}

/// What is switched by the flag `field`.
pub(crate) fn switches<'a>(
    field: &'a str,
    text: &'a str,
) -> impl Iterator<Item = Result<Switch<'a>, InputError>> + use<'a> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(move |part| {
        let wrong = |message: &str| InputError::new(message).field(field).value(part);
        let Some((name, value)) = part.split_once('=') else {
            return Err(wrong("is no feature gate").remedy("write NAME=true or NAME=false"));
        };
        let on = match value.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "t" => true,
            "false" | "0" | "f" => false,
            _ => return Err(wrong("is neither true nor false").remedy(format!("write {name}=true or {name}=false"))),
        };
        Ok(Switch { part, name: name.trim(), on })
    })
}

/// Reads a price list (CSV `instance_type,zone,capacity_type,usd_per_hour`).
///
/// # Errors
/// When the file cannot be read, or a row of it is wrong.
pub fn read_prices(path: &Path) -> Result<PriceList, InputError> {
    let text = read_text(path, "--prices")?;
    PriceList::parse_csv(&text).map_err(|error| {
        let remedy = "columns: instance_type,zone,capacity_type,usd_per_hour; an empty zone is every zone";
        InputError::new(error.to_string()).file(&path.to_string_lossy()).remedy(remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_read_and_an_unknown_one_is_named_with_the_one_meant() {
        let gates = FeatureGates::parse("NodeOverlay=true, ReservedCapacity=false").unwrap();
        assert!(gates.node_overlay && !gates.reserved_capacity && !gates.static_capacity);
        assert!(
            FeatureGates::parse("NodeOverlays=true").unwrap_err().to_string().contains("did you mean NodeOverlay?")
        );
        assert!(FeatureGates::parse("NodeOverlay").is_err());
        assert!(FeatureGates::parse("NodeOverlay=maybe").is_err());
        assert_eq!(FeatureGates::parse("").unwrap(), FeatureGates::default());
    }
}
