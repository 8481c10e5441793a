//! Why a pool can sell nothing now, whoever asks: its own terms, its reservations, its stock.

use std::collections::BTreeSet;

use fixedbitset::FixedBitSet as Bits;

use super::shelf::Shelf;
use crate::model::{Code, Pool, Reason, Requirements};

/// A pool whose own terms exclude each other on some key: it can sell nothing to anybody.
pub(super) fn own_conflict(pool: &Pool) -> Option<Reason> {
    let mut all = pool.requirements.clone();
    all.add_all(&Requirements::of_labels(&pool.labels));
    let crossed = all.iter().find(|r| r.is_contradiction())?;
    let (key, name) = (&crossed.key, &pool.name);
    let label = pool.labels.get(key).map(|value| format!(" beside its label {key}={value}")).unwrap_or_default();
    Some(Reason {
        pool: name.clone(),
        code: Code::RequirementConflict,
        message: format!(
            "the requirements of NodePool {name} on {key} exclude each other{label}: no node has such a value"
        ),
        nearest_miss: Some(format!("one value of {key} that all requirements of NodePool {name} allow")),
    })
}

/// Reservations without a machine left, of which there were so many.
pub(super) fn reservations_held(pool: &str, ids: &[&str], counts: &[u32]) -> Reason {
    let one = |(id, count): (&&str, &u32)| match count {
        0 => format!("reservation {id} has no machine left"),
        1 => format!("the 1 machine left in reservation {id} is taken by this plan"),
        n => format!("the {n} machines left in reservation {id} are taken by this plan"),
    };
    let said: Vec<String> = ids.iter().zip(counts).map(one).collect();
    let message = format!("what NodePool {pool} could buy is reserved capacity, and {}", said.join("; "));
    let miss = format!("capacity type on-demand allowed, or a larger reservation {}", ids.join(" or "));
    Reason { pool: pool.into(), code: Code::ReservedCapacityHeld, message, nearest_miss: Some(miss) }
}

/// Choices that draw on reservations, all of them with nothing left.
pub(super) fn used_up(goods: &Shelf, choices: &Bits) -> Option<Reason> {
    let drawn: Option<BTreeSet<&str>> = choices
        .ones()
        .map(|choice| {
            let reservation = goods.offering(choice).reservation.as_ref()?;
            (goods.offering(choice).available && reservation.count == 0).then_some(&*reservation.id)
        })
        .collect();
    let ids: Vec<&str> = drawn?.into_iter().collect();
    (!ids.is_empty()).then(|| reservations_held(&goods.pool.name, &ids, &vec![0; ids.len()]))
}

/// None of the choices can be had now. `would`: what they would do, if anybody asks.
pub(super) fn out_of_stock(goods: &Shelf, choices: &Bits, would: &str) -> Reason {
    let pool = &goods.pool.name;
    let reason = |code, message, miss| Reason { pool: pool.clone(), code, message, nearest_miss: Some(miss) };
    let (offerings, are) = match choices.count_ones(..) {
        1 => (format!("1 offering of NodePool {pool}{would}"), "it is"),
        n => (format!("{n} offerings of NodePool {pool}{would}"), "all are"),
    };
    let without_addresses = choices.ones().map(|at| goods.offering(at)).filter(|sold| sold.no_addresses);
    let zones: BTreeSet<&str> = without_addresses.map(|sold| &*sold.zone).collect();
    if let Some(zone) = zones.first() {
        let all = zones.iter().copied().collect::<Vec<_>>().join(", ");
        let message = format!("{offerings}, and no subnet of its class in {all} has addresses left");
        return reason(Code::SubnetAddressesExhausted, message, format!("a subnet with free addresses in {zone}"));
    }
    let message = format!("{offerings}, and {are} out of capacity now");
    let first = choices.minimum().unwrap_or(0);
    let (name, sold) = (&goods.instance_type(first).name, goods.offering(first));
    let miss = format!("capacity for {name} in {} ({})", sold.zone, sold.capacity_type.as_str());
    reason(Code::OfferingUnavailable, message, miss)
}
