//! The policies that are shipped allow what the provider does, and next to nothing in them is there in vain.

use std::collections::BTreeMap;

use cloud::aws::alias::Parameters;
use cloud::aws::{Facts, NodeClass, Refused, cluster, on_demand, profile, reserve, resolve, shift, spot_prices};
use serde_json::Value;
use sim::ec2::{PlacementGroup, Policy, Reservation, Tags};

use super::support::{REGION, stand};

/// A shipped policy for the test's account.
fn shipped(name: &str) -> Value {
    let path = format!("{}/../deploy/aws/policies/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let values = [("Partition", "aws"), ("Region", REGION), ("Account", "123456789012"), ("Cluster", "demo")];
    let text = values.iter().fold(text, |text, (name, value)| text.replace(&format!("${{{name}}}"), value));
    assert!(!text.contains("${"), "a placeholder that the README does not name");
    serde_json::from_str(&text).unwrap()
}

/// Everything that the provider does with EC2; the first thing that it was refused.
async fn everything(policy: Policy) -> Result<(), String> {
    let stand = stand(|options| options.visible_after = 0).await;
    let clients = stand.seller.clients().clone();
    stand.ec2.locked(|state| {
        let zone = state.land.zones[0].clone();
        state.reserve(Reservation::new("cr-1", "m5.large", zone, 1));
        let (id, name, strategy) = ("pg-1".to_owned(), "apart".to_owned(), "spread".to_owned());
        let group = PlacementGroup { id: id.clone(), name, strategy, n_partitions: None, tags: Tags::new() };
        state.placement_groups.insert(id, group);
        state.policy = Some(policy);
    });
    let text = |error: &dyn std::error::Error| error.to_string();
    Facts::ask(&clients).await.map_err(|error| text(&error))?;
    spot_prices(&clients, 0).await.map_err(|error| text(&error))?;
    let term =
        resolve::Term { tags: vec![("karpenter.sh/discovery".into(), "demo".into())], ..resolve::Term::default() };
    resolve::subnets(&clients, std::slice::from_ref(&term)).await.map_err(|error| text(&error))?;
    resolve::security_groups(&clients, std::slice::from_ref(&term)).await.map_err(|error| text(&error))?;
    resolve::images(&clients, std::slice::from_ref(&term), &[], "").await.map_err(|error| text(&error))?;
    stand.seller.hydrate().await.map_err(|error| text(&error))?;
    let tried = stand.order("tried", &["m5.large"], &["on-demand"]);
    stand.seller.rehearse(&stand.class, &tried.offers[0]).await.map_err(|refused| match refused {
        Refused::Template(error) => error.to_string(),
        Refused::Fleet(fault) | Refused::Run(fault) => fault.to_string(),
    })?;
    for capacity_type in ["spot", "on-demand"] {
        let order = stand.order(capacity_type, &["m5.large"], &[capacity_type]);
        let bought = stand.seller.launch(&stand.class, &order).await.map_err(|error| text(&error))?;
        stand.seller.terminate(&bought.provider_id).await.map_err(|error| text(&error))?;
    }
    stand.seller.launch(&stand.class, &stand.reserved("reserved", "cr-1")).await.map_err(|error| text(&error))?;
    let grouped = NodeClass { placement_group: Some("pg-1".into()), ..stand.class.clone() };
    let order = stand.order("grouped", &["m5.large"], &["on-demand"]);
    stand.seller.launch(&grouped, &order).await.map_err(|error| text(&error))?;
    stand.seller.instances().await.map_err(|error| text(&error))?;
    stand.seller.ailing(0).await.map_err(|error| text(&error))?;
    let any = [reserve::ReservationTerm::default()];
    reserve::reservations(&clients, &any, 0).await.map_err(|error| text(&error))?;
    reserve::placement_group(&clients, None, Some("none")).await.map_err(|error| text(&error))?;
    stand.seller.delete_templates("default").await.map_err(|error| text(&error))
}

/// Everything that the provider does with the services beside EC2; the first thing that it was refused.
async fn everything_beside(policy: Policy) -> Result<(), String> {
    let stand = stand(|options| options.cluster = "demo".into()).await;
    let clients = stand.seller.clients().clone();
    let seller = cloud::aws::Seller::new(clients.clone(), super::support::cluster()).listening("demo");
    stand.ec2.locked(|state| {
        state.policy = Some(policy);
        let now = state.now();
        state.queue.send("{}".into(), now);
    });
    let text = |error: &dyn std::error::Error| error.to_string();
    let eks = cluster::describe(&clients, "demo").await.map_err(|error| text(&error))?;
    shift::ask(&clients, &eks.arn.unwrap(), 0).await.map_err(|error| text(&error))?;
    Parameters::default().of_alias(&clients, "al2023@latest", "1.35").await.map_err(|error| text(&error))?;
    on_demand(&clients).await.map_err(|error| text(&error))?;
    let owner = profile::Owner { cluster: "demo", class: "default", uid: "u", tags: &BTreeMap::new() };
    profile::ensure(&clients, &owner, "KarpenterNodeRole-demo", None).await.map_err(|error| text(&error))?;
    profile::delete_all(&clients, &owner).await.map_err(|error| text(&error))?;
    for notice in seller.notices().await.map_err(|error| text(&error))?.unwrap_or_default() {
        seller.acknowledge(&notice).await.map_err(|error| text(&error))?;
    }
    Ok(())
}

fn policy_of(documents: &[Value]) -> Policy {
    let parsed = documents.iter().map(|document| Policy::parse(&document.to_string()).unwrap());
    parsed.fold(Policy::default(), Policy::and)
}

#[tokio::test(start_paused = true)]
async fn the_shipped_policies_are_enough() {
    everything(policy_of(&[shipped("node-lifecycle"), shipped("resource-discovery")])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_statement_is_needed_and_what_is_missing_is_named() {
    // Tags of machines that run are put on by the controller of nodes, which is not asked here. The others are about other
    // services.
    let elsewhere = ["AllowScopedResourceTagging", "AllowSSMReadActions", "AllowPricingReadActions"];
    for name in ["node-lifecycle", "resource-discovery"] {
        let statements = shipped(name)["Statement"].as_array().unwrap().clone();
        for (at, statement) in statements.iter().enumerate() {
            let sid = statement["Sid"].as_str().unwrap();
            if elsewhere.contains(&sid) || sid.contains("InstanceProfile") {
                continue;
            }
            let mut less = shipped(name);
            less["Statement"].as_array_mut().unwrap().remove(at);
            let other = if name == "node-lifecycle" { "resource-discovery" } else { "node-lifecycle" };
            let refused = everything(policy_of(&[less, shipped(other)])).await.unwrap_err();
            assert!(refused.contains("UnauthorizedOperation"), "{sid}: {refused}");
            // Of every launch under an instance profile, and not named by any call.
            assert_eq!(refused.contains("(grant iam:PassRole "), sid == "AllowPassingInstanceRole", "{sid}: {refused}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn everything_that_a_launch_touches_has_to_be_allowed() {
    let whole = shipped("node-lifecycle");
    let resources = whole["Statement"][0]["Resource"].as_array().unwrap();
    assert_eq!(resources.len(), 6);
    for (at, resource) in resources.iter().enumerate() {
        let mut less = whole.clone();
        less["Statement"][0]["Resource"].as_array_mut().unwrap().remove(at);
        let refused = everything(policy_of(&[less, shipped("resource-discovery")])).await.unwrap_err();
        let kind = resource.as_str().unwrap().rsplit(':').next().unwrap().trim_end_matches('*');
        assert!(
            refused.contains("UnauthorizedOperation") && refused.contains(&format!(":{kind}")),
            "{kind}: {refused}"
        );
    }
}

const BESIDE: [&str; 6] =
    ["node-lifecycle", "resource-discovery", "iam-integration", "eks-integration", "interruption", "zonal-shift"];

#[tokio::test(start_paused = true)]
async fn the_shipped_policies_are_enough_for_the_services_beside_ec2() {
    everything_beside(policy_of(&BESIDE.map(shipped))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_statement_about_other_services_is_needed() {
    for name in BESIDE {
        for statement in shipped(name)["Statement"].as_array().unwrap() {
            let sid = statement["Sid"].as_str().unwrap();
            let is_of_ec2 = statement["Action"][0].as_str().unwrap().starts_with("ec2:");
            // IAM asks for it only of some accounts when a profile is made with tags.
            if is_of_ec2 || sid == "AllowScopedInstanceProfileTagActions" {
                continue;
            }
            let without = |name: &&str| {
                let mut all = shipped(name);
                all["Statement"].as_array_mut().unwrap().retain(|one| one["Sid"] != sid);
                all
            };
            let documents: Vec<Value> = BESIDE.iter().map(without).collect();
            let refused = everything_beside(policy_of(&documents)).await.unwrap_err();
            assert!(refused.contains("AccessDenied") && refused.contains("(grant "), "{sid}: {refused}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_clusters_machines_cannot_be_ended() {
    let stand = stand(|options| options.visible_after = 0).await;
    let order = stand.order("a", &["m5.large"], &["on-demand"]);
    let bought = stand.seller.launch(&stand.class, &order).await.unwrap();
    stand.ec2.locked(|state| {
        state.policy = Some(policy_of(&[shipped("node-lifecycle"), shipped("resource-discovery")]));
        let machine = state.instances.values_mut().next().unwrap();
        machine.tags.remove("kubernetes.io/cluster/demo");
    });
    let refused = stand.seller.terminate(&bought.provider_id).await.unwrap_err().to_string();
    assert!(refused.contains("grant ec2:TerminateInstances"), "{refused}");
    assert_eq!(stand.ec2.machines().len(), 1);
}
