//! Capacity that was reserved: who gets in, until when, and what EC2 tells of it.

use std::time::Duration;

use sim::ec2::{Ec2, Reservation, What};
use tokio::time::advance;

use super::wire::{ec2, fleet, ok, refused, template, template_with, texts};

/// Three `m5.large` reserved in the first zone, changed as wanted.
fn reserve(ec2: &Ec2, change: impl FnOnce(&mut Reservation, i64)) {
    ec2.locked(|state| {
        let mut reservation = Reservation::new("cr-1", "m5.large", state.land.zones[0].clone(), 3);
        change(&mut reservation, state.seconds());
        state.reserve(reservation);
    });
}

/// A fleet of one machine from the template `millwright/NAME`.
fn one(name: &str, lifecycle: &str) -> String {
    fleet(1, lifecycle, &["m5.large/a"]).replace("millwright/one", &format!("millwright/{name}"))
}

const TARGETED: &str = "&LaunchTemplateData.CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId=cr-1\
    &LaunchTemplateData.CapacityReservationSpecification.CapacityReservationPreference=capacity-reservations-only";

fn left(ec2: &Ec2) -> u32 {
    ec2.locked(|state| state.room_in(&state.reservations["cr-1"]))
}

#[tokio::test(start_paused = true)]
async fn a_targeted_reservation_lets_in_who_names_it_until_it_is_full_and_tells_what_is_left() {
    let ec2 = ec2(|_| {});
    reserve(&ec2, |_, _| {});
    template(&ec2).await;
    template_with(&ec2, "targeted", TARGETED).await;
    ok(&ec2, &one("one", "on-demand")).await;
    assert_eq!(left(&ec2), 3, "who names none stays out");
    let answer =
        ok(&ec2, &one("targeted", "on-demand").replace("TotalTargetCapacity=1", "TotalTargetCapacity=4")).await;
    assert_eq!(texts(&answer, "errorCode"), ["ReservationCapacityExceeded"]);
    let told = ok(&ec2, "Action=DescribeCapacityReservations&Filter.1.Name=state&Filter.1.Value.1=active").await;
    let figures = ["totalInstanceCount", "availableInstanceCount", "endDateType"].map(|name| texts(&told, name)[0]);
    assert_eq!(figures, ["3", "0", "unlimited"]);
    let unknown = "Action=DescribeCapacityReservations&CapacityReservationId.1=cr-9";
    assert_eq!(refused(&ec2, unknown).await.1, "InvalidCapacityReservationId.NotFound");
}

#[tokio::test(start_paused = true)]
async fn an_open_reservation_takes_whoever_fits_and_does_not_refuse_it() {
    let ec2 = ec2(|_| {});
    reserve(&ec2, |one, _| one.criteria = "open".into());
    template(&ec2).await;
    let specified = "&LaunchTemplateData.CapacityReservationSpecification.CapacityReservationPreference=";
    template_with(&ec2, "none", &format!("{specified}none")).await;
    template_with(&ec2, "only", &format!("{specified}capacity-reservations-only")).await;
    for (template, room) in [("none", 3), ("one", 2), ("only", 1), ("one", 0), ("one", 0)] {
        ok(&ec2, &one(template, "on-demand")).await;
        assert_eq!(left(&ec2), room, "{template}");
    }
    let answer = ok(&ec2, &one("only", "on-demand")).await;
    assert_eq!(texts(&answer, "errorCode"), ["ReservationCapacityExceeded"]);
    ok(&ec2, &one("one", "spot")).await;
    advance(Duration::from_secs(1)).await;
    let within = "Action=DescribeInstances&Filter.1.Name=capacity-reservation-id&Filter.1.Value.1=cr-1";
    assert_eq!(texts(&ok(&ec2, within).await, "capacityReservationId").len(), 3);
    assert_eq!(ec2.machines().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_has_not_begun_or_is_over_sells_nothing_and_its_machines_go_on_on_demand() {
    let ec2 = ec2(|_| {});
    reserve(&ec2, |one, now| (one.starts_at, one.ends_at) = (Some(now + 60), Some(now + 3600)));
    template_with(&ec2, "targeted", TARGETED).await;
    let order = one("targeted", "on-demand");
    let state = async |ec2: &Ec2| {
        let told = ok(ec2, "Action=DescribeCapacityReservations").await;
        let answer = ok(ec2, &order).await;
        let error = texts(&answer, "errorCode").first().map(|code| (*code).to_owned()).unwrap_or_default();
        (texts(&told, "state")[0].to_owned(), texts(&told, "availableInstanceCount")[0].to_owned(), error)
    };
    let is = |state: &str, room: &str, error: &str| (state.to_owned(), room.to_owned(), error.to_owned());
    assert_eq!(state(&ec2).await, is("scheduled", "0", "InvalidCapacityReservationState"));
    advance(Duration::from_mins(1)).await;
    assert_eq!(state(&ec2).await, is("active", "3", ""));
    advance(Duration::from_hours(1)).await;
    assert_eq!(state(&ec2).await, is("expired", "0", "InvalidCapacityReservationState"));
    let machines = ec2.machines();
    assert_eq!((machines.len(), machines[0].key.reservation.clone()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_capacity_block_lets_in_its_own_market_only_and_ends_its_machines_half_an_hour_before_its_end() {
    let ec2 = ec2(|_| {});
    reserve(&ec2, |one, now| (one.kind, one.ends_at) = ("capacity-block".into(), Some(now + 7200)));
    template_with(&ec2, "targeted", TARGETED).await;
    let market = "&LaunchTemplateData.InstanceMarketOptions.MarketType=capacity-block";
    template_with(&ec2, "block", &format!("{TARGETED}{market}")).await;
    let answer = ok(&ec2, &one("targeted", "on-demand")).await;
    assert_eq!(texts(&answer, "errorCode"), ["InvalidParameterCombination"]);
    assert_eq!(refused(&ec2, &one("block", "on-demand")).await.1, "InvalidFleetConfig");
    ok(&ec2, &one("block", "capacity-block")).await;
    advance(Duration::from_secs(1)).await;
    let found = "Action=DescribeInstances&Filter.1.Name=instance-lifecycle&Filter.1.Value.1=capacity-block";
    assert_eq!(texts(&ok(&ec2, found).await, "instanceLifecycle"), ["capacity-block"]);
    advance(Duration::from_hours(3)).await;
    let began = ec2.locked(|state| state.opened_at);
    let told: Vec<(i64, What)> =
        ec2.locked(|state| state.news.take()).into_iter().map(|one| (one.at, one.what)).collect();
    let minutes = |n: i64| began + n * 60_000_000;
    // Told hours late, and dated as they were.
    assert!(told.contains(&(minutes(80), What::BlockEnds { at: minutes(120) })), "{told:?}");
    assert!(told.contains(&(minutes(90), What::State("shutting-down"))), "{told:?}");
    assert!(ec2.machines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_an_interruptible_reservation_lends_is_taken_back_with_two_minutes_notice() {
    let ec2 = ec2(|_| {});
    reserve(&ec2, |one, _| one.interruptible = true);
    let kind = "interruptible-capacity-reservation";
    let market = format!("{TARGETED}&LaunchTemplateData.InstanceMarketOptions.MarketType={kind}");
    template_with(&ec2, "lent", &market).await;
    let order = one("lent", "reserved-capacity");
    assert_eq!(refused(&ec2, &order).await.1, "InvalidFleetConfig", "the fleet has to say so");
    ok(&ec2, &format!("{order}&ReservedCapacityOptions.ReservationType.1={kind}")).await;
    assert_eq!(ec2.locked(|state| state.reclaim("cr-1")).len(), 1);
    let is_warning = |what: &What| matches!(what, What::ReservationWarning { .. });
    assert!(ec2.locked(|state| state.news.take()).iter().any(|piece| is_warning(&piece.what)));
    advance(Duration::from_secs(119)).await;
    assert_eq!(ec2.machines().len(), 1);
    advance(Duration::from_secs(2)).await;
    assert!(ec2.machines().is_empty());
}
