//! The tables in the binary: unpacked once, a region read when it is asked for.

use std::io::Read as _;
use std::sync::OnceLock;

use super::table::{self, RegionTable, TypeRow};
use super::{CatalogError, PriceKind};

static TYPES_GZ: &[u8] = include_bytes!("../../data/types.tsv.gz");
static REGIONS_GZ: &[u8] = include_bytes!("../../data/regions.tsv.gz");

/// `types.tsv`, as committed.
#[cfg(any(test, feature = "generate"))]
pub(crate) fn packed_types() -> &'static [u8] {
    TYPES_GZ
}

/// `regions.tsv`, as committed.
#[cfg(any(test, feature = "generate"))]
pub(crate) fn packed_regions() -> &'static [u8] {
    REGIONS_GZ
}

/// A gzip file's text.
///
/// # Errors
/// When it is no gzip, or not UTF-8.
pub(crate) fn unpack(gz: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(gz).read_to_string(&mut text)?;
    Ok(text)
}

/// Every instance type of the binary's tables, by name.
///
/// # Errors
/// Only when the build is broken.
pub fn types() -> Result<&'static [TypeRow], CatalogError> {
    static TYPES: OnceLock<Result<Vec<TypeRow>, CatalogError>> = OnceLock::new();
    let read = || {
        let text = unpack(TYPES_GZ).map_err(|error| fault("types.tsv", (0, error.to_string())))?;
        table::read_types(&text).map_err(|error| fault("types.tsv", error))
    };
    TYPES.get_or_init(read).as_deref().map_err(Clone::clone)
}

/// What `region` sells, by the binary's tables.
///
/// # Errors
/// When the region is not in them.
pub fn region(region: &str) -> Result<RegionTable, CatalogError> {
    let text = regions_text()?;
    let Some((first, part)) = table::find_region(text, region) else {
        let known = regions()?.into_iter().map(|region| region.name).collect();
        return Err(CatalogError::Region { region: region.into(), known });
    };
    table::read_region(part).map_err(|(line, reason)| fault("regions.tsv", (first - 1 + line, reason)))
}

/// A region of the embedded catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionFacts {
    pub name: String,
    /// Sorted.
    pub zones: Vec<String>,
    /// Whether its prices are AWS' own.
    pub prices: PriceKind,
    /// Day of the price list behind them, `YYYY-MM-DD`.
    pub priced_on: String,
}

/// The regions that [`super::ec2`] knows, sorted by name.
///
/// # Errors
/// Only when the build is broken.
pub fn regions() -> Result<Vec<RegionFacts>, CatalogError> {
    let headings = table::read_headings(regions_text()?).map_err(|error| fault("regions.tsv", error))?;
    let facts = headings.into_iter().map(|h| RegionFacts {
        name: h.name,
        zones: h.zones,
        prices: h.prices,
        priced_on: h.priced_on,
    });
    Ok(facts.collect())
}

fn regions_text() -> Result<&'static str, CatalogError> {
    static REGIONS: OnceLock<Result<String, CatalogError>> = OnceLock::new();
    let read = || unpack(REGIONS_GZ).map_err(|error| fault("regions.tsv", (0, error.to_string())));
    REGIONS.get_or_init(read).as_deref().map_err(Clone::clone)
}

fn fault(table: &'static str, (line, reason): (usize, String)) -> CatalogError {
    CatalogError::Embedded { table, line, reason }
}
