//! `user token`.

use std::time::SystemTime;

use rclonepool_core::config::UserSettings;
use rclonepool_core::{Error, ErrorKind, Result};
use rclonepool_server::new_token;
use serde_json::{Value, json};

use super::Users;
use crate::age::Age;
use crate::context::Context;
use crate::format;

/// Tokens are sent as X-API-Key, as bearer token, or in place of the password.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Make a token; it is shown once, and only its hash is kept
    Add {
        /// The user
        #[arg(value_name = "NAME")]
        user: String,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        label: String,
        /// How long it holds, such as 90d [default: until it is revoked]
        #[arg(long, value_name = "AGE")]
        expires: Option<Age>,
        /// It may only read
        #[arg(long)]
        read_only: bool,
    },
    /// List tokens
    List {
        /// Only this user's
        #[arg(value_name = "NAME")]
        user: Option<String>,
    },
    /// Take a token back
    Revoke {
        /// Its id, as the list shows it
        #[arg(value_name = "ID")]
        id: String,
    },
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    match args {
        Args::Add { user, label, expires, read_only } => add(&user, &label, expires, read_only, context),
        Args::List { user } => list(user.as_deref(), context),
        Args::Revoke { id } => revoke(&id, context),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn add(user: &str, label: &str, expires: Option<Age>, read_only: bool, context: &Context) -> Result<()> {
    let mut users = Users::load(context)?;
    users.check(user)?;
    let expires = expires.map(|Age(age)| now().saturating_add(age.as_secs()));
    let (text, kept) = new_token(label, now(), expires, read_only)?;
    let id = kept.id.clone();
    users.config.users.entry(user.to_owned()).or_default().tokens.push(kept);
    users.save()?;
    if context.ui.json {
        return context.ui.summary(json!({"user": user, "id": id, "token": text, "expires": expires}));
    }
    context.ui.log("note", "this token is not shown again");
    context.ui.print(&text)
}

fn list(user: Option<&str>, context: &Context) -> Result<()> {
    let users = Users::load(context)?;
    if let Some(user) = user {
        users.check(user)?;
    }
    let wanted = users.config.users.iter().filter(|(name, _)| user.is_none_or(|user| user == *name));
    let tokens = wanted.flat_map(|(name, UserSettings { tokens, .. })| tokens.iter().map(move |token| (name, token)));
    if context.ui.json {
        let each = tokens.map(|(name, token)| {
            json!({
                "user": name, "id": token.id, "label": token.name, "created": token.created,
                "expires": token.expires, "read_only": token.read_only,
            })
        });
        return context.ui.summary(json!({ "tokens": each.collect::<Vec<Value>>() }));
    }
    let mut out = context.ui.out();
    out.line(&format!("{:8}  {:16}  {:10}  {:12}  LABEL", "ID", "USER", "MAY", "HOLDS"))?;
    for (name, token) in tokens {
        let holds = match token.expires {
            None => "on".to_owned(),
            Some(end) if end <= now() => "ended".into(),
            Some(end) => format!("{} d", (end - now()).div_ceil(86_400)),
        };
        let may = if token.read_only { "read" } else { "as user" };
        let (name, label) = (format::printable(name), format::printable(&token.name));
        out.line(&format!("{:8}  {name:16}  {may:10}  {holds:12}  {label}", token.id))?;
    }
    out.flush()
}

fn revoke(id: &str, context: &Context) -> Result<()> {
    let mut users = Users::load(context)?;
    let mut owner = None;
    for (name, user) in &mut users.config.users {
        let before = user.tokens.len();
        user.tokens.retain(|token| token.id != id);
        if user.tokens.len() < before {
            owner = Some(name.clone());
        }
    }
    let Some(owner) = owner else {
        return Err(
            Error::new(ErrorKind::NotFound, format!("there is no token {id}")).hint("see `rclonepool user token list`")
        );
    };
    users.save()?;
    context.ui.say(&format!("{id}: revoked; a running server takes it on SIGHUP"))?;
    context.ui.summary(json!({"id": id, "user": owner}))
}
