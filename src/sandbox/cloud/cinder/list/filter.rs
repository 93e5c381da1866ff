//! Which objects a list shows.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::Value;

use super::super::super::super::world::{Microversion, World};
use super::super::super::answer::Answer;
use super::super::super::request::{Caller, Request};
use super::{COUNTS, Column, Listed};

/// The first microversion that refuses filters that it doesn't know; below it they are ignored.
const STRICT: Microversion = (3, 31);

/// What isn't a filter. Cinder passes over `all_tenants` where the caller is no administrator.
const CONTROLS: [&str; 7] = ["limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants"];
const TIMES: [&str; 2] = ["created_at", "updated_at"];

/// A filter, as it is asked for.
pub(super) enum Wanted<'a> {
    Is(&'a str, &'a str),
    /// Several conditions on one time, joined by "or".
    Time(&'a str, Vec<Condition<'a>>),
    /// `None`: it can't be read, and nothing meets it.
    Metadata(Option<Value>),
}

/// An operator, and seconds since 1970.
pub(super) struct Condition<'a>(&'a str, i64);

pub(super) fn read<'a, T: Listed>(
    request: &'a Request<'_>,
    world: &World,
    caller: &Caller,
) -> Result<Vec<Wanted<'a>>, Answer> {
    let mut wanted = Vec::new();
    let mut unknown = Vec::new();
    let any = caller.version < STRICT && T::ANY_FILTER.is_some_and(|first| caller.version >= first);
    for (key, value) in &request.query {
        let (key, value) = (key.as_str(), value.as_str());
        let counts = T::COUNTED && key == "with_count" && caller.version >= COUNTS;
        if counts || CONTROLS.contains(&key) || T::CONTROLS.contains(&key) {
            continue;
        }
        let known = T::FILTERS.iter().any(|filter| {
            filter.0 == key && caller.version >= filter.1 && world.settings.block_storage >= filter.2
        });
        match known {
            true => wanted.push(filter(key, value)?),
            false if any => wanted.push(Wanted::Is(key, value)),
            false => unknown.push(key),
        }
    }
    if caller.version >= STRICT && !unknown.is_empty() {
        let message = format!("Invalid filters {} are found in query options.", unknown.join(","));
        return Err(Answer::fault(400, &message));
    }
    Ok(wanted)
}

fn filter<'a>(key: &'a str, value: &'a str) -> Result<Wanted<'a>, Answer> {
    if TIMES.contains(&key) {
        return Ok(Wanted::Time(key, value.split(',').map(condition).collect::<Result<_, _>>()?));
    }
    if key == "metadata" {
        // Cinder reads a Python literal: `{'key': 'value'}` is as good as JSON.
        let parsed =
            serde_json::from_str(value).or_else(|_| serde_json::from_str(&value.replace('\'', "\"")));
        return Ok(Wanted::Metadata(parsed.ok().filter(Value::is_object)));
    }
    Ok(Wanted::Is(key, value))
}

/// `gte:2026-01-01T00:00:00`.
fn condition(one: &str) -> Result<Condition<'_>, Answer> {
    let (operator, limit) = one.split_once(':').unwrap_or((one, ""));
    if !["gt", "gte", "eq", "neq", "lt", "lte"].contains(&operator) {
        return Err(Answer::fault(400, &format!("Invalid {operator} operator")));
    }
    let time = limit.trim_end_matches('Z').parse::<DateTime>().ok();
    let time = time.and_then(|time| Offset::UTC.to_timestamp(time).ok());
    match time {
        Some(time) => Ok(Condition(operator, time.as_second())),
        None => Err(Answer::fault(400, &format!("Invalid {limit} value"))),
    }
}

pub(super) fn meets<T: Listed>(item: &T, filters: &[Wanted<'_>]) -> bool {
    filters.iter().all(|filter| match filter {
        Wanted::Is(key, wanted) => item.column(key).is_some_and(|column| is(&column, wanted)),
        Wanted::Time(key, conditions) => match item.column(key) {
            Some(Column::Time(time)) => conditions.iter().any(|condition| condition.is_met(time)),
            _ => false,
        },
        Wanted::Metadata(Some(Value::Object(wanted))) => item
            .metadata()
            .is_some_and(|metadata| wanted.iter().all(|(key, value)| metadata.get(key) == Some(value))),
        Wanted::Metadata(_) => false,
    })
}

/// MariaDB compares text without its case.
fn is(column: &Column<'_>, wanted: &str) -> bool {
    match column {
        Column::Null | Column::Time(_) => false,
        Column::Number(number) => wanted.parse() == Ok(*number),
        Column::Text(text) => text.eq_ignore_ascii_case(wanted),
    }
}

impl Condition<'_> {
    fn is_met(&self, time: u64) -> bool {
        let (time, limit) = (i64::try_from(time).unwrap_or(i64::MAX), self.1);
        match self.0 {
            "gt" => time > limit,
            "gte" => time >= limit,
            "eq" => time == limit,
            "neq" => time != limit,
            "lt" => time < limit,
            _ => time <= limit,
        }
    }
}
