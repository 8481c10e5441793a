//! `verify` finds every fault that is put into a legal solution.

use std::collections::BTreeMap;

use solver::{
    BinKind, BinRef, BitSet, Cancel, Cap, Conflict, Effort, Fault, Item, ItemIdx, KindIdx, Options, Problem, Solution,
    Spread, StartedBin, StartedIdx, solve, verify,
};

fn item(needs: [i64; 2], count: u32, per_bin_max: Option<u32>) -> Item {
    Item {
        needs: needs.to_vec(),
        count,
        allowed: BitSet::of(4, [0, 1, 2]),
        allowed_started: BitSet::full(1),
        per_bin_max,
    }
}

fn kind(holds: [i64; 2], cost: i64, zone: u32) -> BinKind {
    BinKind { holds: holds.to_vec(), cost, available: Some(6), domains: vec![zone], group: 0 }
}

fn example() -> (Problem, Solution) {
    let problem = Problem {
        dims: 2,
        items: vec![item([3, 1], 7, None), item([2, 2], 6, Some(2)), item([1, 1], 4, None)],
        kinds: vec![kind([8, 8], 80, 0), kind([8, 8], 81, 1), kind([4, 4], 45, 0), kind([90, 90], 10, 1)],
        started: vec![StartedBin { room: vec![2, 2], domains: vec![0], ..StartedBin::default() }],
        conflicts: vec![Conflict { a: ItemIdx(0), b: ItemIdx(2) }],
        spreads: vec![Spread {
            items: vec![ItemIdx(1)],
            key: 0,
            max_skew: 1,
            min_domains: 0,
            counts: BTreeMap::from([(0, 0), (1, 0)]),
        }],
        caps: vec![Cap { kinds: BitSet::full(4), weights: vec![8, 8, 4, 90], limit: 80 }],
        options: Options::default(),
    };
    let solution = solve(&problem, Effort::DEFAULT, &Cancel::new());
    assert_eq!(verify(&problem, &solution), vec![]);
    assert_eq!(solution.n_unpacked(), 0);
    (problem, solution)
}

/// A name, and what it does to a legal pair.
type Seed = (&'static str, fn(&mut Problem, &mut Solution), fn(&Fault) -> bool);

#[test]
fn every_seeded_fault_is_found() {
    let seeds: Vec<Seed> = vec![
        ("a bin vanishes", |_, s| drop(s.bins.remove(0)), |f| matches!(f, Fault::Count { .. })),
        ("a bin is doubled", |_, s| s.bins.push(s.bins[0].clone()), |f| matches!(f, Fault::Count { .. })),
        ("one thing too many", |_, s| s.bins[0].contents[0].1 += 1, |f| matches!(f, Fault::Count { .. })),
        ("a bin overflows", |p, _| p.items[0].needs[0] = 9, |f| matches!(f, Fault::Overfull { dim: 0, .. })),
        ("the second dimension overflows", |p, _| p.items[1].needs[1] = 99, |f| matches!(f, Fault::Overfull { .. })),
        (
            "a kind is not allowed",
            |p, _| p.items[0].allowed = BitSet::new(4),
            |f| matches!(f, Fault::NotAllowed { .. }),
        ),
        ("an unknown kind", |_, s| s.bins[0].kind = BinRef::New(KindIdx(77)), |f| matches!(f, Fault::Unknown { .. })),
        ("an unknown item", |_, s| s.bins[0].contents[0].0 = ItemIdx(9), |f| matches!(f, Fault::Unknown { .. })),
        (
            "an unknown started bin",
            |_, s| s.bins[0].kind = BinRef::Started(StartedIdx(5)),
            |f| matches!(f, Fault::Unknown { .. }),
        ),
        ("an empty bin", |_, s| s.bins[0].contents.clear(), |f| matches!(f, Fault::Contents { .. })),
        ("an item listed with none", |_, s| s.bins[0].contents[0].1 = 0, |f| matches!(f, Fault::Contents { .. })),
        (
            "an item listed twice",
            |_, s| {
                let c = s.bins[0].contents[0];
                s.bins[0].contents.push(c);
            },
            |f| matches!(f, Fault::Contents { .. }),
        ),
        ("too many of one item", |p, _| p.items[0].per_bin_max = Some(0), |f| matches!(f, Fault::PerBin { .. })),
        (
            "a conflict",
            |p, s| {
                let c = &s.bins.iter().find(|b| b.contents.len() > 1).unwrap().contents;
                p.conflicts.push(Conflict { a: c[0].0, b: c[1].0 });
            },
            |f| matches!(f, Fault::Conflict { .. }),
        ),
        (
            "more than is available",
            |p, _| p.kinds.iter_mut().for_each(|k| k.available = Some(0)),
            |f| matches!(f, Fault::Available { .. }),
        ),
        ("a cap is exceeded", |p, _| p.caps[0].limit = 3, |f| matches!(f, Fault::Cap { cap: 0 })),
        (
            "all in one domain",
            |p, _| p.kinds.iter_mut().for_each(|k| k.domains[0] = 0),
            |f| matches!(f, Fault::Spread { .. }),
        ),
        (
            "a domain that is not eligible",
            |p, _| {
                p.spreads[0].counts.remove(&1);
            },
            |f| matches!(f, Fault::Spread { domain: 1, .. }),
        ),
        ("the cost is too low", |_, s| s.cost -= 1, |f| matches!(f, Fault::Cost)),
        ("the bound is above the cost", |_, s| s.cost_lower_bound = s.cost + 1, |f| matches!(f, Fault::Bound)),
        ("no alternatives", |_, s| s.bins[0].alternatives = [].into(), |f| matches!(f, Fault::Alternatives { .. })),
        (
            "an alternative too small",
            |p, _| p.kinds[2].holds = vec![0, 0],
            |f| matches!(f, Fault::Alternatives { .. } | Fault::Overfull { .. }),
        ),
        (
            "alternatives out of order",
            |p, _| p.kinds[0].cost = 1_000,
            |f| matches!(f, Fault::Alternatives { .. } | Fault::Cost),
        ),
        ("unpacked is claimed", |_, s| s.unpacked.push((ItemIdx(0), 1)), |f| matches!(f, Fault::Count { .. })),
        ("one kind takes all", |p, _| p.options.max_share_percent = Some(1), |f| matches!(f, Fault::Share { .. })),
        (
            "a started bin twice",
            |_, s| {
                let b = s.bins.iter().find(|b| matches!(b.kind, BinRef::Started(_))).unwrap().clone();
                s.bins.push(b);
            },
            |f| matches!(f, Fault::StartedTwice { .. }),
        ),
    ];
    assert!(seeds.len() >= 20);
    for (name, seed, is_it) in seeds {
        let (mut problem, mut solution) = example();
        seed(&mut problem, &mut solution);
        let faults = verify(&problem, &solution);
        assert!(faults.iter().any(is_it), "{name}: {faults:?}");
    }
}
