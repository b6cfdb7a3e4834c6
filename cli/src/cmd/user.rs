//! `user`.

mod token;

use std::io::Read;
use std::path::PathBuf;

use rclonepool_core::config::{ByteSize, ConfigFile, UserSettings};
use rclonepool_core::{Config, Error, ErrorKind, Result};
use rclonepool_server::hash_password;
use serde_json::{Value, json};

use crate::context::Context;
use crate::format;

/// What is read as a password at most.
const INPUT_MAX: u64 = 4096;

/// Manage who may use `serve` and `api`
///
/// Users stand in the configuration; a running server takes changes on SIGHUP. Whether anybody has to sign in says
/// webdav_auth_method, or --auth.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Add a user; asks for the password
    Add(Add),
    /// Set a user's password
    Passwd(Passwd),
    /// Remove a user with all tokens
    Remove {
        /// The user
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List users
    List,
    /// Manage tokens: what programs sign in with
    #[command(subcommand)]
    Token(token::Args),
}

/// A new user.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// The user's name
    name: String,

    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,

    /// Set no password: the user signs in with tokens only
    #[arg(long, conflicts_with = "password_stdin")]
    no_password: bool,

    /// How much the user's pool may hold, before redundancy, the trash included
    #[arg(long, value_name = "SIZE")]
    quota: Option<ByteSize>,

    /// How many files the user's pool may hold, the trash included
    #[arg(long, value_name = "N")]
    quota_files: Option<u64>,

    /// The user may only read
    #[arg(long)]
    read_only: bool,

    /// The configuration of the user's own pool; left out: the pool of this configuration
    #[arg(long, value_name = "FILE")]
    pool: Option<PathBuf>,
}

/// A user's new password.
#[derive(Debug, clap::Args)]
pub struct Passwd {
    /// The user's name
    name: String,

    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    match args {
        Args::Add(args) => add(args, context).await,
        Args::Passwd(args) => passwd(&args, context).await,
        Args::Remove { name } => remove(&name, context),
        Args::List => list(context),
        Args::Token(args) => token::run(args, context),
    }
}

/// The file and what it says of users.
struct Users {
    file: ConfigFile,
    config: Config,
}

impl Users {
    fn load(context: &Context) -> Result<Self> {
        context.config()?;
        let file = ConfigFile::load(&context.config_path()?)?;
        let config = file.config()?;
        Ok(Self { file, config })
    }

    fn knows(&self, name: &str) -> bool {
        self.config.webdav_users.contains_key(name) || self.config.users.contains_key(name)
    }

    fn check(&self, name: &str) -> Result<()> {
        if self.knows(name) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("there is no user {name}")).hint("see `rclonepool user list`"))
    }

    fn save(&mut self) -> Result<()> {
        for (key, value, is_empty) in [
            ("webdav_users", json!(self.config.webdav_users), self.config.webdav_users.is_empty()),
            ("users", json!(self.config.users), self.config.users.is_empty()),
        ] {
            if is_empty {
                self.file.remove(key);
            } else {
                self.file.set(key, value);
            }
        }
        self.file.save()
    }
}

/// A password from standard input or the terminal.
async fn password(from_stdin: bool, context: &Context) -> Result<String> {
    if from_stdin {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(INPUT_MAX).read_to_string(&mut text);
        read.map_err(|e| Error::io("cannot read the password", e))?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if !context.ui.is_interactive() {
        return Err(Error::new(ErrorKind::InvalidArgument, "there is no terminal to ask for the password on")
            .hint("give it on standard input, with --password-stdin"));
    }
    let asked = tokio::task::spawn_blocking(|| {
        let terminal = console::Term::stderr();
        let ask = |question: &str| {
            terminal.write_str(question)?;
            terminal.read_secure_line()
        };
        Ok::<_, std::io::Error>((ask("Password: ")?, ask("Once more: ")?))
    });
    let read = async {
        let read = asked.await.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        read.map_err(|e| Error::io("cannot read the password", e))
    };
    let (first, second) = context.stoppable(read).await?;
    if first == second {
        return Ok(first);
    }
    Err(Error::new(ErrorKind::InvalidArgument, "the two passwords differ"))
}

async fn add(args: Add, context: &Context) -> Result<()> {
    let mut users = Users::load(context)?;
    let name = args.name;
    if users.knows(&name) {
        return Err(Error::new(ErrorKind::AlreadyExists, format!("there is a user {name} already"))
            .hint("`rclonepool user passwd` sets another password"));
    }
    let config = args.pool.map(std::path::absolute).transpose();
    let config = config.map_err(|e| Error::io("cannot resolve --pool", e))?;
    if let Some(path) = &config {
        Config::load(path)?;
    }
    if !args.no_password {
        let hash = hash_password(&password(args.password_stdin, context).await?)?;
        users.config.webdav_users.insert(name.clone(), hash);
    }
    let settings = UserSettings {
        config,
        quota: args.quota,
        quota_files: args.quota_files,
        read_only: args.read_only,
        tokens: Vec::new(),
    };
    if args.no_password || settings != UserSettings::default() {
        users.config.users.insert(name.clone(), settings);
    }
    users.save()?;
    context.ui.say(&format!("{}: added", format::printable(&name)))?;
    if users.config.webdav_auth_method.is_none() {
        context.ui.warn("nobody has to sign in yet: set webdav_auth_method, or serve with --auth");
    }
    context.ui.summary(json!({ "user": name }))
}

async fn passwd(args: &Passwd, context: &Context) -> Result<()> {
    let mut users = Users::load(context)?;
    users.check(&args.name)?;
    let hash = hash_password(&password(args.password_stdin, context).await?)?;
    users.config.webdav_users.insert(args.name.clone(), hash);
    users.save()?;
    context.ui.say(&format!("{}: the password was set", format::printable(&args.name)))?;
    context.ui.summary(json!({ "user": args.name }))
}

fn remove(name: &str, context: &Context) -> Result<()> {
    let mut users = Users::load(context)?;
    users.check(name)?;
    users.config.webdav_users.remove(name);
    users.config.users.remove(name);
    users.save()?;
    context.ui.say(&format!("{}: removed; nothing in the pool was deleted", format::printable(name)))?;
    context.ui.summary(json!({ "user": name }))
}

fn list(context: &Context) -> Result<()> {
    let Users { config, .. } = Users::load(context)?;
    let names: std::collections::BTreeSet<&String> = config.webdav_users.keys().chain(config.users.keys()).collect();
    let nothing = UserSettings::default();
    let settings = |name: &str| config.users.get(name).unwrap_or(&nothing);
    if context.ui.json {
        let each = names.iter().map(|name| {
            let user = settings(name);
            json!({
                "name": name, "password": config.webdav_users.contains_key(*name), "config": user.config,
                "quota": user.quota.map(|quota| quota.0), "quota_files": user.quota_files,
                "read_only": user.read_only, "tokens": user.tokens.len(),
            })
        });
        return context.ui.summary(json!({ "users": each.collect::<Vec<Value>>() }));
    }
    let mut out = context.ui.out();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(4);
    out.line(&format!(
        "{:wide$}  {:8}  {:10}  {:>10}  {:>8}  {:>6}  POOL",
        "NAME", "PASSWORD", "MAY", "QUOTA", "FILES", "TOKENS"
    ))?;
    for name in names {
        let user = settings(name);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        out.line(&format!(
            "{:wide$}  {:8}  {:10}  {:>10}  {:>8}  {:>6}  {}",
            format::printable(name),
            if config.webdav_users.contains_key(name) { "yes" } else { "no" },
            if user.read_only { "read" } else { "read+write" },
            or_dash(user.quota.map(|quota| format::size(quota.0))),
            or_dash(user.quota_files.map(|files| files.to_string())),
            user.tokens.len(),
            or_dash(user.config.as_ref().map(|path| format::printable(&path.display().to_string()))),
        ))?;
    }
    out.flush()
}
