//! `config`.

use rclonepool_core::{Config, Error, ErrorKind, Result};
use serde_json::json;

use crate::context::Context;
use crate::format;

/// Show and check the configuration
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Print the values in force, with secrets masked
    Show,
    /// Print a JSON schema of the configuration file
    Schema,
    /// Check the file, and say which keys have no effect in this version
    Validate,
    /// Print where the file is
    Path,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    match args {
        Args::Show => show(context),
        Args::Schema => {
            let schema = Config::schema();
            if context.ui.json {
                return context.ui.summary(json!({ "schema": schema }));
            }
            context.ui.print(&serde_json::to_string_pretty(&schema).unwrap_or_default())
        }
        Args::Validate => validate(context),
        Args::Path => {
            let path = context.config_path()?;
            if context.ui.json {
                return context.ui.summary(json!({"path": path.display().to_string(), "exists": path.exists()}));
            }
            context.ui.print(&path.display().to_string())
        }
    }
}

fn show(context: &Context) -> Result<()> {
    let masked = context.config()?.masked();
    if context.ui.json {
        return context.ui.summary(json!({ "config": masked }));
    }
    context.ui.print(&serde_json::to_string_pretty(&masked).unwrap_or_default())
}

fn validate(context: &Context) -> Result<()> {
    let path = context.config_path()?;
    let shown = format::printable(&path.display().to_string());
    let text = std::fs::read_to_string(&path).map_err(|e| {
        let hint = "run `rclonepool init` to make one, or name another with --config";
        Error::io("cannot read the configuration", e).at_path(path.display()).hint(hint)
    })?;
    let config = match Config::check(&text) {
        Ok(config) => config,
        Err(problems) => {
            for problem in &problems {
                if context.ui.json {
                    let object = serde_json::to_value(problem).unwrap_or_default();
                    context.ui.json_line("problem", object)?;
                } else {
                    context.ui.print(&format!("{shown}: {}", format::printable(&problem.to_string())))?;
                }
            }
            let message = format::count(problems.len() as u64, "problem");
            return Err(Error::new(ErrorKind::Config, message)
                .at_path(path.display())
                .hint("`rclonepool config schema` and docs/configuration.md describe every key"));
        }
    };
    let notices = config.notices();
    for notice in &notices {
        if context.ui.json {
            context.ui.json_line("notice", serde_json::to_value(notice).unwrap_or_default())?;
        } else {
            context.ui.say(&format!("{shown}: {}", notice.message))?;
        }
    }
    context.ui.say(&format!("{shown}: in order"))?;
    context.ui.summary(json!({"path": path.display().to_string(), "notices": notices.len()}))
}
