//! `serve` and `api`.

use std::sync::Arc;

use clap::ValueEnum;
use rclonepool_core::config::{AuthMethod, AuthMethods, LogLevel};
use rclonepool_core::{Config, Error, ErrorKind, Result};
use rclonepool_server::{Face, Files, Server};
use serde_json::json;

use crate::context::{Context, open_options};
use crate::notify;
use crate::signal::Hangups;

/// Serve the pool by WebDAV
///
/// The files lie at the server's address: rclone, file managers, players and browsers open it. The page for
/// browsers, the REST API and the WebSocket lie below /.rclonepool/. REST on a port of its own and metrics come
/// along where the configuration switches them on (enable_api_server, enable_metrics), or with --api and --metrics.
///
/// SIGHUP reads the configuration again: users, certificates and remotes change while the server runs. SIGTERM and
/// Ctrl-C end it in order, within shutdown_timeout.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,

    /// Also serve REST on api_server_host and api_server_port
    #[arg(long)]
    api: bool,

    /// The address for REST on its own port, instead of api_server_host
    #[arg(long, value_name = "ADDRESS")]
    api_host: Option<String>,
}

/// Serve the pool's REST API and WebSocket
///
/// Its documentation lies at /api/v1/docs. SIGHUP and SIGTERM do as with `rclonepool serve`.
#[derive(Debug, clap::Args)]
pub struct ApiArgs {
    #[command(flatten)]
    common: Common,
}

/// What both take; everything wins over the configuration.
#[derive(Debug, clap::Args)]
struct Common {
    /// The address to listen on; 0.0.0.0 for all of them
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,

    /// The port to listen on; 0 takes a free one, and says which
    #[arg(long)]
    port: Option<u16>,

    /// How clients sign in, separated by commas: none, or basic, api-key, bearer
    #[arg(long, value_name = "METHODS", value_delimiter = ',', hide_possible_values = true)]
    auth: Option<Vec<Auth>>,

    /// Speak HTTPS; without ssl_cert_file, by a certificate that is made and kept
    #[arg(long)]
    https: bool,

    /// Also serve metrics for Prometheus on metrics_host and metrics_port
    #[arg(long)]
    metrics: bool,

    /// The address for metrics, instead of metrics_host
    #[arg(long, value_name = "ADDRESS")]
    metrics_host: Option<String>,

    /// Do not start where nobody would be asked to sign in
    #[arg(long)]
    require_auth: bool,

    /// How the log is written: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Auth {
    None,
    Basic,
    #[value(alias = "api-key")]
    ApiKey,
    Bearer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let flags = Flags { api: args.api, api_host: args.api_host, is_api: false, common: args.common };
    serve(flags, context).await
}

pub async fn api(args: ApiArgs, context: &Context) -> Result<()> {
    serve(Flags { api: false, api_host: None, is_api: true, common: args.common }, context).await
}

/// What the command line says, for every time the configuration is read.
struct Flags {
    common: Common,
    api: bool,
    api_host: Option<String>,
    is_api: bool,
}

impl Flags {
    fn methods(&self) -> Result<Option<AuthMethods>> {
        let Some(names) = &self.common.auth else { return Ok(None) };
        let methods: Vec<AuthMethod> = names
            .iter()
            .filter_map(|name| match name {
                Auth::None => None,
                Auth::Basic => Some(AuthMethod::Basic),
                Auth::ApiKey => Some(AuthMethod::ApiKey),
                Auth::Bearer => Some(AuthMethod::Bearer),
            })
            .collect();
        if methods.len() != names.len() && names.len() > 1 {
            return Err(Error::new(ErrorKind::InvalidArgument, "--auth none stands alone"));
        }
        Ok(Some(AuthMethods::of(&methods)))
    }

    fn apply(&self, mut config: Config) -> Result<Config> {
        let Common { host, port, https, metrics, .. } = &self.common;
        let (its_host, its_port) = match self.is_api {
            true => (&mut config.api_server_host, &mut config.api_server_port),
            false => (&mut config.webdav_host, &mut config.webdav_port),
        };
        its_host.clone_from(host.as_ref().unwrap_or(&its_host.clone()));
        *its_port = port.unwrap_or(*its_port);
        if let Some(host) = &self.api_host {
            config.api_server_host.clone_from(host);
        }
        if let Some(host) = &self.common.metrics_host {
            config.metrics_host.clone_from(host);
        }
        config.enable_https |= https;
        config.enable_metrics |= metrics;
        config.enable_api_server |= self.api;
        if let Some(methods) = self.methods()? {
            config.webdav_auth_method = methods;
        }
        if self.common.require_auth && config.webdav_auth_method.is_none() {
            return Err(Error::new(
                ErrorKind::Config,
                "--require-auth: webdav_auth_method is none, so anybody could do anything",
            )
            .hint("set webdav_auth_method to basic (or give --auth basic), and add users by `rclonepool user add`"));
        }
        Ok(config)
    }
}

async fn serve(flags: Flags, context: &Context) -> Result<()> {
    if flags.common.log_format == LogFormat::Json {
        context.ui.log_as_json();
    }
    let config = flags.apply(context.config_for(LogLevel::Info)?)?;
    let mut faces = vec![if flags.is_api { Face::Api } else { Face::Serve }];
    faces.extend((config.enable_api_server && !flags.is_api).then_some(Face::Api));
    faces.extend(config.enable_metrics.then_some(Face::Metrics));
    let main = context.config_path()?;
    let main = std::fs::canonicalize(&main).unwrap_or(main);
    let own = main.clone();
    let reader = context.clone();
    let load = move |path: &std::path::Path| {
        let config = reader.localise(Config::load(path)?)?;
        if path == own { flags.apply(config) } else { Ok(config) }
    };
    let builder = Server::builder(config)
        .faces(&faces)
        .files(Files { main, load: Arc::new(load) })
        .open_options(open_options())
        .names(machine_name());
    let server = context.stoppable(builder.start()).await?;
    announce(&server, context)?;
    let addresses: Vec<String> = server.addresses().iter().map(|address| address.url.clone()).collect();
    let serving = format!("serving at {}", addresses.join(", "));
    // First: whoever hears that it is ready may ask for a reload.
    let mut hangups = Hangups::new();
    notify::ready(&serving);
    loop {
        tokio::select! {
            () = context.cancel.cancelled() => break,
            () = hangups.next() => {
                notify::reloading();
                reload(&server, context).await;
                notify::ready(&serving);
            }
        }
    }
    notify::stopping();
    server.shutdown().await;
    context.ui.summary(json!({"stopped": true}))
}

async fn reload(server: &Server, context: &Context) {
    match server.reload().await {
        Ok(restart) => {
            context.log_as(&server.config(), LogLevel::Info);
            match restart.as_slice() {
                [] => context.ui.log("info", "the configuration was read again"),
                keys => context
                    .ui
                    .warn(&format!("the configuration was read again; only a restart changes {}", keys.join(", "))),
            }
        }
        Err(error) => context.ui.log("error", &format!("the configuration stays as it was: {error}")),
    }
}

fn announce(server: &Server, context: &Context) -> Result<()> {
    for warning in server.warnings() {
        context.ui.warn(&warning);
    }
    if let Some(fingerprint) = server.fingerprint() {
        context.ui.log("note", &format!("the certificate's SHA-256 is {fingerprint}"));
    }
    for address in server.addresses() {
        let (face, url) = (address.face.as_str(), &address.url);
        if context.ui.json {
            let port = address.address.port();
            context.ui.json_line("listening", json!({"face": face, "url": url, "port": port}))?;
        } else {
            context.ui.say(&format!("{face}: {url}"))?;
        }
    }
    Ok(())
}

/// The machine's name, for a certificate.
fn machine_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    (!name.is_empty() && is_name(name)).then(|| name.to_owned())
}
