//! `recovery-sheet`.

use std::path::{Path, PathBuf};

use rclonepool_core::config::redact_remote;
use rclonepool_core::pool::{RemoteReport, start_rclone};
use rclonepool_core::{Config, Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::context::{Context, open_options};
use crate::format;
use crate::obscure;
use crate::sections::{self, Section};

/// Options that are worth knowing and no secret, of any kind of remote.
const HARMLESS: [&str; 14] = [
    "provider",
    "endpoint",
    "region",
    "url",
    "vendor",
    "host",
    "port",
    "user",
    "username",
    "account",
    "drive_id",
    "root_folder_id",
    "team_drive",
    "nounc",
];

/// Write down what the pool cannot give back: crypt passwords, and what the pool is made of
///
/// With this sheet and logins to the accounts, a new machine reads everything. Keep it away from
/// this machine, and from others: it holds passwords in plain text.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write, readable by its owner only [default: standard output]
    file: Option<PathBuf>,

    /// Replace the file if it is there
    #[arg(short, long, requires = "file")]
    force: bool,
}

/// A remote of the pool and the sections of rclone.conf it stands on.
struct Sheet<'a> {
    config: &'a Config,
    pool: String,
    members: Vec<RemoteReport>,
    sections: Vec<Section>,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let config = context.config()?;
    let sheet = gather(context, &config).await?;
    if let Some(file) = &args.file {
        store(file, &sheet.text(), args.force)?;
        let shown = file.display().to_string();
        context.ui.say(&format!("{}: written; keep it away from this machine", format::printable(&shown)))?;
        return context.ui.summary(json!({"file": shown, "passwords": sheet.passwords()}));
    }
    context.ui.warn("what follows holds passwords in plain text");
    if context.ui.json {
        return context.ui.summary(sheet.json());
    }
    context.ui.print(sheet.text().trim_end())
}

async fn gather<'a>(context: &Context, config: &'a Config) -> Result<Sheet<'a>> {
    let labels = config.effective_remotes();
    // Remotes that are away now must not keep anyone from writing down the passwords.
    let known = context
        .with_pool(config, async |pool| {
            let status = context.stoppable(pool.status()).await?;
            Ok((status.pool.to_string(), status.remotes))
        })
        .await;
    let (pool, members) = match known {
        Ok(known) => known,
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        Err(error) => {
            context.ui.warn(&format!("the pool cannot be asked, so the sheet is made from the configuration: {error}"));
            (config.pool_id.map_or("unknown".into(), |pool| pool.to_string()), Vec::new())
        }
    };
    let mut sections: Vec<Section> = Vec::new();
    if labels.iter().any(|label| !sections::is_directory(label)) {
        let rclone = context.stoppable(start_rclone(config, &open_options())).await?;
        for label in &labels {
            for section in sections::chain(&rclone, label).await? {
                if !sections.iter().any(|known| known.name == section.name) {
                    sections.push(section);
                }
            }
        }
        rclone.close().await;
    }
    Ok(Sheet { config, pool, members, sections })
}

impl Sheet<'_> {
    fn text(&self) -> String {
        let config = self.config;
        let mut lines = vec![
            "RCLONEPOOL RECOVERY SHEET".to_owned(),
            "It holds passwords in plain text: keep it where nobody finds it, and not on the machine of the pool."
                .into(),
            String::new(),
            format!("pool id:          {}", self.pool),
            format!("redundancy:       {}", config.redundancy()),
            format!("chunk size:       {} bytes", config.chunk_size),
            format!("manifest prefix:  {}", config.manifest_prefix),
            format!("data prefix:      {}", config.data_prefix),
            String::new(),
            "REMOTES OF THE POOL".into(),
        ];
        for label in config.effective_remotes() {
            let id = self.members.iter().find(|m| m.name == label).and_then(|m| m.id);
            let id = id.map_or(String::new(), |id| format!("  (id {id})"));
            lines.push(format!("  {}{id}", redact_remote(&label)));
        }
        for member in self.members.iter().filter(|member| !member.configured) {
            let id = member.id.map_or(String::new(), |id| format!("  (id {id})"));
            lines.push(format!("  {}{id}, not configured on this machine", redact_remote(&member.name)));
        }
        if !self.sections.is_empty() {
            lines.push(String::new());
            lines.push("FROM RCLONE.CONF".into());
            lines.push("Passwords are plain here. Logins are left out: sign in to the accounts anew.".into());
        }
        for section in &self.sections {
            lines.push(String::new());
            lines.push(format!("  [{}]", section.name));
            for (name, value) in known_options(section) {
                lines.push(format!("  {name} = {value}"));
            }
        }
        lines.push(String::new());
        lines.extend(self.steps());
        lines.join("\n") + "\n"
    }

    fn steps(&self) -> Vec<String> {
        let mut steps = vec!["ON A NEW MACHINE".to_owned()];
        if self.sections.is_empty() {
            steps.push("  1. Install rclonepool, and mount the directories above.".into());
        } else {
            steps.push("  1. Install rclone and rclonepool; sign in to the accounts by `rclone config`.".into());
            steps.push("  2. Make the crypt remotes again, under any names, with all the options above:".into());
        }
        for section in self.sections.iter().filter(|section| section.options.kind() == "crypt") {
            let options = known_options(section).into_iter().filter(|(name, _)| name != "type");
            let words: Vec<String> = options.map(|(name, value)| quoted(&format!("{name}={value}"))).collect();
            steps.push(format!(
                "       rclone config create --obscure {} crypt {}",
                quoted(&section.name),
                words.join(" ")
            ));
        }
        let default = Config::default().manifest_prefix;
        let prefix = match &self.config.manifest_prefix {
            prefix if *prefix == default => String::new(),
            prefix => format!(" --manifest-prefix {prefix}"),
        };
        let labels: Vec<String> = self.config.effective_remotes().iter().map(|l| quoted(&redact_remote(l))).collect();
        let number = if self.sections.is_empty() { 2 } else { 3 };
        steps.push(format!("  {number}. rclonepool init{prefix} --from {}", labels.join(" ")));
        steps.push("     (one of them is enough to find the others, where they still have these names)".into());
        steps
    }

    fn passwords(&self) -> usize {
        let named =
            |section: &Section| known_options(section).iter().filter(|(name, _)| name.starts_with("password")).count();
        self.sections.iter().map(named).sum()
    }

    fn json(&self) -> Value {
        let config = self.config;
        let section = |section: &Section| {
            let options: serde_json::Map<String, Value> =
                known_options(section).into_iter().map(|(name, value)| (name, value.into())).collect();
            (section.name.clone(), Value::Object(options))
        };
        json!({
            "pool": self.pool,
            "redundancy": config.redundancy().to_string(),
            "chunk_size": config.chunk_size,
            "manifest_prefix": config.manifest_prefix,
            "data_prefix": config.data_prefix,
            "remotes": config.masked()["remotes"],
            "crypt_remotes": config.masked()["crypt_remotes"],
            "members": self.members.iter().map(|m| json!({"name": redact_remote(&m.name), "id": m.id})).collect::<Vec<_>>(),
            "rclone": self.sections.iter().map(section).collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// What must be known of a section: all of a crypt remote, with plain passwords; what is no secret of others.
fn known_options(section: &Section) -> Vec<(String, String)> {
    let (kind, is_crypt) = (section.options.kind(), section.options.kind() == "crypt");
    let mut known = vec![("type".to_owned(), kind.to_owned())];
    let mut options: Vec<(&str, &str)> = section.options.options().filter(|(name, _)| *name != "type").collect();
    options.sort_unstable();
    for (name, value) in options {
        if is_crypt && matches!(name, "password" | "password2") {
            known.push((name.into(), obscure::reveal(value).unwrap_or_else(|| format!("(obscured) {value}"))));
        } else if is_crypt || HARMLESS.contains(&name) || matches!(name, "remote" | "upstreams") {
            known.push((name.into(), redact_remote(value)));
        }
    }
    known
}

/// A word for a Unix shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn store(file: &Path, text: &str, force: bool) -> Result<()> {
    use std::io::Write;
    let at = |e| Error::io("cannot write", e).at_path(file.display());
    if force && file.exists() {
        // Removed, not emptied: the old file's mode and further names must not get the new text.
        std::fs::remove_file(file).map_err(at)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut handle = options.open(file).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Error::new(ErrorKind::AlreadyExists, "the file is there already")
            .at_path(file.display())
            .hint("--force replaces it"),
        _ => at(e),
    })?;
    handle.write_all(text.as_bytes()).and_then(|()| handle.sync_all()).map_err(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell() {
        assert_eq!(quoted("remote=mega1:dir"), "remote=mega1:dir");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
