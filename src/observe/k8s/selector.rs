//! Selectors over labels, as the API writes them.

use planner::model::{Labels, Str};
use serde::Deserialize;

/// A selector over pods or namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    pub match_labels: Labels,
    pub match_expressions: Vec<SelectorExpression>,
}

/// A condition on one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SelectorExpression {
    pub key: Str,
    pub operator: Str,
    pub values: Vec<Str>,
}

/// A node selector: one of the terms must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// All of its conditions must hold; one without any selects nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    pub match_expressions: Vec<SelectorExpression>,
    pub match_fields: Vec<SelectorExpression>,
}
