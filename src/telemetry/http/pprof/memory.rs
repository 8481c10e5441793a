//! What this process holds in memory, by what it was mapped for; Linux only.

use std::collections::BTreeMap;
use std::fs;
use std::io;

/// Resident bytes by name of mapping: `[heap]`, `[stack]`, `[anonymous]` (large allocations and other threads' heaps), files.
pub(super) fn mappings() -> io::Result<BTreeMap<String, u64>> {
    fs::read_to_string("/proc/self/smaps").map(|text| read(&text))
}

fn read(text: &str) -> BTreeMap<String, u64> {
    let mut bytes_by_name: BTreeMap<String, u64> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some(key) = first.strip_suffix(':') {
            let kilobytes = words.next().and_then(|word| word.parse::<u64>().ok());
            if let ("Rss", Some(kilobytes)) = (key, kilobytes) {
                *bytes_by_name.entry(name.clone()).or_default() += kilobytes * 1024;
            }
        } else {
            // address perms offset dev inode [path]
            let path = words.skip(4).collect::<Vec<_>>().join(" ");
            name = if path.is_empty() { "[anonymous]".into() } else { path };
        }
    }
    bytes_by_name.retain(|_, bytes| *bytes > 0);
    bytes_by_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_bytes_are_summed_by_mapping() {
        let text = "00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/mill wright\nSize: 328 kB\nRss: 300 kB\n\
                    01c00000-01c21000 rw-p 00000000 00:00 0 [heap]\nRss: 132 kB\n\
                    7f0000000000-7f0000021000 rw-p 00000000 00:00 0\nRss: 8 kB\n\
                    7f1000000000-7f1000021000 rw-p 00000000 00:00 0\nRss: 4 kB\n\
                    7f2000000000-7f2000021000 ---p 00000000 00:00 0\nRss: 0 kB\n";
        let found = read(text);
        let wanted = [("/usr/bin/mill wright", 300), ("[anonymous]", 12), ("[heap]", 132)];
        assert_eq!(found, wanted.into_iter().map(|(name, kb)| (name.to_owned(), kb * 1024)).collect());
    }
}
