//! `millwright crds`: the `CustomResourceDefinitions`, ready for `kubectl apply --server-side -f -`.

use anyhow::Result;
use crds::Kind;

use super::args::{CrdFormat, CrdsArgs};
use super::exit::DONE;
use super::plan::print;

/// Prints all of them.
pub fn run(args: &CrdsArgs) -> Result<u8> {
    match args.format {
        CrdFormat::Yaml => print(&joined())?,
    }
    Ok(DONE)
}

/// One YAML document each.
fn joined() -> String {
    let documents = Kind::ALL.iter().map(|kind| kind.yaml().trim_start_matches("---\n").trim_end());
    documents.fold(String::new(), |all, yaml| all + "---\n" + yaml + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_one_document() {
        let text = joined();
        assert_eq!(text.matches("\nkind: CustomResourceDefinition").count(), Kind::ALL.len());
        assert_eq!(text.matches("---\n").count(), Kind::ALL.len());
    }
}
