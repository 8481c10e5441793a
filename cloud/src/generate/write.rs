//! Writes the text tables that the catalogue is kept in; `catalog::table` reads them.

use std::fmt::Write as _;

use crate::catalog::PriceKind;
use crate::catalog::table::{Flags, RegionTable, TYPE_COLUMNS, TypeRow};

/// Writes `types.tsv`.
pub(super) fn write_types(rows: &[TypeRow]) -> String {
    let mut text = format!("{TYPE_COLUMNS}\n");
    for row in rows {
        let gpus = row.gpus.iter().map(|g| format!("{}*{}*{}*{}", g.count, g.name, g.maker, g.memory_mib));
        let accelerators = row.accelerators.iter().map(|a| format!("{}*{}*{}", a.count, a.name, a.maker));
        let neuron = row.neuron.iter().map(|n| format!("{}*{}*{}", n.count, n.name, n.cores));
        let fields = [
            row.name.clone(),
            row.arch.join(","),
            row.vcpus.to_string(),
            row.memory_mib.to_string(),
            row.cpu.clone(),
            row.clock_mhz.to_string(),
            or_dash(&row.hypervisor),
            flags(row.flags),
            row.default_card.to_string(),
            or_dash(&row.card_enis.iter().map(i64::to_string).collect::<Vec<_>>().join(",")),
            row.ipv4_per_eni.to_string(),
            optional(row.storage_gb),
            optional(row.ebs_mbps),
            row.efa.to_string(),
            or_dash(&gpus.collect::<Vec<_>>().join(";")),
            or_dash(&accelerators.collect::<Vec<_>>().join(";")),
            or_dash(&neuron.collect::<Vec<_>>().join(";")),
            or_dash(&row.placement.join(",")),
            or_dash(&row.usage.join(",")),
            optional(row.network_mbps),
            optional(row.branch_enis),
        ];
        text.push_str(&fields.join("\t"));
        text.push('\n');
    }
    text
}

/// Writes `regions.tsv`.
pub(super) fn write_regions(regions: &[RegionTable]) -> String {
    let mut text = String::new();
    for region in regions {
        let kind = match region.prices {
            PriceKind::Listed => "listed",
            PriceKind::Estimated => "estimated",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "@{}\t{kind}\t{}\t{}", region.name, region.priced_on, region.zones.join(","));
        for row in &region.sold {
            let price = optional(row.price.map(|price| price.0));
            let _ = writeln!(text, "{}\t{}\t{price}", row.instance_type, or_dash(&zone_letters(&row.zones)));
        }
    }
    text
}

fn flags(flags: Flags) -> String {
    let Flags { bare_metal, encryption_in_transit, nitro_enclaves, nested_virtualization, ena, nvme_storage } = flags;
    let bits = [bare_metal, encryption_in_transit, nitro_enclaves, nested_virtualization, ena, nvme_storage];
    let set = Flags::NAMES.iter().zip(bits).filter(|(_, is)| *is).map(|(name, _)| *name);
    or_dash(&set.collect::<Vec<_>>().join(","))
}

/// Zones by their place in the heading, `a` for the first: not the letter in the zone's name.
fn zone_letters(zones: &[usize]) -> String {
    zones.iter().filter_map(|place| Some(char::from(b'a'.checked_add(u8::try_from(*place).ok()?)?))).collect()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.into() }
}

fn optional(value: Option<i64>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}
