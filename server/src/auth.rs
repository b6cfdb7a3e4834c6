//! Signing in: who a request comes from, and whether they are who they say.

mod password;
mod session;
mod slow;
mod token;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::RwLock;
use rclonepool_core::Result;
use rclonepool_core::config::{AuthMethod, AuthMethods};
use subtle::ConstantTimeEq;

pub use password::{hash_password, hex, random};
pub use session::{Held, Holder, SESSION, TICKET};
pub use token::{digest, is_token, new_token};

use crate::principal::{Principal, Quota};
use crate::tenant::Tenant;
use password::{Passwords, Verdict};
use slow::Slow;

/// The cookie of a browser that signed in.
pub const COOKIE_NAME: &str = "rclonepool_session";

/// A user.
#[derive(Clone)]
pub struct User {
    /// The name.
    pub name: Arc<str>,
    /// The hash of the password; none: only tokens open.
    pub hash: Option<String>,
    /// Whether they may only read.
    pub read_only: bool,
    /// How much they may store.
    pub quota: Option<Arc<Quota>>,
    /// Their pool.
    pub tenant: Arc<Tenant>,
}

/// What a token opens.
#[derive(Clone)]
struct Key {
    user: Arc<str>,
    sha256: [u8; 32],
    expires: Option<u64>,
    read_only: bool,
}

/// Everybody who may sign in, and how. It is replaced whole when the configuration changes.
#[derive(Clone, Default)]
pub struct Directory {
    /// How one may sign in; with none, nobody has to.
    pub methods: AuthMethods,
    /// Whose pool it is where nobody signs in.
    pub everybody: Option<Arc<Tenant>>,
    users: BTreeMap<Arc<str>, User>,
    tokens: HashMap<[u8; 32], Key>,
}

impl Directory {
    /// Nobody yet.
    pub fn new(methods: AuthMethods, everybody: Option<Arc<Tenant>>) -> Self {
        Self { methods, everybody, ..Self::default() }
    }

    /// Adds a user with tokens.
    pub fn add(&mut self, user: User, tokens: &[rclonepool_core::config::TokenSettings]) {
        for token in tokens {
            let (sha256, expires, read_only) = (token.sha256.0, token.expires, token.read_only);
            self.tokens.insert(sha256, Key { user: user.name.clone(), sha256, expires, read_only });
        }
        self.users.insert(user.name.clone(), user);
    }

    /// A user by name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    fn key(&self, text: &str) -> Option<&Key> {
        let sha256 = digest(text);
        let key = self.tokens.get(&sha256)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let is_same = bool::from(key.sha256.ct_eq(&sha256));
        (is_same && key.expires.is_none_or(|expires| now < expires)).then_some(key)
    }

    fn allows(&self, method: AuthMethod) -> bool {
        self.methods.methods().contains(&method)
    }
}

/// Who asks.
#[derive(Clone)]
pub struct Who {
    /// Their name and pool.
    pub principal: Principal,
    /// Their pool, with what belongs to it.
    pub tenant: Arc<Tenant>,
    /// Whether the browser sent what they signed in with by itself, so that any page could have asked.
    pub is_ambient: bool,
    /// What they signed in with, hashed.
    pub proof: [u8; 32],
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// They did not say who they are.
    Unknown,
    /// They are not who they say.
    Wrong,
    /// Too many attempts failed; the next one after so long.
    Slow(Duration),
    /// Too many are signing in now.
    Busy,
}

/// Signs in.
pub struct Auth {
    directory: RwLock<Arc<Directory>>,
    passwords: Passwords,
    slow: Slow,
    /// Browsers that signed in.
    pub sessions: Held,
    /// Tickets for WebSockets.
    pub tickets: Held,
}

impl Auth {
    /// For these users.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub fn new(directory: Directory) -> Result<Self> {
        Ok(Self {
            directory: RwLock::new(Arc::new(directory)),
            passwords: Passwords::new()?,
            slow: Slow::default(),
            sessions: Held::new(SESSION),
            tickets: Held::new(TICKET),
        })
    }

    /// Everybody as it is now.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.read().clone()
    }

    /// From now on these. Who was signed in stays so as far as it still holds.
    pub fn replace(&self, directory: Directory) {
        *self.directory.write() = Arc::new(directory);
    }

    /// Who sends these headers from this address.
    ///
    /// # Errors
    /// Why they may not.
    pub async fn sign_in(&self, headers: &HeaderMap, address: IpAddr) -> Result<Who, Denied> {
        let directory = self.directory();
        if directory.methods.is_none() {
            let tenant = directory.everybody.clone().ok_or(Denied::Unknown)?;
            return Ok(who(None, tenant, true, false, None, [0; 32]));
        }
        if let Some(key) = headers.get("x-api-key") {
            if !directory.allows(AuthMethod::ApiKey) {
                return Err(Denied::Unknown);
            }
            let text = key.to_str().map_err(|_| Denied::Wrong)?;
            return self.by_token(&directory, text, None, address, false);
        }
        if let Some(value) = headers.get(AUTHORIZATION) {
            let value = value.to_str().map_err(|_| Denied::Wrong)?;
            let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
            if scheme.eq_ignore_ascii_case("bearer") && directory.allows(AuthMethod::Bearer) {
                return self.by_token(&directory, rest.trim(), None, address, false);
            }
            if scheme.eq_ignore_ascii_case("basic") && directory.allows(AuthMethod::Basic) {
                let (name, password) = basic(rest.trim()).ok_or(Denied::Wrong)?;
                return self.by_password(&directory, &name, &password, address).await;
            }
            return Err(Denied::Unknown);
        }
        let cookie = cookie(headers).ok_or(Denied::Unknown)?;
        let holder = self.sessions.find(cookie).ok_or(Denied::Unknown)?;
        self.by_holder(&directory, &holder)
    }

    /// Who has this name and password; a token of theirs does for a password.
    ///
    /// # Errors
    /// Why they may not.
    pub async fn by_password(
        &self,
        directory: &Directory,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<Who, Denied> {
        if is_token(password) {
            return self.by_token(directory, password, Some(name), address, true);
        }
        let user = directory.user(name);
        let hash = user.and_then(|user| user.hash.as_deref());
        // Who is known already does not wait for those who guess.
        if !hash.is_some_and(|hash| self.passwords.is_remembered(name, hash, password)) {
            if let Some(left) = self.slow.left(address, Some(name), Instant::now()) {
                return Err(Denied::Slow(left));
            }
            match self.passwords.verify(name, hash, password).await {
                Verdict::Right => self.slow.succeeded(name),
                Verdict::Busy => return Err(Denied::Busy),
                Verdict::Wrong => {
                    self.slow.failed(address, Some(name), Instant::now());
                    return Err(Denied::Wrong);
                }
            }
        }
        let (Some(user), Some(hash)) = (user, hash) else { return Err(Denied::Wrong) };
        Ok(of_user(user, true, false, digest(hash)))
    }

    /// Who has this token.
    ///
    /// # Errors
    /// Why they may not.
    pub fn by_token(
        &self,
        directory: &Directory,
        text: &str,
        name: Option<&str>,
        address: IpAddr,
        is_ambient: bool,
    ) -> Result<Who, Denied> {
        let found = directory.key(text).filter(|key| name.is_none_or(|name| *name == *key.user));
        let Some((key, user)) = found.and_then(|key| Some((key, directory.user(&key.user)?))) else {
            // Only guesses wait: 256 bits are not found by trying.
            let now = Instant::now();
            if let Some(left) = self.slow.left(address, None, now) {
                return Err(Denied::Slow(left));
            }
            self.slow.failed(address, None, now);
            return Err(Denied::Wrong);
        };
        Ok(of_user(user, is_ambient, key.read_only, key.sha256))
    }

    /// Who holds a cookie or a ticket, if what they signed in with still holds.
    ///
    /// # Errors
    /// `Unknown` when it does not.
    pub fn by_holder(&self, directory: &Directory, holder: &Holder) -> Result<Who, Denied> {
        let Some(name) = &holder.name else {
            let tenant = directory.everybody.clone().filter(|_| directory.methods.is_none());
            return tenant.map(|tenant| who(None, tenant, true, false, None, [0; 32])).ok_or(Denied::Unknown);
        };
        let user = directory.user(name).ok_or(Denied::Unknown)?;
        let by_password = user.hash.as_deref().is_some_and(|hash| digest(hash) == holder.proof);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let by_token = || {
            let key = directory.tokens.get(&holder.proof);
            key.is_some_and(|key| key.user == *name && key.expires.is_none_or(|expires| now < expires))
        };
        if by_password || by_token() {
            Ok(of_user(user, true, holder.read_only, holder.proof))
        } else {
            Err(Denied::Unknown)
        }
    }
}

impl Who {
    /// As it is kept for a cookie or a ticket.
    pub fn holder(&self) -> Holder {
        let Principal { name, read_only, .. } = &self.principal;
        Holder { name: name.clone(), read_only: *read_only, proof: self.proof }
    }
}

fn of_user(user: &User, is_ambient: bool, read_only: bool, proof: [u8; 32]) -> Who {
    let read_only = user.read_only || read_only;
    who(Some(user.name.clone()), user.tenant.clone(), is_ambient, read_only, user.quota.clone(), proof)
}

fn who(
    name: Option<Arc<str>>,
    tenant: Arc<Tenant>,
    is_ambient: bool,
    read_only: bool,
    quota: Option<Arc<Quota>>,
    proof: [u8; 32],
) -> Who {
    let principal = Principal { name, pool: tenant.pool(), read_only, quota };
    Who { principal, tenant, is_ambient, proof }
}

/// Name and password of HTTP Basic.
fn basic(text: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// The session's cookie.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        assert_eq!(basic("YW5uOm86cGVu"), Some(("ann".into(), "o:pen".into())));
        for bad in ["", "YW5u", "%%%", "/w=="] {
            assert_eq!(basic(bad), None, "{bad}");
        }
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=b; rclonepool_session=xyz; c=d".parse().unwrap());
        assert_eq!(cookie(&headers), Some("xyz"));
        headers.clear();
        headers.append(COOKIE, "notrclonepool_session=xyz".parse().unwrap());
        assert_eq!(cookie(&headers), None);
    }
}
