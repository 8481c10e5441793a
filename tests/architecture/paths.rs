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

/// Every path of the code, single words too.
pub fn paths(tokens: &[Token]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].is_word("use") && tokens.get(at + 1).is_some_and(|next| !next.is_sign('<')) {
            let end = at + tokens[at..].iter().take_while(|token| !token.is_sign(';')).count();
            use_tree(&tokens[at + 1..end], &[], &mut found);
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
fn use_tree(tokens: &[Token], prefix: &[String], found: &mut Vec<NamedPath>) {
    let mut segments = prefix.to_vec();
    let mut line = None;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].kind {
            Kind::Word(word) if word == "as" => at += 1,
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
                    use_tree(branch, &segments, found);
                }
                return;
            }
            _ => {}
        }
        at += 1;
    }
    if let Some(line) = line {
        found.push(NamedPath { line, segments });
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
