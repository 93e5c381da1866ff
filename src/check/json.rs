//! The report for programs. docs/check.md promises its shape.

use serde_json::{Value, json};

use super::{About, Report, Row, Section};

/// Goes up where a field changes its meaning or goes away.
const FORMAT: u32 = 1;

impl Report {
    pub fn json(&self) -> Value {
        let rows: Vec<_> = self.0.iter().flat_map(Section::json).collect();
        json!({
            "format": FORMAT, "version": env!("CARGO_PKG_VERSION"), "verdict": self.verdict().to_string(),
            "rows": rows,
        })
    }
}

impl Section {
    fn json(&self) -> impl Iterator<Item = Value> {
        let (about, cloud) = match &self.about {
            About::Cloud { name, .. } => ("cloud", Some(name.as_str())),
            About::Node => ("node", None),
            About::Settings => ("settings", None),
        };
        self.rows.iter().map(move |row| row.json(about, cloud))
    }
}

impl Row {
    fn json(&self, about: &str, cloud: Option<&str>) -> Value {
        json!({
            "about": about, "cloud": cloud, "check": self.check, "verdict": self.verdict.to_string(),
            "found": self.found, "next": self.next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_says_whose_it_is() {
        let about = About::Cloud { name: "east".into(), auth_url: "https://k/v3".into() };
        let report = Report(vec![
            Section { about, rows: vec![Row::warning("zones", "x", "y")] },
            Section { about: About::Node, rows: vec![Row::ok("limit", "26")] },
        ]);
        let expected = json!({
            "format": 1, "version": env!("CARGO_PKG_VERSION"), "verdict": "warning",
            "rows": [
                {"about": "cloud", "cloud": "east", "check": "zones", "verdict": "warning", "found": "x", "next": "y"},
                {"about": "node", "cloud": null, "check": "limit", "verdict": "ok", "found": "26", "next": null},
            ],
        });
        assert_eq!(report.json(), expected);
    }
}
