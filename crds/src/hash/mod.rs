//! Drift hashes: a number that changes when the static part of a pool or class does.
//!
//! They are bit for bit those of Karpenter, so that taking over a cluster, or giving it back, drifts no node. The
//! algorithm is that of Go's `hashstructure` (format 2, slices as sets, zero values left out) on FNV-1, 64 bits: every
//! step hashes the little-endian bytes of numbers that earlier steps gave.

mod ec2_node_class;
mod node_pool;

use std::collections::BTreeMap;

pub use ec2_node_class::{EC2_NODE_CLASS_HASH_VERSION, ec2_node_class, kubelet_json};
pub use node_pool::{NODE_POOL_HASH_VERSION, node_pool};

const OFFSET: u64 = 14_695_981_039_346_656_037;
const PRIME: u64 = 1_099_511_628_211;

/// FNV-1 (multiply, then xor), begun anew for every call.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(OFFSET, |hash, byte| hash.wrapping_mul(PRIME) ^ u64::from(*byte))
}

fn text(value: &str) -> u64 {
    fnv(value.as_bytes())
}

fn long(value: i64) -> u64 {
    fnv(&value.to_le_bytes())
}

fn int(value: i32) -> u64 {
    fnv(&value.to_le_bytes())
}

fn flag(value: bool) -> u64 {
    fnv(&[u8::from(value)])
}

fn ordered(a: u64, b: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&a.to_le_bytes());
    bytes[8..].copy_from_slice(&b.to_le_bytes());
    fnv(&bytes)
}

fn finish(hash: u64) -> u64 {
    fnv(&hash.to_le_bytes())
}

/// A map: order does not matter.
fn map(entries: &BTreeMap<String, String>) -> u64 {
    finish(entries.iter().fold(0, |hash, (key, value)| hash ^ ordered(text(key), text(value))))
}

/// A list as a set: order does not matter, and two equal elements cancel each other.
fn set(elements: impl IntoIterator<Item = u64>) -> u64 {
    elements.into_iter().fold(0, |hash, element| hash ^ element)
}

/// A struct, field by field in the order of its declaration in Go. Fields that are not set are left out.
struct Struct(u64);

impl Struct {
    fn named(name: &str) -> Self {
        Self(text(name))
    }

    fn field(self, name: &str, hash: Option<u64>) -> Self {
        match hash {
            Some(hash) => Self(finish(self.0 ^ ordered(text(name), hash))),
            None => self,
        }
    }

    /// A field that Go holds as plain text: empty is not set.
    fn plain_text(self, name: &str, value: &str) -> Self {
        self.field(name, (!value.is_empty()).then(|| text(value)))
    }

    /// A field that Go holds as a pointer to text: empty is set.
    fn pointer_text(self, name: &str, value: Option<&str>) -> Self {
        self.field(name, value.map(text))
    }

    fn hash(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_hash_is_fnv_1() {
        assert_eq!(text(""), 14_695_981_039_346_656_037);
        assert_eq!(text("a"), 12_638_153_115_695_167_422);
        assert_eq!(text("us-east-1default"), 15_843_455_441_266_977_890);
    }
}
