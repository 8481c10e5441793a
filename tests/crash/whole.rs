//! The whole controller is killed: while it buys machines for pods that wait, and while it takes them away again.

use std::time::Duration;

use serde_json::Value;
use sim::invariants::{When, breaches};
use sim::kube::{Id, Moment};

use super::cluster::{Cluster, apart, claims};
use super::stage::{Draw, seeds};

/// How long one life may take, in virtual time.
const LIMIT: Duration = Duration::from_mins(15);
/// So old is what a new process sees first, in writes, and so long.
const LAG: (u64, Duration) = (12, Duration::from_secs(3));
/// Pods that tolerate no other of theirs on their host, so that a machine more than these was bought twice.
const N_APART: usize = 3;
/// Seeds of every run of the tests: a fifth of those of claims alone, since one takes five times as long.
const N_USUAL: u64 = 40;
/// Pods with room enough on those machines.
const N_SMALL: usize = 4;

type Kill = (u64, Moment);

struct Run {
    cluster: Cluster,
    seed: u64,
    /// Writes of all lives since this was last asked.
    n_writes: u64,
}

impl Run {
    /// Pods come, get machines, and go; the controller is killed at these of its writes, in each half. Gives the writes of
    /// each half.
    async fn go(seed: u64, up: &[Kill], down: &[Kill]) -> (u64, u64) {
        let cluster = Cluster::new(seed);
        cluster.server.set_lag(LAG.0, LAG.1);
        cluster.direct.put(apart("apart", N_APART, "3", "4Gi")).expect("a valid deployment");
        cluster.deploy("small", N_SMALL, "100m", "100Mi");
        let mut run = Self { cluster, seed, n_writes: 0 };
        let n_up = run.until(up, |cluster| cluster.n_running() == N_APART + N_SMALL && is_at_rest(cluster)).await;
        let n_machines = (run.cluster.count(claims()), run.cluster.count(Id::NODE));
        assert_eq!(n_machines, (N_APART, N_APART), "claims and nodes after {}", run.told(up));
        for name in ["apart", "small"] {
            run.cluster.scale(name, 0);
        }
        let is_bare = |cluster: &Cluster| cluster.count(claims()) + cluster.count(Id::NODE) == 0;
        let n_down = run.until(down, is_bare).await;
        (n_up, n_down)
    }

    /// Lives, all but the last of which are killed.
    async fn until(&mut self, kills: &[Kill], is_done: impl Fn(&Cluster) -> bool) -> u64 {
        self.n_writes = 0;
        for kill in kills {
            if self.life(Some(*kill), &is_done).await {
                return self.n_writes;
            }
        }
        let is_done = self.life(None, &is_done).await;
        assert!(is_done, "not converged in {LIMIT:?}: {}", self.told(kills));
        let breaches = breaches(&self.cluster.server, When::AtRest);
        assert!(breaches.is_empty(), "{breaches:?}: {}", self.told(kills));
        self.n_writes
    }

    /// One life. Did it get there before it was killed or too late?
    async fn life(&mut self, kill: Option<Kill>, is_done: impl Fn(&Cluster) -> bool) -> bool {
        let session = self.cluster.server.session("millwright");
        if let Some((number, moment)) = kill {
            session.stop_at(number, moment);
        }
        let life = self.cluster.live(session);
        let is_done = tokio::select! {
            biased;
            () = life.session.stopped() => false,
            () = converge(&self.cluster, is_done) => true,
            () = tokio::time::sleep(LIMIT) => false,
        };
        life.kill();
        self.n_writes += life.session.n_writes();
        is_done
    }

    fn told(&self, kills: &[Kill]) -> String {
        let log = self.cluster.server.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(60)..].join("\n");
        format!("seed {}, kills {kills:?}\n{last}", self.seed)
    }
}

/// Nothing is under way.
pub fn is_at_rest(cluster: &Cluster) -> bool {
    cluster.direct.list(claims()).iter().all(|claim| claim.is_condition_true("Initialized"))
        && cluster
            .direct
            .list(Id::NODE)
            .iter()
            .all(|node| !node.is_deleting() && node.at("/spec/taints").is_none_or(is_empty))
}

fn is_empty(taints: &Value) -> bool {
    taints.as_array().is_some_and(Vec::is_empty)
}

pub async fn converge(cluster: &Cluster, is_done: impl Fn(&Cluster) -> bool) {
    while !is_done(cluster) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_single_write_the_controller_buys_nothing_twice_and_leaves_nothing() {
    let (n_up, n_down) = Run::go(1, &[], &[]).await;
    assert!(n_up >= 6 * N_APART as u64 && n_down >= 4 * N_APART as u64, "writes: {n_up} up, {n_down} down");
    for number in 1..=n_up.max(n_down) {
        for moment in [Moment::Before, Moment::After] {
            Run::go(1, &[(number, moment)], &[(number, moment)]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killed_again_and_again_the_controller_buys_nothing_twice_and_leaves_nothing() {
    by_chance(0).await;
}

#[tokio::test(start_paused = true)]
async fn killed_again_and_again_with_odd_seeds_the_controller_converges_too() {
    by_chance(1).await;
}

/// Every second seed, so that two processors share them.
async fn by_chance(remainder: u64) {
    let (first, n_seeds) = seeds(N_USUAL);
    for seed in (first..first + n_seeds).filter(|seed| seed % 2 == remainder) {
        let mut draw = Draw::new(seed);
        let mut kills = || -> Vec<Kill> {
            let n_kills = 1 + draw.below(4);
            let one = |draw: &mut Draw| (draw.number(16), [Moment::Before, Moment::After][draw.below(2)]);
            (0..n_kills).map(|_| one(&mut draw)).collect()
        };
        let (up, down) = (kills(), kills());
        Run::go(seed, &up, &down).await;
    }
}
