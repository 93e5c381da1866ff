//! What people write: cloud.conf and clouds.yaml.

use cinder_csi::config::{Config, Error, Fixed, NodeSettings, Place, Request, Warning};

use super::assert_readable;

const CONF: &str = "/etc/config/cloud.conf";
const CLOUDS: &str = "/etc/openstack/clouds.yaml";

pub fn cloud_conf(data: &[u8]) {
    let source = Fixed::default().with_file(CONF, data);
    let request = Request { files: vec![CONF.into()], ..Request::default() };
    match Config::load(&source, &request) {
        Ok(config) => config.warnings.iter().for_each(warned),
        Err(error) => told(&error, &[CONF, "/etc/openstack/clouds"]),
    }
    match NodeSettings::load(&source, &request.files) {
        Ok(settings) => settings.warnings.iter().for_each(warned),
        Err(error) => told(&error, &[CONF]),
    }
}

/// The same bytes are all three files, so that they find what they name.
pub fn clouds_yaml(data: &[u8]) {
    let source = ["clouds", "secure", "clouds-public"]
        .into_iter()
        .fold(Fixed::default(), |source, stem| source.with_file(format!("/etc/openstack/{stem}.yaml"), data));
    for cloud in [None, Some("lab".to_owned())] {
        let source = source.clone().with_var("OS_CLIENT_CONFIG_FILE", CLOUDS);
        match Config::load(&source, &Request { cloud, ..Request::default() }) {
            Ok(config) => config.warnings.iter().for_each(warned),
            Err(error) => told(&error, &["/etc/openstack/", "OS_", "--cloud"]),
        }
    }
}

/// An error says where: in a file, and on a line of it where one is to blame.
fn told(error: &Error, places: &[&str]) {
    let text = error.to_string();
    assert_readable(&text);
    assert!(places.iter().any(|place| text.contains(place)), "no word on where: {text}");
    if let Some(Place::Line { line, .. }) = error.place {
        assert!(line > 0, "{text}");
    }
}

fn warned(warning: &Warning) {
    assert_readable(&warning.to_string());
    assert!(warning.place.is_some(), "no word on where: {warning}");
}
