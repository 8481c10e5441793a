//! What machines cost: what AWS told, under that what the binary knows, and over it what the operator says.

use cloud::aws::Facts;
use cloud::catalog::PriceList;
use planner::model::{CapacityType, MicroUsdPerHour};

/// Where prices come from.
#[derive(Debug)]
pub(super) struct Sources {
    /// What the price list service told; empty: the binary's prices count.
    pub on_demand: PriceList,
    /// None: nobody has told yet, and spot is taken to cost what on-demand does.
    pub spot: Option<PriceList>,
    /// What the operator says, before everything else.
    pub given: PriceList,
}

impl Sources {
    /// All that was told or given. What is not in it has the binary's price, if it has one.
    pub fn told(&self, facts: &Facts) -> PriceList {
        let mut prices = self.on_demand.clone();
        match &self.spot {
            Some(spot) => prices.lay_over(spot),
            None => as_on_demand(facts, &mut prices),
        }
        prices.lay_over(&self.given);
        prices
    }
}

/// What the binary takes a type to cost on demand.
pub(super) fn listed(facts: &Facts, instance_type: &str) -> Option<MicroUsdPerHour> {
    let sold = &facts.region.sold;
    let at = sold.binary_search_by(|sold| sold.instance_type.as_str().cmp(instance_type)).ok()?;
    sold[at].price
}

/// Sets prices of spot where none are known: what the type costs on demand, so that spot is bought from the start.
fn as_on_demand(facts: &Facts, prices: &mut PriceList) {
    for row in facts.types.iter().filter(|row| row.usage.iter().any(|usage| usage == "spot")) {
        let told = prices.get(&row.name, "", CapacityType::OnDemand);
        if let Some(price) = told.or_else(|| listed(facts, &row.name)) {
            prices.set(&row.name, "", CapacityType::Spot, price);
        }
    }
}
