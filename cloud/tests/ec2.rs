//! The EC2 catalogue under one node class after another: what each setting changes, and what is refused.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test program; its helpers may panic too")]

use std::collections::BTreeMap;

use cloud::catalog::{
    AmiFamily, BlockDevice, CapacityReservation, CatalogError, ClassZone, Ec2Class, Ec2Settings, Kubelet,
    NetworkInterface, PlacementGroup, PlacementStrategy, PriceKind, PriceList, ReservationKind, UnavailablePattern,
    ec2, ec2_price, regions,
};
use planner::model::{CapacityType, InstanceType, MicroUsdPerHour};

const GIB: i64 = 1 << 30;
const MIB: i64 = 1 << 20;

fn under(class: Ec2Class) -> Ec2Settings {
    Ec2Settings { class, ..Ec2Settings::default() }
}

fn family(family: AmiFamily) -> Ec2Class {
    Ec2Class { ami_family: Some(family), ..Ec2Class::default() }
}

fn of(settings: &Ec2Settings, name: &str) -> InstanceType {
    let types = ec2(settings).unwrap();
    types.into_iter().find(|t| &*t.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn with_kubelet(ami: AmiFamily, kubelet: Kubelet) -> Ec2Settings {
    under(Ec2Class { kubelet, ..family(ami) })
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// `zone/capacity type@price`, `!` before what cannot be had now.
fn sold(instance_type: &InstanceType) -> Vec<String> {
    let offerings = instance_type.offerings.iter();
    offerings
        .map(|o| {
            let out = if o.available { "" } else { "!" };
            format!("{out}{}/{}@{}", o.zone, o.capacity_type.as_str(), o.price)
        })
        .collect()
}

#[test]
fn us_east_1_sells_1340_types_in_6306_ways() {
    let types = ec2(&Ec2Settings::default()).unwrap();
    assert_eq!(types.len(), 1340);
    assert_eq!(types.iter().map(|t| t.offerings.len()).sum::<usize>(), 6306);
    assert!(types.windows(2).all(|pair| pair[0].name < pair[1].name), "sorted by name");
    assert!(types.iter().flat_map(|t| &t.offerings).all(|o| o.available && o.capacity_type == CapacityType::OnDemand));
    assert_eq!(types.iter().filter(|t| t.exotic).count(), types.iter().filter(|t| is_special(t)).count());
}

fn is_special(t: &InstanceType) -> bool {
    let devices =
        ["nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi", "aws.amazon.com/neuron", "aws.amazon.com/neuroncore"];
    t.name.contains("metal") || devices.iter().any(|device| t.capacity.get(device) > 0)
}

#[test]
fn every_region_can_be_read() {
    let regions = regions().unwrap();
    assert_eq!(regions.len(), 30);
    for region in regions {
        let settings = Ec2Settings { region: region.name.clone(), ..Ec2Settings::default() };
        let types = ec2(&settings).unwrap();
        assert!(types.len() > 140, "{} sells {} types", region.name, types.len());
        let is_exact = region.name == "us-east-1";
        assert_eq!(region.prices, if is_exact { PriceKind::Listed } else { PriceKind::Estimated }, "{}", region.name);
        for offering in types.iter().flat_map(|t| &t.offerings) {
            assert!(region.zones.iter().any(|zone| **zone == *offering.zone) && offering.price.0 > 0);
        }
    }
}

#[test]
fn prices_are_those_of_the_list() {
    for (name, price) in [("m5.large", 96_000), ("a1.medium", 25_500), ("g4dn.xlarge", 526_000), ("t3.micro", 10_400)] {
        let price = MicroUsdPerHour(price);
        assert!(of(&Ec2Settings::default(), name).offerings.iter().all(|o| o.price == price), "{name}");
    }
    // Newer than the price list, so nobody knows what they cost.
    assert!(ec2(&Ec2Settings::default()).unwrap().iter().all(|t| !t.name.starts_with("r9g.")));
}

#[test]
fn an_unknown_region_is_refused_with_those_there_are() {
    let error = ec2(&Ec2Settings { region: "us-east-9".into(), ..Ec2Settings::default() }).unwrap_err().to_string();
    assert!(
        error.starts_with("region \"us-east-9\" is not in the embedded catalogue: use one of af-south-1, "),
        "{error}"
    );
    assert!(error.ends_with("us-west-2"), "{error}");
}

#[test]
fn zones_are_those_asked_for_else_those_of_the_class_else_all() {
    let zones = |settings: &Ec2Settings| {
        of(settings, "m5.large").offerings.iter().map(|o| o.zone.to_string()).collect::<Vec<_>>()
    };
    let mut settings = Ec2Settings::default();
    assert_eq!(zones(&settings), ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1f"]);
    let zone = |zone: &str, id: Option<&str>| ClassZone { zone: zone.into(), zone_id: id.map(str::to_owned) };
    settings.class.zones =
        vec![zone("us-east-1f", Some("use1-az5")), zone("us-east-1a", None), zone("us-west-2a", None)];
    assert_eq!(zones(&settings), ["us-east-1a", "us-east-1f"]);
    let f = &of(&settings, "m5.large").offerings[1];
    assert_eq!(f.labels.get("topology.k8s.aws/zone-id").map(|id| &**id), Some("use1-az5"));
    settings.zones = Some(vec!["us-east-1b".into(), "us-east-1f".into()]);
    assert_eq!(zones(&settings), ["us-east-1b", "us-east-1f"]);
    settings.zones = Some(vec!["us-east-1e".into()]);
    assert_eq!(zones(&settings), [""; 0], "known, but not sold there");
    settings.zones = Some(vec!["us-east-1z".into()]);
    let error = ec2(&settings).unwrap_err();
    assert!(matches!(&error, CatalogError::Zone { known, .. } if known.len() == 6), "{error}");
    assert!(error.to_string().contains("zone \"us-east-1z\" is not in region us-east-1: use one of us-east-1a, "));
}

#[test]
fn spot_is_offered_at_a_price_given_and_nowhere_else() {
    let csv = "instance_type,zone,capacity_type,usd_per_hour\nm5.large,us-east-1a,spot,0.031\nm5.large,,on-demand,0.08\n\
               m5.large,us-east-1f,on-demand,0.09\nr9g.large,us-east-1a,on-demand,0.2\n";
    let mut settings = Ec2Settings { prices: PriceList::parse_csv(csv).unwrap(), ..Ec2Settings::default() };
    settings.zones = Some(vec!["us-east-1a".into(), "us-east-1f".into()]);
    let expected = ["us-east-1a/spot@0.0310", "us-east-1a/on-demand@0.0800", "us-east-1f/on-demand@0.0900"];
    assert_eq!(sold(&of(&settings, "m5.large")), expected);
    assert_eq!(sold(&of(&settings, "r9g.large")), ["us-east-1a/on-demand@0.2000"], "a price makes it known");
}

#[test]
fn what_no_list_has_a_price_of_is_left_out_or_there_and_not_available() {
    let mut settings = Ec2Settings { zones: Some(vec!["us-east-1a".into()]), ..Ec2Settings::default() };
    let has = |settings: &Ec2Settings, name: &str| ec2(settings).unwrap().iter().any(|kind| &*kind.name == name);
    assert!(!has(&settings, "r9g.large"));
    settings.keeps_unpriced = true;
    assert_eq!(sold(&of(&settings, "r9g.large")), ["!us-east-1a/spot@0.0000", "!us-east-1a/on-demand@0.0000"]);
    assert_eq!(sold(&of(&settings, "m5.large")), ["!us-east-1a/spot@0.0000", "us-east-1a/on-demand@0.0960"]);
}

#[test]
fn a_zone_without_addresses_is_told_apart_from_one_without_stock() {
    let zones = Some(vec!["us-east-1a".into(), "us-east-1b".into()]);
    let mut settings = Ec2Settings { zones, full_zones: ["us-east-1a".into()].into(), ..Ec2Settings::default() };
    settings.unavailable = vec![UnavailablePattern::parse("c5.*/*/*").unwrap()];
    let flags = |name| of(&settings, name).offerings.iter().map(|o| (o.available, o.no_addresses)).collect::<Vec<_>>();
    assert_eq!(flags("m5.large"), [(false, true), (true, false)]);
    assert_eq!(flags("c5.large"), [(false, false), (false, false)]);
}

#[test]
fn what_is_out_of_capacity_is_there_but_not_available() {
    let mut settings =
        Ec2Settings { zones: Some(vec!["us-east-1a".into(), "us-east-1b".into()]), ..Ec2Settings::default() };
    settings.unavailable = vec![UnavailablePattern::parse("m5.*/*a/*").unwrap()];
    assert_eq!(sold(&of(&settings, "m5.large")), ["!us-east-1a/on-demand@0.0960", "us-east-1b/on-demand@0.0960"]);
    assert!(of(&settings, "m5d.large").offerings.iter().all(|o| o.available));
}

#[test]
fn a_reservation_costs_next_to_nothing_where_it_is_while_it_has_instances() {
    let reservation = |id: &str, count, expiring| CapacityReservation {
        id: id.into(),
        instance_type: "m5.large".into(),
        zone: "us-east-1b".into(),
        kind: ReservationKind::Default,
        interruptible: false,
        expiring,
        count,
    };
    let mut settings =
        Ec2Settings { zones: Some(vec!["us-east-1a".into(), "us-east-1b".into()]), ..Ec2Settings::default() };
    settings.class.capacity_reservations =
        vec![reservation("cr-3", 1, true), reservation("cr-2", 0, false), reservation("cr-1", 7, false)];
    let m5 = of(&settings, "m5.large");
    let expected = [
        "us-east-1a/on-demand@0.0960",
        "us-east-1b/reserved@0.00001",
        "!us-east-1b/reserved@0.00001",
        "!us-east-1b/reserved@0.00001",
        "us-east-1b/on-demand@0.0960",
    ];
    assert_eq!(sold(&m5), expected);
    let first = &m5.offerings[1];
    let labels: Vec<_> = first.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let expected = [
        "karpenter.k8s.aws/capacity-reservation-id=cr-1",
        "karpenter.k8s.aws/capacity-reservation-interruptible=false",
        "karpenter.k8s.aws/capacity-reservation-type=default",
    ];
    assert_eq!(labels, expected);
    let reservation = first.reservation.as_ref().unwrap();
    assert_eq!((&*reservation.id, reservation.count), ("cr-1", 7));
    assert!(of(&settings, "m5.xlarge").offerings.iter().all(|o| o.reservation.is_none()));
}

#[test]
fn a_running_machine_has_a_price_wherever_it_is() {
    let mut settings = Ec2Settings { zones: Some(vec!["us-east-1a".into()]), ..Ec2Settings::default() };
    settings.prices.set("m5.large", "us-east-1b", CapacityType::Spot, MicroUsdPerHour(30_000));
    let price = |name, zone, kind| ec2_price(&settings, name, zone, kind).unwrap().map(|p| p.0);
    assert_eq!(price("m5.large", "us-east-1c", CapacityType::OnDemand), Some(96_000));
    assert_eq!(price("m5.large", "us-east-1b", CapacityType::Spot), Some(30_000));
    assert_eq!(price("m5.large", "us-east-1c", CapacityType::Spot), None);
    assert_eq!(price("m5.large", "us-east-1c", CapacityType::Reserved), Some(0));
    assert_eq!(price("zz.large", "us-east-1c", CapacityType::OnDemand), None);
}

#[test]
fn the_image_family_decides_pods_and_what_is_kept_for_them() {
    let m5 = |class| of(&under(class), "m5.large");
    let memory = 7577 * MIB;
    for (ami, pods, kept) in [
        (AmiFamily::Al2, 29, 574),
        (AmiFamily::Al2023, 29, 574),
        (AmiFamily::Custom, 29, 574),
        (AmiFamily::Bottlerocket, 29, 574),
        (AmiFamily::Windows2022, 110, 11 * 110 + 255),
    ] {
        let m5 = m5(family(ami));
        assert_eq!(m5.capacity.get("pods"), pods, "{ami:?}");
        assert_eq!(m5.allocatable.get("memory"), memory - (kept + 100) * MIB, "{ami:?}");
    }
    // Told to take 10 pods, Bottlerocket keeps memory for 10, the others for what the network could carry.
    let told = |ami| of(&with_kubelet(ami, Kubelet { max_pods: Some(10), ..Kubelet::default() }), "m5.large");
    assert_eq!(told(AmiFamily::Al2023).allocatable.get("memory"), memory - 674 * MIB);
    assert_eq!(told(AmiFamily::Bottlerocket).allocatable.get("memory"), memory - (110 + 255 + 100) * MIB);
    assert_eq!(told(AmiFamily::Al2023).allocatable.get("pods"), 10);
}

#[test]
fn pods_per_core_lowers_pods_save_on_bottlerocket() {
    let told = |ami, per_core| {
        let kubelet = Kubelet { pods_per_core: Some(per_core), ..Kubelet::default() };
        of(&with_kubelet(ami, kubelet), "m5.large").capacity.get("pods")
    };
    assert_eq!(told(AmiFamily::Al2023, 4), 8);
    assert_eq!(told(AmiFamily::Al2023, 100), 29);
    assert_eq!(told(AmiFamily::Al2023, 0), 29);
    assert_eq!(told(AmiFamily::Bottlerocket, 4), 29);
}

#[test]
fn windows_runs_on_amd64_alone_and_hands_out_addresses() {
    let settings = under(family(AmiFamily::Windows2025));
    let m5 = of(&settings, "m5.large");
    assert_eq!(m5.labels.get("kubernetes.io/os").map(|os| &**os), Some("windows"));
    assert_eq!(m5.labels.get("node.kubernetes.io/windows-build").map(|build| &**build), Some("10.0.26100"));
    assert_eq!(m5.capacity.get("vpc.amazonaws.com/PrivateIPv4Address"), 9);
    assert_eq!(m5.capacity.get("ephemeral-storage"), 50 * GIB);
    let arm = of(&settings, "m6g.large");
    assert!(arm.offerings.is_empty() && !arm.labels.contains_key("kubernetes.io/os"));
}

#[test]
fn al2023_is_not_sold_on_the_first_arm_processors() {
    assert!(of(&under(family(AmiFamily::Al2023)), "a1.large").offerings.is_empty());
    assert!(!of(&under(family(AmiFamily::Al2)), "a1.large").offerings.is_empty());
    assert!(!of(&Ec2Settings::default(), "a1.large").offerings.is_empty());
}

#[test]
fn ephemeral_storage_is_the_root_volume_or_the_instance_store() {
    let device = |name: Option<&str>, root_volume, size: Option<&str>| BlockDevice {
        device_name: name.map(str::to_owned),
        root_volume,
        volume_size: size.map(str::to_owned),
    };
    let storage = |ami, block_devices: &[BlockDevice]| {
        let class = Ec2Class { block_devices: block_devices.to_vec(), ..family(ami) };
        of(&under(class), "m5d.large").capacity.get("ephemeral-storage")
    };
    let (a, b) = (device(Some("/dev/xvda"), false, Some("100Gi")), device(Some("/dev/xvdb"), false, Some("30G")));
    let both = [a.clone(), b.clone()];
    assert_eq!(storage(AmiFamily::Al2023, &both), 100 * GIB);
    assert_eq!(storage(AmiFamily::Bottlerocket, &both), 30_000_000_000);
    assert_eq!(storage(AmiFamily::Custom, &both), 30_000_000_000, "the last");
    assert_eq!(storage(AmiFamily::Al2023, &[a.clone(), device(None, true, Some("1Ti"))]), 1024 * GIB);
    assert_eq!(storage(AmiFamily::Al2023, &[b, device(None, true, None)]), 20 * GIB, "a marked volume without a size");
    assert_eq!(storage(AmiFamily::Windows2019, &[a]), 50 * GIB, "none is the system's");
    assert_eq!(storage(AmiFamily::Custom, &[]), 20 * GIB);
    let raid = under(Ec2Class { instance_store_raid0: true, ..family(AmiFamily::Al2023) });
    assert_eq!(of(&raid, "m5d.large").capacity.get("ephemeral-storage"), 75_000_000_000);
    assert_eq!(of(&raid, "m5.large").capacity.get("ephemeral-storage"), 20 * GIB);
}

#[test]
fn reserved_amounts_replace_defaults_and_thresholds_are_kept_free() {
    let kubelet = Kubelet {
        kube_reserved: texts(&[("cpu", "200m"), ("ephemeral-storage", "2Gi"), ("pid", "1000")]),
        system_reserved: texts(&[("cpu", "0.1"), ("memory", "100Mi")]),
        eviction_hard: texts(&[("memory.available", "5%"), ("nodefs.available", "1Gi"), ("pid.available", "10%")]),
        ..Kubelet::default()
    };
    let m5 = of(&with_kubelet(AmiFamily::Al2023, kubelet), "m5.large");
    assert_eq!(m5.allocatable.get("cpu"), 2000 - 200 - 100);
    let share = (7577 * MIB * 5 + 99) / 100;
    assert_eq!(m5.allocatable.get("memory"), 7577 * MIB - 574 * MIB - 100 * MIB - share);
    assert_eq!(m5.allocatable.get("ephemeral-storage"), (20 - 2 - 1) * GIB);
    let off = Kubelet { eviction_hard: texts(&[("memory.available", "100%")]), ..Kubelet::default() };
    assert_eq!(of(&with_kubelet(AmiFamily::Al2023, off), "m5.large").allocatable.get("memory"), (7577 - 574) * MIB);
}

#[test]
fn a_text_that_is_no_amount_is_named() {
    let error = |kubelet| ec2(&with_kubelet(AmiFamily::Al2023, kubelet)).unwrap_err().to_string();
    let reserved = Kubelet { kube_reserved: texts(&[("memory", "max(1, 2)")]), ..Kubelet::default() };
    assert!(error(reserved).starts_with("kubelet.kubeReserved.memory: \"max(1, 2)\" is not a quantity"));
    for value in ["101%", "-5%", "%", "x", "-1Gi"] {
        let kubelet = Kubelet { eviction_hard: texts(&[("memory.available", value)]), ..Kubelet::default() };
        let said = error(kubelet);
        assert!(said.starts_with("kubelet.evictionHard[\"memory.available\"]: ") && said.contains(value), "{said}");
    }
    let device = BlockDevice { root_volume: true, volume_size: Some("Ti".into()), ..BlockDevice::default() };
    let class = Ec2Class { block_devices: vec![device], ..Ec2Class::default() };
    assert!(ec2(&under(class)).unwrap_err().to_string().starts_with("blockDeviceMappings[].ebs.volumeSize: \"Ti\""));
}

#[test]
fn settings_of_the_operator_change_pods_and_memory() {
    let reserved = |reserved_enis| of(&Ec2Settings { reserved_enis, ..Ec2Settings::default() }, "m5.large");
    assert_eq!(reserved(1).capacity.get("pods"), 2 * 9 + 2);
    assert_eq!(reserved(9).capacity.get("pods"), 0);
    assert_eq!(reserved(1).allocatable.get("memory"), 6903 * MIB, "memory is kept as if none were reserved");
    let memory = |millionths| {
        let settings = Ec2Settings { vm_memory_overhead_millionths: millionths, ..Ec2Settings::default() };
        of(&settings, "a1.medium").capacity.get("memory") / MIB
    };
    assert_eq!((memory(75_000), memory(0), memory(1)), (1835, 1984, 1983));
    let seen = BTreeMap::from([("m5.large".into(), 7_900 * MIB)]);
    let m5 = of(&Ec2Settings { discovered_memory: seen, ..Ec2Settings::default() }, "m5.large");
    assert_eq!(m5.capacity.get("memory"), 7_900 * MIB);
}

#[test]
fn network_interfaces_of_the_class_need_a_machine_that_takes_them() {
    let card = |network_card, device, efa_only| NetworkInterface { network_card, device, efa_only };
    let under = |network_interfaces: &[NetworkInterface]| {
        under(Ec2Class { network_interfaces: network_interfaces.to_vec(), ..Ec2Class::default() })
    };
    let one = under(&[card(0, 0, false)]);
    assert_eq!(of(&one, "p5.48xlarge").capacity.get("vpc.amazonaws.com/efa"), 0);
    assert!(of(&one, "m3.medium").offerings.is_empty(), "no ENA");
    let efas = under(&[card(0, 0, false), card(0, 1, true), card(1, 1, true)]);
    let p5 = of(&efas, "p5.48xlarge");
    assert_eq!((p5.capacity.get("vpc.amazonaws.com/efa"), p5.offerings.is_empty()), (2, false));
    assert_eq!(p5.capacity.get("pods"), 49 + 2, "the EFA takes one of the first card's two interfaces");
    assert!(of(&efas, "m5.large").offerings.is_empty(), "one card");
    assert!(of(&under(&[card(0, 0, false), card(0, 3, false)]), "m5.large").offerings.is_empty(), "three interfaces");
    assert_eq!(of(&Ec2Settings::default(), "p5.48xlarge").capacity.get("vpc.amazonaws.com/efa"), 32);
}

#[test]
fn other_demands_of_the_class_leave_out_machines_too() {
    let sells = |class: &Ec2Class, name: &str| !of(&under(class.clone()), name).offerings.is_empty();
    let tracking = Ec2Class { connection_tracking: true, ..Ec2Class::default() };
    assert!(sells(&tracking, "m5.large") && !sells(&tracking, "m4.large") && !sells(&tracking, "m5.metal"));
    let nested = Ec2Class { nested_virtualization: true, ..Ec2Class::default() };
    assert!(sells(&nested, "m8i.large") && !sells(&nested, "m5.large"));
    let placed = |strategy| Ec2Class {
        placement_group: Some(PlacementGroup { id: "pg-1".into(), strategy }),
        ..Ec2Class::default()
    };
    let cluster = placed(PlacementStrategy::Cluster);
    assert!(sells(&cluster, "m5.large") && !sells(&cluster, "t3.micro"));
    let partitions = of(&under(placed(PlacementStrategy::Partition(3))), "m5.large");
    assert_eq!(partitions.offerings.len(), 5 * 3);
    let last = partitions.offerings[2].labels.get("karpenter.k8s.aws/placement-group-partition");
    assert_eq!(last.map(|partition| &**partition), Some("3"));
    assert_eq!(partitions.labels.get("karpenter.k8s.aws/placement-group-id").map(|id| &**id), Some("pg-1"));
}

#[test]
fn a_share_of_a_gpu_is_no_gpu() {
    let g6f = of(&Ec2Settings::default(), "g6f.large");
    assert_eq!(g6f.capacity.get("nvidia.com/gpu"), 0);
    assert!(!g6f.exotic);
    assert_eq!(g6f.labels.get("karpenter.k8s.aws/instance-gpu-count").map(|count| &**count), Some("0"));
    let g4dn = of(&Ec2Settings::default(), "g4dn.xlarge");
    assert_eq!((g4dn.allocatable.get("nvidia.com/gpu"), g4dn.exotic), (1, true));
}

#[test]
fn tenancy_is_left_open_with_the_default_first() {
    let open = of(&Ec2Settings::default(), "m5.large").open_labels;
    let [(key, values)] = &open[..] else { panic!("{open:?}") };
    assert_eq!(&**key, "karpenter.k8s.aws/instance-tenancy");
    assert_eq!(values.iter().map(|v| &**v).collect::<Vec<_>>(), ["default", "dedicated"]);
}

#[test]
fn families_are_read_from_the_field_and_from_aliases() {
    for (text, want) in [
        ("AL2", Some(AmiFamily::Al2)),
        ("al2023@latest", Some(AmiFamily::Al2023)),
        ("bottlerocket@1.20.0", Some(AmiFamily::Bottlerocket)),
        ("Windows2025", Some(AmiFamily::Windows2025)),
        ("Custom", Some(AmiFamily::Custom)),
        ("Ubuntu", None),
    ] {
        assert_eq!(AmiFamily::parse(text), want, "{text}");
    }
}
