//! Prices laid over the catalogue's: what someone pays, or what spot costs now.

use std::collections::BTreeMap;

use planner::model::{CapacityType, MicroUsdPerHour};

use super::CatalogError;

const COLUMNS: [&str; 4] = ["instance_type", "zone", "capacity_type", "usd_per_hour"];

/// Prices by instance type, zone and capacity type; one for every zone gives way to one for the zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList(BTreeMap<String, BTreeMap<(String, CapacityType), MicroUsdPerHour>>);

impl PriceList {
    /// Sets a price; an empty `zone` means every zone.
    pub fn set(&mut self, instance_type: &str, zone: &str, capacity_type: CapacityType, price: MicroUsdPerHour) {
        self.0.entry(instance_type.into()).or_default().insert((zone.into(), capacity_type), price);
    }

    /// Takes in another list; where both have a price, the other's counts.
    pub fn lay_over(&mut self, other: &Self) {
        for (instance_type, of_type) in &other.0 {
            let mine = self.0.entry(instance_type.clone()).or_default();
            mine.extend(of_type.iter().map(|(key, price)| (key.clone(), *price)));
        }
    }

    /// The price of an offering, if the list has one.
    pub fn get(&self, instance_type: &str, zone: &str, capacity_type: CapacityType) -> Option<MicroUsdPerHour> {
        let of_type = self.0.get(instance_type)?;
        let at = |zone: &str| of_type.get(&(zone.to_owned(), capacity_type)).copied();
        at(zone).or_else(|| at(""))
    }

    /// Whether the list says anything of an instance type.
    pub fn mentions(&self, instance_type: &str) -> bool {
        self.0.contains_key(instance_type)
    }

    /// Instance type, zone (empty: every zone) and capacity type of each price.
    pub fn offerings(&self) -> impl Iterator<Item = (&str, &str, CapacityType)> {
        self.0.iter().flat_map(|(instance_type, of_type)| {
            of_type.keys().map(move |(zone, capacity_type)| (instance_type.as_str(), zone.as_str(), *capacity_type))
        })
    }

    /// Reads CSV with the columns `instance_type`, `zone`, `capacity_type`, `usd_per_hour` in any order, named in the
    /// first line. An empty zone is every zone; empty lines and lines that begin with `#` are left out.
    ///
    /// # Errors
    /// Names the line and what is wrong with it; two different prices for one offering are wrong.
    pub fn parse_csv(text: &str) -> Result<Self, CatalogError> {
        let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let mut lines = lines.by_ref().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let wrong = |line: usize, reason: String| CatalogError::Price { line, reason };
        let expected = || format!("expected the columns {}", COLUMNS.join(", "));
        let Some((line, header)) = lines.next() else { return Err(wrong(1, expected())) };
        let header = fields(header);
        let mut places = [0; COLUMNS.len()];
        for (place, column) in places.iter_mut().zip(COLUMNS) {
            *place = header.iter().position(|name| *name == column).ok_or_else(|| wrong(line, expected()))?;
        }
        let mut list = Self::default();
        for (line, row) in lines {
            let row = fields(row);
            if row.len() != header.len() {
                return Err(wrong(line, format!("{} fields where the first line names {}", row.len(), header.len())));
            }
            let [instance_type, zone, capacity_type, price] = places.map(|at| row[at]);
            if instance_type.is_empty() {
                return Err(wrong(line, "instance_type is empty".into()));
            }
            let capacity = CapacityType::parse(capacity_type).ok_or_else(|| {
                wrong(line, format!("capacity_type \"{capacity_type}\": use on-demand, spot or reserved"))
            })?;
            let amount = MicroUsdPerHour::parse(price).ok_or_else(|| {
                wrong(line, format!("usd_per_hour \"{price}\" is no price: write dollars such as 0.0416"))
            })?;
            let known = list.0.get(instance_type).and_then(|of_type| of_type.get(&(zone.to_owned(), capacity)));
            if let Some(known) = known.filter(|known| **known != amount) {
                let offering = format!("{instance_type}/{zone}/{capacity_type}");
                return Err(wrong(line, format!("{offering} costs {amount}, but an earlier line says {known}")));
            }
            list.set(instance_type, zone, capacity, amount);
        }
        Ok(list)
    }
}

/// Fields of a line; none of ours holds a comma, so quotes only wrap.
fn fields(line: &str) -> Vec<&str> {
    line.split(',').map(|field| field.trim().trim_matches('"')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        PriceList::parse_csv(text).unwrap_err().to_string()
    }

    #[test]
    fn a_price_for_the_zone_goes_before_one_for_every_zone() {
        let list = PriceList::parse_csv(
            "capacity_type,instance_type,zone,usd_per_hour\n# today\n\nspot,m5.large,,0.04\nspot,m5.large,a,\"0.0312\"\n",
        )
        .unwrap();
        let price = |zone, capacity_type| list.get("m5.large", zone, capacity_type).map(|p| p.0);
        assert_eq!(price("a", CapacityType::Spot), Some(31_200));
        assert_eq!(price("b", CapacityType::Spot), Some(40_000));
        assert_eq!(price("b", CapacityType::OnDemand), None);
        assert!(list.mentions("m5.large") && !list.mentions("c5.large"));
    }

    #[test]
    fn a_bad_line_is_named_with_its_fault() {
        let head = "instance_type,zone,capacity_type,usd_per_hour\n";
        assert!(error("").contains("line 1: expected the columns instance_type"));
        assert!(error("type,price\n").contains("expected the columns"));
        assert!(error(&format!("{head}m5.large,a,spot\n")).contains("line 2: 3 fields"));
        assert!(error(&format!("{head}\nm5.large,a,ondemand,1\n")).contains("line 3: capacity_type \"ondemand\""));
        assert!(error(&format!("{head}m5.large,a,spot,-1\n")).contains("usd_per_hour \"-1\" is no price"));
        assert!(error(&format!("{head},a,spot,1\n")).contains("instance_type is empty"));
        assert!(error(&format!("{head}m,a,spot,1\nm,a,spot,2\n")).contains("line 3: m/a/spot costs 2.0000, but"));
    }

    #[test]
    fn the_same_line_twice_counts_once() {
        let text = "instance_type,zone,capacity_type,usd_per_hour\nm,a,spot,1\nm,a,spot,1.0\n";
        assert_eq!(
            PriceList::parse_csv(text).unwrap().get("m", "a", CapacityType::Spot),
            Some(MicroUsdPerHour(1_000_000))
        );
    }
}
