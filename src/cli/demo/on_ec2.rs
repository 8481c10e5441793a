//! The scenarios on machines of EC2: the same shop, with a class of machines, a GPU to train on, and spot that is taken back.

use anyhow::Result;
use serde_json::{Value, json};
use sim::rng::SplitMix64;

use super::scenario::{Act, Goal, Scenario, Step, objects};
use super::scenarios::{ALL_SPOT, MINUTE, NOTHING, SHOP, about, calm, close_down, is_workload, rush, scale};

const EC2: &str = include_str!("ec2.yaml");
/// Where it is.
pub const REGION: &str = "us-west-2";
/// What the GPU job has to run on.
const WITH_A_T4: &str = "g4dn.xlarge";
/// Families that the shop buys: enough to choose from, and few enough to be planned in a moment.
const FAMILIES: [&str; 6] = ["c5", "c6i", "m5", "m6i", "r5", "r6i"];

/// The busiest hour of a shop, on EC2.
pub fn shop(seed: u64) -> Result<Scenario> {
    let mut rng = SplitMix64::new(seed);
    let objects = objects(SHOP)?;
    let n_workloads = objects.iter().filter(|object| is_workload(object)).count();
    let opens = format!("the shop opens: 4 NodePools and {n_workloads} workloads are created");
    let mut short = vec![Act::SellOut(ALL_SPOT)];
    let busier = [("storefront", 84), ("search", 36), ("encode", 48)];
    short.extend(busier.into_iter().map(|(deployment, replicas)| scale(deployment, about(&mut rng, replicas))));
    let mut over = vec![Act::SellOut(NOTHING)];
    over.extend(calm());
    let steps = vec![
        Step::new(opens, vec![Act::PutAll], Goal::AllRun).rest(3 * MINUTE),
        Step::new("Black Friday begins: nine Deployments scale up", rush(&mut rng), Goal::AllRun).rest(2 * MINUTE),
        Step::new("a Job trains on a GPU for ten minutes", vec![Act::PutLater], Goal::AllRun)
            .wants(WITH_A_T4)
            .rest(MINUTE),
        Step::new("spot sells out as a whole, and the shop needs still more", short, Goal::AllRun)
            .shortage()
            .rest(3 * MINUTE),
        Step::new("EC2 takes back every spot machine at once", vec![Act::Interrupt], Goal::AllRun).rest(3 * MINUTE),
        Step::new("the sale is over: back to small, and all is sold again", over, Goal::AtRest).rest(10 * MINUTE),
        close_down(),
    ];
    Ok(Scenario { title: "Black Friday in an online shop on EC2", objects, later: Vec::new(), steps })
}

/// A scenario with its pools on EC2.
pub fn moved(mut scenario: Scenario) -> Result<Scenario> {
    scenario.objects.retain(|object| object["kind"] != "KWOKNodeClass");
    for pool in scenario.objects.iter_mut().filter(|object| object["kind"] == "NodePool") {
        let spec = &mut pool["spec"]["template"]["spec"];
        spec["nodeClassRef"] = json!({ "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" });
        for requirement in spec["requirements"].as_array_mut().into_iter().flatten() {
            move_requirement(requirement);
        }
        if let Some(requirements) = spec["requirements"].as_array_mut() {
            requirements
                .push(json!({ "key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": FAMILIES }));
        }
    }
    let (jobs, now): (Vec<Value>, Vec<Value>) = objects(EC2)?.into_iter().partition(|object| object["kind"] == "Job");
    scenario.objects.splice(0..0, now);
    scenario.later.extend(jobs);
    Ok(scenario)
}

fn move_requirement(requirement: &mut Value) {
    if requirement["key"] == "karpenter.kwok.sh/instance-cpu" {
        requirement["key"] = "karpenter.k8s.aws/instance-cpu".into();
    }
    for value in requirement["values"].as_array_mut().into_iter().flatten() {
        if let Some(text) = value.as_str() {
            *value = moved_zone(text).into();
        }
    }
}

/// The name of a zone on EC2, wherever it stands in a text.
pub fn moved_zone(text: &str) -> String {
    text.replace("test-zone-", REGION)
}

#[cfg(test)]
mod tests {
    use crate::cli::demo::scenario::{Name, Provider};

    #[test]
    fn nothing_of_kwok_is_left_on_ec2() {
        for name in [Name::Shop, Name::Burst, Name::Shortage, Name::Outage] {
            let scenario = name.scenario(1, Provider::Aws).unwrap();
            let text = serde_json::to_string(&scenario.objects).unwrap();
            assert!(!text.contains("kwok") && !text.contains("KWOK") && !text.contains("test-zone"), "{name:?}");
            assert!(text.contains("us-west-2a") && text.contains("EC2NodeClass"));
            assert_eq!(scenario.later.len(), 1);
        }
    }
}
