//! What all listeners of a server share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rclonepool_core::config::UserSettings;
use rclonepool_core::pool::OpenOptions;
use rclonepool_core::{Config, Error, ErrorKind, Pool, Result};
use tokio_util::sync::CancellationToken;

use crate::auth::{Auth, Directory, User};
use crate::tenant::Tenant;

/// Reads a configuration file, with this machine's directories in their places.
pub type Loader = Arc<dyn Fn(&Path) -> Result<Config> + Send + Sync>;

/// Where the configuration comes from, for reloading and for changes that are written back.
#[derive(Clone)]
pub struct Files {
    /// The server's configuration.
    pub main: PathBuf,
    /// Reads it, and those of users' pools.
    pub load: Loader,
}

/// What all listeners share.
pub struct App {
    config: RwLock<Arc<Config>>,
    /// Who may.
    pub auth: Auth,
    /// Every pool that is served: by the configuration file that describes it; none: the server's own.
    pub tenants: RwLock<Vec<(Option<PathBuf>, Arc<Tenant>)>>,
    /// Pools given by who embeds the server, by user.
    pub given: Vec<(String, Arc<Tenant>)>,
    /// Where the configuration comes from.
    pub files: Option<Files>,
    /// How pools are opened.
    pub open: OpenOptions,
    /// Cancelled when the server stops.
    pub closing: CancellationToken,
    /// One change of the configuration, or of who belongs to a pool, at a time.
    pub change: tokio::sync::Mutex<()>,
}

impl App {
    /// Shares these.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub fn new(
        config: Config,
        tenants: Vec<(Option<PathBuf>, Arc<Tenant>)>,
        given: Vec<(String, Arc<Tenant>)>,
        files: Option<Files>,
        open: OpenOptions,
    ) -> Result<Self> {
        Ok(Self {
            config: RwLock::new(Arc::new(config)),
            auth: Auth::new(Directory::default())?,
            tenants: RwLock::new(tenants),
            given,
            files,
            open,
            closing: CancellationToken::new(),
            change: tokio::sync::Mutex::default(),
        })
    }

    /// The server's configuration.
    pub fn config(&self) -> Arc<Config> {
        self.config.read().clone()
    }

    /// Takes another.
    pub fn set_config(&self, config: Config) {
        *self.config.write() = Arc::new(config);
    }

    /// The server's own pool.
    pub fn main(&self) -> Option<Arc<Tenant>> {
        self.tenant(None)
    }

    /// The pool that a configuration file describes.
    pub fn tenant(&self, file: Option<&Path>) -> Option<Arc<Tenant>> {
        let tenants = self.tenants.read();
        tenants.iter().find(|(path, _)| path.as_deref() == file).map(|(_, tenant)| tenant.clone())
    }

    /// The file that describes a pool.
    pub fn file_of(&self, tenant: &Arc<Tenant>) -> Option<PathBuf> {
        let tenants = self.tenants.read();
        let (path, _) = tenants.iter().find(|(_, known)| Arc::ptr_eq(known, tenant))?;
        path.clone().or_else(|| Some(self.files.as_ref()?.main.clone()))
    }

    /// Every pool that is served.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        let tenants = self.tenants.read();
        tenants.iter().map(|(_, tenant)| tenant).chain(self.given.iter().map(|(_, tenant)| tenant)).cloned().collect()
    }

    /// Opens the pools that users have for themselves and that are not open yet.
    ///
    /// # Errors
    /// `Config` when a file is none; those of opening.
    pub async fn open_users(&self, config: &Config) -> Result<()> {
        for file in config.users.values().filter_map(|user| user.config.as_ref()) {
            if self.tenant(Some(file)).is_some() {
                continue;
            }
            let Some(files) = &self.files else {
                let message = "a user has a configuration file, and this server reads none";
                return Err(Error::new(ErrorKind::Config, message));
            };
            let theirs = (files.load)(file)?;
            let pool = Pool::open(&theirs, &self.open).await.map_err(|e| e.at_path(file.display()))?;
            let every = std::time::Duration::from_secs(config.sync_interval.max(1));
            self.tenants.write().push((Some(file.clone()), Tenant::new(theirs, pool, every)));
        }
        Ok(())
    }

    /// Who may, by a configuration.
    ///
    /// # Errors
    /// Those of counting what is used.
    pub fn directory(&self, config: &Config) -> Result<Directory> {
        let only = self.given.first().filter(|_| self.given.len() == 1).map(|(_, tenant)| tenant.clone());
        let mut directory = Directory::new(config.webdav_auth_method.clone(), self.main().or(only));
        let nothing = UserSettings::default();
        let names = config.users.keys().chain(config.webdav_users.keys());
        let names: std::collections::BTreeSet<&String> = names.chain(self.given.iter().map(|(name, _)| name)).collect();
        for name in names {
            let settings = config.users.get(name).unwrap_or(&nothing);
            let given = self.given.iter().find(|(user, _)| user == name).map(|(_, tenant)| tenant.clone());
            let tenant = given.or_else(|| self.tenant(settings.config.as_deref()));
            let Some(tenant) = tenant else { continue };
            let known = self.auth.directory();
            let quota = match (settings.quota, settings.quota_files) {
                (None, None) => None,
                (bytes, files) => {
                    let limits = (bytes.map_or(u64::MAX, |bytes| bytes.0), files.unwrap_or(u64::MAX));
                    // What is reserved now must go on counting.
                    let before = known.user(name).filter(|user| Arc::ptr_eq(&user.tenant, &tenant));
                    match before.and_then(|user| user.quota.clone()).filter(|quota| quota.limits() == limits) {
                        Some(quota) => Some(quota),
                        None => Some(tenant.quota(limits.0, limits.1)?),
                    }
                }
            };
            let user = User {
                name: name.as_str().into(),
                hash: config.webdav_users.get(name).cloned(),
                read_only: settings.read_only,
                quota,
                tenant,
            };
            directory.add(user, &settings.tokens);
        }
        Ok(directory)
    }
}
