//! The house rules of ARCHITECTURE.md as tests. Each rule is run over this repository, and shown a breach it must catch.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test program; its helpers may panic too")]

mod architecture {
    mod arrows;
    mod circles;
    mod imports;
    mod lexer;
    mod names;
    mod paths;
    mod purity;
    mod repository;
    mod shape;
}
