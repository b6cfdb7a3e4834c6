//! What an entry of `remotes` means.

use crate::error::{Error, ErrorKind, Result};

/// What an entry of `remotes` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteKind {
    /// An rclone remote: `mega1:`, `mega1:dir`, `:s3,provider=…:bucket`.
    Rclone,
    /// A directory of this machine, by absolute path or `~/…`.
    Directory,
    /// What a plugin keeps: `storage_backend:NAME:ROOT`.
    Plugin,
}

/// What the label of a plugin's remote begins with.
const PLUGIN: &str = "storage_backend:";

impl RemoteKind {
    /// The plugin's name and the root of a remote that a plugin keeps; `None` for any other.
    pub fn plugin(label: &str) -> Option<(&str, &str)> {
        label.strip_prefix(PLUGIN)?.split_once(':')
    }

    /// What `label` is on this system. On Windows `C:\pool` and `C:/pool` are directories;
    /// elsewhere `C:/pool` is the rclone remote named C.
    ///
    /// # Errors
    /// `Config`, saying which of the two forms is nearly met.
    pub fn of(label: &str) -> Result<Self> {
        parse(label, cfg!(windows)).map(|parsed| parsed.kind).map_err(|why| {
            Error::new(ErrorKind::Config, format!("{}: {why}", redact_remote(label)))
                .hint("give an rclone remote (mega1:) or the absolute path of a directory (/mnt/disk1)")
        })
    }
}

/// A label taken apart.
pub(super) struct Parsed<'a> {
    pub(super) kind: RemoteKind,
    /// The name of an rclone remote that stands in rclone's configuration.
    pub(super) name: Option<&'a str>,
    /// Whether rclone takes options from the label itself.
    has_options: bool,
    /// Where an rclone remote's path begins.
    path_at: usize,
}

const BOTH_FORMS: &str = "neither an rclone remote (a name with ':' at its end, such as mega1:) nor the absolute path \
                          of a directory (such as /mnt/disk1)";

/// Takes `label` apart by the rules of Windows or of other systems.
pub(super) fn parse(label: &str, windows: bool) -> Result<Parsed<'_>, String> {
    if label.is_empty() {
        return Err("an empty text is no remote".into());
    }
    if label.len() > 4096 {
        return Err("longer than 4,096 bytes".into());
    }
    if label.chars().any(char::is_control) {
        return Err("holds a control character".into());
    }
    if is_directory(label, windows) {
        if parts(label, windows).any(|part| part == "..") {
            return Err("the path holds '..'; write it without".into());
        }
        return Ok(Parsed { kind: RemoteKind::Directory, name: None, has_options: false, path_at: 0 });
    }
    if windows && label.as_bytes().get(1) == Some(&b':') && label.as_bytes()[0].is_ascii_alphabetic() {
        return Err("the path of a drive must begin at its root, such as C:\\pool".into());
    }
    if let Some(rest) = label.strip_prefix(PLUGIN) {
        let possible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name = rest.split_once(':').map(|(name, _)| name);
        if !name.is_some_and(|name| (1..=64).contains(&name.len()) && name.chars().all(possible)) {
            return Err("a plugin's remote is written storage_backend:NAME:ROOT".into());
        }
        return Ok(Parsed { kind: RemoteKind::Plugin, name: None, has_options: false, path_at: label.len() });
    }
    parse_rclone(label)
}

/// Source: rclone's fs/fspath, `Parse` and the grammar in its documentation of connection strings.
fn parse_rclone(label: &str) -> Result<Parsed<'_>, String> {
    let on_the_fly = label.starts_with(':');
    let start = usize::from(on_the_fly);
    let Some(end) = label[start..].find([',', ':']).map(|at| at + start) else {
        let mega = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let meant = if mega { format!("; did you mean \"{label}:\"?") } else { String::new() };
        return Err(format!("{BOTH_FORMS}{meant}"));
    };
    let name = &label[start..end];
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '@' | '-' | ' ');
    if name.contains(['/', '\\']) {
        return Err(BOTH_FORMS.into());
    }
    if name.is_empty() || name.starts_with(['-', ' ']) || name.ends_with(' ') || !name.chars().all(plain) {
        return Err(
            "rclone's remotes have names of letters, digits and '_', '-', '.', '+', '@' and blanks within".into()
        );
    }
    let path_at = end_of_options(label, end).ok_or("the options after the remote's name do not end with ':'")?;
    if label.contains(']') {
        return Err("rclone cannot serve a remote whose text holds ']'".into());
    }
    Ok(Parsed {
        kind: RemoteKind::Rclone,
        name: (!on_the_fly).then_some(name),
        has_options: label.as_bytes()[end] == b',',
        path_at,
    })
}

/// The position after the ':' that ends the options beginning at `at`. A value in quotes may hold
/// ',' and ':', and a quote when it is doubled.
fn end_of_options(label: &str, at: usize) -> Option<usize> {
    let mut quote = None;
    let mut before = '\0';
    for (i, c) in label[at..].char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            // A doubled quote closes and opens again, which comes to the same.
            None if matches!(c, '\'' | '"') && matches!(before, '=' | '\'' | '"') => quote = Some(c),
            None if c == ':' => return Some(at + i + 1),
            None => {}
        }
        before = c;
    }
    None
}

fn is_directory(label: &str, windows: bool) -> bool {
    let slash = |b: Option<&u8>| matches!(b, Some(b'/')) || windows && matches!(b, Some(b'\\'));
    let bytes = label.as_bytes();
    let drive = windows && bytes[0].is_ascii_alphabetic() && bytes.get(1) == Some(&b':') && slash(bytes.get(2));
    slash(bytes.first()) || drive || label == "~" || bytes[0] == b'~' && slash(bytes.get(1))
}

fn parts(path: &str, windows: bool) -> impl Iterator<Item = &str> {
    path.split(move |c| c == '/' || windows && c == '\\')
}

/// A form in which two labels of one place are equal: without `.`, doubled or final slashes.
pub(super) fn normal(label: &str, windows: bool) -> String {
    match parse(label, windows) {
        Ok(Parsed { kind: RemoteKind::Directory, .. }) => {
            let kept: Vec<&str> = parts(label, windows).filter(|part| !part.is_empty() && *part != ".").collect();
            let path = format!("{}{}", if label.starts_with('~') { "" } else { "/" }, kept.join("/"));
            if windows { path.to_lowercase() } else { path }
        }
        Ok(Parsed { path_at, .. }) => {
            let (head, path) = label.split_at(path_at);
            let kept = path.trim_end_matches('/');
            // `x:` and `x:/` differ on some backends (a home directory, and the root).
            format!("{head}{}", if kept.is_empty() && !path.is_empty() { "/" } else { kept })
        }
        Err(_) => label.into(),
    }
}

/// `crypt-NAME:` for a label whose remote has the name NAME in rclone's configuration.
pub(super) fn default_crypt(label: &str, windows: bool) -> Option<String> {
    let parsed = parse(label, windows).ok()?;
    let name = parsed.name.filter(|_| !parsed.has_options)?;
    Some(format!("crypt-{name}:"))
}

/// `label` with the values of options in it replaced by `***`, for output: a connection string such
/// as `:s3,secret_access_key=…:bucket` carries secrets.
pub fn redact_remote(label: &str) -> String {
    let Some(end) = label.get(1..).and_then(|rest| rest.find([',', ':'])).map(|at| at + 1) else {
        return label.into();
    };
    if label.as_bytes()[end] != b',' || is_directory(label, cfg!(windows)) {
        return label.into();
    }
    let path_at = end_of_options(label, end).unwrap_or(label.len());
    format!("{},***:{}", &label[..end], &label[path_at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(label: &str, windows: bool) -> Result<RemoteKind, String> {
        parse(label, windows).map(|p| p.kind)
    }

    #[test]
    fn the_two_forms() {
        for label in
            ["mega1:", "mega1:a/b", "a b+c@d.e_f-g:", "été:", ":local:/tmp/x", ":s3,provider=Other:b", "C:/pool"]
        {
            assert_eq!(kind(label, false), Ok(RemoteKind::Rclone), "{label}");
        }
        for label in [":s3,endpoint='http://h:1/':b", "m,a=\"x,y:'z\":dir", "m,a='it''s: so':dir", "m,flag:"] {
            assert_eq!(kind(label, false), Ok(RemoteKind::Rclone), "{label}");
        }
        for label in ["/", "/mnt/disk1", "/mnt/a:b", "~", "~/disk"] {
            assert_eq!(kind(label, false), Ok(RemoteKind::Directory), "{label}");
        }
        for label in ["C:\\pool", "C:/pool", "\\\\host\\share", "~\\disk"] {
            assert_eq!(kind(label, true), Ok(RemoteKind::Directory), "{label}");
        }
        for label in
            ["", "mega1", "./disk", "disk/x:y", "..", ":", "-a:", " a:", "a :", "a*:", "m,a='x:", "m,a=b", "/a/../b"]
        {
            assert!(kind(label, false).is_err(), "{label}");
        }
        for label in ["C:", "C:pool"] {
            assert!(kind(label, true).unwrap_err().contains("begin at its root"));
        }
        for label in ["a]:", "mega1:dir]", "a\n:", "a:\0", &"x".repeat(5000)] {
            assert!(kind(label, false).is_err(), "{label:?}");
        }
    }

    #[test]
    fn one_place_has_one_normal_form() {
        for (a, b) in [("m:dir/", "m:dir"), ("/mnt//a/./b/", "/mnt/a/b"), ("~/a/", "~/a")] {
            assert_eq!(normal(a, false), normal(b, false));
        }
        assert_eq!(normal("c:\\Pool\\", true), normal("C:/pool", true));
        assert_ne!(normal("m:", false), normal("m:/", false));
        assert_ne!(normal("/a", false), normal("/A", false));
        assert_ne!(normal("~/a", false), normal("/a", false));
    }

    #[test]
    fn default_crypt_names() {
        assert_eq!(default_crypt("mega1:", false).as_deref(), Some("crypt-mega1:"));
        assert_eq!(default_crypt("mega1:dir", false).as_deref(), Some("crypt-mega1:"));
        for label in ["/mnt/a", ":s3,a=b:c", "m,a=b:c", "nonsense"] {
            assert_eq!(default_crypt(label, false), None);
        }
    }

    #[test]
    fn secrets_in_labels_are_hidden() {
        assert_eq!(redact_remote(":s3,secret_access_key='a:b',x=y:bucket"), ":s3,***:bucket");
        assert_eq!(redact_remote("m,pass=abc:dir"), "m,***:dir");
        assert_eq!(redact_remote("m,pass=abc"), "m,***:");
        for label in ["mega1:dir,x", "/mnt/a,b:c", "", "é", ":", "~/a,b"] {
            assert_eq!(redact_remote(label), label);
        }
    }
}
