//! Where the services are: <https://docs.openstack.org/keystone/latest/contributor/service-catalog.html>.

use serde::Deserialize;
use url::Url;

use super::super::options::{Interface, Options};
use super::super::{Effect, Error, Kind, Result, Service};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Catalog(Vec<Entry>);

#[derive(Clone, Debug, Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Listed>,
}

#[derive(Clone, Debug, Deserialize)]
struct Listed {
    interface: String,
    region: Option<String>,
    region_id: Option<String>,
    url: String,
}

/// The endpoint chosen: its path begins with the version and may end with the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(Url);

impl Catalog {
    /// The endpoint of `service`, by the types that it goes by, the interface and the region.
    pub fn find(&self, service: Service, project: Option<&str>, options: &Options) -> Result<Endpoint> {
        let region = options.region.as_deref().or_else(|| self.first_region(options.interface));
        let wanted = |listed: &&Listed| listed.is(options.interface, region);
        for kind in types(service) {
            let entries = self.0.iter().filter(|entry| entry.kind == *kind);
            let mut urls =
                entries.flat_map(|entry| &entry.endpoints).filter(wanted).map(|listed| &listed.url);
            let usable = |url: &&String| *kind != "volume" || speaks_v3(url);
            if let Some(url) = urls.find(usable) {
                return Endpoint::parse(url, service, project).ok_or_else(|| {
                    unsupported(service, format!("the catalog's {kind} endpoint {url:?} is no URL"))
                });
            }
        }
        Err(unsupported(service, self.lacking(service, region, options)))
    }

    /// One region for all services: the first of compute's, as volumes serve its servers.
    fn first_region(&self, interface: Interface) -> Option<&str> {
        let compute = self.0.iter().filter(|entry| types(Service::Nova).contains(&entry.kind.as_str()));
        let mut endpoints = compute.chain(&self.0).flat_map(|entry| &entry.endpoints);
        endpoints.find(|listed| listed.is(interface, None)).and_then(Listed::region)
    }

    fn lacking(&self, service: Service, region: Option<&str>, options: &Options) -> String {
        let Options { interface, places, .. } = options;
        let types = types(service);
        let endpoints = self.0.iter().filter(|entry| types.contains(&entry.kind.as_str()));
        // A service of several types is listed several times.
        let mut offered: Vec<String> = Vec::new();
        for listed in endpoints.flat_map(|entry| &entry.endpoints) {
            let place = format!("{} in {}", listed.interface, listed.region().unwrap_or("no region"));
            if !offered.contains(&place) {
                offered.push(place);
            }
        }
        let offered = match offered.is_empty() {
            true => "none at all".to_owned(),
            false => format!("endpoints {}", offered.join(", ")),
        };
        format!(
            "Keystone's catalog ({}) has no {} endpoint ({}) in region {}; it has {offered}: check {} and {}, and that the \
             project has a role",
            options.auth_url,
            word(*interface),
            types.join(", "),
            region.unwrap_or("(none given)"),
            places.region,
            places.interface,
        )
    }
}

impl Listed {
    fn region(&self) -> Option<&str> {
        self.region_id.as_deref().or(self.region.as_deref())
    }

    fn is(&self, interface: Interface, region: Option<&str>) -> bool {
        // Keystone v2's names lived on in some catalogs: "publicURL".
        let listed = self.interface.trim_end_matches("URL");
        let here = |region: &str| {
            self.region_id.as_deref() == Some(region) || self.region.as_deref() == Some(region)
        };
        listed == word(interface) && region.is_none_or(here)
    }
}

impl Endpoint {
    /// The services may be listed with or without version and project.
    fn parse(text: &str, service: Service, project: Option<&str>) -> Option<Self> {
        let mut url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        if path.split('/').any(is_version) {
            url.set_path(&path);
        } else {
            // Cinder before 3.67 wants the project in the path: https://docs.openstack.org/cinder/latest/contributor/api_microversion_history.html
            let rest = match (service, project) {
                (Service::Cinder, Some(project)) => format!("v3/{project}"),
                (Service::Cinder, None) => "v3".to_owned(),
                _ => "v2.1".to_owned(),
            };
            url.set_path(&format!("{path}/{rest}"));
        }
        Some(Self(url))
    }

    pub fn below(&self, segments: &[String], query: &[(&'static str, String)]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Up to and with the version, and a slash: without it Cinder redirects.
    pub fn version_root(&self) -> Url {
        let mut url = self.0.clone();
        let segments: Vec<&str> = self.0.path().split('/').collect();
        let end =
            segments.iter().rposition(|segment| is_version(segment)).map_or(segments.len(), |at| at + 1);
        url.set_path(&format!("{}/", segments[..end].join("/")));
        url
    }
}

fn types(service: Service) -> &'static [&'static str] {
    match service {
        Service::Keystone => &["identity"],
        Service::Cinder => &["block-storage", "volumev3", "block-store", "volume"],
        Service::Nova => &["compute"],
    }
}

/// `v3`, `v2.1`.
fn is_version(segment: &str) -> bool {
    let number = segment.strip_prefix('v').unwrap_or_default();
    number.starts_with(|c: char| c.is_ascii_digit()) && number.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn speaks_v3(url: &str) -> bool {
    url.split('/').any(|segment| segment == "v3")
}

fn word(interface: Interface) -> &'static str {
    match interface {
        Interface::Public => "public",
        Interface::Internal => "internal",
        Interface::Admin => "admin",
    }
}

fn unsupported(service: Service, message: String) -> Error {
    Error {
        kind: Kind::Unsupported,
        status: None,
        service,
        operation: "be found",
        request_id: None,
        message,
        retry_after: None,
        effect: Effect::None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::recorded::options;
    use super::*;

    fn entry(kind: &str, endpoints: &[(&str, &str, &str)]) -> Value {
        let endpoints: Vec<Value> = endpoints
            .iter()
            .map(|(interface, region, url)| json!({"interface": interface, "region_id": region, "url": url}))
            .collect();
        json!({ "type": kind, "endpoints": endpoints })
    }

    fn find(
        catalog: &[Value],
        service: Service,
        region: Option<&str>,
        interface: Interface,
    ) -> Result<String> {
        let catalog: Catalog = serde_json::from_value(json!(catalog)).unwrap();
        let options = Options { region: region.map(str::to_owned), interface, ..options() };
        catalog.find(service, Some("p"), &options).map(|endpoint| endpoint.0.to_string())
    }

    #[test]
    fn the_endpoint_is_chosen_by_type_then_region_and_interface() {
        let (public, internal) = (Interface::Public, Interface::Internal);
        let two = [("public", "one", "http://one/v3/p"), ("public", "two", "http://two/v3/p")];
        for (catalog, region, interface, expected) in [
            (vec![entry("volumev3", &two)], Some("two"), public, Some("http://two/v3/p")),
            (vec![entry("volumev3", &two)], None, public, Some("http://one/v3/p")),
            (vec![entry("volumev3", &two)], Some("three"), public, None),
            (vec![entry("volumev3", &two)], Some("one"), internal, None),
            (
                vec![entry("volumev3", &two), entry("block-storage", &[("public", "one", "http://b/v3")])],
                Some("one"),
                public,
                Some("http://b/v3"),
            ),
            (
                vec![entry("volumev3", &two), entry("block-storage", &[("public", "one", "http://b/v3")])],
                Some("two"),
                public,
                Some("http://two/v3/p"),
            ),
            (
                vec![entry("block-store", &[("public", "r", "http://b/v3")])],
                None,
                public,
                Some("http://b/v3"),
            ),
            (vec![entry("volume", &[("public", "r", "http://b/v3/p")])], None, public, Some("http://b/v3/p")),
            (vec![entry("volume", &[("public", "r", "http://b/v1/p")])], None, public, None),
            (vec![entry("volumev2", &[("public", "r", "http://b/v2/p")])], None, public, None),
            (
                vec![entry("volumev3", &[("publicURL", "r", "http://b/v3")])],
                None,
                public,
                Some("http://b/v3"),
            ),
            (vec![entry("volumev3", &[("public", "r", "not a url")])], None, public, None),
            (vec![], None, public, None),
        ] {
            let found = find(&catalog, Service::Cinder, region, interface);
            assert_eq!(found.as_deref().ok(), expected, "{catalog:?} {region:?}");
        }
    }

    #[test]
    fn without_a_region_volumes_come_from_where_the_servers_are() {
        let catalog = [
            entry("volumev3", &[("public", "a", "http://a/v3/p"), ("public", "b", "http://b/v3/p")]),
            entry("compute", &[("public", "b", "http://b/v2.1"), ("public", "a", "http://a/v2.1")]),
        ];
        let find = |service| find(&catalog, service, None, Interface::Public).unwrap();
        assert_eq!(find(Service::Cinder), "http://b/v3/p");
        assert_eq!(find(Service::Nova), "http://b/v2.1");
    }

    #[test]
    fn a_missing_service_is_named_with_what_the_catalog_has() {
        let catalog = [entry("volumev3", &[("internal", "RegionTwo", "http://b/v3")])];
        let error = find(&catalog, Service::Cinder, Some("RegionOne"), Interface::Public).unwrap_err();
        assert_eq!((error.kind, error.effect), (Kind::Unsupported, Effect::None));
        for part in ["public", "RegionOne", "it has endpoints internal in RegionTwo", "os-endpoint-type"] {
            assert!(error.message.contains(part), "{error}");
        }
    }

    #[test]
    fn every_shape_of_endpoint_has_its_version_and_its_root() {
        for (service, listed, below, root) in [
            (Service::Cinder, "http://c:8776/v3/p", "http://c:8776/v3/p/x", "http://c:8776/v3/"),
            (Service::Cinder, "http://c/volume/v3/p/", "http://c/volume/v3/p/x", "http://c/volume/v3/"),
            (Service::Cinder, "http://c/volume/v3", "http://c/volume/v3/x", "http://c/volume/v3/"),
            (Service::Cinder, "http://c/volume/", "http://c/volume/v3/p/x", "http://c/volume/v3/"),
            (Service::Cinder, "https://c", "https://c/v3/p/x", "https://c/v3/"),
            (Service::Nova, "http://n:8774/v2.1", "http://n:8774/v2.1/x", "http://n:8774/v2.1/"),
            (Service::Nova, "http://n/compute/v2.1/p", "http://n/compute/v2.1/p/x", "http://n/compute/v2.1/"),
            (Service::Nova, "http://n/v2/p", "http://n/v2/p/x", "http://n/v2/"),
            (Service::Nova, "http://n/compute", "http://n/compute/v2.1/x", "http://n/compute/v2.1/"),
        ] {
            let endpoint = Endpoint::parse(listed, service, Some("p")).unwrap();
            assert_eq!(endpoint.below(&["x".into()], &[]).as_str(), below, "{listed}");
            assert_eq!(endpoint.version_root().as_str(), root, "{listed}");
        }
    }

    #[test]
    fn what_goes_into_a_path_or_a_query_stays_there() {
        let endpoint = Endpoint::parse("http://c/v3/p", Service::Cinder, None).unwrap();
        let url = endpoint.below(&["a/../b?c#d".into()], &[("name", "x&y=z".into())]);
        assert_eq!(url.as_str(), "http://c/v3/p/a%2F..%2Fb%3Fc%23d?name=x%26y%3Dz");
    }
}
