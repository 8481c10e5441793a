//! The tables can be made again: a sample from raw answers, all of them from their text.

use super::*;

const TYPES: &str = include_str!("../../tests/data/sample/instance-types.json");
const OFFERINGS: &str = include_str!("../../tests/data/sample/offerings-us-east-1.json");
const PRODUCTS: &str = include_str!("../../tests/data/sample/products-us-east-1.json");
const BANDWIDTH: &str = include_str!("../../tests/data/sample/network-bandwidth.csv");
const LIMITS: &str = include_str!("../../tests/data/sample/vpc-limits.csv");

fn sample() -> Tables {
    let mut tables = Tables::default();
    tables.add_instance_types(TYPES).unwrap();
    tables.set_network_bandwidth(&network_bandwidth(BANDWIDTH).unwrap());
    tables.set_branch_enis(&vpc_limits(LIMITS).unwrap());
    let price_by_type = products("us-east-1", PRODUCTS).unwrap();
    let region =
        Region { name: "us-east-1", prices: PriceKind::Listed, priced_on: "2026-07-20", price_by_type: &price_by_type };
    tables.set_region(&region, OFFERINGS).unwrap();
    tables
}

#[test]
fn a_sample_of_raw_answers_gives_the_committed_lines_byte_for_byte() {
    let (types, regions) = sample().write();
    let (all_types, all_regions) = Tables::embedded().unwrap().write();
    let (_, us_east_1) = table::find_region(&all_regions, "us-east-1").unwrap();
    assert_eq!(types.lines().count(), 14, "13 of the 14 types sampled can be nodes, and a heading");
    let expected: String = all_types
        .lines()
        .filter(|line| types.lines().any(|have| have.split('\t').next() == line.split('\t').next()))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(types, expected);
    let expected: String = us_east_1
        .lines()
        .filter(|line| regions.lines().any(|have| have.split('\t').next() == line.split('\t').next()))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(regions, expected);
}

#[test]
fn the_committed_files_are_what_their_text_packs_to_byte_for_byte() {
    let (types, regions) = Tables::embedded().unwrap().write();
    let (types_again, regions_again) = Tables::read(&types, &regions).unwrap().write();
    assert!(types == types_again && regions == regions_again);
    assert!(pack(&types).unwrap() == packed_types(), "run catalog-generate: types.tsv.gz is packed otherwise");
    assert!(pack(&regions).unwrap() == packed_regions(), "run catalog-generate: regions.tsv.gz is packed otherwise");
}

#[test]
fn the_committed_files_stay_small() {
    let n_bytes = packed_types().len() + packed_regions().len();
    assert!(n_bytes < 300_000, "{n_bytes} bytes");
}

#[test]
fn a_machine_without_a_linux_name_is_left_out() {
    let tables = sample();
    assert!(TYPES.contains("mac2.metal") && !tables.types.contains_key("mac2.metal"));
    assert!(tables.types.contains_key("a1.medium"));
}

#[test]
fn a_renewed_description_keeps_what_the_other_tables_say() {
    let mut tables = sample();
    let before = tables.clone();
    assert!(tables.types["m5.large"].branch_enis.is_some());
    tables.add_instance_types(TYPES).unwrap();
    assert_eq!(tables, before);
}

#[test]
fn only_plain_linux_prices_of_the_region_count() {
    let entry = |family: &str, region: &str, os: &str, tenancy: &str, usd: &str| {
        serde_json::json!({
            "product": { "productFamily": family, "attributes": {
                "instanceType": "m5.large", "regionCode": region, "operatingSystem": os, "tenancy": tenancy,
                "preInstalledSw": "NA", "capacitystatus": "Used", "marketoption": "OnDemand" } },
            "terms": { "OnDemand": { "a": { "priceDimensions": { "b": { "pricePerUnit": { "USD": usd } } } } } }
        })
        .to_string()
    };
    let list = |entries: &[String]| serde_json::json!({ "PriceList": entries }).to_string();
    let machine = "Compute Instance";
    let plain = entry(machine, "eu-west-1", "Linux", "Shared", "0.1070000000");
    let others = [
        entry(machine, "eu-west-2", "Linux", "Shared", "1"),
        entry(machine, "eu-west-1", "Windows", "Shared", "2"),
        entry(machine, "eu-west-1", "Linux", "Dedicated", "3"),
        entry("Storage", "eu-west-1", "Linux", "Shared", "4"),
        entry(machine, "eu-west-1", "Linux", "Shared", "0.0000000000"),
    ];
    let mut all = others.to_vec();
    all.push(plain.clone());
    let read = products("eu-west-1", &list(&all)).unwrap();
    assert_eq!(read, BTreeMap::from([("m5.large".to_owned(), MicroUsdPerHour(107_000))]));
    let dearer = entry(machine, "eu-west-1", "Linux", "Shared", "0.2");
    let error = products("eu-west-1", &list(&[plain, dearer])).unwrap_err();
    assert_eq!(error.to_string(), "m5.large has two prices, 0.1070 and 0.2000");
}

#[test]
fn input_of_another_kind_is_named() {
    let mut tables = Tables::default();
    let said = |error: GenerateError| error.to_string();
    assert!(said(tables.add_instance_types("{}").unwrap_err()).contains("describe-instance-types: missing field"));
    assert!(said(products("r", "[]").unwrap_err()).contains("get-products"));
    assert!(said(network_bandwidth("a,b\n").unwrap_err()).contains("line 1: no column instance_type"));
    assert!(said(vpc_limits("instance_type,trunking,branch_enis\nx,1\n").unwrap_err()).contains("line 2: 2 fields"));
    assert!(said(simple_prices("h\nm5.large;1\n").unwrap_err()).contains("prices, line 2"));
    assert!(said(Tables::read("x", "").unwrap_err()).contains("types.tsv, line 1"));
}
