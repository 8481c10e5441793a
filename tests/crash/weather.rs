//! The whole controller among faults that befall its requests by chance: refused, lost, late, and watches that break off.

use std::time::Duration;

use millwright::config::Config;
use serde_json::{Value, json};
use sim::invariants::{When, breaches};
use sim::kube::{DeleteOptions, Fault, Id, Key, Moment, Part};

use super::cluster::{Cluster, Setup, apart, claims};
use super::stage::{Draw, seeds};
use super::whole::{converge, is_at_rest};

/// How long each part may take, in virtual time.
const LIMIT: Duration = Duration::from_mins(30);
/// Of a thousand requests, so many go wrong.
const PER_MILLE: u64 = 150;
const N_APART: usize = 3;
const N_SMALL: usize = 4;
const N_STATIC: usize = 2;
/// Seeds of every run of the tests.
const N_USUAL: u64 = 20;

const SECOND: Duration = Duration::from_secs(1);
const FAULTS: [Fault; 14] = [
    Fault::LostBefore,
    Fault::LostAfter,
    Fault::LostAfter,
    Fault::Conflict,
    Fault::Expired,
    Fault::TooManyRequests(Some(1)),
    Fault::TooManyRequests(None),
    Fault::Internal,
    Fault::Unavailable,
    Fault::Delay(SECOND),
    Fault::Delay(Duration::from_secs(20)),
    Fault::WatchClosed(SECOND),
    Fault::WatchSilent(SECOND),
    Fault::WatchGap,
];

struct Run {
    cluster: Cluster,
    seed: u64,
    /// Claims of a static pool that there are to be.
    n_static: usize,
}

impl Run {
    fn new(seed: u64, draw: &mut Draw) -> Self {
        let kind = draw.below(6);
        let pool = match kind {
            0 => json!({ "template": { "spec": { "expireAfter": "10m", "terminationGracePeriod": "2m" } } }),
            1 => json!({ "limits": { "cpu": "40" } }),
            2 => json!({ "disruption": { "consolidateAfter": "0s" } }),
            _ => json!({}),
        };
        let mut config = Config::default();
        config.feature_gates.static_capacity = true;
        let cluster = Cluster::of(Setup { seed, pool, config, ..Setup::default() });
        let mut run = Self { cluster, seed, n_static: 0 };
        if kind == 3 {
            run.change(crds::Kind::KwokNodeClass, "default", |class| {
                class["spec"]["nodeRegistrationDelay"] = "20s".into();
            });
        }
        if kind == 4 {
            let general = run.cluster.direct.get(Id::of(crds::Kind::NodePool), &Key::cluster("general"));
            let mut pool = general.expect("it is there").value().clone();
            pool["metadata"] = json!({ "name": "static" });
            pool["spec"]["replicas"] = N_STATIC.into();
            run.cluster.direct.put(pool).expect("a valid pool");
            run.n_static = N_STATIC;
        }
        run.cluster.server.add_random_faults("millwright", seed, PER_MILLE, &FAULTS);
        run.cluster.direct.put(apart("apart", N_APART, "3", "4Gi")).expect("a valid deployment");
        run.cluster.deploy("small", N_SMALL, "100m", "100Mi");
        run
    }

    fn change(&self, kind: crds::Kind, name: &str, change: impl Fn(&mut Value)) {
        let changed = |old: &Value| {
            let mut new = old.clone();
            change(&mut new);
            new
        };
        self.cluster.direct.update(Id::of(kind), &Key::cluster(name), Part::Main, changed).expect("it is there");
    }

    /// Somebody deletes something.
    fn delete_one(&self, id: Id) {
        if let Some(object) = self.cluster.direct.list(id).first() {
            let options = DeleteOptions::from_value(&json!({})).expect("no options");
            drop(self.cluster.direct.delete(id, &object.key(), &options));
        }
    }

    fn close_down(&mut self) {
        for name in ["apart", "small"] {
            self.cluster.scale(name, 0);
        }
        if self.n_static > 0 {
            self.change(crds::Kind::NodePool, "static", |pool| {
                pool["spec"]["replicas"] = 0.into();
            });
            self.n_static = 0;
        }
    }

    fn n_static(&self) -> usize {
        let all = self.cluster.direct.list(claims());
        all.iter().filter(|claim| claim.label("karpenter.sh/nodepool") == Some("static")).count()
    }

    fn all_run(&self) -> bool {
        self.check();
        let all = self.cluster.direct.list(claims());
        self.cluster.n_running() == N_APART + N_SMALL
            && is_at_rest(&self.cluster)
            && all.iter().all(|claim| !claim.is_deleting())
            && self.n_static() == self.n_static
    }

    fn is_bare(&self) -> bool {
        self.check();
        self.cluster.count(claims()) + self.cluster.count(Id::NODE) == 0
    }

    fn check(&self) {
        let breaches = breaches(&self.cluster.server, When::Always);
        assert!(breaches.is_empty(), "{breaches:?}: {}", self.told());
    }

    fn told(&self) -> String {
        let log = self.cluster.server.log();
        let lines: Vec<&str> = log.lines().collect();
        let objects = [claims(), Id::NODE].into_iter().flat_map(|id| self.cluster.direct.list(id));
        let objects: Vec<String> = objects.map(|object| object.value().to_string()).collect();
        format!("seed {}\n{}\n{}", self.seed, objects.join("\n"), lines[lines.len().saturating_sub(80)..].join("\n"))
    }

    /// Lives, the first of which may be killed at a write.
    async fn until(&self, kill: Option<(u64, Moment)>, is_done: impl Fn(&Self) -> bool) {
        for kill in [kill, None].into_iter().skip(usize::from(kill.is_none())) {
            let session = self.cluster.server.session("millwright");
            if let Some((number, moment)) = kill {
                session.stop_at(number, moment);
            }
            let life = self.cluster.live(session);
            let is_over = tokio::select! {
                biased;
                () = life.session.stopped() => false,
                () = converge(&self.cluster, |_| is_done(self)) => true,
                () = tokio::time::sleep(LIMIT) => panic!("not converged in {LIMIT:?}: {}", self.told()),
            };
            life.kill();
            if is_over {
                break;
            }
        }
        let breaches = breaches(&self.cluster.server, When::AtRest);
        assert!(breaches.is_empty(), "{breaches:?}: {}", self.told());
    }
}

async fn go(seed: u64) {
    let mut draw = Draw::new(seed);
    let mut run = Run::new(seed, &mut draw);
    let kill = |draw: &mut Draw| {
        (draw.below(2) == 0).then(|| (draw.number(20), [Moment::Before, Moment::After][draw.below(2)]))
    };
    run.until(kill(&mut draw), Run::all_run).await;
    match draw.below(3) {
        0 => run.delete_one(Id::NODE),
        1 => run.delete_one(claims()),
        _ => run.delete_one(Id::POD),
    }
    run.until(kill(&mut draw), Run::all_run).await;
    run.close_down();
    run.until(kill(&mut draw), Run::is_bare).await;
}

#[tokio::test(start_paused = true)]
async fn in_any_weather_the_controller_gets_there_and_leaves_nothing() {
    let (first, n_seeds) = seeds(N_USUAL);
    for seed in first..first + n_seeds {
        go(seed).await;
    }
}
