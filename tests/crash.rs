//! Kills the controllers at every write, starts them anew, and looks whether anything was leaked, doubled or forgotten.
//!
//! The API server is the simulated one, the clock is tokio's and virtual, and the controllers are those of the product.
#![expect(clippy::expect_used, clippy::panic, reason = "a test program; its helpers may panic too")]

#[path = "whole/cluster.rs"]
mod cluster;
#[path = "crash/lives.rs"]
mod lives;
#[path = "crash/mishaps.rs"]
mod mishaps;
#[path = "crash/stage.rs"]
mod stage;
#[path = "crash/weather.rs"]
mod weather;
#[path = "crash/whole.rs"]
mod whole;

use sim::kube::Moment;
use stage::{Ended, Stage};

/// Seeds of every run of the tests.
const N_USUAL: u64 = 200;
/// Claims that live through each run.
const N_CLAIMS: usize = 3;

/// Claims become nodes, then the claims are deleted. Killed once in each half, at these writes.
async fn life_and_end(seed: u64, n_claims: usize, kills: &[(u64, Moment)], end_kills: &[(u64, Moment)]) -> (u64, u64) {
    let stage = Stage::new(seed);
    stage.claims(n_claims);
    let up = stage.until(kills, |stage| stage.n_initialized() == n_claims).await;
    stage.check_up(n_claims, kills);
    stage.delete_claims();
    let down = stage.until(end_kills, Stage::is_bare).await;
    stage.check_down(end_kills);
    (up, down)
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_single_write_the_controllers_converge_and_leak_nothing() {
    let (n_up, n_down) = life_and_end(1, N_CLAIMS, &[], &[]).await;
    assert!(n_up >= 6 * N_CLAIMS as u64 && n_down >= 4 * N_CLAIMS as u64, "writes: {n_up} up, {n_down} down");
    for number in 1..=n_up.max(n_down) {
        for moment in [Moment::Before, Moment::After] {
            life_and_end(1, N_CLAIMS, &[(number, moment)], &[(number, moment)]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killed_again_and_again_at_writes_drawn_by_chance_the_controllers_converge() {
    by_chance(0).await;
}

#[tokio::test(start_paused = true)]
async fn killed_again_and_again_with_odd_seeds_too() {
    by_chance(1).await;
}

/// Every second seed, so that two processors share them.
async fn by_chance(remainder: u64) {
    let (first, n_seeds) = stage::seeds(N_USUAL);
    for seed in (first..first + n_seeds).filter(|seed| seed % 2 == remainder) {
        let mut draw = stage::Draw::new(seed);
        let n_claims = [1, 2, 3, 4][draw.below(4)];
        let mut kills = || -> Vec<(u64, Moment)> {
            let n_kills = 1 + draw.below(5);
            let one = |draw: &mut stage::Draw| (draw.number(12), [Moment::Before, Moment::After][draw.below(2)]);
            (0..n_kills).map(|_| one(&mut draw)).collect()
        };
        let (up, down) = (kills(), kills());
        life_and_end(seed, n_claims, &up, &down).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_stay_empty_are_taken_away_whatever_is_killed() {
    let n_writes = emptied(&[]).await;
    assert!(n_writes > 0);
    for number in 1..=n_writes {
        emptied(&[(number, Moment::Before)]).await;
        emptied(&[(number, Moment::After)]).await;
    }
}

/// Two nodes without pods, from a pool that lets them go at once.
async fn emptied(kills: &[(u64, Moment)]) -> u64 {
    let stage = Stage::new(3);
    stage.claims(2);
    let calm = stage.until(&[], |stage| stage.n_initialized() == 2).await;
    assert!(calm > 0);
    stage.let_empty_nodes_go();
    let n_writes = stage.until(kills, Stage::is_bare).await;
    stage.check_down(kills);
    n_writes
}

#[tokio::test(start_paused = true)]
async fn a_node_deleted_by_hand_takes_its_claim_along() {
    let stage = Stage::new(4);
    stage.claims(2);
    stage.until(&[], |stage| stage.n_initialized() == 2).await;
    stage.delete_nodes();
    stage.until(&[(2, Moment::After)], Stage::is_bare).await;
    stage.check_down(&[]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_converge_is_told_apart_from_one_that_does() {
    let stage = Stage::new(5);
    let ended = stage.life(None, |stage| stage.n_initialized() == 1).await;
    assert_eq!(ended, Ended::Late, "there is no claim that could become a node");
}
