//! What holds for any input: readers of text never panic, and more kept from pods leaves them less.

use std::collections::BTreeMap;

use cloud::catalog::{Ec2Settings, KwokSettings, KwokTypes, PriceList, UnavailablePattern, ec2, kwok};
use planner::model::CapacityType;
use proptest::prelude::*;

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,60}", lines in "([a-z0-9.,\"#-]{0,30}\n){0,6}") {
        let _ = UnavailablePattern::parse(&text);
        let _ = PriceList::parse_csv(&text);
        let _ = PriceList::parse_csv(&format!("instance_type,zone,capacity_type,usd_per_hour\n{lines}"));
        let types = KwokTypes::File { name: "f".into(), json: text };
        let _ = kwok(&KwokSettings { types, ..KwokSettings::default() });
    }

    #[test]
    fn no_json_makes_the_reader_of_kwok_types_panic(
        price in prop_oneof!["-?[0-9]{1,25}", "[0-9]{1,3}\\.[0-9]{1,25}", "[0-9]e-?[0-9]{1,3}", Just("null".to_owned())],
        amount in "[0-9]{0,25}[a-zA-Z]{0,2}",
        zone in "\\PC{0,5}",
    ) {
        let zone = zone.replace(['\\', '"'], "");
        let json = format!(
            r#"[{{ "name": "{zone}x", "architecture": "amd64", "resources": {{ "cpu": "{amount}", "memory": "{amount}" }},
                 "offerings": [{{ "price": {price}, "zone": "{zone}", "capacityType": "spot" }}] }}]"#
        );
        let types = KwokTypes::File { name: "f".into(), json };
        if let Ok(types) = kwok(&KwokSettings { types, ..KwokSettings::default() }) {
            prop_assert!(types[0].offerings.iter().all(|offering| offering.price.0 >= 0));
        }
    }

    #[test]
    fn a_pattern_made_of_a_name_names_it(name in "[a-z0-9]{1,4}\\.[a-z0-9]{1,8}", from in 0usize..6, to in 0usize..12) {
        let (from, to) = (from.min(name.len()), to.min(name.len()));
        let hole = if from <= to { format!("{}*{}", &name[..from], &name[to..]) } else { "*".to_owned() };
        let pattern = UnavailablePattern::parse(&format!("{hole}/*/spot")).unwrap();
        prop_assert!(pattern.names(&name, "z", CapacityType::Spot), "{hole} on {name}");
    }
}

proptest! {
    // Each case builds whole catalogues.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn more_kept_from_pods_leaves_them_less(cpu in 0u32..2000, mib in 0u32..4000, share in 0u32..=99, overhead in 0u32..300_000) {
        let base = Ec2Settings { region: "ca-west-1".into(), ..Ec2Settings::default() };
        let mut kept = base.clone();
        kept.vm_memory_overhead_millionths = 75_000 + overhead;
        let text = |pairs: [(&str, String); 2]| -> BTreeMap<String, String> {
            pairs.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
        };
        kept.class.kubelet.system_reserved = text([("cpu", format!("{cpu}m")), ("memory", format!("{mib}Mi"))]);
        kept.class.kubelet.eviction_hard =
            text([("memory.available", "100Mi".to_owned()), ("nodefs.available", format!("{}%", 10 + share * 89 / 99))]);
        for (base, kept) in ec2(&base).unwrap().iter().zip(ec2(&kept).unwrap()) {
            prop_assert_eq!(&base.name, &kept.name);
            prop_assert!(kept.allocatable.fits(&base.allocatable), "{}: {} over {}", kept.name, kept.allocatable, base.allocatable);
            prop_assert!(base.allocatable.fits(&base.capacity));
        }
    }
}
