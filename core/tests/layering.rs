//! The layers of the core depend on each other in one direction only.
//!
//! Reads every source file and looks at the modules it names, in `use` trees as in plain paths.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// In data order: a stage may name those before it.
const STAGES: [&str; 9] = ["chunk", "pack", "hash", "transform", "compress", "layout", "erasure", "stripe", "place"];
/// What a stage may name of the rest of the crate.
const STAGES_MAY_NAME: [&str; 6] = ["stage", "error", "id", "Error", "ErrorKind", "Result"];
/// What makes a function impure or asynchronous.
const STAGES_MUST_NOT_NAME: [&str; 10] = [
    "tokio",
    "futures_util",
    "rand",
    "rusqlite",
    "rustix",
    "std::fs",
    "std::time",
    "std::net",
    "std::process",
    "std::thread",
];

type Tokens = Vec<String>;

/// The words and path punctuation of a source, without comments, strings and characters.
fn tokens(source: &str) -> Tokens {
    let mut found = Vec::new();
    let chars: Vec<char> = source.chars().collect();
    let mut at = 0;
    let starts = |at: usize, text: &str| chars[at..].iter().take(text.len()).copied().eq(text.chars());
    while at < chars.len() {
        let c = chars[at];
        if starts(at, "//") {
            at += chars[at..].iter().take_while(|&&c| c != '\n').count();
        } else if starts(at, "/*") {
            let mut depth = 0;
            while at < chars.len() {
                depth += i32::from(starts(at, "/*")) - i32::from(starts(at, "*/"));
                at += 1;
                if depth == 0 {
                    break;
                }
            }
            at += 1;
        } else if c == '"' {
            let raw_hashes = chars[..at].iter().rev().take_while(|&&c| c == '#').count();
            let raw = at > raw_hashes && chars[at - raw_hashes - 1] == 'r';
            at += 1;
            let end = format!("\"{}", "#".repeat(if raw { raw_hashes } else { 0 }));
            while at < chars.len() && !starts(at, &end) {
                at += if !raw && chars[at] == '\\' { 2 } else { 1 };
            }
            at += end.len();
        } else if c == '\'' && (chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')) {
            // A character; otherwise it starts a lifetime.
            at += if chars[at + 1] == '\\' { 3 } else { 2 };
            at += chars[at..].iter().take_while(|&&c| c != '\'').count() + 1;
        } else if c.is_alphanumeric() || c == '_' {
            let word: String = chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
            at += word.len().max(1);
            found.push(word);
        } else if starts(at, "::") {
            found.push("::".into());
            at += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.into());
            }
            at += 1;
        }
    }
    found
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Every path a source names, from the root of its crate ("crate::…") or of another one.
/// `module` is the path of the module itself, from the crate's root.
fn named_paths(source: &str, module: &[String]) -> BTreeSet<String> {
    let tokens = tokens(source);
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut paths = BTreeSet::new();
    let mut module = module.to_vec();
    // The brace depths at which modules inside the file began.
    let (mut depth, mut inner) = (0, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let follows = at > 1 && token(at - 1) == "::" && token(at - 2) != "use";
        if is_word(token(at)) && token(at) != "use" && !follows && token(at + 1) == "::" {
            at = read_path(&tokens, at, &[], &module, &mut paths);
            continue;
        }
        match token(at) {
            "use" if is_word(token(at + 1)) && token(at + 2) != "::" => {
                paths.insert(token(at + 1).to_owned());
            }
            "mod" if token(at + 2) == "{" => {
                module.push(token(at + 1).to_owned());
                inner.push(depth);
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inner.last() == Some(&depth) {
                    inner.pop();
                    module.pop();
                }
            }
            _ => {}
        }
        at += 1;
    }
    paths
}

/// Reads a path or `use` tree that starts at `at`; gives where it ends.
fn read_path(
    tokens: &[String],
    mut at: usize,
    before: &[String],
    module: &[String],
    paths: &mut BTreeSet<String>,
) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    let end = read_path(tokens, at, &path, module, paths);
                    // `as name` and commas.
                    at = end.max(at + 1);
                    while tokens.get(at).is_some_and(|token| token != "}" && token != ",") {
                        at += 1;
                    }
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            Some("super") => {
                if path.is_empty() {
                    path = ["crate".to_owned()].into_iter().chain(module.iter().cloned()).collect();
                }
                path.pop();
            }
            Some("self") if path.is_empty() => {
                path = ["crate".to_owned()].into_iter().chain(module.iter().cloned()).collect();
            }
            Some("self") => {}
            Some(word) => path.push(word.to_owned()),
            None => return at,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            paths.insert(path.join("::"));
            return at;
        }
        at += 1;
    }
}

fn names(path: &str, prefix: &str) -> bool {
    path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("::"))
}

/// Why a stage's source breaks the rules, if it does.
fn stage_faults(source: &str, module: &[String]) -> Vec<String> {
    let own = module.get(1).and_then(|name| STAGES.iter().position(|stage| stage == name));
    let mut faults = Vec::new();
    for path in named_paths(source, module) {
        if let Some(forbidden) = STAGES_MUST_NOT_NAME.iter().find(|forbidden| names(&path, forbidden)) {
            faults.push(format!("names {forbidden}: {path}"));
        }
        let Some(inside) = path.strip_prefix("crate::") else { continue };
        let mut parts = inside.split("::");
        let first = parts.next().unwrap_or_default();
        if !STAGES_MAY_NAME.contains(&first) {
            faults.push(format!("names {path}"));
        }
        if let (true, Some(own), Some(other)) = (first == "stage", own, parts.next()) {
            match STAGES.iter().position(|stage| *stage == other) {
                Some(other) if other <= own => {}
                Some(_) => faults.push(format!("names a later stage: {path}")),
                None => faults.push(format!("names a stage that has no place in the order: {path}")),
            }
        }
    }
    faults
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with its module's path from the crate's root.
fn modules() -> Vec<(PathBuf, Vec<String>, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .map(|file| {
            let inside = file.strip_prefix(&root).unwrap().with_extension("");
            let mut module: Vec<String> =
                inside.components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
            if module == ["lib"] {
                module.clear();
            }
            let source = fs::read_to_string(&file).unwrap();
            (file, module, source)
        })
        .collect()
}

fn is_in(module: &[String], layer: &str) -> bool {
    module.first().is_some_and(|first| first == layer)
}

#[test]
fn stages_are_pure_and_name_only_earlier_stages() {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (file, module, source) in modules().iter().filter(|(_, module, _)| is_in(module, "stage")) {
        if let Some(stage) = module.get(1) {
            seen.insert(stage.clone());
        }
        faults.extend(stage_faults(source, module).iter().map(|fault| format!("{}: {fault}", file.display())));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let known: BTreeSet<String> = STAGES.iter().map(|stage| stage.to_string()).collect();
    assert_eq!(seen, known, "every stage has its place in the order");
}

#[test]
fn lower_layers_do_not_name_higher_ones() {
    let rules = [("remote", &["journal", "index", "pool", "stage"][..]), ("journal", &["pool"]), ("index", &["pool"])];
    let mut faults = Vec::new();
    for (file, module, source) in modules() {
        for (_, above) in rules.iter().filter(|(layer, _)| is_in(&module, layer)) {
            for path in named_paths(&source, &module) {
                if above.iter().any(|layer| names(&path, &format!("crate::{layer}"))) {
                    faults.push(format!("{}: names {path}", file.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The lint can be lifted anywhere, by an attribute that names it; only above the two vector kernels may it be.
#[test]
fn unsafe_code_is_in_the_vector_kernels_alone() {
    let mut lifted = Vec::new();
    for (file, module, source) in modules() {
        let words = tokens(&source);
        let has = |word: &str| words.iter().any(|token| token == word);
        if ["x86", "neon"].iter().any(|name| module == ["stage", "erasure", "kernel", name]) {
            assert!(has("unsafe"), "{} needs no leave", file.display());
        } else {
            assert!(!has("unsafe"), "{}", file.display());
            if has("unsafe_code") {
                lifted.push(module.join("::"));
            }
        }
    }
    lifted.sort();
    assert_eq!(lifted, ["", "stage::erasure::kernel"], "the root denies it, the kernels' parent allows it to them");
}

#[test]
fn the_check_sees_what_it_forbids() {
    let module: Vec<String> = ["stage", "erasure", "tests"].map(String::from).to_vec();
    let faults = |source: &str| stage_faults(source, &module).len();
    for bad in [
        "use crate::remote::Remote;",
        "use crate::{error::Error, journal::{self, record}};",
        "fn f() { crate::pool::open() }",
        "use super::super::super::remote;",
        "mod inner { fn f() {} use super::super::super::super::remote; }",
        "mod inner { fn f() {} } use super::super::super::remote;",
        "use super::super::place;",
        "use crate::stage::{layout::Layout, stripe};",
        "use crate::stage::unheard_of::X;",
        "use tokio::sync::Mutex;",
        "use tokio;",
        "use ::tokio::sync::Mutex;",
        "use std::{sync::Arc, fs::File as F, fmt};",
        "let now = std::time::Instant::now();",
        "let c = '\"'; std::fs::read(c); let d = '\"';",
        "let s = r#\"\"\"#; std::fs::read(s);",
        "fn f<'a>(x: &'a u8) { std::process::exit(1) }",
    ] {
        assert!(faults(bad) > 0, "{bad}");
    }
    for good in [
        "use crate::{Error, error::ErrorKind, id::Sha256, stage::layout::Layout};",
        "mod inner { use super::super::super::erasure; use super::super::*; } use super::*; use super::super::chunk; use self::inner::X;",
        "// crate::remote, tokio::spawn\n/* crate::journal /* nested */ tokio::x */ use std::sync::Arc;",
        "let text = \"use tokio::sync \\\" crate::remote\"; let c = '\\''; let d = '\\u{1f}';",
        "let filesystem = my::std::fs::File; mytokio::x();",
    ] {
        assert_eq!(stage_faults(good, &module), Vec::<String>::new(), "{good}");
    }
}
