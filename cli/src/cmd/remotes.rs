//! `remotes`.

mod leave;

use rclonepool_core::config::{ConfigFile, members};
use rclonepool_core::pool::{MemberChange, RemoteState};
use rclonepool_core::{Error, ErrorKind, Pool, Result};
use serde_json::json;

use super::status::table;
use crate::context::{Context, open_options};
use crate::format;

/// List, add, drain, replace and remove the pool's remotes
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// List the pool's remotes
    List,
    Add(Add),
    Remove(Remove),
    Drain(leave::Drain),
    Replace(leave::Replace),
}

/// Take remotes into the pool and the configuration
///
/// They hold every manifest before they count. For 24 hours, until every machine has seen the change,
/// quorums hold with and without them, and no other change of membership is possible.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// rclone remotes (mega4:) or absolute directories, empty ones
    #[arg(required = true, value_name = "REMOTE")]
    remotes: Vec<String>,

    /// Where the configuration lists crypt_remotes: the crypt remote over each REMOTE, in the same order
    #[arg(long, value_name = "REMOTE")]
    crypt: Vec<String>,

    /// No other machine writes to this pool: the change is finished at once
    #[arg(long)]
    alone: bool,
}

/// Let a remote go on which no shard lies
///
/// For 24 hours, until every machine has seen the change, quorums hold with and without it; run again
/// after that, the command finishes the change and takes the remote out of the configuration.
///
/// `remotes drain` moves off what lies on a remote. With --lost a remote goes that will never come back.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// The remote, as the configuration or `remotes list` names it; with --lost several
    #[arg(required = true, value_name = "REMOTE")]
    remotes: Vec<String>,

    /// It is lost for good with all that lay on it: let it go at once; all other remotes must be online
    #[arg(long, conflicts_with = "alone")]
    lost: bool,

    /// With --lost: say what it costs, and do nothing
    #[arg(short = 'n', long, requires = "lost")]
    dry_run: bool,

    /// No other machine writes to this pool: the change is finished at once
    #[arg(long)]
    alone: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    match args {
        Args::List => list(context).await,
        Args::Add(args) => add(args, context).await,
        Args::Remove(args) if args.lost => leave::lost(&args.remotes, args.dry_run, context).await,
        Args::Remove(args) => remove(args, context).await,
        Args::Drain(args) => leave::drain(args, context).await,
        Args::Replace(args) => leave::replace(args, context).await,
    }
}

async fn list(context: &Context) -> Result<()> {
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let mut remotes = context.stoppable(pool.status()).await?.remotes;
            for remote in &mut remotes {
                remote.name = rclonepool_core::config::redact_remote(&remote.name);
            }
            if context.ui.json {
                return context.ui.summary(json!({ "remotes": remotes }));
            }
            let mut out = context.ui.out();
            table(&mut out, &remotes)?;
            out.flush()
        })
        .await
}

async fn add(args: Add, context: &Context) -> Result<()> {
    let config = context.config()?;
    let mut file = ConfigFile::load(&context.config_path()?)?;
    let before = members::Before::of(file.keys_mut());
    let lists_crypt = config.use_crypt && !config.crypt_remotes.is_empty();
    if args.crypt.len() != if lists_crypt { args.remotes.len() } else { 0 } {
        return Err(match lists_crypt {
            true => Error::new(ErrorKind::InvalidArgument, "the configuration lists crypt_remotes")
                .hint("give a --crypt REMOTE for each REMOTE, in the same order"),
            false => Error::new(ErrorKind::InvalidArgument, "the configuration lists no crypt_remotes")
                .hint("leave --crypt out: REMOTE may be a crypt remote itself"),
        });
    }
    let known = args.remotes.iter().filter(|remote| config.index_of(remote).is_some());
    let labels: Vec<String> = known.map(|remote| config.effective_name(remote)).collect();
    if !labels.is_empty() {
        // Members are said to be such before the pool is looked at without them.
        context.with_pool(&config, async |pool: &std::sync::Arc<Pool>| pool.check_joining(&labels).await).await?;
    }
    for (at, remote) in args.remotes.iter().enumerate() {
        // It stands there already when an earlier attempt was cut off.
        members::push(file.keys_mut(), &config, remote, args.crypt.get(at).map(String::as_str));
    }
    let wider = context.localise(file.config()?)?;
    let labels: Vec<String> = args.remotes.iter().map(|remote| wider.effective_name(remote)).collect();
    let narrow = wider.without(&args.remotes);
    let change = context
        .with_pool(&narrow, async |pool: &std::sync::Arc<Pool>| {
            // In the configuration first: a remote that joined must not be forgotten.
            file.save()?;
            let added = context.change(pool.add_remotes(&wider, &labels, &open_options(), args.alone)).await;
            if added.is_err() {
                before.restore(file.keys_mut());
                file.save()?;
            }
            added
        })
        .await?;
    let names = format::head(&args.remotes.join(", "));
    if change.state == RemoteState::Active {
        context.ui.say(&format!("{names}: joined"))?;
    } else {
        context.ui.say(&format!(
            "{names}: joining; takes data from now on, and counts alone in {} (at once with --alone, where no other \
             machine writes to the pool)",
            hours(&change)
        ))?;
    }
    if config.auto_rebalance {
        context
            .with_pool(&wider, async |pool: &std::sync::Arc<Pool>| {
                super::rebalance::automatic(pool, config.rebalance_threshold, context).await
            })
            .await?;
    }
    context.ui.summary(json!({"remotes": args.remotes, "change": change}))
}

async fn remove(args: Remove, context: &Context) -> Result<()> {
    let [remote] = args.remotes.as_slice() else {
        return Err(Error::new(ErrorKind::InvalidArgument, "remotes leave one at a time")
            .hint("only such as are lost go together, with --lost"));
    };
    let config = context.config()?;
    let mut file = ConfigFile::load(&context.config_path()?)?;
    let label = config.effective_name(remote);
    let change = context
        .with_pool(&config, async |pool: &std::sync::Arc<Pool>| {
            context.change(pool.remove_remote(&label, args.alone)).await
        })
        .await?;
    let name = format::head(remote);
    if change.state == RemoteState::Removed {
        members::forget(file.keys_mut(), &config, std::slice::from_ref(remote));
        file.save()?;
        context.ui.say(&format!("{name}: removed from the pool and the configuration"))?;
    } else {
        context.ui.say(&format!(
            "{name}: leaving; run this again in {} to finish it (--alone finishes it at once, where no other machine \
             writes to the pool)",
            hours(&change)
        ))?;
    }
    context.ui.summary(json!({"remote": remote, "change": change}))
}

fn hours(change: &MemberChange) -> String {
    format::left(std::time::Duration::from_millis(change.grace_left_ms))
}
