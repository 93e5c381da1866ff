//! What the cloud was asked, so that a test can count it.

use http::Method;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    Keystone,
    Cinder,
    Nova,
    Metadata,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: Instant,
    pub service: Service,
    pub method: Method,
    /// Below the service's version, ids as `{id}`: `/volumes/{id}/action`.
    pub path: String,
    pub query: String,
}

impl Call {
    pub fn is_list_of_volumes(&self) -> bool {
        self.service == Service::Cinder && self.method == Method::GET && self.path == "/volumes/detail"
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {} {}", self.service, self.method, self.path)
    }
}

/// The service and the segments of a path below its version and project; `None` for a path of no service.
pub(super) fn dissect(path: &str) -> Option<(Service, Vec<&str>)> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let address = segments.next()?;
    // A service that has moved: `volume-2`.
    let service = match address.split('-').next()? {
        "identity" => Service::Keystone,
        "volume" => Service::Cinder,
        "compute" => Service::Nova,
        "metadata" => Service::Metadata,
        _ => return None,
    };
    Some((service, segments.collect()))
}

/// The path below version and project, ids as `{id}`.
pub(super) fn normalized(service: Service, segments: &[&str]) -> String {
    let skipped = match service {
        Service::Cinder if segments.get(1).is_some_and(|project| is_project(project)) => 2,
        _ => 1,
    };
    let mut path = String::new();
    for segment in segments.iter().skip(skipped) {
        path.push('/');
        path.push_str(if is_id(segment) { "{id}" } else { segment });
    }
    if path.is_empty() { "/".to_owned() } else { path }
}

pub(super) fn is_project(segment: &str) -> bool {
    segment.len() == 32 && segment.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_id(segment: &str) -> bool {
    let id = segment.strip_prefix("req-").unwrap_or(segment);
    uuid::Uuid::try_parse(id).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_projects_do_not_show_in_a_normalized_path() {
        let path =
            "/volume/v3/0123456789abcdef0123456789abcdef/volumes/11111111-2222-3333-4444-555555555555/action";
        let (service, segments) = dissect(path).unwrap();
        assert_eq!(normalized(service, &segments), "/volumes/{id}/action");
        let (service, segments) = dissect("/compute/v2.1/").unwrap();
        assert_eq!((service, normalized(service, &segments).as_str()), (Service::Nova, "/"));
        assert_eq!(dissect("/image/v2"), None);
        assert_eq!(dissect("/volume-2/v3"), Some((Service::Cinder, vec!["v3"])));
    }
}
