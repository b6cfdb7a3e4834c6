//! The servers' users: what is kept of them beside the hashes of their passwords.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ByteSize;
use crate::id::Sha256;

/// What a user may do (`users`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserSettings {
    /// The configuration of the user's own pool; left out: the pool of this configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// How many bytes the user's pool may hold, before redundancy, the trash included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<ByteSize>,
    /// How many files the user's pool may hold, the trash included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_files: Option<u64>,
    /// Whether the user may only read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// What the user signs in with instead of the password.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenSettings>,
}

/// A token, of which only the hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// Names it, for revoking it.
    pub id: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// SHA-256 of the token's text, in hex.
    #[schemars(with = "String")]
    pub sha256: Sha256,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
    /// When it ends, in seconds since 1970; left out: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Whether it may only read, whatever its user may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_of_a_user_is_not_written() {
        assert_eq!(serde_json::to_string(&UserSettings::default()).unwrap(), "{}");
        let text = r#"{"quota":1073741824,"read_only":true}"#;
        let user: UserSettings = serde_json::from_str(r#"{"quota": "1GiB", "read_only": true}"#).unwrap();
        assert_eq!(serde_json::to_string(&user).unwrap(), text);
        assert!(serde_json::from_str::<UserSettings>(r#"{"quotas": 1}"#).is_err());
        assert!(serde_json::from_str::<TokenSettings>(r#"{"id": "x", "sha256": "00"}"#).is_err());
    }
}
