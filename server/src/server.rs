//! The process: what it listens on, how it starts, takes changes and stops.

mod listen;
mod reload;

pub use reload::refresh;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rclonepool_core::pool::OpenOptions;
use rclonepool_core::{Config, Error, ErrorKind, Pool, Result};
use tokio_util::task::AbortOnDropHandle;

use crate::app::{App, Files};
use crate::front::Front;
use crate::routes;
use crate::tenant::Tenant;
use crate::tls;

/// What a listener offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// WebDAV and the page for browsers; REST and WebSocket below `/.rclonepool/`.
    Serve,
    /// REST and WebSocket.
    Api,
    /// Metrics for Prometheus.
    Metrics,
}

impl Face {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Api => "api",
            Self::Metrics => "metrics",
        }
    }
}

/// Where a face is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The face.
    pub face: Face,
    /// The address, with the port in use.
    pub address: SocketAddr,
    /// The same for clients: `https://127.0.0.1:8080`.
    pub url: String,
}

/// Makes a [`Server`].
pub struct Builder {
    config: Config,
    faces: Vec<Face>,
    pool: Option<Arc<Pool>>,
    given: Vec<(String, Arc<Pool>)>,
    files: Option<Files>,
    open: OpenOptions,
    names: Vec<String>,
}

/// A server that runs.
pub struct Server {
    app: Arc<App>,
    listeners: Vec<Listener>,
    tls: Option<RustlsConfig>,
    tls_directory: PathBuf,
    names: Vec<String>,
    fingerprint: Option<String>,
}

struct Listener {
    address: Address,
    handle: Handle<SocketAddr>,
    task: AbortOnDropHandle<std::io::Result<()>>,
}

impl Face {
    /// Tries whether its port can be listened on, and lets it go again.
    ///
    /// # Errors
    /// `Busy` when another program, or another server of ours, has it; `Config` for an address that is not this
    /// machine's.
    pub async fn check_port(self, config: &Config) -> Result<()> {
        listen::bind(self, config).await.map(drop)
    }
}

impl Server {
    /// A server by this configuration; without more words it offers [`Face::Serve`], and [`Face::Api`] and
    /// [`Face::Metrics`] where the configuration switches them on.
    pub fn builder(config: Config) -> Builder {
        let mut faces = vec![Face::Serve];
        faces.extend(config.enable_api_server.then_some(Face::Api));
        faces.extend(config.enable_metrics.then_some(Face::Metrics));
        let (given, names) = (Vec::new(), Vec::new());
        Builder { config, faces, pool: None, given, files: None, open: OpenOptions::default(), names }
    }

    /// What it listens on.
    pub fn addresses(&self) -> Vec<Address> {
        self.listeners.iter().map(|listener| listener.address.clone()).collect()
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.app.config()
    }

    /// SHA-256 of the certificate, as browsers show it; none without HTTPS.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// What whoever runs the server must know: that it is open to others without sign-in, say.
    pub fn warnings(&self) -> Vec<String> {
        let config = self.app.config();
        let mut warnings = Vec::new();
        let open: Vec<&str> = self.beyond().map(|address| address.url.as_str()).collect();
        if config.webdav_auth_method.is_none() && !open.is_empty() {
            warnings.push(format!(
                "ANYBODY who reaches {} can read, change and delete everything in the pool: there is no sign-in \
                 (--auth basic, or webdav_auth_method and `rclonepool user add`)",
                open.join(" and ")
            ));
        } else if self.tls.is_none() && !open.is_empty() && config.trusted_proxies.is_empty() {
            warnings.push(format!(
                "{} is not encrypted: passwords and files can be read on their way (--https, or a proxy that speaks HTTPS)",
                open.join(" and ")
            ));
        }
        if !config.webdav_auth_method.is_none() && config.webdav_users.is_empty() && config.users.is_empty() {
            warnings.push("nobody can sign in: there are no users (`rclonepool user add NAME`)".into());
        }
        warnings
    }

    /// Listeners that others than this machine reach.
    fn beyond(&self) -> impl Iterator<Item = &Address> {
        self.listeners.iter().map(|listener| &listener.address).filter(|a| !a.address.ip().to_canonical().is_loopback())
    }

    /// Ends all in order: takes nothing new, lets requests and jobs end within `shutdown_timeout`, breaks off what is
    /// left, offers the last commits and closes the pools. What was broken off leaves nothing half-written.
    pub async fn shutdown(self) {
        let limit = Duration::from_secs(self.app.config().shutdown_timeout);
        let since = std::time::Instant::now();
        self.app.closing.cancel();
        for listener in &self.listeners {
            listener.handle.graceful_shutdown(Some(limit));
        }
        for listener in self.listeners {
            // It can only have failed to accept, and is over in either case.
            let _ = listener.task.await;
        }
        let tenants = self.app.all();
        let left = limit.saturating_sub(since.elapsed());
        futures_util::future::join_all(tenants.iter().map(|tenant| tenant.close(left))).await;
    }
}

impl Builder {
    /// Offers just these.
    #[must_use]
    pub fn faces(mut self, faces: &[Face]) -> Self {
        self.faces = faces.to_vec();
        self
    }

    /// Serves this pool, which the server closes when it ends; without it the configuration's is opened.
    #[must_use]
    pub fn pool(mut self, pool: Arc<Pool>) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Serves this pool to one user.
    #[must_use]
    pub fn user_pool(mut self, user: impl Into<String>, pool: Arc<Pool>) -> Self {
        self.given.push((user.into(), pool));
        self
    }

    /// Where the configuration came from, for [`Server::reload`] and changes that are written back.
    #[must_use]
    pub fn files(mut self, files: Files) -> Self {
        self.files = Some(files);
        self
    }

    /// How pools are opened.
    #[must_use]
    pub fn open_options(mut self, open: OpenOptions) -> Self {
        self.open = open;
        self
    }

    /// More names for a self-signed certificate, such as the machine's.
    #[must_use]
    pub fn names(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names.extend(names);
        self
    }

    /// Binds all listeners, opens the pools, and starts to answer.
    ///
    /// # Errors
    /// `Busy` when a port is taken, naming its key; `Config` for certificates and users that cannot be used; those of
    /// opening pools.
    pub async fn start(self) -> Result<Server> {
        let Self { config, faces, pool, given, files, open, names } = self;
        let mut bound = Vec::new();
        for face in faces {
            bound.push((face, listen::bind(face, &config).await?));
        }
        let names = certificate_names(&config, names);
        let beside = files.as_ref().and_then(|files| files.main.parent());
        let tls_directory = beside.unwrap_or(&config.manifest_cache_dir).join("tls");
        let mut fingerprint = None;
        let tls = if config.enable_https {
            let certificate = tls::load(&config, &tls_directory, &names)?;
            let path = certificate.path.display();
            tracing::info!("certificate {path}: SHA-256 {}", certificate.fingerprint);
            fingerprint = Some(certificate.fingerprint);
            Some(RustlsConfig::from_config(certificate.config))
        } else {
            None
        };
        let every = Duration::from_secs(config.sync_interval.max(1));
        let given: Vec<(String, Arc<Tenant>)> =
            given.into_iter().map(|(user, pool)| (user, Tenant::new(config.clone(), pool, every))).collect();
        let pool = match pool {
            None if given.is_empty() => Some(Pool::open(&config, &open).await?),
            pool => pool,
        };
        let main = pool.map(|pool| (None, Tenant::new(config.clone(), pool, every)));
        let app = Arc::new(App::new(config.clone(), main.into_iter().collect(), given, files, open)?);
        let opened = async {
            app.open_users(&config).await?;
            app.auth.replace(app.directory(&config)?);
            Ok::<(), Error>(())
        };
        if let Err(error) = opened.await {
            for tenant in app.all() {
                tenant.pool().close().await;
            }
            return Err(error);
        }
        app.all().iter().for_each(Tenant::start);
        let mut listeners = Vec::new();
        for (face, listener) in bound {
            let address = listener.local_addr().map_err(|e| Error::io("cannot listen", e))?;
            let is_local = address.ip().to_canonical().is_loopback();
            let front = Front { app: app.clone(), https: tls.is_some(), is_local };
            let router = match face {
                Face::Serve => routes::serve(front),
                Face::Api => routes::api(front),
                Face::Metrics => routes::metrics(front),
            };
            listeners.push(listen::run(face, listener, router, tls.as_ref())?);
        }
        Ok(Server { app, listeners, tls, tls_directory, names, fingerprint })
    }
}

/// Every name the server is likely to be asked by.
fn certificate_names(config: &Config, more: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let hosts = [&config.webdav_host, &config.api_server_host, &config.metrics_host];
    let hosts = hosts.map(|host| host.trim_matches(['[', ']']).to_owned());
    for name in hosts.into_iter().chain(more) {
        let is_any = name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified());
        if !name.is_empty() && !is_any && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn internal(what: &str, error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("{what}: {error}"))
}
