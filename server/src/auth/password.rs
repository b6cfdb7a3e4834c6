//! Passwords: hashed by Argon2id, verified a few at a time, remembered for some minutes.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use parking_lot::Mutex;
use rclonepool_core::{Error, ErrorKind, Result};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

/// A verification takes tens of milliseconds, and WebDAV clients send their password with every request.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many verified passwords are remembered.
const REMEMBERED_MAX: usize = 4096;
/// A verification takes 19 MiB and a processor.
const AT_ONCE: usize = 2;
/// How many may wait for their turn.
const WAITING_MAX: usize = 32;
/// Longer ones are refused unread.
const PASSWORD_BYTES_MAX: usize = 1024;

/// What is verified where there is no such user, so that the answer takes as long. Nobody knows its password.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| random().and_then(|password| hash_password(&hex(&password))).unwrap_or_default());

/// Hashes a password for the configuration: Argon2id with 19 MiB and two passes, as OWASP's password storage
/// cheat sheet advises.
///
/// # Errors
/// `InvalidArgument` for an empty or very long one.
pub fn hash_password(password: &str) -> Result<String> {
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        let message = format!("a password has 1 to {PASSWORD_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let salt = random()?;
    let hashed: std::result::Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(password.as_bytes(), &salt[..16]);
    let failed = |e| Error::new(ErrorKind::Internal, format!("the password cannot be hashed: {e}"));
    Ok(hashed.map_err(failed)?.to_string())
}

/// 32 bytes nobody can guess.
///
/// # Errors
/// `Internal` when the system gives none.
pub fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let failed = |_| Error::new(ErrorKind::Internal, "the system gives no random numbers");
    SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What came of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// Too many are being verified.
    Busy,
}

/// Verifies passwords.
pub struct Passwords {
    key: hmac::Key,
    verified: Mutex<HashMap<[u8; 32], Instant>>,
    turns: Semaphore,
    places: Semaphore,
}

impl Passwords {
    /// Remembers nothing yet.
    ///
    /// # Errors
    /// As [`random`].
    pub fn new() -> Result<Self> {
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &random()?),
            verified: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
            places: Semaphore::new(AT_ONCE + WAITING_MAX),
        })
    }

    /// Whether this very password was found right a short time ago. Costs little.
    pub fn is_remembered(&self, user: &str, hash: &str, password: &str) -> bool {
        let key = self.key_of(user, hash, password);
        self.verified.lock().get(&key).is_some_and(|until| *until > Instant::now())
    }

    /// Holds a password against the user's hash; none: there is no such user, and it takes as long to say so.
    pub async fn verify(&self, user: &str, hash: Option<&str>, password: &str) -> Verdict {
        if password.len() > PASSWORD_BYTES_MAX {
            return Verdict::Wrong;
        }
        let Ok(_place) = self.places.try_acquire() else { return Verdict::Busy };
        let Ok(_turn) = self.turns.acquire().await else { return Verdict::Busy };
        let (against, given) = (hash.unwrap_or(&NOBODY).to_owned(), password.to_owned());
        let work = move || {
            let parsed = PasswordHash::new(&against);
            parsed.is_ok_and(|parsed| Argon2::default().verify_password(given.as_bytes(), &parsed).is_ok())
        };
        let is_right = tokio::task::spawn_blocking(work).await.unwrap_or(false);
        let Some(hash) = hash.filter(|_| is_right) else { return Verdict::Wrong };
        let now = Instant::now();
        let mut verified = self.verified.lock();
        if verified.len() >= REMEMBERED_MAX {
            verified.retain(|_, until| *until > now);
            if verified.len() >= REMEMBERED_MAX {
                verified.clear();
            }
        }
        verified.insert(self.key_of(user, hash, password), now + REMEMBERED);
        Verdict::Right
    }

    /// Of the hash, too: a changed password is never found here.
    fn key_of(&self, user: &str, hash: &str, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user, hash, password] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn right_and_wrong_passwords() {
        let hash = hash_password("open sesame").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let passwords = Passwords::new().unwrap();
        assert_eq!(passwords.verify("ann", Some(&hash), "open sesame").await, Verdict::Right);
        assert_eq!(passwords.verify("ann", Some(&hash), "open says me").await, Verdict::Wrong);
        assert_eq!(passwords.verify("bob", None, "open sesame").await, Verdict::Wrong);
        assert!(passwords.is_remembered("ann", &hash, "open sesame"));
        assert!(!passwords.is_remembered("ann", &hash, "open says me"));
        let changed = hash_password("open sesame").unwrap();
        assert!(!passwords.is_remembered("ann", &changed, "open sesame"), "another salt is another hash");
        assert!(hash_password("").is_err() && hash_password(&"x".repeat(1025)).is_err());
    }
}
