//! Whatever the text, there is an answer: a configuration or problems, never a panic.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use super::super::*;
use super::EXAMPLE;

fn any_text(rng: &mut StdRng) -> String {
    const PARTS: [&str; 24] = [
        "mega1:",
        "/",
        "..",
        ":",
        ",",
        "=",
        "'",
        "\"",
        "~",
        "$argon2id$",
        "--",
        "-n",
        "é",
        "\u{202e}",
        "\0",
        "\n",
        "]",
        " ",
        "none",
        "1G",
        "999999999999999999999P",
        "a",
        "\\",
        "crypt-",
    ];
    (0..rng.random_range(0..6)).map(|_| PARTS[rng.random_range(0..PARTS.len())]).collect()
}

fn any_value(rng: &mut StdRng, depth: usize) -> Value {
    match rng.random_range(0..if depth > 3 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(rng.random::<bool>()),
        2 => json!(rng.random_range(-3..300)),
        3 => json!(rng.random::<u64>()),
        4 => json!(f64::from_bits(rng.random::<u64>())),
        5 => json!(any_text(rng)),
        6 => (0..rng.random_range(0..4)).map(|_| any_value(rng, depth + 1)).collect(),
        _ => {
            let members = (0..rng.random_range(0..4)).map(|_| (any_text(rng), any_value(rng, depth + 1)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// What must hold of any text; returns whether it was a configuration.
fn examine(text: &str) -> bool {
    let config = match Config::check(text) {
        Err(problems) => {
            assert!(!problems.is_empty(), "{text}");
            assert!(
                problems.iter().all(|p| !p.to_string().contains(['\n', '\0']) && p.message.len() < 1500),
                "{problems:?}"
            );
            return false;
        }
        Ok(config) => config,
    };
    config.validate().unwrap();
    assert_eq!(config.effective_remotes().len(), config.remotes.len());
    assert_eq!(config.remote_settings().len(), config.remotes.len());
    let redundancy = config.redundancy();
    assert_eq!(redundancy.to_string().parse::<crate::redundancy::Redundancy>().unwrap(), redundancy);
    let chunk = u128::from(config.chunk_bytes());
    assert!(chunk > 0 && chunk <= u128::from(config.chunk_size));
    let coded = chunk * u128::from(redundancy.shards()) / u128::from(redundancy.data);
    assert!(coded <= u128::from(config.memory_limit_mb) << 20);
    let written = serde_json::to_string(&config).unwrap();
    let again = Config::parse(&written).unwrap();
    assert_eq!(Config { given: config.given.clone(), ..again }, config);
    config.masked();
    config.notices();
    config.clone().expand_home(std::path::Path::new("/home/x"));
    true
}

#[test]
fn arbitrary_values_of_known_keys() {
    let keys: Vec<String> = reference().into_iter().map(|doc| doc.key).collect();
    let mut right = 0;
    for seed in 0..3_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut object = json!({"remotes": ["mega1:", "mega2:", "/mnt/x"]});
        for _ in 0..rng.random_range(1..4) {
            let key = keys[rng.random_range(0..keys.len())].clone();
            object[key] = any_value(&mut rng, 0);
        }
        right += usize::from(examine(&object.to_string()));
    }
    assert!(right > 50, "{right} of 3,000 were right: too few to mean anything");
}

#[test]
fn damaged_examples() {
    for seed in 0..3_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = rng.random(),
                2 => drop(bytes.drain(at..(at + 9).min(bytes.len() - 1).max(at))),
                _ => bytes[at] = b"{}[]\",:0-.eE\\n"[rng.random_range(0..14)],
            }
        }
        examine(&String::from_utf8_lossy(&bytes));
    }
}
