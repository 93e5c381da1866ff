//! The words in the body of an answer that is no success: whoever sent it, a service, Keystone or a proxy.

use serde_json::Value;

/// The longest message that is worth a log line.
const LONGEST: usize = 400;

/// The cloud's own words. `None`: it said nothing.
pub(super) fn message(body: &[u8]) -> Option<String> {
    let words = match serde_json::from_slice::<Value>(body) {
        Ok(value) => from_json(&value)?,
        Err(_) => from_text(&String::from_utf8_lossy(body)),
    };
    Some(one_line(&words)).filter(|words| !words.is_empty())
}

/// The beginning of a body that could not be read.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    one_line(&from_text(&text)).chars().take(120).collect()
}

/// `{"badRequest": {"message": "...", "code": 400}}`, Keystone's `{"error": {"message": "..."}}`, a bare
/// `{"message": "..."}`, or an identity provider's `{"error": "invalid_client", "error_description": "..."}`.
fn from_json(value: &Value) -> Option<String> {
    let object = value.as_object()?;
    if let (Some(error), Some(why)) = (text(object, "error"), text(object, "error_description")) {
        return Some(format!("{error}: {why}"));
    }
    let nested = object.values().find_map(|fault| fault.get("message")?.as_str());
    let bare = || object.get("message").or_else(|| object.get("error"))?.as_str();
    nested.or_else(bare).map(str::to_owned)
}

fn text<'a>(object: &'a serde_json::Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// A proxy's page says what happened in its title.
fn from_text(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").zip(lower.find("</title>"));
    match title {
        Some((start, end)) if start + 7 <= end => text[start + 7..end].to_owned(),
        _ => without_tags(text),
    }
}

fn without_tags(text: &str) -> String {
    let mut depth = 0usize;
    let keep = |c: char| {
        match c {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            _ if depth == 0 => return Some(c),
            _ => (),
        }
        (c == '>').then_some(' ')
    };
    text.chars().take(8192).filter_map(keep).collect()
}

fn one_line(text: &str) -> String {
    let clean = text.replace(|c: char| c.is_control(), " ");
    let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_senders_words_are_found() {
        for (body, words) in [
            (r#"{"badRequest": {"code": 400, "message": "Invalid volume"}}"#, Some("Invalid volume")),
            (r#"{"error": {"code": 401, "title": "Unauthorized", "message": "No"}}"#, Some("No")),
            (r#"{"message": "API rate limit exceeded"}"#, Some("API rate limit exceeded")),
            (r#"{"error": "boom"}"#, Some("boom")),
            (
                "<html><head><TITLE>503 Service\n Unavailable</TITLE></head><body>x</body></html>",
                Some("503 Service Unavailable"),
            ),
            ("<h1>502</h1><p>Bad &amp; gone</p>", Some("502 Bad &amp; gone")),
            ("no healthy upstream", Some("no healthy upstream")),
            ("", None),
            ("{}", None),
            ("[1]", None),
            (r#"{"a": {"message": 7}}"#, None),
        ] {
            assert_eq!(message(body.as_bytes()).as_deref(), words, "{body}");
        }
    }

    #[test]
    fn a_long_or_wild_body_becomes_one_short_line() {
        let body = "é\u{7}\n".repeat(5000);
        let words = message(body.as_bytes()).unwrap();
        assert!(words.chars().count() <= LONGEST + 3, "{words}");
        assert!(!words.contains('\n') && !words.contains('\u{7}'));
        assert!(message(b"\xff\xfe</title><title>").is_some());
    }
}
