//! Rebuilds `cloud/data` from what the AWS command line prints, or takes it apart into text and packs it again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use cloud::catalog::PriceKind;
use cloud::generate::{GenerateError, Region, Tables, network_bandwidth, pack, products, simple_prices, vpc_limits};

/// Rebuilds the embedded EC2 catalogue. Begins with the tables in this program unless told otherwise, takes in the files
/// given, and writes types.tsv.gz and regions.tsv.gz. One region is taken in per run; cloud/data/README.md has the
/// commands. Exit code 0: written; 1: an input could not be read; 2: arguments.
#[derive(Parser)]
#[command(name = "catalog-generate", version)]
struct Arguments {
    /// Folder to write to.
    #[arg(long, default_value = "cloud/data")]
    out: PathBuf,
    /// Write text (types.tsv, regions.tsv) instead of gzip.
    #[arg(long)]
    text: bool,
    /// Begin with types.tsv and regions.tsv of this folder instead of this program's tables.
    #[arg(long, conflicts_with = "fresh")]
    from_text: Option<PathBuf>,
    /// Begin with empty tables.
    #[arg(long)]
    fresh: bool,
    /// JSON of `aws ec2 describe-instance-types`. Repeats.
    #[arg(long)]
    instance_types: Vec<PathBuf>,
    /// CSV `instance_type,baseline_megabits` (Mbit/s).
    #[arg(long)]
    network_bandwidth: Option<PathBuf>,
    /// CSV with the columns `instance_type,trunking,branch_enis`.
    #[arg(long)]
    vpc_limits: Option<PathBuf>,
    /// The region to replace, such as eu-west-1.
    #[arg(long, requires = "offerings")]
    region: Option<String>,
    /// JSON of `aws ec2 describe-instance-type-offerings --location-type availability-zone`.
    #[arg(long, requires = "region")]
    offerings: Option<PathBuf>,
    /// JSON of `aws pricing get-products`. Repeats.
    #[arg(long, requires = "region")]
    products: Vec<PathBuf>,
    /// CSV `instance_type,usd_per_hour`; goes before the JSON.
    #[arg(long, requires = "region")]
    prices: Option<PathBuf>,
    /// Whether the prices are AWS' own.
    #[arg(long, value_enum, default_value = "listed")]
    prices_are: Kind,
    /// Day of the price list, YYYY-MM-DD.
    #[arg(long, default_value = "-")]
    priced_on: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Listed,
    Estimated,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Content { path: PathBuf, source: GenerateError },
    #[error(transparent)]
    Generate(#[from] GenerateError),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("catalog-generate: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Fault> {
    let mut tables = match &arguments.from_text {
        Some(folder) => Tables::read(&read(&folder.join("types.tsv"))?, &read(&folder.join("regions.tsv"))?)?,
        None if arguments.fresh => Tables::default(),
        None => Tables::embedded()?,
    };
    for path in &arguments.instance_types {
        tables.add_instance_types(&read(path)?).map_err(in_file(path))?;
    }
    if let Some(path) = &arguments.network_bandwidth {
        tables.set_network_bandwidth(&network_bandwidth(&read(path)?).map_err(in_file(path))?);
    }
    if let Some(path) = &arguments.vpc_limits {
        tables.set_branch_enis(&vpc_limits(&read(path)?).map_err(in_file(path))?);
    }
    if let (Some(name), Some(path)) = (&arguments.region, &arguments.offerings) {
        let mut price_by_type = std::collections::BTreeMap::new();
        for path in &arguments.products {
            price_by_type.extend(products(name, &read(path)?).map_err(in_file(path))?);
        }
        if let Some(path) = &arguments.prices {
            price_by_type.extend(simple_prices(&read(path)?).map_err(in_file(path))?);
        }
        let prices = match arguments.prices_are {
            Kind::Listed => PriceKind::Listed,
            Kind::Estimated => PriceKind::Estimated,
        };
        let region = Region { name, prices, priced_on: &arguments.priced_on, price_by_type: &price_by_type };
        tables.set_region(&region, &read(path)?).map_err(in_file(path))?;
    }
    let (types, regions) = tables.write();
    for (name, text) in [("types.tsv", types), ("regions.tsv", regions)] {
        if arguments.text {
            write(&arguments.out.join(name), text.as_bytes())?;
        } else {
            write(&arguments.out.join(format!("{name}.gz")), &pack(&text)?)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Fault> {
    std::fs::read_to_string(path).map_err(|source| Fault::File { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    std::fs::write(path, bytes).map_err(|source| Fault::File { path: path.to_owned(), source })
}

fn in_file(path: &Path) -> impl FnOnce(GenerateError) -> Fault {
    let path = path.to_owned();
    move |source| Fault::Content { path, source }
}
