//! The price list service: what machines of the region cost on demand.

use serde_json::{Value, json};

use super::super::refusal::Refusal;
use super::super::state::State;

/// Products of a page when nobody says.
const PAGE: usize = 100;

/// `GetProducts` of machines: shared ones, or bare metal, as the product family says.
pub fn get_products(state: &State, body: &Value) -> Result<Value, Refusal> {
    let filters = body["Filters"].as_array().cloned().unwrap_or_default();
    let wanted = |field: &str| {
        let found = filters.iter().find(|filter| filter["Field"] == field);
        found.and_then(|filter| filter["Value"].as_str()).map(str::to_owned)
    };
    if body["ServiceCode"] != "AmazonEC2" {
        return Err(Refusal::new("InvalidParameterException", "Only the service AmazonEC2 is simulated"));
    }
    let is_metal = match wanted("productFamily").as_deref() {
        Some("Compute Instance") => false,
        Some("Compute Instance (bare metal)") => true,
        other => {
            let message = format!("The product family {other:?} is not simulated");
            return Err(Refusal::new("InvalidParameterException", message));
        }
    };
    let region = &state.region;
    if wanted("regionCode").as_deref() != Some(&region.name) {
        return Ok(json!({ "FormatVersion": "aws_v1", "PriceList": [] }));
    }
    let after = body["NextToken"].as_str().unwrap_or_default();
    let most = body["MaxResults"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).min(PAGE);
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
