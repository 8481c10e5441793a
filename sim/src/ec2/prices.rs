//! What spot costs and has cost.

use cloud::OfferingKey;
use jiff::Timestamp;
use planner::model::{CapacityType, MicroUsdPerHour};

use super::filter::{Filtered, Filters, Pages, Tags};
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::xml::Xml;
use crate::clock::{Micros, text_of};

pub const DESCRIBE: &[&str] = &[
    "AvailabilityZone",
    "StartTime",
    "EndTime",
    "InstanceType.#",
    "ProductDescription.#",
    "Filter.#.Name",
    "Filter.#.Value.#",
    "MaxResults",
    "NextToken",
    "DryRun",
];

/// The products whose price is that of Linux.
const LINUX: [&str; 2] = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"];
/// How far back prices are kept: ninety days.
const KEPT: Micros = 90 * 86_400 * 1_000_000;

static NO_TAGS: Tags = Tags::new();

/// A price since a moment.
struct Priced {
    instance_type: String,
    zone: String,
    at: Micros,
    price: MicroUsdPerHour,
}

impl Filtered for Priced {
    const FILTERS: &'static [&'static str] =
        &["instance-type", "availability-zone", "product-description", "spot-price", "timestamp"];
    const HAS_TAGS: bool = false;

    fn values(&self, filter: &str) -> Option<Vec<String>> {
        Some(vec![match filter {
            "instance-type" => self.instance_type.clone(),
            "availability-zone" => self.zone.clone(),
            "product-description" => LINUX[0].to_owned(),
            "spot-price" => dollars(self.price),
            "timestamp" => text_of(self.at.div_euclid(1_000_000)),
            _ => return None,
        }])
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

fn dollars(price: MicroUsdPerHour) -> String {
    format!("{}.{:06}", price.0 / 1_000_000, price.0 % 1_000_000)
}

fn moment(params: &Params, name: &str) -> Result<Option<Micros>, Refusal> {
    let Some(text) = params.text(name) else { return Ok(None) };
    let at = text.parse::<Timestamp>();
    at.map(|at| Some(at.as_microsecond()))
        .map_err(|_| Refusal::invalid_value(&format!("Invalid value '{text}' for {name}. It must be a moment in UTC.")))
}

/// `DescribeSpotPriceHistory`: for each pool the price that held at the start, and each one since; the newest first.
pub fn describe(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    let (types, zone) = (params.texts("InstanceType"), params.text("AvailabilityZone"));
    let products = params.texts("ProductDescription");
    let filters = Filters::read::<Priced>(params)?;
    let now = state.now();
    let end = moment(params, "EndTime")?.unwrap_or(now).min(now);
    let start = moment(params, "StartTime")?.unwrap_or(now - KEPT).min(end);
    let mut found = Vec::new();
    if products.is_empty() || products.iter().any(|product| LINUX.contains(product)) {
        for row in state.region.sold.iter().filter(|row| types.is_empty() || types.contains(&&*row.instance_type)) {
            let zones = row.zones.iter().filter_map(|at| state.land.zones.get(*at));
            for place in zones.filter(|place| zone.is_none_or(|zone| zone == place.name)) {
                let key = OfferingKey {
                    instance_type: row.instance_type.as_str().into(),
                    zone: place.name.as_str().into(),
                    capacity_type: CapacityType::Spot,
                    reservation: None,
                };
                for (at, price) in state.market.prices(&key, start, end) {
                    let (instance_type, zone) = (row.instance_type.clone(), place.name.clone());
                    // What has always held was set when the region opened.
                    let at = at.max(state.opened_at);
                    let priced = Priced { instance_type, zone, at, price };
                    if filters.matches(&priced)? {
                        found.push(priced);
                    }
                }
            }
        }
    }
    let pages = Pages { bounds: (1, 10_000), usual: 1000 };
    // The newest first: by what is left until the end of time.
    let key = |one: &Priced| format!("{} {} {:020}", one.instance_type, one.zone, Micros::MAX - one.at.max(0));
    let page = pages.cut(params, found, key)?;
    let mut xml = Xml::default();
    xml.list("spotPriceHistorySet", page.items, |xml, one| {
        xml.leaf("instanceType", one.instance_type);
        xml.leaf("productDescription", LINUX[0]);
        xml.leaf("spotPrice", dollars(one.price));
        xml.leaf("timestamp", text_of(one.at.div_euclid(1_000_000)));
        xml.leaf("availabilityZone", one.zone);
    });
    // EC2 ends this list with an empty token.
    xml.leaf("nextToken", page.next.unwrap_or_default());
    Ok(Answer(xml))
}
