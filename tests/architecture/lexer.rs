//! Splits Rust text into words, signs and literals, and knows where comments and test modules are.
//!
//! It needs no more than the rules do: it never fails, and text that is no Rust gives tokens that no rule minds.

/// A piece of code with the line it stands on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword; raw ones without `r#`.
    Word(String),
    /// `::`.
    PathSep,
    /// Any other character that is neither space nor part of a literal.
    Sign(char),
    /// A string, character or whole number.
    Literal,
    /// A number with a fraction, an exponent or a float suffix.
    Float,
}

impl Token {
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own == word)
    }

    pub fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

#[derive(Default)]
pub struct Lexed {
    pub tokens: Vec<Token>,
    pub comments: Vec<(usize, String)>,
}

pub fn lex(text: &str) -> Lexed {
    let mut cursor = Cursor { rest: text, line: 1 };
    let mut lexed = Lexed::default();
    while let Some(c) = cursor.peek() {
        let line = cursor.line;
        if cursor.rest.starts_with("//") {
            lexed.comments.push((line, cursor.take_while(|c| c != '\n').to_owned()));
        } else if cursor.rest.starts_with("/*") {
            lexed.comments.push((line, cursor.block_comment().to_owned()));
        } else if c.is_whitespace() {
            cursor.bump();
        } else {
            let kind = cursor.token(c);
            lexed.tokens.push(Token { line, kind });
        }
    }
    lexed
}

/// Leaves out `#[cfg(test)] mod name { … }`; gives the number of lines that went with them.
pub fn without_test_modules(tokens: &[Token]) -> (Vec<Token>, usize) {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut n_lines = 0;
    let mut at = 0;
    while at < tokens.len() {
        if let Some(end) = test_module_at(&tokens[at..]) {
            n_lines += tokens[at + end - 1].line - tokens[at].line + 1;
            at += end;
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    (kept, n_lines)
}

/// The number of tokens of a test module that starts with the first token.
fn test_module_at(tokens: &[Token]) -> Option<usize> {
    let mut at = 0;
    let mut is_test = false;
    // Attributes, of which one is `cfg(test)`.
    while tokens.get(at)?.is_sign('#') && tokens.get(at + 1)?.is_sign('[') {
        let end = at + 1 + balanced(&tokens[at + 1..], '[', ']')?;
        let words: Vec<_> = tokens[at..end].iter().filter(|t| matches!(t.kind, Kind::Word(_))).collect();
        is_test |= matches!(words[..], [cfg, test] if cfg.is_word("cfg") && test.is_word("test"));
        at = end;
    }
    (is_test && tokens.get(at)?.is_word("mod") && tokens.get(at + 2)?.is_sign('{'))
        .then(|| balanced(&tokens[at + 2..], '{', '}').map(|n| at + 2 + n))
        .flatten()
}

/// The number of tokens up to and with the sign that closes the first one.
pub fn balanced(tokens: &[Token], open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        if token.is_sign(open) {
            depth += 1;
        } else if token.is_sign(close) {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

struct Cursor<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn skip(&mut self, n_chars: usize) {
        for _ in 0..n_chars {
            self.bump();
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let whole = self.rest;
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
        &whole[..whole.len() - self.rest.len()]
    }

    /// Block comments nest.
    fn block_comment(&mut self) -> &'a str {
        let whole = self.rest;
        let mut depth = 0_usize;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
                if depth == 0 {
                    break;
                }
            } else {
                self.bump();
            }
        }
        &whole[..whole.len() - self.rest.len()]
    }

    fn token(&mut self, first: char) -> Kind {
        if let Some(n_hashes) = raw_string_hashes(self.rest) {
            return self.raw_string(n_hashes);
        }
        if self.rest.starts_with("r#") {
            self.skip(2);
            return Kind::Word(self.take_while(is_word_char).to_owned());
        }
        if self.rest.starts_with("b\"") || self.rest.starts_with("c\"") || self.rest.starts_with("b'") {
            self.bump();
            return self.token(if self.rest.starts_with('"') { '"' } else { '\'' });
        }
        match first {
            '"' => self.quoted('"'),
            '\'' => self.character_or_lifetime(),
            c if c.is_ascii_digit() => self.number(),
            c if is_word_char(c) => Kind::Word(self.take_while(is_word_char).to_owned()),
            ':' if self.rest.starts_with("::") => {
                self.skip(2);
                Kind::PathSep
            }
            c => {
                self.bump();
                Kind::Sign(c)
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Kind {
        self.bump();
        while let Some(c) = self.bump() {
            if c == '\\' {
                self.bump();
            } else if c == quote {
                break;
            }
        }
        Kind::Literal
    }

    fn raw_string(&mut self, n_hashes: usize) -> Kind {
        let end = format!("\"{}", "#".repeat(n_hashes));
        while self.bump().is_some_and(|c| c != '"') {}
        while !self.rest.is_empty() && !self.rest.starts_with(&end) {
            self.bump();
        }
        self.skip(end.len());
        Kind::Literal
    }

    /// `'a'` and `'\n'` are characters, `'a` is a lifetime.
    fn character_or_lifetime(&mut self) -> Kind {
        let mut ahead = self.rest.chars().skip(1);
        let (second, third) = (ahead.next(), ahead.next());
        if second == Some('\\') || third == Some('\'') {
            return self.quoted('\'');
        }
        self.bump();
        self.take_while(is_word_char);
        Kind::Literal
    }

    fn number(&mut self) -> Kind {
        let whole = self.take_while(is_word_char);
        let is_prefixed = ["0x", "0b", "0o"].iter().any(|prefix| whole.starts_with(prefix));
        // What follows the digits: a suffix (`u64`, `f64`) or an exponent (`e6`).
        let tail = whole.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
        let mut is_float = !is_prefixed && (tail == "f64" || tail == "f32" || tail.starts_with(['e', 'E']));
        // `1.5` and `1.` are floats; `1..5` is a range and `1.max(2)` a call.
        let mut ahead = self.rest.chars();
        if ahead.next() == Some('.') && !is_prefixed {
            let next = ahead.next();
            if !next.is_some_and(|c| c == '.' || c == '_' || c.is_alphabetic()) {
                is_float = true;
                self.bump();
                self.take_while(is_word_char);
            }
        }
        if is_float { Kind::Float } else { Kind::Literal }
    }
}

fn is_word_char(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// For `r"`, `r#"`, `br##"` and the like: how many hashes the string ends with.
fn raw_string_hashes(rest: &str) -> Option<usize> {
    let rest = rest.strip_prefix(['b', 'c']).unwrap_or(rest).strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let words = lex(text).tokens.into_iter().filter_map(|token| match token.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        });
        words.collect()
    }

    #[test]
    fn comments_strings_and_characters_hold_no_code() {
        let text = "let a = \"HashMap \\\" x\"; // HashMap\n/* HashMap /* nested */ HashMap */ let c = 'H'; \
                    let r = r#\"HashMap \" \"#; let b = b\"HashMap\"; let e = '\\'';";
        assert_eq!(words(text), ["let", "a", "let", "c", "let", "r", "let", "b", "let", "e"]);
    }

    #[test]
    fn a_lifetime_does_not_open_a_character() {
        assert_eq!(words("fn f<'a>(x: &'a str) -> &'static str { x }"), ["fn", "f", "x", "str", "str", "x"]);
    }

    #[test]
    fn lines_are_counted_through_strings_and_comments() {
        let lexed = lex("/* a\nb */\nlet s = \"x\ny\";\nend");
        assert_eq!(lexed.tokens.last().map(|token| token.line), Some(5));
        assert_eq!(lexed.comments[0].0, 1);
    }

    #[test]
    fn floats_are_told_from_ranges_calls_and_hexadecimals() {
        let floats = |text: &str| lex(text).tokens.iter().filter(|token| token.kind == Kind::Float).count();
        assert_eq!(floats("1.5 2. 1e6 3f64 0.25"), 5);
        assert_eq!(floats("1..5 1.max(2) 0x1e6 tuple.0 7_u64 0usize 12"), 0);
    }

    #[test]
    fn test_modules_are_left_out_and_their_lines_counted() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { c() }\n}\nfn d() {}\n";
        let (tokens, n_lines) = without_test_modules(&lex(text).tokens);
        assert!(!tokens.iter().any(|token| token.is_word("b")));
        assert!(tokens.iter().any(|token| token.is_word("d")));
        assert_eq!(n_lines, 4);
    }

    #[test]
    fn a_module_that_is_left_out_of_tests_stays() {
        let text = "#[cfg(not(test))]\nmod real { fn b() {} }";
        assert!(without_test_modules(&lex(text).tokens).0.iter().any(|token| token.is_word("b")));
    }
}
