//! The kwok catalogue: the formula, and files in both forms.

use cloud::catalog::{KwokSettings, KwokTypes, UnavailablePattern, kwok};
use planner::model::{CapacityType, InstanceType, Resources};

const GIB: i64 = 1 << 30;
const MIB: i64 = 1 << 20;

fn from_file(json: &str) -> Result<Vec<InstanceType>, String> {
    let types = KwokTypes::File { name: "types.json".into(), json: json.into() };
    kwok(&KwokSettings { types, ..KwokSettings::default() }).map_err(|error| error.to_string())
}

fn label<'a>(of: &'a InstanceType, key: &str) -> Option<&'a str> {
    of.labels.get(key).map(|value| &**value)
}

#[test]
fn there_are_144_types_each_sold_in_four_zones_in_two_ways() {
    let types = kwok(&KwokSettings::default()).unwrap();
    assert_eq!(types.len(), 144);
    assert!(types.windows(2).all(|pair| pair[0].name < pair[1].name), "sorted, each once");
    for t in &types {
        let have: Vec<_> = t.offerings.iter().map(|o| (&*o.zone, o.capacity_type)).collect();
        let want: Vec<_> = ["test-zone-a", "test-zone-b", "test-zone-c", "test-zone-d"]
            .into_iter()
            .flat_map(|zone| [(zone, CapacityType::Spot), (zone, CapacityType::OnDemand)])
            .collect();
        assert_eq!(have, want);
        assert!(!t.exotic && t.offerings.iter().all(|o| o.available && o.labels.is_empty()));
    }
}

#[test]
fn each_type_follows_from_its_name() {
    for t in kwok(&KwokSettings::default()).unwrap() {
        let [family, size, arch, system] = t.name.split('-').collect::<Vec<_>>()[..] else { panic!("{}", t.name) };
        let cores: i64 = size.trim_end_matches('x').parse().unwrap();
        let gib = cores * [("c", 2), ("s", 4), ("m", 8)].iter().find(|(f, _)| *f == family).unwrap().1;
        let capacity = |cpu, memory| {
            Resources::of([
                ("cpu", cpu),
                ("memory", memory),
                ("pods", (16 * cores).clamp(0, 1024)),
                ("ephemeral-storage", 20 * GIB),
            ])
        };
        assert_eq!(t.capacity, capacity(cores * 1000, gib * GIB));
        assert_eq!(t.allocatable, capacity(cores * 1000 - 100, gib * GIB - 10 * MIB));
        for (key, want) in [
            ("node.kubernetes.io/instance-type", &*t.name),
            ("kubernetes.io/arch", arch),
            ("kubernetes.io/os", system),
            ("karpenter.kwok.sh/instance-family", family),
            ("karpenter.kwok.sh/instance-size", size),
            ("karpenter.kwok.sh/instance-cpu", &cores.to_string()),
        ] {
            assert_eq!(label(&t, key), Some(want), "{key}");
        }
        // Dollars × 10^12: 0.025 a core, 0.001 per 10^9 bytes; prices are rounded to 10^-6.
        let exact = i128::from(cores) * 25_000_000_000 + i128::from(gib * GIB);
        for offering in &t.offerings {
            let tenths = if offering.capacity_type == CapacityType::Spot { 7 } else { 10 };
            let off = (i128::from(offering.price.0) * 10_000_000 - exact * tenths).abs();
            assert!(off <= 5_000_000, "{} at {}", t.name, offering.price);
        }
    }
    let types = kwok(&KwokSettings::default()).unwrap();
    let c1 = types.iter().find(|t| &*t.name == "c-1x-amd64-linux").unwrap();
    assert_eq!((c1.offerings[0].price.0, c1.offerings[1].price.0), (19_003, 27_147));
    assert_eq!(label(c1, "karpenter.kwok.sh/instance-memory"), Some("2Gi"));
}

#[test]
fn what_is_out_of_capacity_is_not_available() {
    let unavailable = vec![UnavailablePattern::parse("c-*/test-zone-a/spot").unwrap()];
    let types = kwok(&KwokSettings { unavailable, ..KwokSettings::default() }).unwrap();
    for offering in types.iter().flat_map(|t| t.offerings.iter().map(move |o| (t, o))) {
        let (t, o) = offering;
        let is_out = t.name.starts_with("c-") && &*o.zone == "test-zone-a" && o.capacity_type == CapacityType::Spot;
        assert_eq!(o.available, !is_out);
    }
}

#[test]
fn a_file_of_the_plain_form_is_read() {
    let types = from_file(
        r#"[{ "name": "g5.4xlarge", "architecture": "amd64", "operatingSystems": { "linux": {} },
              "resources": { "cpu": "16", "memory": "64Gi", "ephemeral-storage": "600Gi", "nvidia.com/gpu": 1 },
              "offerings": [ { "capacityType": "on-demand", "zone": "us-east-1b", "price": 1.7 },
                             { "CapacityType": "spot", "Zone": "us-east-1a", "Price": 1e-1, "Available": false } ] }]"#,
    )
    .unwrap();
    let [g5] = &types[..] else { panic!("{types:?}") };
    let sold: Vec<_> = g5.offerings.iter().map(|o| (&*o.zone, o.capacity_type, o.price.0, o.available)).collect();
    let want =
        [("us-east-1a", CapacityType::Spot, 100_000, true), ("us-east-1b", CapacityType::OnDemand, 1_700_000, true)];
    assert_eq!(sold, want);
    assert_eq!(g5.allocatable.get("cpu"), 15_900);
    assert_eq!(g5.allocatable.get("nvidia.com/gpu"), 1);
    assert_eq!(g5.capacity.get("pods"), 110, "the kubelet's default");
    assert!(g5.exotic);
    assert_eq!(label(g5, "karpenter.kwok.sh/instance-size"), Some("4xlarge"));
    assert_eq!(label(g5, "karpenter.kwok.sh/instance-family"), Some("g5"));
    assert_eq!(label(g5, "kubernetes.io/os"), Some("linux"));
}

#[test]
fn a_file_of_the_form_with_requirements_is_read() {
    let types = from_file(
        r#"[{ "name": "n2-standard-4", "architecture": "arm64", "operatingSystems": ["linux", "windows"],
              "resources": { "cpu": "4", "memory": "16Gi", "pods": "64" },
              "offerings": [ { "Price": 0.2, "Available": true, "ReservationCapacity": 3, "Requirements": [
                  { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand", "spot"] },
                  { "key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b", "a"] },
                  { "key": "example.com/rack", "operator": "In", "values": ["r1"] },
                  { "key": "karpenter.k8s.aws/capacity-reservation-id", "operator": "DoesNotExist" } ] } ] }]"#,
    )
    .unwrap();
    let sold: Vec<_> = types[0].offerings.iter().map(|o| format!("{}/{}", o.zone, o.capacity_type.as_str())).collect();
    assert_eq!(sold, ["a/spot", "a/on-demand", "b/spot", "b/on-demand"]);
    assert!(types[0].offerings.iter().all(|o| &*o.labels["example.com/rack"] == "r1" && o.reservation.is_none()));
    assert_eq!(label(&types[0], "karpenter.kwok.sh/instance-size"), Some("4"), "no known form: the cores");
    assert_eq!(label(&types[0], "kubernetes.io/os"), None);
    assert_eq!(types[0].open_labels[0].1.len(), 2);
    assert_eq!(types[0].capacity.get("pods"), 64);
}

#[test]
fn a_file_that_cannot_be_read_says_where_and_why() {
    let named = |body: &str| format!(r#"[{{ "name": "x.large", {body} }}]"#);
    let whole = |offering: &str| {
        named(&format!(r#""architecture": "amd64", "resources": {{ "cpu": "1" }}, "offerings": [{offering}]"#))
    };
    for (json, want) in [
        ("{".to_owned(), "types.json: EOF"),
        ("{}".to_owned(), "types.json: expected a list"),
        ("[1]".to_owned(), "types.json[0]: expected an object"),
        ("[{}]".to_owned(), "types.json[0].name: expected a name"),
        (named(r#""resources": {}"#), "types.json: x.large.architecture: expected amd64 or arm64"),
        (named(r#""architecture": "amd64""#), "x.large.resources: expected amounts by name"),
        (
            named(r#""architecture": "amd64", "resources": { "cpu": "1x" }"#),
            "x.large.resources.cpu: \"1x\" is not a quantity",
        ),
        (named(r#""architecture": "amd64", "resources": { "cpu": "-1" }"#), "x.large.resources.cpu: -1 is below zero"),
        (whole(r#"{ "zone": "a", "capacityType": "spot" }"#), "x.large.offerings[0].price: expected dollars"),
        (
            whole(r#"{ "zone": "a", "capacityType": "spot", "price": -1 }"#),
            "x.large.offerings[0].price: expected dollars",
        ),
        (whole(r#"{ "capacityType": "spot", "price": 1 }"#), "offerings[0]: names neither zone nor a requirement on"),
        (whole(r#"{ "zone": "a", "capacityType": "cheap", "price": 1 }"#), "capacity type \"cheap\" is not known"),
        (
            whole(r#"{ "price": 1, "requirements": [{ "key": "a", "operator": "NotIn", "values": ["b"] }] }"#),
            "offerings[0].requirements[0]: operator NotIn is not In",
        ),
    ] {
        let said = from_file(&json).unwrap_err();
        assert!(said.contains(want), "{said}\nshould say {want}");
    }
    let twice = whole("").replace("}]", "}, ") + &whole("")[1..];
    assert!(from_file(&twice).unwrap_err().contains("types.json[1].name: \"x.large\" is there twice"));
}
