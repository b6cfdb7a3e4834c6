//! Taking secrets out of what rclone says before anyone sees it.

/// How much of one message is kept.
const LONGEST: usize = 600;

/// Parts of option names whose values are secret, as in `pass=…`, `"token":"…"` or `client_secret=…`.
const SECRET: [&str; 8] = ["pass", "secret", "token", "key", "auth", "cred", "bearer", "cookie"];

/// `text` on one line, without the values of options that look secret and without passwords in
/// URLs, cut to a bearable length.
pub(super) fn redact(text: &str) -> String {
    let text = text.trim().replace(['\n', '\r', '\t'], " ");
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['=', ':']) {
        let (before, mark) = (&rest[..at], &rest[at..=at]);
        rest = &rest[at + 1..];
        shown.push_str(before);
        shown.push_str(mark);
        let quoted_name = before.ends_with('"');
        let name =
            before.trim_end_matches('"').rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').next();
        let name = name.unwrap_or_default().to_ascii_lowercase();
        // `key: value` in prose is no option; `"key": value` in JSON is.
        let is_option = mark == "=" || quoted_name;
        if is_option && SECRET.iter().any(|part| name.contains(part)) {
            let value = rest.trim_start();
            let end = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => value[1..].find(quote).map_or(value.len(), |i| i + 2),
                _ => value.find([',', ':', '&', ' ', ';', '}', ')']).unwrap_or(value.len()),
            };
            shown.push_str("***");
            rest = &value[end..];
        } else if mark == ":" && rest.starts_with("//") {
            // scheme://user:password@host
            let authority = rest[2..].find(['/', ' ', '"', '?']).map_or(rest.len(), |i| i + 2);
            if let Some(host) = rest[..authority].rfind('@') {
                shown.push_str("//***");
                rest = &rest[host..];
            }
        }
    }
    shown.push_str(rest);
    if shown.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|i| shown.is_char_boundary(*i)).unwrap_or(0);
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (text, want) in [
            ("didn't find section in config file (\"x\")", "didn't find section in config file (\"x\")"),
            (
                "Encrypted drive ':crypt,password=abc-_1,remote=loc:': no",
                "Encrypted drive ':crypt,password=***,remote=loc:': no",
            ),
            (":s3,secret_access_key='a:b,c',provider=Other:bucket", ":s3,secret_access_key=***,provider=Other:bucket"),
            (":webdav,url='http://u:p@h:80/x',pass=\"q\":", ":webdav,url='http://***@h:80/x',pass=***:"),
            ("Get \"https://bob:pw@host/a?token=t1&x=2\": eof", "Get \"https://***@host/a?token=***&x=2\": eof"),
            ("{\"access_token\": \"ya29.x\", \"expiry\": 5}", "{\"access_token\":***, \"expiry\": 5}"),
            ("StatusCode: 403, api error Forbidden: no key", "StatusCode: 403, api error Forbidden: no key"),
            ("bad password: retry", "bad password: retry"),
            (" two\nlines\t", "two lines"),
            ("token=", "token=***"),
            ("key='unclosed", "key=***"),
        ] {
            assert_eq!(redact(text), want);
        }
        assert!(redact(&"ä".repeat(5000)).len() < LONGEST + 5);
    }
}
