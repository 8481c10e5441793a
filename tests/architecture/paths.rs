//! The paths a file names: `use` trees written out one by one, and `a::b::c` in code.

use super::lexer::{Kind, Token, balanced};

/// A path with the line it starts on. A macro's last segment carries its `!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPath {
    pub line: usize,
    pub segments: Vec<String>,
}

impl NamedPath {
    pub fn text(&self) -> String {
        self.segments.join("::")
    }

    /// Whether the path begins with these segments.
    pub fn starts_with(&self, prefix: &str) -> bool {
        let prefix: Vec<_> = prefix.split("::").collect();
        self.segments.len() >= prefix.len() && self.segments.iter().zip(prefix).all(|(own, other)| own == other)
    }

    /// The segments after any `crate`, `self` and `super`; nothing when the path does not begin with one of them.
    pub fn inside_crate(&self) -> &[String] {
        let is_relative = |segment: &String| matches!(segment.as_str(), "crate" | "self" | "super");
        let n_relative = self.segments.iter().take_while(|segment| is_relative(segment)).count();
        if n_relative == 0 { &[] } else { &self.segments[n_relative..] }
    }
}

/// A path of a `use` tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub path: NamedPath,
    /// What it is called here.
    pub name: String,
    /// Whether others may take it from here.
    pub is_public: bool,
}

/// All that the code imports.
pub fn imports(tokens: &[Token]) -> Vec<Import> {
    let mut found = Vec::new();
    for (at, end) in uses(tokens) {
        let is_public = at > 0 && (tokens[at - 1].is_word("pub") || tokens[at - 1].is_sign(')'));
        use_tree(&tokens[at + 1..end], &[], is_public, &mut found);
    }
    found
}

/// Every path of the code that is no import, single words too.
pub fn named(tokens: &[Token]) -> Vec<NamedPath> {
    let (mut kept, mut start) = (Vec::with_capacity(tokens.len()), 0);
    for (at, end) in uses(tokens) {
        kept.extend_from_slice(&tokens[start..at]);
        start = end;
    }
    kept.extend_from_slice(&tokens[start..]);
    paths(&kept)
}

/// Where `use` items begin, and where their `;` stands.
fn uses(tokens: &[Token]) -> Vec<(usize, usize)> {
    let starts = (0..tokens.len()).filter(|at| is_use(tokens, *at));
    starts.map(|at| (at, at + tokens[at..].iter().take_while(|token| !token.is_sign(';')).count())).collect()
}

/// `use` as a word of its own, not that of `use<'_>`.
fn is_use(tokens: &[Token], at: usize) -> bool {
    tokens[at].is_word("use") && tokens.get(at + 1).is_some_and(|next| !next.is_sign('<'))
}

/// Every path of the code, single words too.
pub fn paths(tokens: &[Token]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_use(tokens, at) {
            let end = at + tokens[at..].iter().take_while(|token| !token.is_sign(';')).count();
            let mut tree = Vec::new();
            use_tree(&tokens[at + 1..end], &[], false, &mut tree);
            found.extend(tree.into_iter().map(|import| import.path));
            at = end;
        } else if let Kind::Word(first) = &tokens[at].kind {
            let mut segments = vec![first.clone()];
            let line = tokens[at].line;
            at += 1;
            while let (Some(Kind::PathSep), Some(Kind::Word(next))) = (kind(tokens, at), kind(tokens, at + 1)) {
                segments.push(next.clone());
                at += 2;
            }
            // `name!(…)` is a macro, `name != other` is not.
            if tokens.get(at).is_some_and(|token| token.is_sign('!'))
                && tokens.get(at + 1).is_some_and(|token| !token.is_sign('='))
                && let Some(last) = segments.last_mut()
            {
                last.push('!');
            }
            found.push(NamedPath { line, segments });
        } else {
            at += 1;
        }
    }
    found
}

fn kind(tokens: &[Token], at: usize) -> Option<&Kind> {
    tokens.get(at).map(|token| &token.kind)
}

/// Writes out `a::{b, c::{d as e, self}}`; an alias is no part of the path.
fn use_tree(tokens: &[Token], prefix: &[String], is_public: bool, found: &mut Vec<Import>) {
    let mut segments = prefix.to_vec();
    let (mut line, mut alias) = (None, None);
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].kind {
            Kind::Word(word) if word == "as" => {
                at += 1;
                if let Some(Kind::Word(own)) = kind(tokens, at) {
                    alias = Some(own.clone());
                }
            }
            Kind::Word(word) => {
                line.get_or_insert(tokens[at].line);
                if word != "self" || segments.is_empty() {
                    segments.push(word.clone());
                }
            }
            Kind::Sign('*') => {
                line.get_or_insert(tokens[at].line);
                segments.push("*".to_owned());
            }
            Kind::Sign('{') => {
                let end = at + balanced(&tokens[at..], '{', '}').unwrap_or(tokens.len() - at);
                for branch in branches(&tokens[at + 1..end - 1]) {
                    use_tree(branch, &segments, is_public, found);
                }
                return;
            }
            _ => {}
        }
        at += 1;
    }
    if let Some(line) = line {
        let name = alias.or_else(|| segments.last().cloned()).unwrap_or_default();
        found.push(Import { path: NamedPath { line, segments }, name, is_public });
    }
}

/// Splits at the commas that are not inside braces.
fn branches(tokens: &[Token]) -> Vec<&[Token]> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Sign('{') => depth += 1,
            Kind::Sign('}') => depth = depth.saturating_sub(1),
            Kind::Sign(',') if depth == 0 => {
                found.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&tokens[start..]);
    found
}

mod tests {
    use super::super::lexer::lex;
    use super::*;

    fn texts(code: &str) -> Vec<String> {
        paths(&lex(code).tokens).iter().map(NamedPath::text).collect()
    }

    #[test]
    fn a_use_tree_is_written_out() {
        let code = "pub use std::{collections::{BTreeMap, HashMap as Map}, time::{self, Duration}, fmt::*};";
        assert_eq!(
            texts(code),
            [
                "pub",
                "std::collections::BTreeMap",
                "std::collections::HashMap",
                "std::time",
                "std::time::Duration",
                "std::fmt::*"
            ]
        );
    }

    #[test]
    fn imports_carry_their_own_names_and_whether_others_may_take_them() {
        let code = "pub(crate) use a::b as c; use d::{E, f as g}; fn h() { i::j(); }";
        let found = imports(&lex(code).tokens);
        let found: Vec<_> = found.iter().map(|one| (one.path.text(), one.name.as_str(), one.is_public)).collect();
        let wanted = [("a::b", "c", true), ("d::E", "E", false), ("d::f", "g", false)];
        assert_eq!(found, wanted.map(|(path, name, is_public)| (path.to_owned(), name, is_public)));
        let rest: Vec<_> = named(&lex(code).tokens).iter().map(NamedPath::text).collect();
        assert!(rest.contains(&"i::j".to_owned()) && !rest.contains(&"d::E".to_owned()));
    }

    #[test]
    fn a_path_in_code_is_found_whole() {
        assert!(texts("let t = ::std::time::Instant::now();").contains(&"std::time::Instant::now".to_owned()));
    }

    #[test]
    fn macros_carry_their_sign_and_comparisons_do_not() {
        let found = texts("println!(\"\"); log::info!(\"\"); if a != b {}");
        assert!(found.contains(&"println!".to_owned()) && found.contains(&"log::info!".to_owned()));
        assert!(found.contains(&"a".to_owned()));
    }

    #[test]
    fn precise_capturing_is_no_import() {
        assert!(texts("fn f() -> impl Iterator + use<'_> { Instant }").contains(&"Instant".to_owned()));
    }
}
