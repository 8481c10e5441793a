//! The profile format of pprof (`profile.proto`, compressed): six kinds of message, written by hand.

use std::collections::HashMap;
use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

/// What a number of a sample counts, and in what.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueType {
    pub(super) kind: &'static str,
    pub(super) unit: &'static str,
}

/// A profile that is being put together.
pub(super) struct Profile {
    strings: Vec<String>,
    string_ids: HashMap<String, u64>,
    /// By name and file.
    functions: HashMap<(u64, u64), u64>,
    /// By function and line.
    locations: HashMap<(u64, u64), u64>,
    /// Encoded messages of the profile so far.
    body: Vec<u8>,
    period: i64,
    period_type: (u64, u64),
}

impl Profile {
    pub(super) fn new(values: &[ValueType], period_type: ValueType, period: i64) -> Self {
        let mut profile = Self {
            strings: Vec::new(),
            string_ids: HashMap::new(),
            functions: HashMap::new(),
            locations: HashMap::new(),
            body: Vec::new(),
            period,
            period_type: (0, 0),
        };
        // The first string has to be the empty one.
        profile.string("");
        for value in values {
            let ids = (profile.string(value.kind), profile.string(value.unit));
            message(&mut profile.body, 1, &value_type(ids));
        }
        profile.period_type = (profile.string(period_type.kind), profile.string(period_type.unit));
        profile
    }

    /// One stack, innermost first: function, file, line; and its values in the order of the value types.
    pub(super) fn sample(&mut self, stack: &[(String, String, u32)], values: &[i64]) {
        let locations: Vec<u64> = stack.iter().map(|(name, file, line)| self.location(name, file, *line)).collect();
        let mut sample = Vec::new();
        packed(&mut sample, 1, locations);
        packed(&mut sample, 2, values.iter().map(|value| value.cast_unsigned()));
        message(&mut self.body, 2, &sample);
    }

    /// The compressed file.
    pub(super) fn encode(&self, time_nanos: i64, seconds: u64) -> io::Result<Vec<u8>> {
        let mut out = self.body.clone();
        for text in &self.strings {
            message(&mut out, 6, text.as_bytes());
        }
        number(&mut out, 9, time_nanos.cast_unsigned());
        number(&mut out, 10, seconds.saturating_mul(1_000_000_000));
        message(&mut out, 11, &value_type(self.period_type));
        number(&mut out, 12, self.period.cast_unsigned());
        let mut file = GzEncoder::new(Vec::new(), Compression::default());
        file.write_all(&out)?;
        file.finish()
    }

    fn string(&mut self, text: &str) -> u64 {
        if let Some(id) = self.string_ids.get(text) {
            return *id;
        }
        let id = self.strings.len() as u64;
        self.strings.push(text.into());
        self.string_ids.insert(text.into(), id);
        id
    }

    fn function(&mut self, name: &str, file: &str) -> u64 {
        let key = (self.string(name), self.string(file));
        let next = self.functions.len() as u64 + 1;
        let id = *self.functions.entry(key).or_insert(next);
        if id == next {
            let mut function = Vec::new();
            number(&mut function, 1, id);
            number(&mut function, 2, key.0);
            number(&mut function, 3, key.0);
            number(&mut function, 4, key.1);
            message(&mut self.body, 5, &function);
        }
        id
    }

    fn location(&mut self, name: &str, file: &str, line: u32) -> u64 {
        let function = self.function(name, file);
        let next = self.locations.len() as u64 + 1;
        let id = *self.locations.entry((function, line.into())).or_insert(next);
        if id == next {
            let (mut at, mut location) = (Vec::new(), Vec::new());
            number(&mut at, 1, function);
            number(&mut at, 2, line.into());
            number(&mut location, 1, id);
            message(&mut location, 4, &at);
            message(&mut self.body, 4, &location);
        }
        id
    }
}

fn value_type((kind, unit): (u64, u64)) -> Vec<u8> {
    let mut out = Vec::new();
    number(&mut out, 1, kind);
    number(&mut out, 2, unit);
    out
}

/// A field that holds bytes: a message, a text, or packed numbers.
fn message(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn packed(out: &mut Vec<u8>, field: u64, values: impl IntoIterator<Item = u64>) {
    let mut bytes = Vec::new();
    values.into_iter().for_each(|value| varint(&mut bytes, value));
    message(out, field, &bytes);
}

/// Seven bits a byte, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Fields of a message: number and, for bytes, their content.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
        fn read(bytes: &mut &[u8]) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value;
                }
            }
        }
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let tag = read(&mut bytes);
            let value = read(&mut bytes);
            let n = if tag & 7 == 2 { usize::try_from(value).unwrap() } else { 0 };
            out.push((tag >> 3, value, bytes[..n].to_vec()));
            bytes = &bytes[n..];
        }
        out
    }

    #[test]
    fn a_profile_reads_back_as_it_was_put_together() {
        let cpu = ValueType { kind: "cpu", unit: "nanoseconds" };
        let mut profile = Profile::new(&[cpu], cpu, 10_000_000);
        let frame = |name: &str| (name.to_owned(), "main.rs".to_owned(), 300);
        profile.sample(&[frame("inner"), frame("outer")], &[5]);
        profile.sample(&[frame("outer")], &[-1]);
        let file = profile.encode(1, 30).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut bytes).unwrap();
        let fields = fields(&bytes);
        let of = |number: u64| fields.iter().filter(move |(n, ..)| *n == number);
        let strings: Vec<String> = of(6).map(|(.., text)| String::from_utf8(text.clone()).unwrap()).collect();
        assert_eq!(strings, ["", "cpu", "nanoseconds", "inner", "main.rs", "outer"]);
        assert_eq!(of(2).count(), 2, "samples");
        assert_eq!(of(4).count(), 2, "each location once");
        assert_eq!(of(5).count(), 2, "each function once");
        assert_eq!(of(12).next().unwrap().1, 10_000_000);
        let first = self::fields(&of(2).next().unwrap().2);
        assert_eq!(first[0], (1, 2, vec![1, 2]), "two locations, innermost first");
        assert_eq!(first[1], (2, 1, vec![5]));
    }
}
