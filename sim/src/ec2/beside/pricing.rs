//! The price list service: what machines of the region cost on demand.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::refusal::Refusal;
use super::super::state::State;
use super::fields::Fields;

/// Products of a page when nobody says.
const PAGE: usize = 100;

/// What products can be told apart by, and the one value that has products here; none: looked at below.
const FIELDS: [(&str, Option<&str>); 8] = [
    ("regionCode", None),
    ("productFamily", None),
    ("tenancy", None),
    ("serviceCode", Some("AmazonEC2")),
    ("preInstalledSw", Some("NA")),
    ("operatingSystem", Some("Linux")),
    ("capacitystatus", Some("Used")),
    ("marketoption", Some("OnDemand")),
];

fn odd(message: &str) -> Refusal {
    Refusal::new("InvalidParameterException", message)
}

/// The filters of a call by field.
fn filters(fields: Fields<'_>) -> Result<BTreeMap<&str, &str>, Refusal> {
    let mut filters = BTreeMap::new();
    for filter in fields.list("Filters")? {
        let filter = Fields::of(filter, &["Type", "Field", "Value"])?;
        let (field, value) = (filter.required("Field")?, filter.required("Value")?);
        if filter.required("Type")? != "TERM_MATCH" {
            return Err(odd("Only filters of the type TERM_MATCH are simulated"));
        }
        match FIELDS.iter().find(|(known, _)| *known == field) {
            None => return Err(odd(&format!("The field {field} is not simulated"))),
            Some((_, Some(only))) if *only != value => {
                return Err(odd(&format!("Only products with the {field} {only} are simulated, not {value}")));
            }
            Some(_) => filters.insert(field, value),
        };
    }
    Ok(filters)
}

/// `GetProducts` of machines: shared ones, or bare metal, as the product family says.
pub fn get_products(state: &State, body: &Value) -> Result<Value, Refusal> {
    state.authorize_beside("pricing:GetProducts", "*".to_owned(), &[], None)?;
    let fields = Fields::of(body, &["ServiceCode", "Filters", "NextToken", "MaxResults"])?;
    let filters = filters(fields)?;
    let wanted = |field: &str| filters.get(field).copied();
    if fields.required("ServiceCode")? != "AmazonEC2" {
        return Err(odd("Only the service AmazonEC2 is simulated"));
    }
    let is_metal = match wanted("productFamily") {
        Some("Compute Instance") => false,
        Some("Compute Instance (bare metal)") => true,
        other => {
            return Err(odd(&format!("The product family {other:?} is not simulated")));
        }
    };
    let region = &state.region;
    if wanted("regionCode") != Some(&region.name) {
        return Ok(json!({ "FormatVersion": "aws_v1", "PriceList": [] }));
    }
    let after = fields.text("NextToken")?.unwrap_or_default();
    let most = fields.number("MaxResults", (1, 100))?.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE);
    let of_family = region.sold.iter().filter(|sold| sold.instance_type.contains(".metal") == is_metal);
    let mut rest = of_family.filter(|sold| sold.price.is_some() && sold.instance_type.as_str() > after);
    let page: Vec<_> = rest.by_ref().take(most).collect();
    let is_more = rest.next().is_some();
    let product = |instance_type: &str, micros: i64| {
        let usd = format!("{}.{:06}0000", micros / 1_000_000, micros % 1_000_000);
        json!({
            "product": { "productFamily": wanted("productFamily"),
                "attributes": { "instanceType": instance_type, "regionCode": region.name, "tenancy": wanted("tenancy") } },
            "terms": { "OnDemand": { "T": { "priceDimensions": { "D": { "unit": "Hrs", "pricePerUnit": { "USD": usd } } } } } },
        })
        .to_string()
    };
    let list: Vec<String> =
        page.iter().map(|sold| product(&sold.instance_type, sold.price.map_or(0, |price| price.0))).collect();
    let mut answer = json!({ "FormatVersion": "aws_v1", "PriceList": list });
    if let Some(last) = page.last().filter(|_| is_more) {
        answer["NextToken"] = json!(last.instance_type);
    }
    Ok(answer)
}
