//! A file of kwok instance types, in both forms that have been accepted for `--instance-types-file-path`.
//!
//! A JSON array of `{ name, architecture, operatingSystems, resources, offerings }`. An offering has a price and either
//! `capacityType` and `zone`, or `Requirements` on the labels of these (each `In` some values). Keys are read whatever
//! their case, as Go reads them.

use std::collections::BTreeMap;

use planner::model::catalog::Reservation;
use planner::model::labels::{self, CAPACITY_TYPE, RESERVATION_ID, ZONE};
use planner::model::resources::PODS;
use planner::model::{CapacityType, InstanceType, Labels, MicroUsdPerHour, Offering, Quantity, Resources};
use serde_json::Value;

use super::{Interner, instance_type};
use crate::catalog::{CatalogError, scaled};

/// Reads the types, in the file's order.
///
/// # Errors
/// Names the file, the entry and the field.
pub(super) fn read(file: &str, json: &str, interner: &mut Interner) -> Result<Vec<InstanceType>, CatalogError> {
    let json: Value = serde_json::from_str(json).map_err(|error| fault(file, &error.to_string()))?;
    let Value::Array(entries) = json else { return Err(fault(file, "expected a list of instance types")) };
    let mut types: BTreeMap<String, InstanceType> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let entry = fields(entry).ok_or_else(|| fault(&format!("{file}[{at}]"), "expected an object"))?;
        let name = text(&entry, "name").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| fault(&format!("{file}[{at}].name"), "expected a name"))?;
        let read = read_type(&format!("{file}: {name}"), name, &entry, interner)?;
        if types.insert(name.to_owned(), read).is_some() {
            return Err(fault(&format!("{file}[{at}].name"), &format!("\"{name}\" is there twice")));
        }
    }
    Ok(types.into_values().collect())
}

fn read_type(
    place: &str,
    name: &str,
    entry: &BTreeMap<String, &Value>,
    interner: &mut Interner,
) -> Result<InstanceType, CatalogError> {
    let arch = text(entry, "architecture").unwrap_or_default();
    if arch.is_empty() {
        return Err(fault(&format!("{place}.architecture"), "expected amd64 or arm64"));
    }
    let mut capacity = resources(&format!("{place}.resources"), entry.get("resources"))?;
    if !capacity.0.contains_key(PODS) {
        // The kubelet's own default.
        capacity.set(PODS, 110);
    }
    let place = format!("{place}.offerings");
    let listed = match entry.get("offerings") {
        Some(Value::Array(listed)) => listed.as_slice(),
        None | Some(Value::Null) => &[],
        Some(_) => return Err(fault(&place, "expected a list")),
    };
    let mut offerings = Vec::new();
    for (at, offering) in listed.iter().enumerate() {
        offerings.extend(read_offering(&format!("{place}[{at}]"), offering, interner)?);
    }
    let systems = systems(entry.get("operatingsystems"));
    let mut read = instance_type(name, arch, None, &capacity, offerings, interner);
    match &systems[..] {
        [] => {}
        [system] => interner.label(&mut read.labels, labels::OS, system),
        _ => {
            let systems = systems.iter().map(|system| interner.get(system)).collect();
            read.open_labels.push((interner.get(labels::OS), systems));
        }
    }
    Ok(read)
}

/// A list, or the keys of an object.
fn systems(value: Option<&&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        Some(Value::Object(map)) => map.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn resources(place: &str, value: Option<&&Value>) -> Result<Resources, CatalogError> {
    let Some(Value::Object(map)) = value else { return Err(fault(place, "expected amounts by name")) };
    let mut read = Vec::new();
    for (name, amount) in map {
        let text = match amount {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(fault(&format!("{place}.{name}"), "expected a quantity")),
        };
        let quantity = Quantity::parse(&text).map_err(|error| fault(&format!("{place}.{name}"), &error.to_string()))?;
        if quantity.is_negative() {
            return Err(fault(&format!("{place}.{name}"), &format!("{text} is below zero")));
        }
        read.push((name.as_str(), quantity));
    }
    Ok(Resources::from_quantities(read))
}

/// One offering per zone and capacity type it names. All are available, whatever the file says, as upstream has it.
fn read_offering(place: &str, value: &Value, interner: &mut Interner) -> Result<Vec<Offering>, CatalogError> {
    let entry = fields(value).ok_or_else(|| fault(place, "expected an object"))?;
    let price = entry.get("price").and_then(|price| match price {
        Value::Number(number) => scaled(&number.to_string(), 6),
        _ => None,
    });
    let price = price.ok_or_else(|| fault(&format!("{place}.price"), "expected dollars per hour, such as 0.192"))?;
    let mut required = requirements(place, entry.get("requirements"))?;
    let mut one_of = |key: &str, plain: &str| {
        let listed = required.remove(key).unwrap_or_default();
        let values =
            if listed.is_empty() { text(&entry, plain).map(str::to_owned).into_iter().collect() } else { listed };
        if values.is_empty() {
            Err(fault(place, &format!("names neither {plain} nor a requirement on {key}")))
        } else {
            Ok(values)
        }
    };
    let (zones, capacity_types) = (one_of(ZONE, "zone")?, one_of(CAPACITY_TYPE, "capacitytype")?);
    let mut offered = Labels::new();
    for (key, values) in &required {
        if let [value] = &values[..] {
            interner.label(&mut offered, key, value);
        }
    }
    let count = entry.get("reservationcapacity").and_then(|count| count.as_u64()).unwrap_or(0);
    let mut all = Vec::new();
    for zone in &zones {
        for capacity_type in &capacity_types {
            let kind = CapacityType::parse(capacity_type);
            let kind = kind.ok_or_else(|| fault(place, &format!("capacity type \"{capacity_type}\" is not known")))?;
            let id = offered.get(RESERVATION_ID).filter(|_| kind == CapacityType::Reserved);
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            all.push(Offering {
                zone: interner.get(zone),
                capacity_type: kind,
                price: MicroUsdPerHour(price),
                available: true,
                no_addresses: false,
                labels: offered.clone(),
                reservation: id.map(|id| Reservation { id: id.clone(), count }),
            });
        }
    }
    Ok(all)
}

/// Values by label of an offering's requirements.
fn requirements(place: &str, value: Option<&&Value>) -> Result<BTreeMap<String, Vec<String>>, CatalogError> {
    let place = format!("{place}.requirements");
    let list = match value {
        Some(Value::Array(list)) => list.as_slice(),
        None | Some(Value::Null) => &[],
        Some(_) => return Err(fault(&place, "expected a list")),
    };
    let mut read = BTreeMap::new();
    for (at, requirement) in list.iter().enumerate() {
        let place = format!("{place}[{at}]");
        let entry = fields(requirement).ok_or_else(|| fault(&place, "expected an object"))?;
        let key = text(&entry, "key").ok_or_else(|| fault(&place, "expected a key"))?;
        match text(&entry, "operator") {
            Some("In") => {}
            // Upstream writes these on offerings that are no reservation: the label is simply not there.
            Some("DoesNotExist") => continue,
            other => return Err(fault(&place, &format!("operator {} is not In", other.unwrap_or("(none)")))),
        }
        let Some(Value::Array(values)) = entry.get("values") else { return Err(fault(&place, "expected values")) };
        let values = values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
        read.insert(labels::normalize(key).to_owned(), values);
    }
    Ok(read)
}

/// Members of an object by lower-case key.
fn fields(value: &Value) -> Option<BTreeMap<String, &Value>> {
    Some(value.as_object()?.iter().map(|(key, value)| (key.to_ascii_lowercase(), value)).collect())
}

fn text<'a>(entry: &BTreeMap<String, &'a Value>, key: &str) -> Option<&'a str> {
    entry.get(key).and_then(|value| value.as_str())
}

fn fault(place: &str, reason: &str) -> CatalogError {
    CatalogError::InstanceTypes { place: place.into(), reason: reason.into() }
}
