//! Rebuilds the embedded tables from what the AWS command line prints. `cloud/data/README.md` has the commands.

mod describe;
mod products;
mod side_tables;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use planner::model::MicroUsdPerHour;

use crate::catalog::table::{self, RegionTable, SoldRow, TypeRow};
use crate::catalog::{PriceKind, packed_regions, packed_types, unpack};

pub use products::{products, simple_prices};
pub use side_tables::{network_bandwidth, vpc_limits};

/// Why the tables cannot be built from an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The text is not the JSON that the command prints.
    #[error("{what}: {reason}")]
    Json { what: &'static str, reason: String },
    /// A line of a table in text form.
    #[error("{what}, line {line}: {reason}")]
    Line { what: &'static str, line: usize, reason: String },
    /// Two inputs disagree.
    #[error("{instance_type} has two prices, {} and {}", .prices.0, .prices.1)]
    TwoPrices { instance_type: String, prices: (MicroUsdPerHour, MicroUsdPerHour) },
    /// Packing or unpacking.
    #[error("{0}")]
    Gzip(String),
}

/// Both tables, being rebuilt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    types: BTreeMap<String, TypeRow>,
    regions: BTreeMap<String, RegionTable>,
}

/// What is said of one region beside the zones its types are sold in.
#[derive(Clone, Debug)]
pub struct Region<'a> {
    pub name: &'a str,
    pub prices: PriceKind,
    /// `YYYY-MM-DD`.
    pub priced_on: &'a str,
    pub price_by_type: &'a BTreeMap<String, MicroUsdPerHour>,
}

impl Tables {
    /// The tables in this binary.
    ///
    /// # Errors
    /// Only when the build is broken.
    pub fn embedded() -> Result<Self, GenerateError> {
        let text = |gz| unpack(gz).map_err(|error| GenerateError::Gzip(error.to_string()));
        Self::read(&text(packed_types())?, &text(packed_regions())?)
    }

    /// From the text form that [`Self::write`] gives.
    ///
    /// # Errors
    /// Names the table and line.
    pub fn read(types: &str, regions: &str) -> Result<Self, GenerateError> {
        let line = |what| move |(line, reason)| GenerateError::Line { what, line, reason };
        let types = table::read_types(types).map_err(line("types.tsv"))?;
        let names = table::read_headings(regions).map_err(line("regions.tsv"))?;
        let mut by_name = BTreeMap::new();
        for RegionTable { name, .. } in names {
            let Some((first, part)) = table::find_region(regions, &name) else { continue };
            let read =
                table::read_region(part).map_err(|(at, reason)| line("regions.tsv")((first - 1 + at, reason)))?;
            by_name.insert(name, read);
        }
        Ok(Self { types: types.into_iter().map(|row| (row.name.clone(), row)).collect(), regions: by_name })
    }

    /// The text of `types.tsv` and of `regions.tsv`.
    pub fn write(&self) -> (String, String) {
        let types: Vec<_> = self.types.values().cloned().collect();
        let regions: Vec<_> = self.regions.values().cloned().collect();
        (write::write_types(&types), write::write_regions(&regions))
    }

    /// Takes in what `aws ec2 describe-instance-types` printed. Rows of the same name are replaced; what only the tables
    /// beside it know is kept. Types that no Linux or Windows node can run on are left out.
    ///
    /// # Errors
    /// When it is other JSON.
    pub fn add_instance_types(&mut self, json: &str) -> Result<(), GenerateError> {
        for mut row in describe::instance_types(json)? {
            if let Some(old) = self.types.get(&row.name) {
                (row.network_mbps, row.branch_enis) = (old.network_mbps, old.branch_enis);
            }
            self.types.insert(row.name.clone(), row);
        }
        Ok(())
    }

    /// Sets the baseline bandwidth, Mbit/s, of the types that there are.
    pub fn set_network_bandwidth(&mut self, mbps_by_type: &BTreeMap<String, i64>) {
        for (name, row) in &mut self.types {
            row.network_mbps = mbps_by_type.get(name).copied();
        }
    }

    /// Sets the branch interfaces of the types that there are.
    pub fn set_branch_enis(&mut self, enis_by_type: &BTreeMap<String, i64>) {
        for (name, row) in &mut self.types {
            row.branch_enis = enis_by_type.get(name).copied();
        }
    }

    /// Replaces a region by what `aws ec2 describe-instance-type-offerings --location-type availability-zone` printed
    /// there, and its prices. Types that the tables do not describe are left out.
    ///
    /// # Errors
    /// When it is other JSON.
    pub fn set_region(&mut self, region: &Region<'_>, offerings: &str) -> Result<(), GenerateError> {
        let mut zones_by_type = describe::offerings(offerings)?;
        zones_by_type.retain(|name, _| self.types.contains_key(name));
        let zones: BTreeSet<&String> = zones_by_type.values().flatten().collect();
        let zones: Vec<String> = zones.into_iter().cloned().collect();
        let sold = zones_by_type.iter().map(|(name, in_zones)| SoldRow {
            instance_type: name.clone(),
            zones: (0..zones.len()).filter(|at| in_zones.contains(&zones[*at])).collect(),
            price: region.price_by_type.get(name).copied(),
        });
        let table = RegionTable {
            name: region.name.to_owned(),
            prices: region.prices,
            priced_on: region.priced_on.to_owned(),
            sold: sold.collect(),
            zones,
        };
        self.regions.insert(table.name.clone(), table);
        Ok(())
    }
}

/// The gzip file of a table: no name and no time in it, so equal text gives equal bytes.
///
/// # Errors
/// Never, in memory.
pub fn pack(text: &str) -> Result<Vec<u8>, GenerateError> {
    let fault = |error: std::io::Error| GenerateError::Gzip(error.to_string());
    // 255 is "unknown", so that the machine it is made on does not show.
    let builder = flate2::GzBuilder::new().mtime(0).operating_system(255);
    let mut encoder = builder.write(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).map_err(fault)?;
    encoder.finish().map_err(fault)
}

#[cfg(test)]
mod tests;
