//! Reads on-demand prices: the output of `aws pricing get-products`, or a plain list.
//! <https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html>

use std::collections::BTreeMap;

use planner::model::MicroUsdPerHour;
use serde::Deserialize;

use super::GenerateError;
use crate::catalog::scaled;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PriceList {
    /// Each a JSON document of its own, in text.
    price_list: Vec<String>,
}

#[derive(Deserialize)]
struct Entry {
    product: Product,
    terms: Terms,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    #[serde(default)]
    product_family: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Terms {
    #[serde(rename = "OnDemand", default)]
    on_demand: BTreeMap<String, Offer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    price_dimensions: BTreeMap<String, Dimension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dimension {
    price_per_unit: BTreeMap<String, String>,
}

/// Linux on-demand prices of `region` by instance type. What the region, operating system, tenancy or software rules out
/// is passed over, so one file may hold more; so are prices of zero.
///
/// # Errors
/// When it is other JSON, or has two prices for a type.
pub fn products(region: &str, json: &str) -> Result<BTreeMap<String, MicroUsdPerHour>, GenerateError> {
    let fault = |error: serde_json::Error| GenerateError::Json { what: "get-products", reason: error.to_string() };
    let list: PriceList = serde_json::from_str(json).map_err(fault)?;
    let mut price_by_type = BTreeMap::new();
    for entry in &list.price_list {
        let entry: Entry = serde_json::from_str(entry).map_err(fault)?;
        let Some(instance_type) = linux_on_demand(region, &entry.product) else { continue };
        let dimensions = entry.terms.on_demand.values().flat_map(|offer| offer.price_dimensions.values());
        for usd in dimensions.filter_map(|dimension| dimension.price_per_unit.get("USD")) {
            let price = scaled(usd, 6).map(MicroUsdPerHour).ok_or_else(|| GenerateError::Json {
                what: "get-products",
                reason: format!("{instance_type} costs \"{usd}\""),
            })?;
            insert(&mut price_by_type, instance_type, price)?;
        }
    }
    Ok(price_by_type)
}

/// The instance type of a product that a shared (or, on bare metal, a whole) Linux machine is.
fn linux_on_demand<'a>(region: &str, product: &'a Product) -> Option<&'a str> {
    let is = |name: &str, want: &str| product.attributes.get(name).is_none_or(|have| have == want);
    let is_machine = match product.product_family.as_str() {
        "Compute Instance" => is("tenancy", "Shared"),
        "Compute Instance (bare metal)" => is("tenancy", "Dedicated") || is("tenancy", "Shared"),
        _ => false,
    };
    let is_plain = is("regionCode", region)
        && is("operatingSystem", "Linux")
        && is("preInstalledSw", "NA")
        && is("capacitystatus", "Used")
        && is("marketoption", "OnDemand");
    if is_machine && is_plain { product.attributes.get("instanceType").map(String::as_str) } else { None }
}

/// Prices from CSV with the columns `instance_type,usd_per_hour`.
///
/// # Errors
/// Names the line.
pub fn simple_prices(csv: &str) -> Result<BTreeMap<String, MicroUsdPerHour>, GenerateError> {
    let mut price_by_type = BTreeMap::new();
    for (line, row) in csv.lines().enumerate().skip(1).filter(|(_, row)| !row.trim().is_empty()) {
        let wrong = || GenerateError::Line { what: "prices", line: line + 1, reason: format!("\"{row}\"") };
        let (instance_type, usd) = row.split_once(',').ok_or_else(wrong)?;
        let price = scaled(usd, 6).ok_or_else(wrong)?;
        insert(&mut price_by_type, instance_type.trim(), MicroUsdPerHour(price))?;
    }
    Ok(price_by_type)
}

fn insert(
    price_by_type: &mut BTreeMap<String, MicroUsdPerHour>,
    instance_type: &str,
    price: MicroUsdPerHour,
) -> Result<(), GenerateError> {
    if price.0 == 0 {
        return Ok(());
    }
    match price_by_type.insert(instance_type.to_owned(), price) {
        Some(old) if old != price => {
            Err(GenerateError::TwoPrices { instance_type: instance_type.to_owned(), prices: (old, price) })
        }
        _ => Ok(()),
    }
}
