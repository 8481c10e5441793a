//! The page of a run, read as text.

use std::collections::BTreeMap;

use planner::model::MicroUsdPerHour;

use super::super::demo::timeline::{Moment, MomentKind, Point};
use super::*;

/// A run of 600 s in which nodes rise and fall, with a name in every place that tries to become markup.
fn run(hostile: &str) -> Timeline {
    let point = |second: usize| {
        let nodes = if second < 300 { second / 30 } else { (600 - second) / 30 };
        let price = |per_node: i64| MicroUsdPerHour(per_node * i64::try_from(nodes).unwrap());
        let split = |a: &str, b: &str| BTreeMap::from([(a.to_owned(), nodes / 2), (b.to_owned(), nodes - nodes / 2)]);
        Point {
            seconds: second as f64,
            nodes,
            pods_pending: usize::from(second % 60 < 10) * 7,
            pods_running: nodes * 9,
            hourly_cost: price(200_000),
            hourly_bound: price(190_000),
            hourly_greedy: price(260_000),
            cpu: 0.8,
            memory: 0.6,
            by_capacity_type: split("spot", "on-demand"),
            by_family: split("c", &format!("m{hostile}")),
            ..Point::default()
        }
    };
    let moment = |at: u64, kind| Moment {
        millis: at * 1000,
        kind,
        text: format!("at {at}: {hostile}"),
        details: vec![format!("because of {hostile}")],
    };
    Timeline {
        title: format!("A shop {hostile}"),
        scenario: "shop".into(),
        seed: 1,
        points: (0..=600).step_by(5).map(point).collect(),
        moments: vec![
            moment(0, MomentKind::Scripted),
            moment(12, MomentKind::Planned),
            moment(299, MomentKind::Shortage),
        ],
        end: Summary {
            seconds: 600.0,
            pods_ran: 90,
            nodes_bought: 12,
            nodes_removed: 10,
            most_nodes: 10,
            spent: MicroUsd(250_000),
            spent_bound: MicroUsd(240_000),
            spent_greedy: MicroUsd(325_000),
            median_pending_seconds: 12.5,
            longest_pending_seconds: 65.0,
            launches_refused: 2,
            shortages_survived: 1,
            ..Summary::default()
        },
    }
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let page = page(&run(""));
    assert!(["http", "url(", "src=", "@import", "fetch("].iter().all(|outside| !page.contains(outside)));
    assert_eq!((page.matches("<script>").count(), page.matches("</script>").count()), (1, 1));
}

#[test]
fn a_page_tells_the_run_in_figures_plots_and_moments() {
    let page = page(&run(""));
    for part in [
        "shop went to its end",
        "the run spent 23.1% less",
        "the run spent 4.2% more",
        "12.5 s",
        "1:05 min at most",
        "2 refusals for want of stock",
        "Nodes by instance family over time: m up to 5, c up to 5",
        "Cost an hour over time: this run up to $2, lower bound up to $1.90, first-fit-decreasing up to $2.60",
        "data-t=\"299.000\"",
        "aria-label=\"mark 4:59 in the plots\"",
        "class=\"tick short\" x1=\"49.83%\"",
    ] {
        assert!(page.contains(part), "no {part:?} in\n{page}");
    }
    // Families, capacity types, pods, cost, utilisation; and the strip.
    assert_eq!((page.matches("<figure>").count(), page.matches("class=\"plot\"").count()), (5, 6));
}

#[test]
fn columns_that_are_read_out_are_those_of_the_plot() {
    let page = page(&run(""));
    let head = page.split("id=\"values\"").nth(1).unwrap().split("</thead>").next().unwrap();
    let names: Vec<&str> = head.split("<th ").skip(1).map(|th| th.split(['>', '<']).nth(1).unwrap()).collect();
    let read: Vec<Vec<&str>> = page
        .split("data-columns=\"")
        .skip(1)
        .map(|text| {
            text.split('"').next().unwrap().split_whitespace().map(|at| names[at.parse::<usize>().unwrap()]).collect()
        })
        .collect();
    let expected: [&[&str]; 6] = [
        &["m", "c"],
        &["on-demand", "spot"],
        &["Pods running", "Pods pending"],
        &["$/h", "Bound $/h", "First-fit $/h"],
        &["CPU", "Memory"],
        &[],
    ];
    assert_eq!(read, expected);
}

#[test]
fn names_cannot_become_markup() {
    let hostile = "</script><img src=x onerror=alert(1)>\"'&";
    let page = page(&run(hostile));
    assert!(!page.contains("<img") && !page.contains("\"'&"), "{page}");
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"));
}

#[test]
fn a_run_that_was_given_up_says_so_and_why() {
    let mut run = run("");
    run.end.finish = Finish::GivenUp("after 300 s, 3 pods <were> pending".into());
    let page = page(&run);
    assert!(page.contains("shop was given up") && page.contains("3 pods &lt;were&gt; pending"));
    assert!(page.contains("class=\"verdict bad\""));
}

#[test]
fn a_run_that_was_interrupted_is_not_praised_for_going_to_its_end() {
    let mut run = run("");
    run.end.finish = Finish::Interrupted;
    let page = page(&run);
    assert!(page.contains("shop was interrupted before its end") && !page.contains("went to its end"), "{page}");
    assert!(!page.contains("class=\"verdict good\""));
}

#[test]
fn pods_that_never_ran_did_not_wait_for_no_time() {
    let mut run = run("");
    run.end = Summary { seconds: 121.0, pods_waiting: 65, ..Summary::default() };
    let page = page(&run);
    assert!(page.contains("none became ready; 65 still wait") && !page.contains("0 ms"), "{page}");
}

#[test]
fn a_moment_is_read_out_by_the_point_that_saw_it() {
    let mut run = run("");
    run.points = [0.02, 11.9, 12.02, 290.0, 300.5].map(|seconds| Point { seconds, ..Point::default() }).into();
    let page = page(&run);
    for (moment, point) in [("0.000", "0.020"), ("12.000", "12.020"), ("299.000", "300.500")] {
        assert!(page.contains(&format!("<tr data-t=\"{moment}\" data-seen=\"{point}\">")), "{moment} in\n{page}");
    }
    // A moment after the last point is seen by that one.
    run.points.truncate(3);
    assert!(super::page(&run).contains("<tr data-t=\"299.000\" data-seen=\"12.020\">"));
}

#[test]
fn a_run_whose_pods_waited_is_not_praised_for_what_it_saved() {
    let mut run = run("");
    run.end.spent = MicroUsd(0);
    let page = page(&run);
    assert!(page.contains("pods waited, which costs nothing") && !page.contains("the run spent 100.0% less"), "{page}");
}

#[test]
fn a_long_run_is_thinned_and_says_so() {
    let mut run = run("");
    run.points = (0..100_000).map(|at| Point { seconds: f64::from(at), ..Point::default() }).collect();
    run.moments = (0..5_000)
        .map(|at| Moment { millis: at, kind: MomentKind::Opened, text: "x".into(), details: vec![] })
        .collect();
    let page = page(&run);
    assert!(page.contains("Every 250th of 100000.") && page.contains("The first 2000 of 5000."));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}

#[test]
fn a_run_of_nothing_has_a_page() {
    let page = page(&Timeline::default());
    assert!(page.contains("nothing had to be bought") && !page.contains("NaN") && !page.contains("inf%"));
}
