//! Flags as Go writes them, made into clap's: `-endpoint=x`, `-v=4`, lists in commas, maps, booleans.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use url::Url;
use uuid::Uuid;

/// Flags of klog that change nothing here: Kubernetes components take them, and so do people's manifests.
/// <https://github.com/kubernetes/klog/blob/main/klog.go> (`InitFlags`), and those of component-base.
const KLOG: [(&str, Takes); 17] = [
    ("logtostderr", Takes::Flag),
    ("alsologtostderr", Takes::Flag),
    ("one-output", Takes::Flag),
    ("skip-headers", Takes::Flag),
    ("skip-log-headers", Takes::Flag),
    ("add-dir-header", Takes::Flag),
    ("stderrthreshold", Takes::Value),
    ("log-dir", Takes::Value),
    ("log-file", Takes::Value),
    ("log-file-max-size", Takes::Value),
    ("log-backtrace-at", Takes::Value),
    ("log-flush-frequency", Takes::Value),
    ("log-text-split-stream", Takes::Flag),
    ("log-text-info-buffer-size", Takes::Value),
    ("log-json-split-stream", Takes::Flag),
    ("log-json-info-buffer-size", Takes::Value),
    ("vmodule", Takes::Value),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Flag,
    Value,
}

/// The arguments as clap wants them, and the flags that were left out because they change nothing.
pub struct Arguments {
    pub kept: Vec<String>,
    pub ignored: Vec<String>,
}

/// `long` says whether a name is one of ours.
pub fn normalize(arguments: impl IntoIterator<Item = String>, long: impl Fn(&str) -> bool) -> Arguments {
    let mut kept = Vec::new();
    let mut ignored = Vec::new();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            kept.push(argument);
            kept.extend(rest);
            break;
        }
        let (name, value) = split(&argument);
        // Go's flags are the same with an underscore.
        let dashed = name.replace('_', "-");
        match KLOG.iter().find(|(known, _)| *known == dashed) {
            Some((known, takes)) if argument.starts_with('-') => {
                if *takes == Takes::Value && value.is_none() {
                    rest.next();
                }
                ignored.push(format!("--{known}"));
            }
            _ if argument.starts_with('-') && long(&dashed) => {
                kept.push(value.map_or(format!("--{dashed}"), |value| format!("--{dashed}={value}")));
            }
            _ => kept.push(argument),
        }
    }
    Arguments { kept, ignored }
}

/// As Go writes one: `1m30s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    crate::config::duration::parse(text)
        .ok_or_else(|| "it is not a duration such as 5m, 90s or 1m30s".to_owned())
}

pub fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "it is not a number such as 2".to_owned())
}

/// klog takes every number of 32 bits; beyond ours nothing changes.
pub fn verbosity(text: &str) -> Result<u8, String> {
    number::<i32>(text).map(|level| u8::try_from(level.max(0)).unwrap_or(u8::MAX))
}

/// `:PORT` or `HOST:PORT`; empty is nowhere.
pub fn listener(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ if text.is_empty() => Ok(String::new()),
        _ => Err("write :8080 or HOST:8080".to_owned()),
    }
}

/// Its text isn't quoted: a URL may hold a password.
pub fn metadata_url(text: String) -> Result<String, String> {
    match Url::parse(&text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => Ok(text),
        _ => Err("--metadata-url must begin with http://, as in http://169.254.169.254: the metadata service is asked without TLS".to_owned()),
    }
}

/// Nova's name for a server, which the controller is told for every attachment: whatever the spelling, the one that Nova has.
pub fn server(text: &str) -> Result<String, String> {
    match Uuid::parse_str(text) {
        Ok(id) if !id.is_nil() && !id.is_max() => Ok(id.to_string()),
        _ => Err(format!(
            "--node-id {text:?} is not the UUID of a server of Nova (openstack server list); without the flag the node asks for its own"
        )),
    }
}

/// As pflag's StringSlice: separated by commas, quoted as in CSV.
pub fn list(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let Some(field) = fields.last_mut() else { break };
        match next {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    match quoted {
        true => Err("a quote is not closed".to_owned()),
        false if text.is_empty() => Ok(Vec::new()),
        false => Ok(fields),
    }
}

/// As pflag's StringToString: one `k=v` is taken whole, several are separated by commas.
pub fn map(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = match text.matches('=').count() {
        0 => return Err("it is not of the form key=value".to_owned()),
        1 => vec![text.trim_matches('"').to_owned()],
        _ => list(text)?,
    };
    pairs
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err("it is not of the form key=value,key=value".to_owned()),
        })
        .collect()
}

/// As Go's `strconv.ParseBool`.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is neither true nor false".to_owned()),
    }
}

/// The flag whose value stands behind a space: pflag takes that value as a stray argument.
pub fn detached_boolean<'a>(arguments: &'a [String], booleans: &[String]) -> Option<&'a str> {
    let detached = |pair: &&[String]| booleans.contains(&pair[0]) && boolean(&pair[1]).is_ok();
    arguments.windows(2).find(detached).map(|pair| pair[0].as_str())
}

fn split(argument: &str) -> (&str, Option<&str>) {
    let bare = argument.trim_start_matches('-');
    match bare.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (bare, None),
    }
}

#[cfg(test)]
mod tests {
    use super::server as server_of;
    use super::*;

    #[test]
    fn lists_are_read_as_pflag_reads_them() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (",a", &["", "a"]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"a\"\"b\"", &["a\"b"]),
            ("/etc/my conf", &["/etc/my conf"]),
        ];
        for (text, expected) in table {
            assert_eq!(list(text).unwrap(), expected, "{text}");
        }
        assert!(list("\"a").is_err());
    }

    #[test]
    fn maps_are_read_as_pflag_reads_them() {
        let table = [
            ("a=b", vec![("a", "b")]),
            ("a=", vec![("a", "")]),
            ("a=b,c", vec![("a", "b,c")]),
            ("a=b,c=d", vec![("a", "b"), ("c", "d")]),
            ("a=b=c", vec![("a", "b=c")]),
            ("\"a=b,c\",d=e", vec![("a", "b,c"), ("d", "e")]),
            ("\"a=b\"", vec![("a", "b")]),
        ];
        for (text, expected) in table {
            let expected = expected.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            assert_eq!(map(text), Ok(expected), "{text}");
        }
        for text in ["", "a", "=b", "a=b,c,d=e"] {
            assert!(map(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_is_named_as_nova_names_it() {
        let server = "0f9c0b2e-6d53-4b6a-9d5e-1c2f3a4b5c6d";
        for text in [server, &server.to_uppercase(), &server.replace('-', "")] {
            assert_eq!(server_of(text), Ok(server.to_owned()));
        }
        for text in ["node-1", "", "00000000-0000-0000-0000-000000000000", &server[1..]] {
            assert!(server_of(text).unwrap_err().contains("is not the UUID of a server"), "{text}");
        }
    }

    #[test]
    fn flags_are_written_one_way_and_klogs_left_out_with_their_values() {
        let arguments = [
            "-logtostderr",
            "--stderrthreshold",
            "2",
            "--log_dir=/x",
            "--alsologtostderr=false",
            "-v=4",
            "-endpoint=x_y",
            "--cloud_config",
            "a_b",
        ];
        let known = |name: &str| ["endpoint", "cloud-config"].contains(&name);
        let normal = normalize(arguments.map(str::to_owned), known);
        assert_eq!(normal.kept, ["-v=4", "--endpoint=x_y", "--cloud-config", "a_b"]);
        assert_eq!(normal.ignored, ["--logtostderr", "--stderrthreshold", "--log-dir", "--alsologtostderr"]);
    }

    #[test]
    fn what_follows_two_dashes_is_left_alone() {
        let normal = normalize(["--", "-endpoint", "--logtostderr"].map(str::to_owned), |_| true);
        assert_eq!(normal.kept, ["--", "-endpoint", "--logtostderr"]);
    }
}
