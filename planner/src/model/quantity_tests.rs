//! The forms `apimachinery` accepts, refuses and prints.

use proptest::prelude::*;

use super::*;

#[test]
fn quantities_are_printed_in_canonical_form() {
    for (text, printed) in [
        ("0", "0"),
        ("-0", "0"),
        ("0Gi", "0"),
        ("0e5", "0"),
        ("1", "1"),
        ("+1", "1"),
        ("-1", "-1"),
        ("1000m", "1"),
        ("0.1", "100m"),
        (".001", "1m"),
        ("5.", "5"),
        ("1.5", "1500m"),
        ("1024", "1024"),
        ("1000", "1k"),
        ("1000k", "1M"),
        ("1500k", "1500k"),
        ("100M", "100M"),
        ("1n", "1n"),
        ("1u", "1u"),
        ("1000u", "1m"),
        ("1.5Gi", "1536Mi"),
        ("1024Ki", "1Mi"),
        ("1Ki", "1Ki"),
        ("0.5Ki", "512"),
        ("1.5Ki", "1536"),
        ("1Ei", "1Ei"),
        ("0.1Mi", "104857600m"),
        ("0.001Ki", "1024m"),
        ("-2Gi", "-2Gi"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("1000e3", "1e6"),
        ("1e6", "1e6"),
        ("12e0", "12"),
        ("1e-3", "1e-3"),
        ("0.1e3", "100"),
        ("1e+3", "1e3"),
        ("0.0000000001", "1n"),
        ("1.0000000001", "1000000001n"),
        ("9007199254740993", "9007199254740993"),
        ("0010", "10"),
        ("100m", "100m"),
        ("9223372036854775807", "9223372036854775807"),
        ("1e-10", "1e-9"),
    ] {
        assert_eq!(Quantity::parse(text).map(|q| q.to_string()), Ok(printed.to_owned()), "{text}");
    }
}

#[test]
fn what_the_api_server_refuses_is_refused() {
    for text in [
        "", "+", "-", ".", "m", "Ki", "1.1.M", "1+1.0M", "0.1mi", "0.1am", "aoeu", ".5i", "1i", "-3.01i", "-3.01e-",
        " 1", "1 ", "1 Gi", "7e2Mi", "1K", "1KI", "1ki", "1g", "1GB", "1e", "1e+", "--1", "+-1", "1,5", "0x10",
        "1_000", "NaN", "inf", "１", "1.2.3", "1e1.5", "..1",
    ] {
        assert!(Quantity::parse(text).is_err(), "{text} was read as {:?}", Quantity::parse(text));
    }
}

#[test]
fn an_error_shows_the_text_and_what_to_write() {
    let said = |text: &str| Quantity::parse(text).unwrap_err().to_string();
    assert!(said("1GB").contains("\"1GB\" is not a quantity: unknown suffix \"GB\""), "{}", said("1GB"));
    assert!(said("").contains("write a number such as"), "{}", said(""));
}

#[test]
fn values_are_rounded_up() {
    let q = |text: &str| Quantity::parse(text).unwrap();
    for (text, value, milli) in [
        ("1", 1, 1000),
        ("100m", 1, 100),
        ("1001m", 2, 1001),
        ("1n", 1, 1),
        ("-100m", 0, -100),
        ("-1500m", -1, -1500),
        ("1Gi", 1 << 30, 1000 << 30),
        ("1u", 1, 1),
        ("0", 0, 0),
    ] {
        assert_eq!((q(text).value(), q(text).milli_value()), (value, milli), "{text}");
    }
}

#[test]
fn absurd_amounts_are_capped_and_never_overflow() {
    let cap = Quantity::parse("9223372036854775807").unwrap();
    for text in ["1e60", "9999999999999999999999999999999999999999999", "16Ei", "1e999999999999", "99999999E", "8Ei"] {
        let q = Quantity::parse(text).unwrap();
        assert!(q == cap && q.value() == i64::MAX, "{text} is {q:?}");
        assert_eq!(Quantity::parse(&format!("-{text}")).unwrap().nano(), -cap.nano());
        assert_eq!(q.plus(q), cap);
    }
    let tiny = Quantity::parse("1e-999999999999").unwrap();
    assert_eq!((tiny.nano(), tiny.milli_value()), (1, 1));
    assert_eq!(Quantity::parse("0.00000000000000000000000000000000000000001").unwrap().nano(), 1);
}

#[test]
fn amounts_written_differently_are_equal() {
    let q = |text: &str| Quantity::parse(text).unwrap();
    assert!(q("1") == q("1000m") && q("1Gi") == q("1073741824") && q("1e3") == q("1k") && q("1Gi") > q("1G"));
    assert_eq!(q("1Gi").plus(q("1G")).to_string(), "2073741824");
    assert_eq!(Quantity::ZERO.plus(q("1Gi")).to_string(), "1Gi");
    assert_eq!(serde_json::to_string(&q("0.5")).unwrap(), "\"500m\"");
    assert!(serde_json::from_str::<Quantity>("\"1GB\"").is_err());
}

fn any_text() -> impl Strategy<Value = String> {
    let suffixes =
        ["n", "u", "m", "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2", "e0"];
    let number = prop_oneof!["[0-9]{1,7}", "[0-9]{1,3}\\.[0-9]{0,4}", "\\.[0-9]{1,12}", "[0-9]{1,25}"];
    (proptest::sample::select(vec!["", "-", "+"]), number, proptest::sample::select(suffixes.to_vec()))
        .prop_map(|(sign, number, suffix)| format!("{sign}{number}{suffix}"))
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_and_prints_the_same(text in any_text()) {
        let quantity = Quantity::parse(&text).unwrap();
        let printed = quantity.to_string();
        let again = Quantity::parse(&printed).unwrap();
        prop_assert_eq!(again.nano(), quantity.nano(), "{} as {}", text, printed);
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn small_decimals_are_exact(whole in 0i128..1_000_000, nano in 0i128..1_000_000_000) {
        let quantity = Quantity::parse(&format!("{whole}.{nano:09}")).unwrap();
        prop_assert_eq!(quantity.nano(), whole * 1_000_000_000 + nano);
    }

    #[test]
    fn sums_are_exact_and_commute(a in -1_000_000_000i64..1_000_000_000, b in -1_000_000_000i64..1_000_000_000) {
        let (x, y) = (Quantity::milli(a), Quantity::units(b, true));
        prop_assert_eq!(x.plus(y), y.plus(x));
        prop_assert_eq!(x.plus(y).nano(), i128::from(a) * 1_000_000 + i128::from(b) * 1_000_000_000);
    }

    #[test]
    fn rounding_up_is_by_less_than_one(text in any_text()) {
        let quantity = Quantity::parse(&text).unwrap();
        let milli = i128::from(quantity.milli_value()) * 1_000_000;
        if quantity.milli_value().unsigned_abs() < i64::MAX.unsigned_abs() {
            prop_assert!((0..1_000_000).contains(&(milli - quantity.nano())));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}") {
        let _ = Quantity::parse(&text).map(|q| q.to_string());
    }

    #[test]
    fn nothing_quantity_like_makes_it_panic(text in "[-+.0-9eEinumkKMGTP]{0,50}") {
        let _ = Quantity::parse(&text).map(|q| (q.to_string(), q.value(), q.milli_value()));
    }
}

#[test]
fn an_exponent_of_more_than_64_bits_is_refused_as_the_api_server_does() {
    for text in ["1e99999999999999999999", "1E-99999999999999999999", "1e9223372036854775808"] {
        assert!(matches!(Quantity::parse(text), Err(QuantityError::Suffix(..))), "{text}");
    }
    assert!(Quantity::parse("1e9223372036854775807").unwrap().is_capped());
    assert!(!Quantity::parse("4Ei").unwrap().is_capped());
}

#[test]
fn a_message_shows_the_beginning_of_a_long_text() {
    let error = Quantity::parse(&"x".repeat(100_000)).unwrap_err().to_string();
    assert!(error.len() < 300, "{} bytes", error.len());
}
