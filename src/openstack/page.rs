//! Lists that come in pages: <https://docs.openstack.org/api-guide/compute/paginated_collections.html>.

use std::collections::HashSet;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::client::Client;
use super::request::Request;
use super::{Kind, Result};

/// A page holds a thousand, unless the operator wants less (Cinder's `osapi_max_limit`, Nova's `max_limit`).
const MOST: usize = 1000;

#[derive(Deserialize)]
struct Listing<T> {
    #[serde(
        alias = "volumes",
        alias = "snapshots",
        alias = "backups",
        alias = "groups",
        alias = "group_snapshots",
        alias = "group_types",
        alias = "volume_types",
        alias = "servers",
        alias = "messages"
    )]
    items: Vec<T>,
    #[serde(
        default,
        alias = "volumes_links",
        alias = "snapshots_links",
        alias = "backups_links",
        alias = "group_links",
        alias = "group_snapshot_links",
        alias = "group_type_links",
        alias = "volume_type_links",
        alias = "servers_links",
        alias = "messages_links"
    )]
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    rel: String,
    href: String,
}

/// One page, and the marker of the next.
pub(super) struct Part<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
    /// The cloud's clock when it answered.
    pub date: Option<SystemTime>,
}

pub(super) async fn one<T: DeserializeOwned>(client: &Client, request: Request) -> Result<Part<T>> {
    let answer = client.call(request).await?;
    let listing: Listing<T> = answer.json()?;
    let next = match listing.links.iter().find(|link| link.rel == "next") {
        None => None,
        Some(link) => match marker(&link.href) {
            Some(marker) => Some(marker),
            None => return Err(answer.malformed("the link to the next page has no marker".into())),
        },
    };
    Ok(Part { items: listing.items, next, date: answer.date() })
}

/// All pages. The date is the first page's: what changes while we read is seen again by who asks from it on.
pub(super) async fn all<T: DeserializeOwned>(client: &Client, request: Request) -> Result<Part<T>> {
    let mut whole: Part<T> = one(client, request.clone()).await?;
    let mut markers = HashSet::new();
    while let Some(marker) = whole.next.take() {
        if !markers.insert(marker.clone()) {
            return Err(request.error(Kind::Malformed, "the list's pages never end: one came again"));
        }
        if markers.len() > MOST {
            let why = format!(
                "the list has more than {MOST} pages; the operator may raise the service's limit for a page"
            );
            return Err(request.error(Kind::Malformed, why));
        }
        let part: Part<T> = one(client, request.clone().query("marker", &marker)).await?;
        whole.items.extend(part.items);
        whole.next = part.next;
    }
    Ok(whole)
}

/// Only the marker of the link is used: its host is the service's own idea of its name, which may be one behind a
/// proxy, and the token is not sent there.
fn marker(href: &str) -> Option<String> {
    let base = Url::parse("http://relative").ok()?;
    let url = base.join(href).ok()?;
    url.query_pairs().find(|(name, _)| name == "marker").map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_read_from_any_form_of_link() {
        for href in [
            "http://evil/v3/p/volumes/detail?limit=1&marker=m-1",
            "/volumes?marker=m-1&limit=1",
            "?marker=m%2D1",
        ] {
            assert_eq!(marker(href).as_deref(), Some("m-1"), "{href}");
        }
        assert_eq!(marker("http://host/volumes?limit=1"), None);
    }
}
