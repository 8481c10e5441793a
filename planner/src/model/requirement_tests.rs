//! The eight operators, alone and together.

use proptest::prelude::*;

use super::*;

fn new(operator: Operator, values: &[&str]) -> Requirement {
    Requirement::new("k", operator, values.iter().copied())
}

/// Values that tell all requirements of this file apart, and the missing label.
const SAMPLE: [Option<&str>; 11] = [
    None,
    Some("a"),
    Some("b"),
    Some("c"),
    Some("-1"),
    Some("0"),
    Some("1"),
    Some("2"),
    Some("3"),
    Some("5"),
    Some("9"),
];

#[test]
fn each_operator_allows_what_it_says() {
    use Operator::{DoesNotExist, Exists, Gt, Gte, In, Lt, Lte, NotIn};
    for (requirement, allowed) in [
        (new(In, &["a", "b"]), vec![Some("a"), Some("b")]),
        (new(In, &[]), vec![]),
        (new(NotIn, &["a", "b", "c", "-1", "0", "1"]), vec![None, Some("2"), Some("3"), Some("5"), Some("9")]),
        (new(Exists, &[]), SAMPLE[1..].to_vec()),
        (new(DoesNotExist, &[]), vec![None]),
        (new(Gt, &["2"]), vec![Some("3"), Some("5"), Some("9")]),
        (new(Gte, &["2"]), vec![Some("2"), Some("3"), Some("5"), Some("9")]),
        (new(Lt, &["1"]), vec![Some("-1"), Some("0")]),
        (new(Lte, &["1"]), vec![Some("-1"), Some("0"), Some("1")]),
        (new(Gt, &["many"]), vec![]),
        (new(Gt, &["9223372036854775807"]), vec![]),
        (new(Lt, &["-9223372036854775808"]), vec![]),
    ] {
        let found: Vec<_> = SAMPLE.into_iter().filter(|value| requirement.allows(*value)).collect();
        assert_eq!(found, allowed, "{requirement}");
    }
}

#[test]
fn operators_are_read_by_their_api_names_only() {
    let all = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Gte", "Lte"];
    for name in all {
        assert_eq!(format!("{:?}", Operator::parse(name).unwrap()), name);
    }
    assert_eq!(Operator::parse("in"), None);
}

#[test]
fn old_label_spellings_are_the_new_ones() {
    let zone = Requirement::equal("failure-domain.beta.kubernetes.io/zone", "a");
    assert_eq!(&*zone.key, "topology.kubernetes.io/zone");
}

#[test]
fn an_intersection_wants_the_label_when_either_does() {
    use Operator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
    let both = new(NotIn, &["a"]).intersect(&new(Exists, &[]));
    assert!(!both.allows(None) && !both.allows(Some("a")) && both.allows(Some("b")));
    for (a, b, contradiction) in [
        (new(In, &["a"]), new(NotIn, &["a"]), true),
        (new(In, &["a"]), new(In, &["b"]), true),
        (new(In, &["a"]), new(DoesNotExist, &[]), true),
        (new(Exists, &[]), new(DoesNotExist, &[]), true),
        (new(NotIn, &["a"]), new(DoesNotExist, &[]), false),
        (new(DoesNotExist, &[]), new(DoesNotExist, &[]), false),
        (new(Gt, &["3"]), new(Lt, &["4"]), true),
        (new(Gt, &["3"]), new(Lt, &["5"]), false),
        (new(Gt, &["3"]), new(In, &["3", "a"]), true),
        (new(Gt, &["3"]), new(In, &["3", "5"]), false),
        (new(NotIn, &["a"]), new(NotIn, &["b"]), false),
    ] {
        assert_eq!(a.intersect(&b).is_contradiction(), contradiction, "{a} with {b}");
        assert_eq!(a.intersects(&b), !contradiction, "{a} with {b}");
    }
}

#[test]
fn the_strictest_min_values_survives() {
    let mut three = new(Operator::Exists, &[]);
    three.min_values = Some(3);
    assert_eq!(three.intersect(&new(Operator::In, &["a"])).min_values, Some(3));
    assert_eq!(new(Operator::In, &["a"]).intersect(&three).min_values, Some(3));
}

#[test]
fn entries_are_what_the_api_can_say() {
    use Operator::{Exists, Gt, In, Lt, NotIn};
    let between = new(Gt, &["1"]).intersect(&new(Lt, &["9"]));
    assert_eq!(between.entries(), [(Operator::Gte, vec!["2".into()]), (Operator::Lte, vec!["8".into()])]);
    assert_eq!(new(Exists, &[]).entries(), [(Exists, vec![])]);
    assert_eq!(new(NotIn, &["b", "a"]).entries(), [(NotIn, vec!["a".into(), "b".into()])]);
    assert_eq!(new(In, &["b", "a"]).to_string(), "k In [a b]");
    assert_eq!(between.to_string(), "k Gte [2] and k Lte [8]");
    assert_eq!(between.of_pod(), "k Gt [1] and k Lt [9]");
    let many: Vec<String> = (10..20).map(|n| n.to_string()).collect();
    let shown = Requirement::new("k", In, many).to_string();
    assert_eq!(shown, "k In [10 11 12 13 14 15 16 17 and 2 more]");
}

#[test]
fn several_keys_must_all_hold_and_the_first_that_does_not_is_named() {
    let labels: Labels = [("a".into(), "1".into()), ("b".into(), "2".into())].into();
    let mut all: Requirements =
        [Requirement::equal("a", "1"), Requirement::new("c", Operator::DoesNotExist, [""; 0])].into_iter().collect();
    assert!(all.allow(&labels));
    all.add(Requirement::equal("b", "3"));
    assert_eq!(all.first_unmet(&labels).map(|r| r.key.to_string()).as_deref(), Some("b"));
    assert_eq!(all.to_string(), "a In [1], b In [3], c DoesNotExist");
    let of_labels = Requirements::of_labels(&labels);
    assert!(of_labels.allow(&labels) && !of_labels.allow(&Labels::new()));
}

fn any_requirement() -> impl Strategy<Value = Requirement> {
    let values = proptest::sample::subsequence(vec!["a", "b", "c", "0", "1", "2", "3", "5"], 0..4);
    let number = proptest::sample::select(vec!["-1", "0", "1", "2", "3", "5"]);
    prop_oneof![
        values.clone().prop_map(|values| new(Operator::In, &values)),
        values.prop_map(|values| new(Operator::NotIn, &values)),
        Just(new(Operator::Exists, &[])),
        Just(new(Operator::DoesNotExist, &[])),
        (number, proptest::sample::select(vec![Operator::Gt, Operator::Lt, Operator::Gte, Operator::Lte]))
            .prop_map(|(number, operator)| new(operator, &[number])),
    ]
}

proptest! {
    #[test]
    fn an_intersection_allows_what_both_allow(all in proptest::collection::vec(any_requirement(), 1..5)) {
        let both = all[1..].iter().fold(all[0].clone(), |both, one| both.intersect(one));
        for value in SAMPLE {
            prop_assert_eq!(both.allows(value), all.iter().all(|one| one.allows(value)), "{:?} in {}", value, both);
        }
    }

    #[test]
    fn the_order_does_not_matter(a in any_requirement(), b in any_requirement(), c in any_requirement()) {
        prop_assert_eq!(a.intersect(&b), b.intersect(&a));
        prop_assert_eq!(a.intersect(&b).intersect(&c), a.intersect(&b.intersect(&c)));
        prop_assert_eq!(a.intersect(&a), a.clone());
    }

    #[test]
    fn a_contradiction_allows_nothing(a in any_requirement(), b in any_requirement()) {
        let both = a.intersect(&b);
        if both.is_contradiction() {
            prop_assert!(SAMPLE.into_iter().all(|value| !both.allows(value)));
        }
    }

    #[test]
    fn any_is_one_of_the_allowed(a in any_requirement(), b in any_requirement()) {
        let both = a.intersect(&b);
        if let Some(value) = both.any("free") {
            prop_assert!(both.has(&value), "{} in {}", value, both);
        }
    }

    #[test]
    fn entries_say_the_same_again(a in any_requirement(), b in any_requirement()) {
        let both = a.intersect(&b);
        let again = both.entries().into_iter().map(|(operator, values)| Requirement::new("k", operator, values));
        let again = again.reduce(|a, b| a.intersect(&b)).unwrap();
        for value in SAMPLE.into_iter().flatten() {
            prop_assert_eq!(again.has(value), both.has(value), "{} as {}", both, again);
        }
    }
}
