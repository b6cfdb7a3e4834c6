//! Taking a changed configuration without a restart.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rclonepool_core::{Config, Error, ErrorKind, Pool, Result};

use super::Server;
use crate::app::App;
use crate::tenant::Tenant;
use crate::tls;

impl Server {
    /// Reads the configuration again. Users, tokens, sign-in, certificates, limits and pools follow; what is under way
    /// goes on. Gives back the keys that only a restart changes.
    ///
    /// # Errors
    /// `Config`, those of opening pools: all stays as it was then. `Unsupported` where the builder got no files.
    pub async fn reload(&self) -> Result<Vec<&'static str>> {
        let app = &self.app;
        let _one = app.change.lock().await;
        let Some(files) = app.files.clone() else {
            return Err(Error::new(ErrorKind::Unsupported, "this server was not started from a configuration file"));
        };
        let (before, after) = (app.config(), (files.load)(&files.main)?);
        if let Some(running) = self.tls.as_ref().filter(|_| after.enable_https) {
            let certificate = tls::load(&after, &self.tls_directory, &self.names)?;
            running.reload_from_config(certificate.config);
        }
        if let Some(main) = app.main() {
            refresh(app, &main, after.clone()).await?;
        }
        let theirs: Vec<(PathBuf, Arc<Tenant>)> =
            app.tenants.read().iter().filter_map(|(path, tenant)| Some((path.clone()?, tenant.clone()))).collect();
        let wanted: BTreeSet<&PathBuf> = after.users.values().filter_map(|user| user.config.as_ref()).collect();
        for (path, tenant) in theirs.iter().filter(|(path, _)| wanted.contains(path)) {
            refresh(app, tenant, (files.load)(path)?).await?;
        }
        let known = app.all().len();
        app.open_users(&after).await?;
        app.all().iter().skip(known).for_each(Tenant::start);
        app.auth.replace(app.directory(&after)?);
        app.set_config(after.clone());
        let gone: Vec<Arc<Tenant>> =
            theirs.iter().filter(|(path, _)| !wanted.contains(path)).map(|(_, tenant)| tenant.clone()).collect();
        app.tenants.write().retain(|(_, tenant)| !gone.iter().any(|gone| Arc::ptr_eq(gone, tenant)));
        for tenant in gone {
            let limit = std::time::Duration::from_secs(after.shutdown_timeout);
            tokio::spawn(async move { tenant.close(limit).await });
        }
        Ok(restart(&before, &after))
    }
}

/// Serves a pool by its changed configuration; opens it anew where that matters to it.
///
/// # Errors
/// Those of opening; the pool is then served as before.
pub async fn refresh(app: &App, tenant: &Arc<Tenant>, config: Config) -> Result<()> {
    if of_pool(&tenant.config()) == of_pool(&config) {
        tenant.set_config(config);
        return Ok(());
    }
    if config.rclone_daemon_port.is_some() && tenant.config().rclone_daemon_port == config.rclone_daemon_port {
        let message = "the pool cannot be opened anew while rclone holds rclone_daemon_port";
        return Err(Error::new(ErrorKind::Unsupported, message).hint("restart the server, or unset rclone_daemon_port"));
    }
    let pool = Pool::open(&config, &app.open).await?;
    tenant.replace(config, pool).await;
    Ok(())
}

/// The configuration without what is the servers' alone.
fn of_pool(config: &Config) -> Config {
    let none = Config::default();
    Config {
        webdav_host: none.webdav_host,
        webdav_port: none.webdav_port,
        webdav_auth_method: none.webdav_auth_method,
        webdav_users: none.webdav_users,
        users: none.users,
        server_base_path: none.server_base_path,
        trusted_proxies: none.trusted_proxies,
        cors_origins: none.cors_origins,
        shutdown_timeout: none.shutdown_timeout,
        sync_interval: none.sync_interval,
        enable_https: none.enable_https,
        ssl_cert_file: none.ssl_cert_file,
        ssl_key_file: none.ssl_key_file,
        enable_webui: none.enable_webui,
        enable_api_server: none.enable_api_server,
        api_server_host: none.api_server_host,
        api_server_port: none.api_server_port,
        api_local_roots: none.api_local_roots,
        log_level: none.log_level,
        enable_metrics: none.enable_metrics,
        metrics_host: none.metrics_host,
        metrics_port: none.metrics_port,
        show_progress: none.show_progress,
        given: none.given,
        ..config.clone()
    }
}

/// The keys that differ and that a running server cannot follow.
fn restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let keys: [(&'static str, bool); 10] = [
        ("webdav_host", before.webdav_host != after.webdav_host),
        ("webdav_port", before.webdav_port != after.webdav_port),
        ("enable_api_server", before.enable_api_server != after.enable_api_server),
        ("api_server_host", before.api_server_host != after.api_server_host),
        ("api_server_port", before.api_server_port != after.api_server_port),
        ("enable_metrics", before.enable_metrics != after.enable_metrics),
        ("metrics_host", before.metrics_host != after.metrics_host),
        ("metrics_port", before.metrics_port != after.metrics_port),
        ("enable_https", before.enable_https != after.enable_https),
        ("sync_interval", before.sync_interval != after.sync_interval),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
