//! Lists: filters, order and pages, the same for every kind of object.

mod filter;
mod order;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::super::super::world::{Microversion, Refusal, World};
use super::super::answer::Answer;
use super::super::request::{Caller, Request};
use order::Order;

/// From here on a list tells how many objects there are, if it is asked.
const COUNTS: Microversion = (3, 45);
/// Cinder's `osapi_max_limit`.
const PAGE_LIMIT: usize = 1000;

/// An object that Cinder lists.
pub(super) trait Listed {
    /// What the list is called: `volumes`.
    const COLLECTION: &'static str;
    /// Under which name it tells of its next page.
    const LINKS: &'static str;
    /// What Cinder calls one of them when there is none: `Volume ID could not be found.`
    const KIND: &'static str;
    const FILTERS: &'static [Filter];
    /// Names in a query that are no filters, besides those of every list.
    const CONTROLS: &'static [&'static str] = &[];
    /// Whether its list can tell how many there are.
    const COUNTED: bool = true;
    /// The first microversion that sorts it by name.
    const SORTED_BY_NAME: Microversion = (3, 0);
    /// From here on, up to those that refuse unknown filters, every name is taken for one: an unknown one finds nothing.
    const ANY_FILTER: Option<Microversion> = None;
    const SORT_KEYS: &'static [&'static str] =
        &["id", "created_at", "updated_at", "name", "status", "size", "availability_zone", "volume_id"];

    fn id(&self) -> &str;
    fn project(&self) -> &str;
    /// Whether lists show it already.
    fn is_listed(&self) -> bool;
    /// What it has under the name of a filter or a sort key.
    fn column(&self, name: &str) -> Option<Column<'_>>;

    fn metadata(&self) -> Option<&Map<String, Value>> {
        None
    }
}

/// A name that can be filtered by: since which microversion of the caller, and of the cloud.
pub(super) struct Filter(pub &'static str, pub Microversion, pub Microversion);

/// What an object has in one column of the database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column<'a> {
    Null,
    Number(u64),
    /// MariaDB keeps whole seconds.
    Time(u64),
    Text(&'a str),
}

/// One page of a list.
pub(super) struct Page<'a, T> {
    pub items: Vec<&'a T>,
    limit: usize,
    count: Option<usize>,
}

impl<'a> Column<'a> {
    pub fn time(time: SystemTime) -> Self {
        Column::Time(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    pub fn time_of(time: Option<SystemTime>) -> Self {
        time.map_or(Column::Null, Column::time)
    }

    pub fn text(text: Option<&'a str>) -> Self {
        text.map_or(Column::Null, Column::Text)
    }

    pub fn yes(yes: bool) -> Self {
        Column::Text(if yes { "true" } else { "false" })
    }
}

impl<'a, T: Listed> Page<'a, T> {
    /// The page that the request asks for. It takes a look at every object once, whatever the page.
    pub fn of(
        request: &Request<'_>,
        world: &World,
        caller: &Caller,
        all: &'a BTreeMap<String, T>,
    ) -> Result<Self, Answer> {
        let limit = limit(request)?;
        let order = Order::of::<T>(request, caller)?;
        let filters = filter::read::<T>(request, world, caller)?;
        let ours = all.values().filter(|one| one.project() == caller.project && one.is_listed());
        let mut items: Vec<_> = ours.filter(|one| filter::meets(*one, &filters)).collect();
        let count = items.len();
        let mut skipped = request.query("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
        if let Some(marker) = request.query("marker") {
            let found = all.get(marker).filter(|one| one.project() == caller.project);
            let marker = found.ok_or_else(|| Refusal::not_found(T::KIND, marker))?;
            items.retain(|item| order.compare(*item, marker).is_gt());
        }
        order.sort_first(&mut items, limit.saturating_add(skipped));
        skipped = skipped.min(items.len());
        items.drain(..skipped);
        Ok(Self { items, limit, count: (T::COUNTED && counts(request, caller)).then_some(count) })
    }

    /// The page as JSON, each object as `show` shows it.
    pub fn answer(
        &self,
        request: &Request<'_>,
        caller: &Caller,
        detail: bool,
        show: impl Fn(&T) -> Value,
    ) -> Answer {
        let shown: Vec<_> = self.items.iter().map(|one| show(one)).collect();
        let mut body = json!({ T::COLLECTION: shown });
        // A full page has a link, even where nothing follows. One that counts compares with the whole list instead.
        let reached = self.count.unwrap_or(self.items.len());
        if let Some(last) = self.items.last().filter(|_| self.limit <= reached) {
            let path = if detail { "/detail" } else { "" };
            let path = format!("{}{path}", T::COLLECTION);
            let link = json!({ "rel": "next", "href": next(request, caller, &path, last.id()) });
            body[T::LINKS] = json!([link]);
        }
        if let Some(count) = self.count {
            body["count"] = json!(count);
        }
        Answer::new(200, body)
    }
}

fn counts(request: &Request<'_>, caller: &Caller) -> bool {
    let wanted = request.query("with_count").unwrap_or_default();
    caller.version >= COUNTS && wanted.eq_ignore_ascii_case("true")
}

fn limit(request: &Request<'_>) -> Result<usize, Answer> {
    let Some(text) = request.query("limit") else { return Ok(PAGE_LIMIT) };
    match text.parse::<i64>() {
        Ok(limit @ 0..) => Ok(usize::try_from(limit).unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT)),
        Ok(_) => Err(Answer::fault(400, "limit param must be positive")),
        Err(_) => Err(Answer::fault(400, "limit param must be an integer")),
    }
}

fn next(request: &Request<'_>, caller: &Caller, path: &str, last: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in request.query.iter().filter(|(key, _)| key != "marker") {
        query.append_pair(key, value);
    }
    let query = query.append_pair("marker", last).finish();
    format!("{}/volume/v3/{}/{path}?{query}", request.base, caller.project)
}
