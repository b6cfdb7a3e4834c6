//! `plugins`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::config::{ConfigFile, PluginSettings};
use rclonepool_core::plugin::{Loader, Metadata, Plugin, PluginId, PluginKind, Registry, describe};
use rclonepool_core::{Config, Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::context::{Context, open_options};
use crate::format;

/// List, load, enable and disable plugins
///
/// Plugins are Python files and shared libraries in plugins_dir; PLUGINS.md says how to write one. They run as you:
/// load only what you trust.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// List what is built in and the plugins that were loaded; runs none of them
    List,
    Enable(Enable),
    /// Disable a plugin: it is not run any more, and what it changed cannot be read until it is enabled again
    Disable {
        /// Its id, such as balancer:custom_balancer
        id: PluginId,
    },
    /// Copy a plugin's file into plugins_dir; it is in force once it is enabled
    Load {
        /// A Python file (.py) or a shared library
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Say what a plugin says of itself; runs it
    Info {
        /// Its id, such as balancer:custom_balancer
        id: PluginId,
    },
}

/// Put a plugin in force
///
/// Of balancers, chunkers and compressions one is in force: another one of the kind is disabled.
#[derive(Debug, clap::Args)]
pub struct Enable {
    /// Its id, such as balancer:custom_balancer
    id: PluginId,

    /// Set a value of its own configuration; JSON, or a text
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Use it for data that needs it, and not for new data
    #[arg(long)]
    read_only: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let known = Known::load(context)?;
    match args {
        Args::List => known.list(context),
        Args::Enable(args) => known.enable(args, context).await,
        Args::Disable { id } => known.disable(&id, context),
        Args::Load { path } => known.take(&path, context).await,
        Args::Info { id } => known.info(&id, context).await,
    }
}

/// The configuration's file and what it says of plugins.
struct Known {
    file: ConfigFile,
    config: Config,
    loaders: Vec<Arc<dyn Loader>>,
    built_in: Registry,
}

impl Known {
    fn load(context: &Context) -> Result<Self> {
        let config = context.config()?;
        let file = ConfigFile::load(&context.config_path()?)?;
        let loaders = open_options().plugin_loaders(&config);
        Ok(Self { file, config, loaders, built_in: Registry::default() })
    }

    fn time(&self) -> Duration {
        Duration::try_from_secs_f64(self.config.plugin_timeout).unwrap_or(Duration::from_secs(5))
    }

    fn place(&self, settings: &PluginSettings) -> Option<PathBuf> {
        settings.file.as_ref().map(|file| self.config.plugins_dir.join(file))
    }

    /// Writes what changed; everything else in the file stays.
    fn save(&mut self) -> Result<()> {
        // Paths as they were written, and not with this home in them.
        self.file.set("plugins", json!(self.config.plugins));
        self.file.save()
    }

    async fn describe(&self, file: &Path) -> Result<Vec<Metadata>> {
        let (loaders, file, time) = (self.loaders.clone(), file.to_owned(), self.time());
        let asked = tokio::task::spawn_blocking(move || describe(&loaders, &file, time)).await;
        asked.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?
    }

    fn refuse_built_in(&self, id: &PluginId) -> Result<()> {
        let is_rclone = id.kind == PluginKind::StorageBackend && id.name == "rclone";
        if !self.built_in.is_built_in(id) && !is_rclone {
            return Ok(());
        }
        let key = match id.kind {
            PluginKind::Balancer => "balancing_strategy",
            PluginKind::Chunker => "chunker",
            PluginKind::Compression => "enable_compression",
            _ => "remotes",
        };
        Err(Error::new(ErrorKind::InvalidArgument, format!("{id} is built in; {key} chooses it")))
    }

    /// The settings of a plugin that was loaded, or whose file somebody put into `plugins_dir`.
    async fn find(&mut self, id: &PluginId) -> Result<PluginSettings> {
        self.refuse_built_in(id)?;
        let known = self.config.plugins.get(&id.to_string()).cloned().unwrap_or_default();
        if known.file.is_some() {
            return Ok(known);
        }
        for file in self.unknown_files() {
            let Ok(found) = self.describe(&file).await else { continue };
            if found.iter().any(|one| one.id().is_ok_and(|found| found == *id)) {
                return Ok(PluginSettings { file: file.file_name().map(PathBuf::from), ..known });
            }
        }
        Err(Error::new(ErrorKind::NotFound, format!("there is no plugin {id}"))
            .hint("`rclonepool plugins list` shows all; `rclonepool plugins load FILE` takes another one"))
    }

    /// Files in `plugins_dir` that no known plugin comes from, and that can be run here.
    fn unknown_files(&self) -> Vec<PathBuf> {
        let known: Vec<PathBuf> = self.config.plugins.values().filter_map(|plugin| self.place(plugin)).collect();
        let entries = std::fs::read_dir(&self.config.plugins_dir).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.retain(|file| !known.contains(file) && self.loaders.iter().any(|loader| loader.takes(file)));
        files.sort();
        files
    }

    async fn enable(mut self, args: Enable, context: &Context) -> Result<()> {
        let id = &args.id;
        let mut settings = self.find(id).await?;
        for text in &args.set {
            let (key, value) = text
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, format!("--set {text}: give KEY=VALUE")))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.into()));
            settings.config.insert(key.into(), value);
        }
        (settings.enabled, settings.read_only) = (true, args.read_only);
        let metadata = self.start(id, &settings).await?;
        let mut others = Vec::new();
        if id.kind.is_single() && !args.read_only {
            for (other, plugin) in &mut self.config.plugins {
                let alike = other.parse::<PluginId>().is_ok_and(|other| other.kind == id.kind && other != *id);
                if alike && plugin.enabled && !plugin.read_only {
                    // What a compression made stays readable.
                    plugin.enabled = id.kind == PluginKind::Compression;
                    plugin.read_only = plugin.enabled;
                    others.push(other.clone());
                }
            }
        }
        self.config.plugins.insert(id.to_string(), settings);
        self.save()?;
        context.ui.say(&format!("{id} {}: enabled", format::printable(&metadata.version)))?;
        for other in &others {
            context.ui.say(&format!("{other}: not in force any more"))?;
        }
        if !self.config.enable_plugins {
            context.ui.warn("no plugin is in force while enable_plugins is off");
        }
        context.ui.summary(json!({ "plugin": id.to_string(), "version": metadata.version, "replaced": others }))
    }

    /// Starts it, to see that it does.
    async fn start(&self, id: &PluginId, settings: &PluginSettings) -> Result<Metadata> {
        let file = self.place(settings).unwrap_or_default();
        let Some(loader) = self.loaders.iter().find(|loader| loader.takes(&file)).cloned() else {
            return Err(Error::new(ErrorKind::Unsupported, "cannot be run here").at_path(file.display()));
        };
        let plugin = Plugin::new(id.clone(), file, loader, settings.config.clone(), self.time());
        let started = tokio::task::spawn_blocking(move || plugin.metadata().map(|found| (*found).clone())).await;
        started.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?
    }

    fn disable(mut self, id: &PluginId, context: &Context) -> Result<()> {
        self.refuse_built_in(id)?;
        let Some(settings) = self.config.plugins.get_mut(&id.to_string()) else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no plugin {id}"))
                .hint("`rclonepool plugins list` shows all"));
        };
        (settings.enabled, settings.read_only) = (false, false);
        self.save()?;
        context.ui.say(&format!("{id}: disabled"))?;
        if matches!(id.kind, PluginKind::Compression | PluginKind::Encryption | PluginKind::Transformer) {
            context.ui.warn(&format!(
                "what it changed cannot be read now; `rclonepool plugins enable --read-only {id}` lets it be read"
            ));
        }
        context.ui.summary(json!({ "plugin": id.to_string() }))
    }

    async fn take(mut self, path: &Path, context: &Context) -> Result<()> {
        let found = self.describe(path).await?;
        let mut ids = Vec::new();
        for metadata in &found {
            let id = metadata.id()?;
            self.refuse_built_in(&id).map_err(|e| e.at_path(path.display()))?;
            ids.push(id);
        }
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        let dir = self.config.plugins_dir.clone();
        copy(path, &dir, &name)?;
        for id in &ids {
            self.config.plugins.entry(id.to_string()).or_default().file = Some(name.clone());
        }
        self.save()?;
        for (id, metadata) in ids.iter().zip(&found) {
            context.ui.say(&format!("{id} {}: loaded", format::printable(&metadata.version)))?;
        }
        if let Some(id) = ids.iter().find(|id| !self.config.plugins[&id.to_string()].enabled) {
            context.ui.say(&format!("to put it in force: rclonepool plugins enable {id}"))?;
        }
        let ids: Vec<String> = ids.iter().map(PluginId::to_string).collect();
        context.ui.summary(json!({ "plugins": ids, "file": dir.join(name).display().to_string() }))
    }

    async fn info(mut self, id: &PluginId, context: &Context) -> Result<()> {
        if self.refuse_built_in(id).is_err() {
            let version = env!("CARGO_PKG_VERSION");
            context.ui.say(&format!("{id} {version}: built in"))?;
            return context.ui.summary(json!({ "plugin": id.to_string(), "version": version, "state": "built in" }));
        }
        let settings = self.find(id).await?;
        let file = self.place(&settings).unwrap_or_default();
        let found = self.describe(&file).await?;
        let metadata = found
            .into_iter()
            .find(|one| one.id().is_ok_and(|found| found == *id))
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("has no plugin {id}")).at_path(file.display()))?;
        let keys: Vec<&String> = settings.config.keys().collect();
        if context.ui.json {
            return context.ui.summary(json!({
                "plugin": id.to_string(), "version": metadata.version, "author": metadata.author,
                "description": metadata.description, "reads": metadata.reads, "state": state(&settings, &file),
                "file": file.display().to_string(), "config": keys,
            }));
        }
        let line = |name: &str, value: &str| context.ui.say(&format!("{name:12} {}", format::printable(value)));
        line("id", &id.to_string())?;
        line("version", &metadata.version)?;
        line("author", &metadata.author)?;
        line("description", &metadata.description)?;
        line("state", state(&settings, &file))?;
        line("file", &file.display().to_string())?;
        if !keys.is_empty() {
            line("configured", &keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }

    fn list(self, context: &Context) -> Result<()> {
        let mut rows: Vec<(String, &str, String)> = Vec::new();
        for (id, _) in self.built_in.iter() {
            rows.push((id.to_string(), "built in", String::new()));
        }
        rows.push(("storage_backend:rclone".into(), "built in", String::new()));
        rows.sort();
        for (id, settings) in &self.config.plugins {
            let file = self.place(settings).unwrap_or_default();
            rows.push((id.clone(), state(settings, &file), file.display().to_string()));
        }
        let unknown: Vec<String> = self.unknown_files().iter().map(|file| file.display().to_string()).collect();
        if context.ui.json {
            let each = rows.iter().map(|(id, state, file)| json!({"plugin": id, "state": state, "file": file}));
            let each: Vec<Value> = each.collect();
            return context.ui.summary(json!({ "plugins": each, "not_loaded": unknown }));
        }
        let mut out = context.ui.out();
        let wide = rows.iter().map(|(id, ..)| id.chars().count()).max().unwrap_or(2);
        out.line(&format!("{:wide$}  {:9}  FILE", "ID", "STATE"))?;
        for (id, state, file) in rows {
            out.line(format!("{id:wide$}  {state:9}  {}", format::printable(&file)).trim_end())?;
        }
        for file in unknown {
            out.line(&format!(
                "{} is in plugins_dir and not known: rclonepool plugins load",
                format::printable(&file)
            ))?;
        }
        out.flush()
    }
}

fn state(settings: &PluginSettings, file: &Path) -> &'static str {
    match (settings.enabled, settings.read_only) {
        (true, _) if !file.is_file() => "missing",
        (true, true) => "read only",
        (true, false) => "enabled",
        (false, _) => "disabled",
    }
}

/// Puts a copy into the directory, in one step, where nobody else can write to it.
fn copy(from: &Path, dir: &Path, name: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::io("cannot copy the plugin", e).at_path(dir.join(name).display());
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(failed)?;
    let target = dir.join(name);
    if from.canonicalize().ok() == target.canonicalize().ok() && target.exists() {
        return Ok(());
    }
    let text = std::fs::read(from).map_err(failed)?;
    let staged = dir.join(format!(".{}.new", name.display()));
    let _ = std::fs::remove_file(&staged);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o700);
    let mut file = options.open(&staged).map_err(failed)?;
    std::io::Write::write_all(&mut file, &text).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&staged, &target).map_err(failed)
}
