//! The list of volumes: filters, order and pages.

use jiff::civil::DateTime;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::super::world::{Refusal, Volume, World, timestamp};
use super::super::answer::Answer;
use super::super::request::{Caller, Request};
use super::show::{summary, volume};

/// The first microversion that refuses filters that it doesn't know; below it they are ignored.
const STRICT_FILTERS: (u32, u32) = (3, 31);
/// A Cinder of this microversion compares times, and does so for every caller from 3.31: a caller below that asks for
/// what has changed and gets everything.
const TIME_FILTERS: (u32, u32) = (3, 60);
const TIMES: [&str; 2] = ["updated_at", "created_at"];
/// Cinder's `osapi_max_limit`.
const PAGE_LIMIT: usize = 1000;

const CONTROLS: [&str; 8] =
    ["limit", "marker", "offset", "sort", "sort_key", "sort_dir", "with_count", "all_tenants"];
const FILTERS: [&str; 8] =
    ["name", "status", "metadata", "bootable", "migration_status", "availability_zone", "id", "size"];

pub(super) fn list_volumes(
    request: &Request<'_>,
    world: &World,
    caller: &Caller,
    detail: bool,
) -> Result<Answer, Answer> {
    let limit = limit(request)?;
    let filters = filters(request, world, caller)?;
    let mut found = Vec::new();
    for candidate in world.volumes.values().filter(|one| one.project == caller.project && is_listed(one)) {
        if meets(candidate, &filters)? {
            found.push(candidate);
        }
    }
    sort(request, &mut found);
    let count = found.len();
    let start = after_marker(request, world, caller, &found)?;
    let page: Vec<_> = found.iter().skip(start).take(limit).collect();
    let shown: Vec<_> = page
        .iter()
        .map(|one| if detail { volume(request, world, one, caller) } else { summary(request, one, caller) })
        .collect();
    let mut body = json!({ "volumes": shown });
    // A full page has a link, even where nothing follows; without a limit there is none.
    if let Some(last) = page.last().filter(|_| page.len() == limit) {
        body["volumes_links"] = json!([{ "rel": "next", "href": next(request, caller, detail, &last.id) }]);
    }
    if request.query("with_count").is_some_and(|wanted| wanted.eq_ignore_ascii_case("true")) {
        body["count"] = json!(count);
    }
    Ok(Answer::new(200, body))
}

fn limit(request: &Request<'_>) -> Result<usize, Answer> {
    let Some(text) = request.query("limit") else { return Ok(PAGE_LIMIT) };
    match text.parse::<i64>() {
        Ok(limit @ 0..) => Ok(usize::try_from(limit).unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT)),
        Ok(_) => Err(Answer::fault(400, "limit param must be positive")),
        Err(_) => Err(Answer::fault(400, "limit param must be an integer")),
    }
}

fn filters<'a>(
    request: &'a Request<'_>,
    world: &World,
    caller: &Caller,
) -> Result<Vec<(&'a str, &'a str)>, Answer> {
    let strict = caller.version >= STRICT_FILTERS;
    let mut filters = Vec::new();
    for (key, value) in request.query.iter().map(|(key, value)| (key.as_str(), value.as_str())) {
        if CONTROLS.contains(&key) {
            continue;
        }
        let known = match TIMES.contains(&key) {
            true => strict && world.settings.block_storage >= TIME_FILTERS,
            false => FILTERS.contains(&key),
        };
        if !known && strict {
            return Err(Answer::fault(400, &format!("Invalid filters {key} are found in query options.")));
        }
        if known && TIMES.contains(&key) {
            conditions(value)?;
        }
        if known {
            filters.push((key, value));
        }
    }
    Ok(filters)
}

fn is_listed(volume: &Volume) -> bool {
    volume.unlisted_until.is_none_or(|until| until <= Instant::now())
}

fn meets(volume: &Volume, filters: &[(&str, &str)]) -> Result<bool, Answer> {
    for (key, wanted) in filters {
        let met = match *key {
            "name" => volume.name.as_deref() == Some(wanted),
            "status" => volume.status == *wanted,
            "id" => volume.id == *wanted,
            "size" => volume.size.to_string() == *wanted,
            "availability_zone" => volume.zone == *wanted,
            "bootable" => volume.bootable.to_string().eq_ignore_ascii_case(wanted),
            "metadata" => has_metadata(volume, wanted),
            "updated_at" => compare(volume.updated.map(timestamp), wanted)?,
            "created_at" => compare(Some(timestamp(volume.created)), wanted)?,
            _ => false,
        };
        if !met {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Cinder reads a Python literal: `{'key': 'value'}` is as good as JSON.
fn has_metadata(volume: &Volume, wanted: &str) -> bool {
    let parsed = serde_json::from_str(wanted).or_else(|_| serde_json::from_str(&wanted.replace('\'', "\"")));
    match parsed {
        Ok(Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| volume.metadata.get(key) == Some(value))
        }
        _ => false,
    }
}

/// `gte:2026-01-01T00:00:00`. Cinder joins several of them, with commas, by "or".
fn compare(time: Option<String>, wanted: &str) -> Result<bool, Answer> {
    let time = time.and_then(|time| time.parse::<DateTime>().ok());
    let is_met = |(operator, limit): (&str, DateTime)| {
        time.is_some_and(|time| match operator {
            "gt" => time > limit,
            "gte" => time >= limit,
            "eq" => time == limit,
            "neq" => time != limit,
            "lt" => time < limit,
            _ => time <= limit,
        })
    };
    Ok(conditions(wanted)?.into_iter().any(is_met))
}

fn conditions(wanted: &str) -> Result<Vec<(&str, DateTime)>, Answer> {
    let read = |one: &'_ str| {
        let (operator, limit) = one.split_once(':').unwrap_or((one, ""));
        if !["gt", "gte", "eq", "neq", "lt", "lte"].contains(&operator) {
            return Err(Answer::fault(400, &format!("Invalid {operator} operator")));
        }
        match limit.trim_end_matches('Z').parse() {
            Ok(time) => Ok(time),
            Err(_) => Err(Answer::fault(400, &format!("Invalid {limit} value"))),
        }
    };
    wanted.split(',').map(|one| Ok((one.split(':').next().unwrap_or_default(), read(one)?))).collect()
}

/// Newest first; within a second, by id.
fn sort(request: &Request<'_>, found: &mut [&Volume]) {
    found.sort_by_cached_key(|volume| (timestamp(volume.created), volume.id.clone()));
    if !is_ascending(request) {
        found.reverse();
    }
}

fn after_marker(
    request: &Request<'_>,
    world: &World,
    caller: &Caller,
    found: &[&Volume],
) -> Result<usize, Answer> {
    let Some(marker) = request.query("marker") else {
        return Ok(request.query("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0));
    };
    let marker = world.volume(&caller.project, marker).map_err(|_| Refusal::not_found("Volume", marker))?;
    // It needn't be among those found: its place in the order counts.
    let marker = place(marker);
    let before =
        |one: &&&Volume| if is_ascending(request) { place(one) <= marker } else { place(one) >= marker };
    Ok(found.iter().take_while(before).count())
}

fn place(volume: &Volume) -> (String, &str) {
    (timestamp(volume.created), &volume.id)
}

fn is_ascending(request: &Request<'_>) -> bool {
    let wanted = request.query("sort").or_else(|| request.query("sort_dir")).unwrap_or_default();
    wanted.ends_with("asc")
}

fn next(request: &Request<'_>, caller: &Caller, detail: bool, last: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in request.query.iter().filter(|(key, _)| key != "marker") {
        query.append_pair(key, value);
    }
    let query = query.append_pair("marker", last).finish();
    let detail = if detail { "/detail" } else { "" };
    format!("{}/volume/v3/{}/volumes{detail}?{query}", request.base, caller.project)
}
