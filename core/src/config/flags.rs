//! Which of rclone's flags a user may add.

/// A rule of refusal: names (a `*` at the end stands for the rest) and the reason.
type Rule = (&'static [&'static str], &'static str);

const REFUSED: [Rule; 13] = [
    (&["dry-run", "interactive"], "nothing would be stored, or rclone would wait for an answer"),
    (
        &[
            "ignore-*",
            "immutable",
            "no-check-dest",
            "size-only",
            "update",
            "compare-dest",
            "copy-dest",
            "error-on-no-transfer",
        ],
        "it changes what rclone skips or checks, and a shard could be missing or wrong unnoticed",
    ),
    (
        &["max-transfer", "max-duration", "cutoff-mode", "max-delete", "max-delete-size"],
        "transfers would end in the middle without being failures; use bandwidth limits and --bwlimit",
    ),
    (
        &[
            "include*",
            "exclude*",
            "filter*",
            "files-from*",
            "min-size",
            "max-size",
            "min-age",
            "max-age",
            "max-depth",
            "hash-filter",
            "metadata-include*",
            "metadata-exclude*",
            "metadata-filter*",
            "delete-excluded",
        ],
        "filters hide objects, and hidden objects look lost",
    ),
    (
        &[
            "backup-dir",
            "suffix",
            "suffix-keep-extension",
            "name-transform",
            "partial-suffix",
            "inplace",
            "metadata-mapper",
        ],
        "it changes the names or the atomicity of stored objects",
    ),
    (&["rc", "rc-*", "metrics-addr"], "the long-lived rclone and its access are managed by rclonepool"),
    (&["config"], "use the key rclone_config_file"),
    (&["daemon*", "help", "version"], "rclone would not stay, or would print and end"),
    (&["dump", "dump-*"], "it writes credentials to logs"),
    (&["crypt-no-data-encryption"], "data would be stored in plain"),
    (&["crypt-pass-bad-blocks"], "damaged blocks would be read as zeros"),
    (&["crypt-strict-names"], "rclonepool sets it: without it a wrong password looks like an empty remote"),
    (&["s3-no-head", "s3-no-head-object", "azureblob-no-head-object"], "uploads would not be verified"),
];

/// The short forms of refused flags.
const SHORT: [(char, &str); 7] = [
    ('n', "dry-run"),
    ('i', "interactive"),
    ('I', "ignore-times"),
    ('u', "update"),
    ('f', "filter"),
    ('h', "help"),
    ('V', "version"),
];

/// Parts of a flag's name that say its value is secret.
const SECRET: [&str; 11] = [
    "pass",
    "secret",
    "token",
    "key",
    "auth",
    "header",
    "cookie",
    "credential",
    "sas-url",
    "connection-string",
    "bearer",
];

fn refusal(name: &str) -> Option<&'static str> {
    let meets = |rule: &str| match rule.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == rule,
    };
    REFUSED.iter().find(|(rules, _)| rules.iter().any(|rule| meets(rule))).map(|(_, why)| *why)
}

/// The flags as rclone shall get them, one argument each: a value given as an element of its own
/// (`"--bwlimit", "10M"`) is joined to its flag, so that no element can become a command's operand.
///
/// Returns the position and the reason of every flag that is refused; reasons never hold values.
pub(super) fn join(flags: &[String]) -> Result<Vec<String>, Vec<(usize, String)>> {
    let mut joined: Vec<String> = Vec::new();
    let mut problems = Vec::new();
    // Whether the next element may be the value of the last one.
    let mut open = false;
    for (at, flag) in flags.iter().enumerate() {
        let took_value = std::mem::take(&mut open);
        let mut refuse = |name: &str, why: &str| problems.push((at, format!("{name} is refused: {why}")));
        if flag.contains(['\0', '\n', '\r']) {
            refuse("this flag", "it holds a control character");
        } else if let Some(long) = flag.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            match (named, refusal(name)) {
                (false, _) => refuse("this flag", "rclone's flags have names of letters, digits and '-'"),
                (true, Some(why)) => refuse(&format!("--{name}"), why),
                (true, None) => joined.push(flag.clone()),
            }
            open = value.is_none();
        } else if let Some(short) = flag.strip_prefix('-') {
            let known = |c: char| SHORT.iter().find(|(s, _)| *s == c).map(|(_, name)| *name);
            match short.chars().find_map(|c| Some((c, known(c)?))) {
                Some((c, name)) => {
                    refuse(&format!("-{c} (--{name})"), refusal(name).unwrap_or("it is not for the pool"));
                }
                None if !short.is_empty() && short.chars().all(|c| c.is_ascii_alphabetic()) => {
                    joined.push(flag.clone())
                }
                None => refuse("this flag", "write long flags, such as --fast-list"),
            }
        } else if took_value && !flag.is_empty() {
            // A refused flag is not in `joined`; its value is of no interest.
            if problems.last().is_none_or(|(last, _)| last + 1 != at)
                && let Some(last) = joined.last_mut()
            {
                last.push('=');
                last.push_str(flag);
            }
        } else {
            refuse("this text", "it is no flag; flags begin with '-', and a value follows its flag as --flag=value");
        }
    }
    if problems.is_empty() { Ok(joined) } else { Err(problems) }
}

/// The flags with secret values replaced by `***`.
pub(super) fn masked(flags: &[String]) -> Vec<String> {
    let mut hide_next = false;
    let mask = |flag: &String| {
        let hide = std::mem::replace(&mut hide_next, false);
        let Some(name) = flag.strip_prefix('-') else {
            return if hide { "***".into() } else { flag.clone() };
        };
        let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
        let lower = name.to_ascii_lowercase();
        if !SECRET.iter().any(|part| lower.contains(part)) {
            return flag.clone();
        }
        hide_next = value.is_none();
        if value.is_some() { format!("-{name}=***") } else { flag.clone() }
    };
    flags.iter().map(mask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(flags: &[&str]) -> Vec<String> {
        flags.iter().map(|&flag| flag.into()).collect()
    }

    #[test]
    fn harmless_flags_pass_and_values_are_joined() {
        let flags = texts(&[
            "--fast-list",
            "--no-traverse",
            "-v",
            "-vv",
            "--bwlimit",
            "10M",
            "--tpslimit=4",
            "--password-command",
            "pass x",
        ]);
        let want =
            ["--fast-list", "--no-traverse", "-v", "-vv", "--bwlimit=10M", "--tpslimit=4", "--password-command=pass x"];
        assert_eq!(join(&flags).unwrap(), want);
    }

    #[test]
    fn dangerous_flags_are_refused_by_name() {
        for flag in [
            "--dry-run",
            "--dry-run=true",
            "-n",
            "-vn",
            "--interactive",
            "-i",
            "--ignore-existing",
            "--ignore-checksum",
            "-I",
            "--immutable",
            "--no-check-dest",
            "--size-only",
            "-u",
            "--max-transfer",
            "--max-duration=1s",
            "--cutoff-mode",
            "--include",
            "--exclude-from",
            "--filter",
            "-f",
            "--min-size",
            "--max-age",
            "--max-depth=1",
            "--backup-dir",
            "--suffix=.x",
            "--inplace",
            "--rc",
            "--rc-addr=:1",
            "--config=/x",
            "--dump",
            "--dump-headers",
            "--crypt-no-data-encryption",
            "--crypt-strict-names=false",
            "--s3-no-head",
            "-h",
            "--version",
        ] {
            let problems = join(&texts(&["--fast-list", flag])).unwrap_err();
            assert_eq!(problems.len(), 1, "{flag}");
            let name = flag.split('=').next().unwrap();
            let short = name.chars().last().unwrap();
            assert_eq!(problems[0].0, 1);
            assert!(problems[0].1.contains(name) || problems[0].1.contains(&format!("-{short} (--")), "{problems:?}");
        }
    }

    #[test]
    fn what_is_no_flag_is_refused_without_showing_it() {
        for flags in [
            &["secret"][..],
            &[""],
            &["--"],
            &["-"],
            &["--fast-list=1", "secret"],
            &["-v", "secret"],
            &["--a\nb"],
            &["-1"],
        ] {
            let problems = join(&texts(flags)).unwrap_err();
            assert!(!problems[0].1.contains("secret"), "{problems:?}");
        }
        // The value of a refused flag is not a second problem, nor joined to another flag.
        assert_eq!(join(&texts(&["--fast-list", "--exclude", "x"])).unwrap_err().len(), 1);
    }

    #[test]
    fn secret_values_are_masked() {
        let flags = texts(&[
            "--s3-secret-access-key=abc",
            "--header",
            "Authorization: x",
            "--bwlimit",
            "10M",
            "--rc-pass=p",
            "-v",
        ]);
        let want = ["--s3-secret-access-key=***", "--header", "***", "--bwlimit", "10M", "--rc-pass=***", "-v"];
        assert_eq!(masked(&flags), want);
    }
}
