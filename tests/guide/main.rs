//! The tutorial of `docs/guide.md` is this program: it is compiled and tested here, and the guide shows nothing else.

#![cfg(feature = "memory")]
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    dead_code,
    reason = "the tutorial is written as a beginner would write it"
)]

extern crate self as assistant;

#[path = "assistant/tests/answers.rs"]
mod answers;
#[path = "assistant/src/lib.rs"]
mod lib;
#[path = "assistant/src/main.rs"]
mod program;

pub use lib::*;

/// The block of code that follows `<!-- name -->` in the guide.
fn block(name: &str) -> &'static str {
    let guide = include_str!("../../docs/guide.md");
    let (_, rest) = guide.split_once(&format!("<!-- {name} -->\n")).expect("the guide shows the file");
    let (_, rest) = rest.split_once('\n').expect("a fence");
    let (block, _) = rest.split_once("```\n").expect("the end of the fence");
    block
}

#[test]
fn the_guide_shows_what_is_tested_here() {
    assert_eq!(block("src/lib.rs"), include_str!("assistant/src/lib.rs"));
    assert_eq!(block("src/main.rs"), include_str!("assistant/src/main.rs"));
    assert_eq!(block("tests/answers.rs"), include_str!("assistant/tests/answers.rs"));
}
