//! The questions `init` asks on a terminal.

use std::sync::Arc;

use rclonepool_core::config::{ByteSize, ConfigFile, RemoteKind};
use rclonepool_core::env::{Env, SystemEnv};
use rclonepool_core::pool::{start_rclone, tolerated};
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::remote::rclone::Rclone;
use rclonepool_core::{Config, Error, ErrorKind, Result};

use super::{Args, Wanted, proposal};
use crate::cmd::words;
use crate::context::{Context, open_options};
use crate::prompt::Prompt;
use crate::sections::{self, Encryption};

/// Asks what a new pool shall be.
pub async fn ask(args: &Args, context: &Context) -> Result<Wanted> {
    let prompt = Prompt::new(context);
    prompt.tell("A pool joins rclone remotes (cloud accounts) and directories. Empty ones are best.\n");
    let rclone = match context.stoppable(start_rclone(&Config::default(), &open_options())).await {
        Ok(rclone) => Some(rclone),
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        Err(error) => {
            prompt.tell(&format!("rclone cannot be used, so the pool can be made of directories only: {error}\n"));
            None
        }
    };
    let asked = questions(args, &prompt, rclone.as_ref()).await;
    if let Some(rclone) = rclone {
        rclone.close().await;
    }
    asked
}

async fn questions(args: &Args, prompt: &Prompt<'_>, rclone: Option<&Arc<Rclone>>) -> Result<Wanted> {
    let mut remotes = choose(prompt, rclone).await?;
    match rclone {
        Some(rclone) => encrypt(prompt, rclone, &mut remotes).await?,
        None => prompt.tell("\nThe pool will NOT be encrypted: that is the work of rclone's crypt."),
    }
    let redundancy = match args.redundancy {
        Some(redundancy) => redundancy,
        None => redundancy(prompt, remotes.len()).await?,
    };
    let chunk_size = match args.chunk_size {
        Some(size) => size,
        None => {
            prompt.tell("\nFiles are cut into chunks. Large ones move fastest, small ones need less memory.");
            prompt.until("Chunk size", "100M", |text| chunk_size(text, redundancy)).await?
        }
    };
    prompt.tell(&format!(
        "\nA pool of {}\n  with redundancy {redundancy}: {}",
        remotes.join(", "),
        words::tolerance(tolerated(redundancy, remotes.len()), remotes.len())
    ));
    if !prompt.confirm("Make it?", true).await? {
        return Err(Error::new(ErrorKind::Cancelled, "no pool was made"));
    }
    let (data_prefix, manifest_prefix) = (args.data_prefix.clone(), args.manifest_prefix.clone());
    let lifeboat = !args.no_lifeboat;
    Ok(Wanted { remotes, redundancy, chunk_size: Some(chunk_size), data_prefix, manifest_prefix, lifeboat })
}

/// The remotes: numbers of a list, names, directories, until an empty line.
async fn choose(prompt: &Prompt<'_>, rclone: Option<&Arc<Rclone>>) -> Result<Vec<String>> {
    let mut known = Vec::new();
    if let Some(rclone) = rclone {
        known = rclone.list_remotes().await?;
        prompt.tell(match known.is_empty() {
            true => "rclone has no remotes yet; `rclone config` adds your cloud accounts.",
            false => "rclone's remotes:",
        });
        for (at, name) in known.iter().enumerate() {
            let options = rclone.remote_config(name).await?;
            let kind = options.as_ref().map_or("", |options| options.kind());
            prompt.tell(&format!("  {:>2}  {name}: ({kind})", at + 1));
        }
    }
    prompt.tell("Choose by numbers (1 2 3) or by name (mega1: or mega1:dir); add directories by their absolute paths.");
    let mut chosen: Vec<String> = Vec::new();
    loop {
        let question = if chosen.is_empty() { "Remotes" } else { "More (an empty line ends the list)" };
        let added = prompt.until(question, "", |answer| pick(answer, &known)).await?;
        if added.is_empty() && !chosen.is_empty() {
            return Ok(chosen);
        }
        for label in added {
            if chosen.contains(&label) {
                prompt.tell(&format!("  {label} is chosen already"));
            } else {
                prompt.tell(&format!("  + {label}"));
                chosen.push(label);
            }
        }
    }
}

/// Several numbers or names, or one directory, which may hold blanks.
fn pick(answer: &str, known: &[String]) -> Result<Vec<String>> {
    let words: Vec<&str> = answer.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    if words.iter().all(|word| word.bytes().all(|b| b.is_ascii_digit())) {
        let number = |word: &&str| {
            let at = word.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            at.and_then(|at| known.get(at))
                .map(|name| format!("{name}:"))
                .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, format!("{word} is not in the list")))
        };
        return words.iter().map(number).collect();
    }
    let labels: Vec<String> = match known.iter().any(|name| name == answer) {
        true => vec![format!("{answer}:")],
        false if words.iter().all(|word| word.ends_with(':')) => words.iter().map(|word| (*word).to_owned()).collect(),
        false => vec![answer.to_owned()],
    };
    labels.into_iter().map(|label| RemoteKind::of(&label).map(|_| label)).collect()
}

/// Offers crypt remotes over those whose owners could read everything.
async fn encrypt(prompt: &Prompt<'_>, rclone: &Arc<Rclone>, remotes: &mut [String]) -> Result<()> {
    let mut plain = Vec::new();
    for (at, label) in remotes.iter().enumerate() {
        if sections::encryption(Some(rclone), label).await != Encryption::Crypt {
            plain.push(at);
        }
    }
    if plain.is_empty() {
        prompt.tell("\nAll of them are encrypted by rclone's crypt.");
        return Ok(());
    }
    let names: Vec<&str> = plain.iter().map(|at| remotes[*at].as_str()).collect();
    prompt.tell(&format!("\nNot encrypted: {}. Whoever runs them can read what is stored.", names.join(", ")));
    if !prompt.confirm("Put rclone's crypt over them, with a strong password made here?", true).await? {
        prompt.tell("The pool will NOT be encrypted there.");
        return Ok(());
    }
    let secret = || format!("{:032x}", SystemEnv.random());
    let (password, salt) = (secret(), secret());
    let mut taken = rclone.list_remotes().await?;
    for at in plain {
        let label = &remotes[at];
        let name = free_name(label, &taken);
        let target = if label.ends_with(':') { format!("{label}rclonepool") } else { label.clone() };
        rclone.create_crypt(&name, &target, &password, Some(&salt)).await?;
        prompt.tell(&format!("  + {name}: over {target}"));
        remotes[at] = format!("{name}:");
        taken.push(name);
    }
    prompt.tell("The password is in rclone.conf; `rclonepool recovery-sheet FILE` writes it down to keep elsewhere.");
    Ok(())
}

/// `crypt-NAME`, with a number where that is taken.
fn free_name(label: &str, taken: &[String]) -> String {
    let base = sections::name_of(label).or_else(|| label.trim_end_matches('/').rsplit('/').next()).unwrap_or("remote");
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '_' };
    let base = format!("crypt-{}", base.chars().map(plain).collect::<String>());
    let numbered = (2..).map(|n| format!("{base}-{n}"));
    std::iter::once(base.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(base)
}

async fn redundancy(prompt: &Prompt<'_>, n: usize) -> Result<Redundancy> {
    prompt.tell(&format!("\nRedundancy lets a pool of {n} survive the loss of remotes:"));
    let shards = u8::try_from(n.min(20)).unwrap_or(20);
    let offered = [
        Some(Redundancy::NONE),
        Redundancy::replication(2).ok().filter(|_| n >= 2),
        Redundancy::parity_of(shards.saturating_sub(1), 1).ok().filter(|_| n >= 3),
        Redundancy::parity_of(shards.saturating_sub(2), 2).ok().filter(|_| n >= 5),
    ];
    for one in offered.into_iter().flatten() {
        let words = words::tolerance(tolerated(one, n), n);
        prompt.tell(&format!("  {:<14} takes {:.2} times the space; {words}", one.to_string(), one.overhead()));
    }
    let chosen = prompt.until("Redundancy", &proposal(n).to_string(), str::parse::<Redundancy>).await?;
    if let Some(cost) = words::too_few(chosen, n) {
        prompt.tell(&format!("  Note: {cost}"));
    }
    Ok(chosen)
}

fn chunk_size(text: &str, redundancy: Redundancy) -> Result<ByteSize> {
    let size: ByteSize = text.parse()?;
    let mut file = ConfigFile::create(std::path::Path::new("config.json"));
    file.set("remotes", vec!["/"]);
    file.set("chunk_size", size.0);
    file.set_redundancy(redundancy);
    super::fit_memory(&mut file, size.0, redundancy);
    file.config().map(|_| size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_numbers_or_labels() {
        let known = ["a".to_owned(), "b c".to_owned()];
        assert_eq!(pick("1, 2", &known).unwrap(), ["a:", "b c:"]);
        assert_eq!(pick("", &known).unwrap(), Vec::<String>::new());
        assert_eq!(pick("a", &known).unwrap(), ["a:"]);
        assert_eq!(pick("b c", &known).unwrap(), ["b c:"]);
        assert_eq!(pick("x: y:", &known).unwrap(), ["x:", "y:"]);
        assert_eq!(pick("/mnt/my disk", &known).unwrap(), ["/mnt/my disk"]);
        assert_eq!(pick("a:dir", &known).unwrap(), ["a:dir"]);
        for bad in ["3", "0", "relative/dir", "zzz"] {
            assert!(pick(bad, &known).is_err(), "{bad}");
        }
    }

    #[test]
    fn crypt_remotes_get_free_names() {
        let taken = ["crypt-mega1".to_owned(), "crypt-disk".to_owned(), "crypt-disk-2".to_owned()];
        assert_eq!(free_name("mega2:", &taken), "crypt-mega2");
        assert_eq!(free_name("mega1:dir", &taken), "crypt-mega1-2");
        assert_eq!(free_name("/mnt/disk/", &taken), "crypt-disk-3");
        assert_eq!(free_name("/mnt/my disk", &taken), "crypt-my_disk");
    }

    #[test]
    fn impossible_chunk_sizes_are_refused() {
        let parity = Redundancy::parity_of(3, 1).unwrap();
        assert_eq!(chunk_size("4G", parity).unwrap().0, 4 << 30);
        assert!(chunk_size("1K", parity).unwrap_err().to_string().contains("65,536"));
        assert!(chunk_size("lots", parity).is_err());
    }
}
