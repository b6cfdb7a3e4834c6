//! Remotes in a configuration: in, out, and one in another's place, with all that is said of them.
//!
//! `config` is always what the edited keys describe, with this machine's directories in their places.

use serde_json::{Map, Value};

use super::Config;

/// What is said of each remote, by its name.
const BY_REMOTE: [&str; 5] =
    ["remote_weights", "remote_priorities", "remote_quotas", "remote_limits", "failure_domains"];

/// The keys that name remotes, as they were, for undoing a change.
#[derive(Debug, Clone)]
pub struct Before(Vec<(&'static str, Option<Value>)>);

impl Before {
    /// Remembers them.
    pub fn of(keys: &Map<String, Value>) -> Self {
        let names = ["remotes", "crypt_remotes"].into_iter().chain(BY_REMOTE);
        Self(names.map(|name| (name, keys.get(name).cloned())).collect())
    }

    /// Puts them back.
    pub fn restore(self, keys: &mut Map<String, Value>) {
        for (name, value) in self.0 {
            match value {
                Some(value) => drop(keys.insert(name.into(), value)),
                None => drop(keys.shift_remove(name)),
            }
        }
    }
}

/// Adds a remote at the end, with the crypt remote over it where these are listed; one that stands there stays.
pub fn push(keys: &mut Map<String, Value>, config: &Config, remote: &str, crypt: Option<&str>) {
    if config.index_of(remote).is_some() {
        return;
    }
    add(keys, "remotes", remote);
    if let Some(crypt) = crypt {
        add(keys, "crypt_remotes", crypt);
    }
}

fn add(keys: &mut Map<String, Value>, key: &str, name: &str) {
    let mut list = keys.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    list.push(name.into());
    keys.insert(key.into(), list.into());
}

/// Takes everything that is said of some remotes out.
pub fn forget(keys: &mut Map<String, Value>, config: &Config, remotes: &[String]) {
    let gone: Vec<usize> = remotes.iter().filter_map(|remote| config.index_of(remote)).collect();
    for key in ["remotes", "crypt_remotes"] {
        if let Some(list) = keys.get_mut(key).and_then(Value::as_array_mut) {
            let mut at = 0..;
            list.retain(|_| at.next().is_none_or(|at| !gone.contains(&at)));
        }
    }
    for key in BY_REMOTE {
        if let Some(map) = keys.get_mut(key).and_then(Value::as_object_mut) {
            map.retain(|name, _| config.index_of(name).is_none_or(|at| !gone.contains(&at)));
        }
    }
}

/// Puts a remote where another stands, with all that is said of that; at the end where the other does not stand there.
pub fn replace(keys: &mut Map<String, Value>, config: &Config, old: &str, new: &str, crypt: Option<&str>) {
    let at = config.index_of(old);
    for (key, name) in [("remotes", Some(new)), ("crypt_remotes", crypt)] {
        let (Some(name), Some(list)) = (name, keys.get_mut(key).and_then(Value::as_array_mut)) else { continue };
        match at {
            Some(at) if at < list.len() => list[at] = name.into(),
            _ if config.index_of(new).is_none() => list.push(name.into()),
            _ => {}
        }
    }
    for key in BY_REMOTE {
        let Some(map) = keys.get_mut(key).and_then(Value::as_object_mut) else { continue };
        let renamed = std::mem::take(map).into_iter().map(|(name, value)| {
            if at.is_some() && config.index_of(&name) == at { (new.to_owned(), value) } else { (name, value) }
        });
        *map = renamed.collect();
    }
}

impl Config {
    /// The name of a remote for the pool: under `use_crypt` the crypt remote's; what is no remote stays as it is.
    pub fn effective_name(&self, name: &str) -> String {
        let at = self.index_of(name);
        at.and_then(|at| self.effective_remotes().get(at).cloned()).unwrap_or_else(|| name.to_owned())
    }

    /// The configuration without some of its remotes.
    #[must_use]
    pub fn without(&self, remotes: &[String]) -> Self {
        let gone: Vec<usize> = remotes.iter().filter_map(|remote| self.index_of(remote)).collect();
        let kept = |list: &[String]| -> Vec<String> {
            let each = list.iter().enumerate().filter(|(at, _)| !gone.contains(at));
            each.map(|(_, label)| label.clone()).collect()
        };
        Self { remotes: kept(&self.remotes), crypt_remotes: kept(&self.crypt_remotes), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys() -> Map<String, Value> {
        let keys = json!({
            "remotes": ["a:", "b:", "c:"], "use_crypt": true, "crypt_remotes": ["ac:", "bc:", "cc:"],
            "remote_weights": {"b:": 2.0, "c:": 3.0}, "failure_domains": {"a:": "x", "b:": "x"},
        });
        keys.as_object().unwrap().clone()
    }

    fn config(keys: &Map<String, Value>) -> Config {
        Config::parse(&Value::from(keys.clone()).to_string()).unwrap()
    }

    #[test]
    fn remotes_come_and_go_with_all_that_is_said_of_them() {
        let mut edited = keys();
        let before = Before::of(&edited);
        push(&mut edited, &config(&keys()), "d:", Some("dc:"));
        push(&mut edited, &config(&keys()), "b:", Some("twice:"));
        assert_eq!(edited["remotes"], json!(["a:", "b:", "c:", "d:"]));
        assert_eq!(edited["crypt_remotes"], json!(["ac:", "bc:", "cc:", "dc:"]));
        let wider = config(&edited);
        assert_eq!((wider.effective_name("d:"), wider.effective_name("z:")), ("dc:".into(), "z:".into()));
        let narrow = wider.without(&["b:".into(), "d:".into()]);
        assert_eq!((narrow.remotes, narrow.crypt_remotes.len()), (vec!["a:".to_owned(), "c:".into()], 2));
        forget(&mut edited, &wider, &["b:".into(), "cc:".into(), "nobody:".into()]);
        assert_eq!((&edited["remotes"], &edited["crypt_remotes"]), (&json!(["a:", "d:"]), &json!(["ac:", "dc:"])));
        assert_eq!((&edited["remote_weights"], &edited["failure_domains"]), (&json!({}), &json!({"a:": "x"})));
        before.restore(&mut edited);
        assert_eq!(edited, keys());
    }

    #[test]
    fn a_successor_takes_the_place_and_what_was_said() {
        let (mut edited, before) = (keys(), config(&keys()));
        replace(&mut edited, &before, "b:", "n:", Some("nc:"));
        assert_eq!(edited["remotes"], json!(["a:", "n:", "c:"]));
        assert_eq!(edited["crypt_remotes"], json!(["ac:", "nc:", "cc:"]));
        assert_eq!(edited["remote_weights"], json!({"n:": 2.0, "c:": 3.0}));
        // Whom the configuration had forgotten already.
        replace(&mut edited, &before, "gone:", "m:", Some("mc:"));
        assert_eq!(edited["remotes"], json!(["a:", "n:", "c:", "m:"]));
    }
}
