//! What is made from other files, and whether it still is what they make.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// A value of the chart.
#[derive(Debug, Default)]
pub struct Setting {
    pub path: String,
    pub comment: String,
    /// Nothing for a section, which has values of its own.
    default: Option<String>,
}

pub fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The path, if the file isn't so. With `CHART_UPDATE` it is written.
pub fn differs(path: &str, wanted: &str) -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if fs::read_to_string(&file).is_ok_and(|text| text == wanted) {
        return None;
    }
    #[allow(clippy::disallowed_methods, reason = "tests/chart/update sets it")]
    if std::env::var("CHART_UPDATE").is_ok() {
        fs::write(file, wanted).unwrap();
        return None;
    }
    Some(path.to_owned())
}

/// The values and sections of values.yaml. A value stands in its key's line, with a comment above.
pub fn values() -> Vec<Setting> {
    let (mut found, mut open, mut comment) = (Vec::new(), Vec::<String>::new(), Vec::new());
    for line in read("charts/cinder-csi/values.yaml").lines() {
        let words = line.trim_start();
        let depth = (line.len() - words.len()) / 2;
        if let Some(said) = words.strip_prefix('#') {
            comment.push(said.trim().to_owned());
        } else if let Some((key, default)) = words.split_once(':') {
            open.truncate(depth);
            open.push(key.to_owned());
            let default = Some(default.trim().to_owned()).filter(|default| !default.is_empty());
            found.push(Setting { path: open.join("."), comment: comment.join(" "), default });
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

/// Every value in values.schema.json that has a name.
pub fn schema_paths() -> Vec<String> {
    fn add(schema: &Value, path: &str, paths: &mut Vec<String>) {
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            paths.push(path.clone());
            add(inner, &path, paths);
        }
    }
    let schema: Value = serde_json::from_str(&read("charts/cinder-csi/values.schema.json")).unwrap();
    let mut paths = Vec::new();
    add(&schema, "", &mut paths);
    // Helm's own; and the keys of classes, which stand in one line.
    let classes =
        ["delete.", "retain.", "deleteWait.", "retainWait."].map(|key| format!("storageClass.{key}"));
    let one_line = ["csi.plugin.controllerPlugin.strategy.".to_owned()];
    paths.retain(|path| {
        path != "global" && !classes.iter().chain(&one_line).any(|inside| path.starts_with(inside))
    });
    paths
}

/// values.yaml, without what is said about it.
pub fn defaults() -> String {
    let values = read("charts/cinder-csi/values.yaml");
    let kept = values.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let head = "# values.yaml, for `helm upgrade --reuse-values` from the existing chart. Made by tests/chart/update.";
    std::iter::once(head).chain(kept).fold(String::new(), |text, line| text + line + "\n")
}

/// A table for each section, and one for what stands alone.
pub fn readme() -> String {
    let mut page = read("tests/chart/head.md");
    let mut section = None;
    for Setting { path, comment, default } in values() {
        let top = path.split('.').next().unwrap_or_default();
        let alone = path == top && default.is_some();
        let now = if alone { "Everywhere" } else { top }.to_owned();
        if section.as_ref() != Some(&now) {
            let title = if alone { "Everywhere".to_owned() } else { format!("`{top}`") };
            let about = if alone { String::new() } else { format!("{comment}\n\n") };
            // Lists that stand alone at the end go without a second heading.
            let title = if alone && section.is_some() { "Other classes".to_owned() } else { title };
            write!(page, "\n## {title}\n\n{about}| value | default | |\n|---|---|---|\n").unwrap();
            section = Some(now);
        }
        if path == top && !alone {
            continue;
        }
        let default = default.map(|default| format!("`{default}`")).unwrap_or_default();
        writeln!(page, "| `{path}` | {default} | {} |", comment.replace('|', "\\|")).unwrap();
    }
    page
}

/// The names in the list of that kind in _known.tpl.
pub fn names(kind: &str) -> BTreeSet<String> {
    let all = read("charts/cinder-csi/templates/_known.tpl");
    let (_, rest) = all.split_once(&format!("\"{kind}\" (list ")).unwrap();
    let (list, _) = rest.split_once(')').unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names in the first column of the table that begins with this line.
pub fn table(page: &str, head: &str) -> BTreeSet<String> {
    let all = read(page);
    let lines = all.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.filter_map(|line| line.split('`').nth(1)).map(str::to_owned).collect()
}

/// The flags that a text names, without dashes.
pub fn flags(text: &str) -> BTreeSet<String> {
    let begins = text.match_indices("--").map(|(place, _)| &text[place + 2..]);
    let names =
        begins.map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap());
    names.filter(|name| name.starts_with(|c: char| c != '-')).map(str::to_owned).collect()
}

/// A part of a page: from one heading to the next.
pub fn section(page: &str, heading: &str) -> String {
    let all = read(page);
    let (_, rest) = all.split_once(&format!("\n{heading}\n")).unwrap();
    rest.split("\n#").next().unwrap().to_owned()
}
