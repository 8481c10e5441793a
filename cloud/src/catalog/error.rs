//! Why there is no catalogue: each variant names what was asked for and what would have been understood.

use planner::model::quantity::QuantityError;

/// What is wrong with the settings, or with a file they were read from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// A region the embedded catalogue does not have.
    #[error("region \"{region}\" is not in the embedded catalogue: use one of {}", known.join(", "))]
    Region { region: String, known: Vec<String> },
    /// A zone asked for by name that the region does not have.
    #[error("zone \"{zone}\" is not in region {region}: use one of {}", known.join(", "))]
    Zone { zone: String, region: String, known: Vec<String> },
    /// A reserved or evicted amount of the kubelet configuration.
    #[error("{field}: {source}")]
    Quantity { field: String, source: QuantityError },
    /// A threshold such as `5%` that is no share.
    #[error("{field}: \"{value}\" is no threshold: write a share from 0% to 100%, or a quantity such as 100Mi")]
    Threshold { field: String, value: String },
    /// A line of a price list.
    #[error("prices, line {line}: {reason}")]
    Price { line: usize, reason: String },
    /// A pattern of offerings that are out of capacity.
    #[error("\"{pattern}\" names no offerings: write TYPE/ZONE/CAPACITY_TYPE, each of them a name or a pattern with *")]
    Pattern { pattern: String },
    /// A file of instance types for kwok.
    #[error("instance types, {place}: {reason}")]
    InstanceTypes { place: String, reason: String },
    /// The tables in the binary; the tests read them all, so this is a broken build.
    #[error("embedded {table}, line {line}: {reason}")]
    Embedded { table: &'static str, line: usize, reason: String },
}
