//! The scenarios, as data: what happens when, and what has to come of it.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use sim::rng::SplitMix64;

use super::scenario::{Act, Goal, Scenario, Step, objects};

pub(super) const SHOP: &str = include_str!("shop.yaml");

pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub const ALL_SPOT: &[&str] = &["*/*/spot"];
const SPOT_IN_TWO_ZONES: &[&str] = &["*/test-zone-a/spot", "*/test-zone-b/spot"];
const EVERYTHING: &[&str] = &["*/*/*"];
pub(super) const NOTHING: &[&str] = &[];

pub(super) fn scale(deployment: &'static str, replicas: usize) -> Act {
    Act::Scale { deployment, replicas }
}

/// Replicas, a sixth more or less.
pub(super) fn about(rng: &mut SplitMix64, replicas: i64) -> usize {
    let sixth = replicas / 6;
    usize::try_from(rng.between(replicas - sixth, replicas + sixth)).unwrap_or_default()
}

/// The Deployments of a shop on the days when everybody buys.
pub(super) fn rush(rng: &mut SplitMix64) -> Vec<Act> {
    let rushed = [
        ("storefront", 60),
        ("cart", 36),
        ("checkout", 18),
        ("catalog", 36),
        ("search", 24),
        ("recommend", 12),
        ("pricing", 18),
        ("images", 24),
        ("encode", 24),
    ];
    rushed.into_iter().map(|(deployment, replicas)| scale(deployment, about(rng, replicas))).collect()
}

/// As `shop.yaml` has them.
pub(super) fn calm() -> Vec<Act> {
    let calm = [
        ("storefront", 9),
        ("cart", 6),
        ("checkout", 6),
        ("catalog", 6),
        ("search", 4),
        ("recommend", 3),
        ("pricing", 3),
        ("images", 4),
        ("encode", 0),
    ];
    calm.into_iter().map(|(deployment, replicas)| scale(deployment, replicas)).collect()
}

pub(super) fn close_down() -> Step {
    Step::new("the shop closes: every workload is deleted", vec![Act::CloseDown], Goal::Gone)
}

/// The busiest hour of a shop.
pub fn shop(seed: u64) -> Result<Scenario> {
    let mut rng = SplitMix64::new(seed);
    let objects = objects(SHOP)?;
    let n_workloads = objects.iter().filter(|object| is_workload(object)).count();
    let opens = format!("the shop opens: 3 NodePools and {n_workloads} workloads are created");
    let busier = [("storefront", 84), ("search", 36), ("encode", 48)];
    let mut short = vec![Act::SellOut(ALL_SPOT)];
    short.extend(busier.into_iter().map(|(deployment, replicas)| scale(deployment, about(&mut rng, replicas))));
    let mut over = vec![Act::SellOut(NOTHING)];
    over.extend(calm());
    let steps = vec![
        Step::new(opens, vec![Act::PutAll], Goal::AllRun).rest(3 * MINUTE),
        Step::new("Black Friday begins: nine Deployments scale up", rush(&mut rng), Goal::AllRun).rest(5 * MINUTE),
        Step::new("spot sells out in every zone, and the shop needs still more", short, Goal::AllRun)
            .shortage()
            .rest(3 * MINUTE),
        Step::new("the sale is over: back to small, and spot is sold again", over, Goal::AtRest).rest(3 * MINUTE),
        close_down(),
    ];
    Ok(Scenario { title: "Black Friday in an online shop", objects, later: Vec::new(), steps })
}

/// A thousand pods at once.
pub fn burst(seed: u64) -> Result<Scenario> {
    let mut rng = SplitMix64::new(seed);
    let steps = vec![
        Step::new("a cluster with next to nothing to do", vec![Act::PutAll], Goal::AllRun).rest(5 * MINUTE),
        Step::new(
            "about a thousand pods at once",
            vec![
                scale("images", about(&mut rng, 500)),
                scale("reviews", about(&mut rng, 400)),
                scale("encode", about(&mut rng, 100)),
            ],
            Goal::AllRun,
        )
        .rest(3 * MINUTE),
        Step::new("the burst is over", vec![scale("images", 4), scale("reviews", 3), scale("encode", 0)], Goal::AtRest),
        close_down(),
    ];
    Ok(Scenario { title: "a thousand pods at once", objects: objects(SHOP)?, later: Vec::new(), steps })
}

/// Spot goes out of stock in two steps, and comes back.
pub fn shortage() -> Result<Scenario> {
    let steps = vec![
        Step::new("the shop opens", vec![Act::PutAll], Goal::AllRun).rest(3 * MINUTE),
        Step::new(
            "spot sells out in two zones while work arrives",
            vec![Act::SellOut(SPOT_IN_TWO_ZONES), scale("encode", 20), scale("storefront", 30)],
            Goal::AllRun,
        )
        .shortage()
        .rest(3 * MINUTE),
        Step::new(
            "spot sells out everywhere while more work arrives",
            vec![Act::SellOut(ALL_SPOT), scale("encode", 40), scale("storefront", 60)],
            Goal::AllRun,
        )
        .shortage()
        .rest(3 * MINUTE),
        Step::new(
            "spot is sold again while more work arrives",
            vec![Act::SellOut(NOTHING), scale("encode", 60), scale("storefront", 90)],
            Goal::AllRun,
        )
        .rest(3 * MINUTE),
        close_down(),
    ];
    Ok(Scenario { title: "a shortage of spot", objects: objects(SHOP)?, later: Vec::new(), steps })
}

/// Nothing is ever in stock.
pub fn outage() -> Result<Scenario> {
    let acts = vec![Act::SellOut(EVERYTHING), Act::PutAll];
    let steps = [Step::new("the shop opens, and nothing at all is in stock", acts, Goal::AllRun)];
    let steps = steps.map(|step| step.within(2 * MINUTE)).to_vec();
    Ok(Scenario { title: "nothing can be bought", objects: objects(SHOP)?, later: Vec::new(), steps })
}

pub(super) fn is_workload(object: &Value) -> bool {
    matches!(object["kind"].as_str(), Some("Deployment" | "StatefulSet" | "DaemonSet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::scenario::{Name, Provider};

    #[test]
    fn every_deployment_that_is_scaled_is_in_the_shop() {
        for name in [Name::Shop, Name::Burst, Name::Shortage, Name::Outage] {
            let scenario = name.scenario(1, Provider::Aws).unwrap();
            let names: Vec<&str> = scenario.objects.iter().filter_map(|o| o["metadata"]["name"].as_str()).collect();
            for act in scenario.steps.iter().flat_map(|step| &step.acts) {
                if let Act::Scale { deployment, .. } = act {
                    assert!(names.contains(deployment), "{deployment}");
                }
            }
        }
    }

    #[test]
    fn a_seed_has_a_rush_of_its_own() {
        let acts = |seed| shop(seed).unwrap().steps[1].acts.clone();
        assert_eq!(acts(1), acts(1));
        assert_ne!(acts(1), acts(2));
    }
}
