//! docs/configuration.md and the code say the same.

use super::super::*;

const BEGIN: &str = "<!-- reference: begin; made by a test, see the end of this page -->\n";
const END: &str = "<!-- reference: end -->";

fn table() -> String {
    let mut out = String::from("| key | type | unit | default | allowed | effect |\n|---|---|---|---|---|---|\n");
    for doc in reference() {
        let default = match doc.default.as_str() {
            "unset" | "required" => doc.default.clone(),
            json => format!("`{json}`"),
        };
        let cell = |text: &str| text.replace('|', "\\|");
        out += &format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            doc.key,
            doc.kind,
            cell(&doc.unit),
            cell(&default),
            cell(&doc.allowed),
            cell(&doc.effect)
        );
    }
    out
}

#[test]
fn the_reference_is_the_code_s() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has the mark of the beginning");
    let (found, tail) = rest.split_once(END).expect("the page has the mark of the end");
    let want = table();
    if found != want && std::env::var_os("RCLONEPOOL_UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{want}{END}{tail}")).unwrap();
        return;
    }
    assert!(found == want, "docs/configuration.md is old: run this test with RCLONEPOOL_UPDATE_DOCS=1");
}

#[test]
fn deviations_name_real_keys_and_defaults() {
    let page = include_str!("../../../../docs/configuration.md");
    let (_, rest) = page.split_once("## Where we deviate").unwrap();
    let rows: Vec<Vec<&str>> = rest
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    assert!(rows.len() >= 5);
    let example: serde_json::Value = serde_json::from_str(super::EXAMPLE).unwrap();
    for row in rows {
        let doc = reference().into_iter().find(|doc| doc.key == row[1]).expect(row[1]);
        assert_eq!(doc.default, row[3], "{}", row[1]);
        assert_ne!(example.get(row[1]).map(ToString::to_string).as_deref(), Some(row[3]), "{}: no deviation", row[1]);
    }
}
