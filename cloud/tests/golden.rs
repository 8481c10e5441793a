//! Labels and allocatable resources against Karpenter's published reference page, row by row.
//!
//! `data/golden.json.gz` holds 272 rows of <https://karpenter.sh/docs/reference/instance-types/>, taken in 2026: AL2023, no
//! block device mappings, 7.5% of memory kept for the hypervisor, no reserved interfaces.
#![expect(clippy::unwrap_used, reason = "a test program; its helpers may panic too")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use cloud::catalog::{AmiFamily, Ec2Class, Ec2Settings, PriceList, ec2};
use planner::model::{CapacityType, InstanceType, MicroUsdPerHour, Quantity, resources};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    allocatable: BTreeMap<String, Quantity>,
    labels: BTreeMap<String, String>,
}

const CLOCK: &str = "karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz";
const BANDWIDTH: &str = "karpenter.k8s.aws/instance-network-bandwidth";
const POD_ENI: &str = "vpc.amazonaws.com/pod-eni";

/// Why a field may differ from the page.
const CLOCK_CHANGED: &str = "EC2 states another clock in the record of October 2026 than when the page was made";
const TABLE_CHANGED: &str = "the VPC controller's table of August 2026 has branch interfaces that the page's had not";
const DOCUMENTED_BANDWIDTH: &str =
    "the bandwidth table was read from EC2's documentation on another day than the page's";

/// Every field that differs: type, field, ours, the page's, why.
const DIFFERENT: &[(&str, &str, &str, &str, &str)] = &[
    ("c8ib.metal-48xl", POD_ENI, "98", "-", TABLE_CHANGED),
    ("c9gd.large", CLOCK, "3300", "2800", CLOCK_CHANGED),
    ("c9gd.large", POD_ENI, "9", "-", TABLE_CHANGED),
    ("c9gd.medium", CLOCK, "3300", "2800", CLOCK_CHANGED),
    ("c9gd.medium", POD_ENI, "4", "-", TABLE_CHANGED),
    ("g7.2xlarge", BANDWIDTH, "40000", "60000", DOCUMENTED_BANDWIDTH),
    ("i7ie.12xlarge", CLOCK, "3200", "3600", CLOCK_CHANGED),
    ("i7ie.18xlarge", CLOCK, "3200", "3600", CLOCK_CHANGED),
    ("i7ie.large", CLOCK, "3200", "3600", CLOCK_CHANGED),
    ("m8gb.metal-24xl", POD_ENI, "98", "-", TABLE_CHANGED),
    ("m8gb.metal-48xl", POD_ENI, "98", "-", TABLE_CHANGED),
    ("m9g.16xlarge", CLOCK, "3300", "2800", CLOCK_CHANGED),
    ("m9g.48xlarge", CLOCK, "3300", "2800", CLOCK_CHANGED),
    ("m9gd.16xlarge", CLOCK, "3300", "2800", CLOCK_CHANGED),
    ("m9gd.2xlarge", CLOCK, "3300", "2800", CLOCK_CHANGED),
    ("m9gd.large", CLOCK, "3300", "2800", CLOCK_CHANGED),
    ("m9gd.metal-48xl", CLOCK, "3300", "2800", CLOCK_CHANGED),
    ("r8gb.metal-24xl", POD_ENI, "98", "-", TABLE_CHANGED),
    ("r8ib.metal-96xl", POD_ENI, "98", "-", TABLE_CHANGED),
];

/// Labels of ours that the page does not print.
const NOT_ON_THE_PAGE: [&str; 2] = ["karpenter.k8s.aws/nitro-sandbox", "topology.kubernetes.io/region"];

fn golden() -> BTreeMap<String, Row> {
    let mut json = String::new();
    let gz = &include_bytes!("data/golden.json.gz")[..];
    flate2::read::GzDecoder::new(gz).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// The types of the page, from whichever region sells them.
fn ours(names: &BTreeSet<String>) -> BTreeMap<String, InstanceType> {
    let mut prices = PriceList::default();
    for name in names {
        prices.set(name, "", CapacityType::OnDemand, MicroUsdPerHour(1));
    }
    let mut found = BTreeMap::new();
    for region in ["us-east-1", "us-east-2", "us-west-2", "eu-north-1", "ap-northeast-1"] {
        let class = Ec2Class { ami_family: Some(AmiFamily::Al2023), ..Ec2Class::default() };
        let settings = Ec2Settings { region: region.into(), class, prices: prices.clone(), ..Ec2Settings::default() };
        for found_here in ec2(&settings).unwrap() {
            found.entry(found_here.name.to_string()).or_insert(found_here);
        }
    }
    found
}

/// Field by field: ours and the page's where they are not the same, `-` for what is not there.
fn differences(ours: &InstanceType, page: &Row) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut note = |field: &str, ours: Option<String>, page: Option<String>| {
        if ours != page {
            let text = |value: Option<String>| value.unwrap_or_else(|| "-".into());
            found.push((field.to_owned(), text(ours), text(page)));
        }
    };
    let names = ours.allocatable.0.keys().map(|k| &**k).chain(page.allocatable.keys().map(String::as_str));
    for name in names.collect::<BTreeSet<_>>() {
        let amount = ours.allocatable.0.get(name).map(ToString::to_string);
        note(name, amount, page.allocatable.get(name).map(|q| resources::amount(name, *q).to_string()));
    }
    let keys = ours.labels.keys().map(|k| &**k).chain(page.labels.keys().map(String::as_str));
    for key in keys.collect::<BTreeSet<_>>().into_iter().filter(|key| !NOT_ON_THE_PAGE.contains(key)) {
        note(key, ours.labels.get(key).map(ToString::to_string), page.labels.get(key).cloned());
    }
    found
}

#[test]
fn every_field_of_every_row_is_the_pages_save_those_listed() {
    let golden = golden();
    assert_eq!(golden.len(), 272);
    let ours = ours(&golden.keys().cloned().collect());
    let mut found = Vec::new();
    for (name, row) in &golden {
        let ours = ours.get(name).unwrap_or_else(|| panic!("{name} is sold nowhere"));
        for (field, ours, page) in differences(ours, row) {
            found.push((name.clone(), field, ours, page));
        }
    }
    let listed = DIFFERENT.iter().map(|(name, field, ours, page, _)| {
        ((*name).to_owned(), (*field).to_owned(), (*ours).to_owned(), (*page).to_owned())
    });
    let (found, listed): (BTreeSet<_>, BTreeSet<_>) = (found.into_iter().collect(), listed.collect());
    assert_eq!(found, listed);
}
