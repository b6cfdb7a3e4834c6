//! `ls`.

mod pattern;

use rclonepool_core::index::Listed;
use rclonepool_core::journal::record::{Content, Entry};
use rclonepool_core::{Error, ErrorKind, Pool, PoolPath, Result};
use serde_json::json;

use crate::context::Context;
use crate::format;
use crate::ui::Out;

/// List what is in the pool
///
/// Directories have a / at their end. Patterns with *, ?, [a-z], {a,b} and ** are understood where the
/// shell leaves them alone: '/photos/*.jpg'.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories, files or patterns [default: /]
    #[arg(value_name = "POOLPATH")]
    paths: Vec<String>,

    /// List everything below, too
    #[arg(short, long)]
    recursive: bool,

    /// Show size and modification time
    #[arg(short, long)]
    long: bool,
}

/// A line: the name to show, and what is known of it; `None` for a directory without a manifest.
struct Line {
    name: String,
    path: PoolPath,
    entry: Option<Entry>,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let words = if args.paths.is_empty() { vec!["/".to_owned()] } else { args.paths.clone() };
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let mut printer = Printer { context, long: args.long, out: context.ui.out(), lines: 0, files: 0, bytes: 0 };
            for word in &words {
                list(pool, word, args.recursive, &mut printer)?;
            }
            printer.finish()
        })
        .await
}

fn list(pool: &Pool, word: &str, recursive: bool, printer: &mut Printer<'_>) -> Result<()> {
    // A name may hold what would be a pattern elsewhere.
    let literal = PoolPath::new(word).ok().map(|path| Ok::<_, Error>((pool.is_directory(&path)?, path))).transpose()?;
    if let Some((is_directory, path)) = literal {
        let entry = pool.entry(&path)?;
        if is_directory {
            return directory(pool, &path, "", recursive, printer);
        }
        if let Some(entry) = entry {
            return printer.line(Line { name: path.as_str().into(), path, entry: Some(entry) });
        }
        if !pattern::is_pattern(word) {
            return Err(Error::new(ErrorKind::DirectoryNotFound, "no such file or directory in the pool").at_path(path));
        }
    } else if !pattern::is_pattern(word) {
        return PoolPath::new(word).map(drop);
    }
    let found = pattern::expand(pool, word)?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "nothing in the pool matches").at_path(word));
    }
    for listed in found {
        let is_directory = listed.is_directory() || listed.has_children;
        let path = listed.path.clone();
        printer.listed(path.as_str(), listed)?;
        if recursive && is_directory {
            directory(pool, &path, &path.prefix(), true, printer)?;
        }
    }
    Ok(())
}

/// What lies in a directory; names begin with `prefix`.
fn directory(pool: &Pool, path: &PoolPath, prefix: &str, recursive: bool, printer: &mut Printer<'_>) -> Result<()> {
    if !recursive {
        return pool.list(path)?.into_iter().try_for_each(|listed| {
            let name = format!("{prefix}{}", listed.path.name());
            printer.listed(&name, listed)
        });
    }
    pool.walk(path, |entry| {
        // The directory itself, where it has a manifest of its own.
        match entry.path.below(path) {
            None | Some("") => Ok(()),
            Some(below) => {
                let name = format!("{prefix}{below}");
                printer.line(Line { name, path: entry.path.clone(), entry: Some(entry) })
            }
        }
    })
}

struct Printer<'a> {
    context: &'a Context,
    long: bool,
    out: Out,
    lines: u64,
    files: u64,
    bytes: u64,
}

impl Printer<'_> {
    fn listed(&mut self, name: &str, listed: Listed) -> Result<()> {
        let Listed { path, entry, has_children } = listed;
        if has_children && entry.as_ref().is_some_and(|entry| !entry.content.is_directory()) {
            // Two machines made the two at the same time.
            self.context.ui.warn(&format!("{path} is a file and a directory at once: move one of them away"));
            self.line(Line { name: name.into(), path: path.clone(), entry })?;
            return self.line(Line { name: name.into(), path, entry: None });
        }
        self.line(Line { name: name.into(), path, entry })
    }

    fn line(&mut self, line: Line) -> Result<()> {
        self.lines += 1;
        let content = line.entry.as_ref().map(|entry| &entry.content);
        let is_directory = content.is_none_or(Content::is_directory);
        self.files += u64::from(!is_directory);
        self.bytes += content.map_or(0, Content::size);
        if self.context.ui.json {
            let object = describe(&line);
            return self.context.ui.json_line("entry", object);
        }
        let mut text = format::printable(&line.name);
        if is_directory {
            text.push('/');
        }
        if self.long {
            let size =
                if is_directory { "-".into() } else { line.entry.as_ref().map_or(0, |e| e.content.size()).to_string() };
            let time = line.entry.as_ref().map_or("-".into(), |entry| format::local_time(entry.mtime_ns));
            let kind = match &line.entry {
                _ if is_directory => 'd',
                Some(Entry { content: Content::Link { target }, .. }) => {
                    text.push_str(&format!(" -> {}", format::printable(target)));
                    'l'
                }
                Some(entry) if entry.executable => 'x',
                _ => '-',
            };
            text = format!("{kind} {size:>15}  {time:<19}  {text}");
        }
        self.out.line(&text)
    }

    fn finish(mut self) -> Result<()> {
        self.out.flush()?;
        self.context.ui.summary(json!({"entries": self.lines, "files": self.files, "bytes": self.bytes}))
    }
}

fn describe(line: &Line) -> serde_json::Value {
    let (kind, target) = match line.entry.as_ref().map(|entry| &entry.content) {
        None | Some(Content::Directory {}) => ("directory", None),
        Some(Content::Link { target }) => ("link", Some(target)),
        Some(_) => ("file", None),
    };
    let entry = line.entry.as_ref();
    json!({
        "path": line.path,
        "type": kind,
        "size": entry.map_or(0, |entry| entry.content.size()),
        "mtime": entry.map(|entry| format::utc_time(entry.mtime_ns)),
        "executable": entry.is_some_and(|entry| entry.executable),
        "target": target,
    })
}
