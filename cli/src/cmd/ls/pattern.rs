//! Patterns of pool paths.

use globset::{GlobBuilder, GlobMatcher};
use rclonepool_core::index::Listed;
use rclonepool_core::{Error, ErrorKind, Pool, PoolPath, Result};

/// Whether a word holds what a pattern is made of.
pub fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?', '[', '{'])
}

/// What matches a pattern, sorted by path. Only directories that may hold a match are listed.
///
/// # Errors
/// `InvalidArgument` for a wrong pattern; those of the index.
pub fn expand(pool: &Pool, word: &str) -> Result<Vec<Listed>> {
    let bad = |why: String| Error::new(ErrorKind::InvalidArgument, format!("the pattern {word:?} is wrong: {why}"));
    let Some(rest) = word.strip_prefix('/') else { return Err(bad("it must begin with /".into())) };
    let rest = rest.trim_end_matches('/');
    if let Some(at) = rest.split('/').position(|part| part == "**" || part.contains("**")) {
        let fixed: Vec<&str> = rest.split('/').take(at).take_while(|part| !is_pattern(part)).collect();
        let base = if fixed.is_empty() { PoolPath::root() } else { PoolPath::root().join(&fixed.join("/"))? };
        return below(pool, &base, &matcher(&format!("/{rest}")).map_err(bad)?);
    }
    let mut found = vec![Listed { path: PoolPath::root(), entry: None, has_children: true }];
    for part in rest.split('/') {
        let matcher = matcher(part).map_err(bad)?;
        let mut next = Vec::new();
        for directory in found.into_iter().filter(|listed| listed.is_directory() || listed.has_children) {
            let children = pool.list(&directory.path)?;
            next.extend(children.into_iter().filter(|listed| matcher.is_match(listed.path.name())));
        }
        found = next;
    }
    Ok(found)
}

/// `**`: entries at any depth.
fn below(pool: &Pool, base: &PoolPath, matcher: &GlobMatcher) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    if pool.is_directory(base)? {
        pool.walk(base, |entry| {
            if matcher.is_match(entry.path.as_str()) {
                found.push(Listed { path: entry.path.clone(), entry: Some(entry), has_children: false });
            }
            Ok(())
        })?;
    }
    Ok(found)
}

fn matcher(pattern: &str) -> std::result::Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|e| e.kind().to_string())?;
    Ok(glob.compile_matcher())
}
