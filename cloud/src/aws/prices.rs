//! On-demand prices, asked of the price list service.
//!
//! <https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html>

use aws_sdk_pricing::types::{Filter, FilterType};
use planner::model::{CapacityType, MicroUsdPerHour};
use serde_json::Value;

use super::call::pages;
use super::client::Clients;
use super::fault::{Fault, Kind};
use crate::catalog::{PriceList, scaled};

/// Products of a page, the most there are.
const PAGE: i32 = 100;
/// Which machines are asked for: tenancy and product family. Bare metal is listed as dedicated.
const ASKED: [(&str, &str); 2] = [("Shared", "Compute Instance"), ("Dedicated", "Compute Instance (bare metal)")];

/// What Linux machines of the region cost on demand, in every zone.
///
/// # Errors
/// When the service cannot be asked, or lists nothing.
pub async fn on_demand(clients: &Clients) -> Result<PriceList, Fault> {
    const ACTION: &str = "pricing:GetProducts";
    let mut prices = PriceList::default();
    for (tenancy, family) in ASKED {
        let filters = [
            ("regionCode", clients.region()),
            ("serviceCode", "AmazonEC2"),
            ("preInstalledSw", "NA"),
            ("operatingSystem", "Linux"),
            ("capacitystatus", "Used"),
            ("marketoption", "OnDemand"),
            ("tenancy", tenancy),
            ("productFamily", family),
        ];
        let filters = filters
            .map(|(field, value)| Filter::builder().r#type(FilterType::TermMatch).field(field).value(value).build());
        let filters: Vec<Filter> = filters.into_iter().collect::<Result<_, _>>().map_err(|error| Fault {
            action: ACTION,
            kind: Kind::Refused,
            code: String::new(),
            message: error.to_string(),
        })?;
        let mut n_found = 0;
        let send = |token| {
            let call = clients.pricing.get_products().service_code("AmazonEC2").max_results(PAGE);
            call.set_filters(Some(filters.clone())).set_next_token(token).send()
        };
        pages(clients, ACTION, send, |page| {
            for (instance_type, price) in
                page.price_list().iter().filter_map(|product| read(product, currency(clients.region())))
            {
                n_found += 1;
                prices.set(&instance_type, "", CapacityType::OnDemand, price);
            }
            page.next_token
        })
        .await?;
        if n_found == 0 {
            let message = format!("no prices of {family} in {} are listed", clients.region());
            return Err(Fault { action: ACTION, kind: Kind::Unreachable, code: String::new(), message });
        }
    }
    Ok(prices)
}

/// In what a region's products are priced. Prices are only compared with each other, so that the unit does not matter.
fn currency(region: &str) -> &'static str {
    if region.starts_with("cn-") { "CNY" } else { "USD" }
}

/// Type and price of a product; nothing for one that costs nothing or is none.
fn read(product: &str, currency: &str) -> Option<(String, MicroUsdPerHour)> {
    let product: Value = serde_json::from_str(product).ok()?;
    let instance_type = product.pointer("/product/attributes/instanceType")?.as_str()?;
    let offers = product.pointer("/terms/OnDemand")?.as_object()?;
    let dimensions = offers.values().filter_map(|offer| offer.get("priceDimensions")?.as_object());
    let mut prices = dimensions.flat_map(|dimensions| dimensions.values()).filter_map(|dimension| {
        let amount = dimension.pointer("/pricePerUnit")?.get(currency)?.as_str()?;
        scaled(amount, 6).map(MicroUsdPerHour)
    });
    prices.find(|price| price.0 > 0).map(|price| (instance_type.to_owned(), price))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_has_a_type_and_a_price() {
        let product = |usd: &str| {
            format!(
                r#"{{ "product": {{ "attributes": {{ "instanceType": "m5.large" }} }},
                     "terms": {{ "OnDemand": {{ "A": {{ "priceDimensions": {{ "B": {{ "pricePerUnit": {{ "USD": "{usd}" }} }} }} }} }} }} }}"#
            )
        };
        assert_eq!(read(&product("0.0960000000"), "USD"), Some(("m5.large".into(), MicroUsdPerHour(96_000))));
        assert_eq!(read(&product("0.0000000000"), "USD"), None);
        assert_eq!(read("{}", "USD"), None);
        let in_china = product("0.5160000000").replace("USD", "CNY");
        assert_eq!(read(&in_china, currency("us-west-2")), None);
        assert_eq!(read(&in_china, currency("cn-north-1")), Some(("m5.large".into(), MicroUsdPerHour(516_000))));
    }
}
