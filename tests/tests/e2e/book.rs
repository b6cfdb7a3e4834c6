//! The book does what it says: its commands run, its pages are all there, its links lead somewhere.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rclonepool_tests::home::Home;
use rclonepool_tests::{built, rclone, repository, scratch};

/// A fenced block: its language and words, and its text.
struct Block {
    words: Vec<String>,
    text: String,
}

fn docs() -> PathBuf {
    repository::root().join("docs")
}

fn read(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|e| panic!("{}: {e}", page.display()))
}

fn pages(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|it| it == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(info) if !inside => {
                found.push(Block { words: info.split_whitespace().map(str::to_owned).collect(), text: String::new() });
                inside = true;
            }
            Some(_) => inside = false,
            None if inside => {
                let block = found.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    found
}

/// What a comment of the page asks for: `<!-- NAME: VALUE -->`.
fn asked<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split("<!-- ").filter_map(|part| part.split_once(" -->")).find_map(|(inside, _)| {
        let (key, value) = inside.split_once(": ")?;
        (key == name).then_some(value)
    })
}

/// A page as a person follows it, with directories in the accounts' places.
struct Reader {
    accounts: tempfile::TempDir,
    conf: PathBuf,
    home: Home,
    servers: Vec<Child>,
}

impl Reader {
    fn new(names: &[&str]) -> Self {
        let accounts = scratch();
        let conf = accounts.path().join("rclone.conf");
        let section = |name: &&str| {
            let at = accounts.path().join("accounts").join(name);
            std::fs::create_dir_all(&at).unwrap();
            format!("[{name}]\ntype = alias\nremote = {}\n", at.display())
        };
        std::fs::write(&conf, names.iter().map(section).collect::<String>()).unwrap();
        let home = Home::new(&conf);
        Self { accounts, conf, home, servers: Vec::new() }
    }

    fn command(&self, program: &str) -> Command {
        let ours = self.home.command(&[]);
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.home.path()).stdin(Stdio::null());
        command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let of = |path: &Path| path.parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = [of(&built::rclonepool()), of(Path::new(&rclone::binary()))];
        let dirs = dirs.into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(dirs).unwrap());
        command.env("READER", repository::root().join("tests/reader/read_pool.py"));
        command
    }

    /// Runs lines of a shell, each of which must succeed, with the ports that servers took in place of 8080.
    fn run(&self, page: &str, text: &str) {
        let output = self.command("bash").args(["-euo", "pipefail", "-c", text]).output().unwrap();
        assert!(
            output.status.success(),
            "{page}: {}\n{text}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Starts a server on a free port; gives back its address.
    fn serve(&mut self, text: &str) -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [program, arguments @ ..] = &words[..] else { panic!("an empty block") };
        let mut command = self.command(program);
        command.args(arguments).args(["--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.servers.push(child);
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let at = line.find("http://")?;
            Some(line[at + 7..].split(['/', ' ']).next()?.to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        address.expect("the server says where it listens")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn follow(page: &str) {
    let text = read(&docs().join(page));
    let pool = asked(&text, "pool").map(|it| it.split_once(" on ").expect("REDUNDANCY on REMOTES"));
    let accounts = pool.map(|(_, names)| names).or_else(|| asked(&text, "accounts")).unwrap_or_default();
    let accounts: Vec<&str> = accounts.split(' ').collect();
    let mut reader = Reader::new(&accounts);
    if let Some((redundancy, _)) = pool {
        let remotes: String = accounts.iter().map(|name| format!(" --remote {name}:")).collect();
        reader.run(page, &format!("rclonepool init --redundancy {redundancy}{remotes}"));
    }
    let mut address = "localhost:8080".to_owned();
    for block in blocks(&text) {
        let words: Vec<&str> = block.words.iter().map(String::as_str).collect();
        match words[..] {
            ["sh"] => {
                reader.run(page, &block.text.replace("localhost:8080", &address));
            }
            ["sh", "serve"] => address = reader.serve(&block.text),
            ["sh", "lose", name] => {
                std::fs::remove_dir_all(reader.accounts.path().join("accounts").join(name)).unwrap();
                reader.run(page, &block.text);
            }
            ["sh", "new-machine"] => {
                reader.home = Home::new(&reader.conf);
                reader.run(page, &block.text);
            }
            // What rclone would ask of a provider: that it knows of it.
            ["sh", "account"] => {
                for line in block.text.lines() {
                    let kind = line.split(' ').nth(4).expect("rclone config create NAME KIND");
                    reader.run(page, &format!("rclone help backend {kind}"));
                }
            }
            // What needs /dev/fuse or a player: a mount is tested where the server is.
            ["sh", "mount" | "player"] => reader.run(page, &format!("bash -n <<'END'\n{}END", block.text)),
            ["json"] => {
                let object = format!("{{ {} }}", block.text);
                let keys: serde_json::Value = serde_json::from_str(&object).unwrap_or_else(|e| panic!("{page}: {e}"));
                for key in keys.as_object().unwrap().keys() {
                    assert!(read(&docs().join("configuration.md")).contains(&format!("`{key}`")), "{page}: {key}");
                }
            }
            _ => panic!("{page}: nobody knows what to do with a block of {words:?}"),
        }
    }
}

#[test]
fn the_tutorial_works() {
    follow("tutorial.md");
}

#[test]
fn the_how_to_pages_work() {
    let mut followed = 0;
    for page in pages(&docs().join("how-to")) {
        let page = page.strip_prefix(docs()).unwrap().to_str().unwrap().to_owned();
        follow(&page);
        followed += 1;
    }
    assert!(followed > 5);
}

#[test]
fn every_page_is_in_the_contents_and_every_link_leads_somewhere() {
    let root = repository::root();
    let summary = read(&docs().join("SUMMARY.md"));
    let listed: BTreeSet<PathBuf> = links(&summary).map(|link| docs().join(link)).collect();
    let there: BTreeSet<PathBuf> = pages(&docs()).into_iter().filter(|it| !it.ends_with("SUMMARY.md")).collect();
    assert_eq!(listed, there);
    let roots = std::fs::read_dir(root).unwrap().map(|it| it.unwrap().path());
    let roots = roots.filter(|path| path.extension().is_some_and(|it| it == "md"));
    for page in there.into_iter().chain(roots) {
        let text = read(&page);
        for link in links(&text).filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let target = page.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
        }
        for (_, after) in text.match_indices("{{#include ").map(|(at, it)| (at, &text[at + it.len()..])) {
            let target = page.parent().unwrap().join(after.split('}').next().unwrap());
            assert!(target.exists(), "{}: {} is not there", page.display(), target.display());
        }
    }
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains(' '))
}

/// Told by the program itself, so that it cannot be another.
#[test]
fn the_command_line_is_as_documented() {
    let page = docs().join("cli.md");
    let home = Home::new(Path::new("/dev/null"));
    let help = |words: &[&str]| home.run(&[words, &["--help"]].concat());
    let mut text = String::from(
        "# Command line\n\nThis page is made of what the program says of itself: every command has `--help`.\n",
    );
    let without_globals = |help: &str| help.split("\nGlobal options:").next().unwrap().trim_end().to_owned();
    text.push_str(&format!("\n```text\n{}\n```\n", help(&[]).trim_end()));
    let commands = |help: &str| -> Vec<String> {
        let lines = help.lines().skip_while(|line| !line.ends_with("Commands:")).skip(1);
        let lines = lines.take_while(|line| !line.is_empty());
        let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        names.filter_map(|line| line.split_whitespace().next()).filter(|it| *it != "help").map(str::to_owned).collect()
    };
    for command in commands(&help(&[])) {
        let said = help(&[&command]);
        text.push_str(&format!("\n## {command}\n\n```text\n{}\n```\n", without_globals(&said)));
        for inner in commands(&said) {
            let said = help(&[&command, &inner]);
            text.push_str(&format!("\n### {command} {inner}\n\n```text\n{}\n```\n", without_globals(&said)));
        }
    }
    if std::env::var_os("RCLONEPOOL_UPDATE_DOCS").is_some() {
        std::fs::write(&page, &text).unwrap();
    }
    assert!(read(&page) == text, "docs/cli.md is old: run this test with RCLONEPOOL_UPDATE_DOCS=1");
}
