//! The report for people: a table of 100 columns.

use std::fmt;

use super::{About, Report, Row, Section, Verdict};

const WIDTH: usize = 100;
/// The verdict, the check, and two columns before each and after.
const INDENT: usize = 2 + VERDICT + 2 + CHECK + 2;
const VERDICT: usize = 7;
/// The longest name: authentication.
const CHECK: usize = 14;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in &self.0 {
            writeln!(f, "{section}")?;
        }
        let count = |verdict| self.rows().filter(|row| row.verdict == verdict).count();
        writeln!(
            f,
            "{} ok, {} unknown, {} warning, {} failed",
            count(Verdict::Ok),
            count(Verdict::Unknown),
            count(Verdict::Warning),
            count(Verdict::Failed)
        )
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.about {
            About::Cloud { name, auth_url } if name.is_empty() => writeln!(f, "cloud at {auth_url}")?,
            About::Cloud { name, auth_url } => writeln!(f, "cloud {name:?} at {auth_url}")?,
            About::Node => writeln!(f, "this node")?,
            About::Settings => writeln!(f, "settings")?,
        }
        self.rows.iter().try_for_each(|row| row.fmt(f))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = wrapped(&self.found, WIDTH - INDENT);
        if let Some(next) = &self.next {
            lines.extend(wrapped(&format!("next: {next}"), WIDTH - INDENT));
        }
        let mut lines = lines.iter();
        let first = lines.next().map(String::as_str).unwrap_or_default();
        writeln!(f, "  {:VERDICT$}  {:CHECK$}  {first}", self.verdict, self.check)?;
        lines.try_for_each(|line| writeln!(f, "{:INDENT$}{line}", ""))
    }
}

/// At spaces; a longer word has a line of its own. What the cloud says may hold what a terminal would obey.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(|letter: char| letter.is_whitespace() || letter.is_control()) {
        if word.is_empty() {
            continue;
        }
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_goes_on_below_itself() {
        let found = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
        let rows = vec![Row::ok("clock", "as\u{1b}ours"), Row::failed("authentication", found, "look")];
        let about = About::Cloud { name: "east".into(), auth_url: "https://k/v3".into() };
        let text = Report(vec![Section { about, rows }]).to_string();
        let expected = "cloud \"east\" at https://k/v3\n  \
            ok       clock           as ours\n  \
            failed   authentication  one two three four five six seven eight nine ten eleven twelve thirteen\n\
            \u{20}                          fourteen\n\
            \u{20}                          next: look\n\
            \n1 ok, 0 unknown, 0 warning, 1 failed\n";
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn a_word_without_an_end_is_not_cut() {
        assert_eq!(wrapped("a bbbbbbbb c", 3), ["a", "bbbbbbbb", "c"]);
        assert_eq!(wrapped("", 3), [""]);
    }
}
