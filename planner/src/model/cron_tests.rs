//! Which expressions are read, and when they hit.

use proptest::prelude::*;

use super::*;

/// Seconds of a date and time in UTC, by counting days year by year.
fn at(year: i64, month: i64, day: i64, hour: i64, minute: i64) -> i64 {
    let leap = |y: i64| (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1970..year).map(|y| 365 + i64::from(leap(y))).sum();
    let months: i64 = lengths[..usize::try_from(month - 1).unwrap()].iter().sum();
    (years + months + day - 1) * DAY + hour * 3600 + minute * 60
}

/// Hits after noon of Thursday 26 November 2026.
fn hits(text: &str, n: usize) -> Vec<i64> {
    let cron = Cron::parse(text).unwrap();
    let mut from = at(2026, 11, 26, 12, 0);
    (0..n)
        .map(|_| {
            from = cron.next_after(from).unwrap();
            from
        })
        .collect()
}

#[test]
fn what_the_reference_accepts_is_read() {
    for text in [
        "* * * * *",
        "0 9 * * 1-5",
        "0 9 * * mon-fri",
        "0 9 * * MON-Fri",
        "0 0 1 jan *",
        "5/10 * * * *",
        "*/2 * * * *",
        "? ? ? ? ?",
        "0 0 ? * 0",
        "0,30 * * * *",
        "0-30/10 * * * *",
        "1,,2 * * * *",
        "0 0 31 2 *",
        "  0   0 1 1 * ",
        "@midnight",
        "@annually",
        "@yearly",
        "@monthly",
        "@weekly",
        "@daily",
        "@hourly",
        "007 +5 * * *",
        "*-5 * * * *",
    ] {
        assert!(Cron::parse(text).is_ok(), "{text}: {:?}", Cron::parse(text));
    }
}

#[test]
fn what_the_reference_refuses_is_refused() {
    for text in [
        "",
        "@",
        "@never",
        "@every 1h",
        "@Daily",
        "0 9 * *",
        "0 0 9 * * *",
        "0 0 * * 7",
        "0 0 L * *",
        "0 0 1W * *",
        "0 0 * * 1#2",
        "0 0 * * 5L",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 0 *",
        "* * * 13 *",
        "5-1 * * * *",
        "1-2-3 * * * *",
        "*/2/3 * * * *",
        "*/0 * * * *",
        "-1 * * * *",
        "a * * * *",
        "* * * mon *",
        "jan * * * *",
        "1.5 * * * *",
        "/5 * * * *",
        "TZ=UTC 0 0 * * *",
    ] {
        assert!(Cron::parse(text).is_err(), "{text} was read");
    }
}

#[test]
fn a_message_names_the_part_and_what_may_stand_there() {
    let said = |text: &str| Cron::parse(text).unwrap_err().to_string();
    assert_eq!(said("0 0 * * 7"), "\"7\" in \"0 0 * * 7\" leaves the range 0-6");
    assert_eq!(said("0 0 * * 5L"), "\"5L\" in \"0 0 * * 5L\" is not a number or a weekday (sun-sat), a range, * or ?");
    assert!(said("0 0 9 * * *").contains("has 6 fields"));
}

#[test]
fn descriptors_hit_at_the_start_of_their_span() {
    for (text, next) in [
        ("@hourly", at(2026, 11, 26, 13, 0)),
        ("@daily", at(2026, 11, 27, 0, 0)),
        ("@midnight", at(2026, 11, 27, 0, 0)),
        ("@weekly", at(2026, 11, 29, 0, 0)),
        ("@monthly", at(2026, 12, 1, 0, 0)),
        ("@yearly", at(2027, 1, 1, 0, 0)),
        ("@annually", at(2027, 1, 1, 0, 0)),
    ] {
        assert_eq!(hits(text, 1), [next], "{text}");
    }
}

#[test]
fn weekdays_count_from_sunday() {
    assert_eq!(hits("0 9 * * 1-5", 3), [at(2026, 11, 27, 9, 0), at(2026, 11, 30, 9, 0), at(2026, 12, 1, 9, 0)]);
    assert_eq!(hits("0 9 * * sun", 1), [at(2026, 11, 29, 9, 0)]);
    assert_eq!(hits("0 9 * * 0", 1), hits("0 9 * * SUN", 1));
}

#[test]
fn steps_run_from_their_start_to_the_end() {
    let minutes = |text: &str, n: usize| -> Vec<i64> { hits(text, n).iter().map(|t| t % 3600 / 60).collect() };
    assert_eq!(minutes("5/10 * * * *", 7), [5, 15, 25, 35, 45, 55, 5]);
    assert_eq!(minutes("0-30/20 * * * *", 3), [20, 0, 20]);
    assert_eq!(minutes("*/25 * * * *", 3), [25, 50, 0]);
}

#[test]
fn two_day_fields_mean_either_unless_one_is_a_star() {
    // The 1st, or a Monday.
    assert_eq!(hits("0 0 1 * 1", 2), [at(2026, 11, 30, 0, 0), at(2026, 12, 1, 0, 0)]);
    // A star does not count as a choice, nor does a question mark.
    assert_eq!(hits("0 0 1 * *", 1), [at(2026, 12, 1, 0, 0)]);
    assert_eq!(hits("0 0 1 * ?", 1), [at(2026, 12, 1, 0, 0)]);
    assert_eq!(hits("0 0 * * 1", 1), [at(2026, 11, 30, 0, 0)]);
    // A step above one makes it a choice: odd days, or a Monday.
    assert_eq!(hits("0 0 */2 * 1", 2), [at(2026, 11, 27, 0, 0), at(2026, 11, 29, 0, 0)]);
    assert_eq!(hits("0 0 */2 * 1", 3)[2], at(2026, 11, 30, 0, 0));
    // A step of one does not.
    assert_eq!(hits("0 0 */1 * 1", 1), [at(2026, 11, 30, 0, 0)]);
}

#[test]
fn leap_days_are_found_and_days_that_never_come_are_not() {
    assert_eq!(hits("0 0 29 2 *", 1), [at(2028, 2, 29, 0, 0)]);
    assert_eq!(Cron::parse("0 0 30 2 *").unwrap().next_after(0), None);
    assert_eq!(Cron::parse(", * * * *").unwrap().next_after(0), None);
    // 2100 is no leap year, and the next one is too far.
    assert_eq!(Cron::parse("0 0 29 2 *").unwrap().next_after(at(2096, 3, 1, 0, 0)), None);
}

#[test]
fn a_hit_is_later_than_the_moment_asked_from() {
    let hourly = Cron::parse("0 * * * *").unwrap();
    assert_eq!(hourly.next_after(3600), Some(7200));
    assert_eq!(hourly.next_after(3599), Some(3600));
    assert_eq!(hourly.next_after(-1), Some(0));
    assert_eq!(hourly.next_after(-3601), Some(-3600));
}

#[test]
fn it_is_written_as_it_was_read() {
    let cron = Cron::parse("0 9 * * mon-fri").unwrap();
    let json = serde_json::to_string(&cron).unwrap();
    assert_eq!(json, "\"0 9 * * mon-fri\"");
    assert_eq!(serde_json::from_str::<Cron>(&json).unwrap(), cron);
    assert!(serde_json::from_str::<Cron>("\"often\"").is_err());
}

proptest! {
    #[test]
    fn the_calendar_is_right(year in 1970i64..2400, month in 1i64..=12, day in 1i64..=28) {
        let (y, m, d) = civil(at(year, month, day, 0, 0) / DAY);
        prop_assert_eq!((y, i64::from(m), i64::from(d)), (year, month, day));
    }

    #[test]
    fn nothing_between_a_moment_and_the_next_hit_would_have_hit(
        minute in 0u32..60, hour in 0u32..24, step in 1u32..8, from in 0i64..4_000_000_000,
    ) {
        let cron = Cron::parse(&format!("{minute}/{step} {hour} * * *")).unwrap();
        let hit = cron.next_after(from).unwrap();
        prop_assert!(hit > from && hit - from <= DAY);
        let would = |t: i64| {
            let (h, m) = (t.rem_euclid(DAY) / 3600, t.rem_euclid(3600) / 60);
            t % 60 == 0 && h == i64::from(hour) && m >= i64::from(minute) && (m - i64::from(minute)) % i64::from(step) == 0
        };
        let first = (from + 60 - from.rem_euclid(60)..=hit).step_by(60).find(|t| would(*t));
        prop_assert_eq!(first, Some(hit));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,30}") {
        let _ = Cron::parse(&text).map(|cron| cron.next_after(0));
    }

    #[test]
    fn nothing_cron_like_makes_it_panic(text in "[-*?/,0-9a-z ]{0,24}", from in any::<i32>()) {
        let _ = Cron::parse(&text).map(|cron| cron.next_after(i64::from(from)));
    }
}
