//! clouds.yaml, its companions, and the environment.

use super::*;

const YAML: &str = "
clouds:
  lab:
    auth:
      auth_url: https://yaml.example:5000/v3
      username: csi
      password: 0123456
      project_name: k8s
      user_domain_name: Default
      project_domain_name: Default
    region_name: R1
    regions: [R0, {name: R2, values: {interface: internal}}]
    identity_api_version: 3
    verify: false
  other:
    auth: {auth_url: 'https://o/v3', token: x}
    endpoint_type: adminURL
";

#[test]
fn clouds_yaml_fills_what_cloud_conf_left_empty() {
    let text =
        "[Global]\nuse-clouds=true\nclouds-file=/etc/c.yaml\ncloud=lab\nregion=R2\nusername=other\nca-file=";
    let config = Config::load(&conf(text).with_file("/etc/c.yaml", YAML), &request()).unwrap();
    let lab = &config.clouds[""];
    assert_eq!(show(&lab.credential), "user other of domain Default, 0123456, project k8s of domain Default");
    assert_eq!(lab.auth_url.as_str(), "https://yaml.example:5000/v3");
    assert_eq!(lab.region.as_deref(), Some("R2"));
    assert_eq!(lab.interface, Interface::Internal);
    assert!(lab.tls.insecure);
}

#[test]
fn clouds_yaml_is_found_in_gophercloud_s_order() {
    let yaml = |user: &str| {
        format!("clouds: {{c: {{auth: {{auth_url: 'https://k', user_id: {user}, password: p}}}}}}")
    };
    let mut source = conf("[Global]\nuse-clouds")
        .with_var("HOME", "/home/u")
        .with_file("/etc/openstack/clouds.yaml", yaml("site"));
    let steps = [
        (None, "site"),
        (Some("clouds.yml"), "site"),
        (Some("/home/u/.config/openstack/clouds.yaml"), "home"),
        (Some("clouds.yaml"), "here"),
        (Some("/env.yaml"), "environment"),
    ];
    source = source.with_var("OS_CLIENT_CONFIG_FILE", "/env.yaml");
    for (file, user) in steps {
        if let Some(file) = file {
            source = source.with_file(file, yaml(user));
        }
        let config = Config::load(&source, &request()).unwrap();
        assert_eq!(show(&config.clouds[""].credential), format!("user id {user}, p, no scope"));
    }
}

#[test]
fn secure_yaml_goes_over_and_a_public_profile_under_clouds_yaml() {
    let source = Fixed::default()
        .with_file(
            "clouds.yaml",
            "clouds: {c: {profile: vendor, region_name: R, auth: {user_id: u, password: old}}}",
        )
        .with_file("secure.yaml", format!("clouds: {{c: {{auth: {{password: {CANARY}}}}}}}"))
        .with_file(
            "clouds-public.yaml",
            "public-clouds: {vendor: {region_name: X, auth: {auth_url: 'https://v'}}}",
        );
    let request = Request { cloud: Some("c".into()), ..Request::default() };
    let config = Config::load(&source, &request).unwrap();
    assert_eq!(show(&config.clouds[""].credential), format!("user id u, {CANARY}, no scope"));
    assert_eq!(config.clouds[""].auth_url.as_str(), "https://v/");
    assert_eq!(config.clouds[""].region.as_deref(), Some("R"));
}

#[test]
fn a_broken_or_incomplete_clouds_yaml_is_refused_without_its_text() {
    let table = [
        (format!("clouds:\n  lab:\n    auth: {CANARY}\n"), ":3: is not YAML of the form"),
        (format!("clouds:\n  lab:\n    auth: {{password: {CANARY}\n"), "is not YAML of the form"),
        ("clouds: {}".to_owned(), "the cloud \"lab\" is not in"),
        ("".to_owned(), "the cloud \"lab\" is not in"),
        (YAML.replace("lab:", "labb:"), "did you mean \"labb\"?"),
        (YAML.replace("_version: 3", "_version: 2"), ":13: \"identity_api_version\" 2 is gone"),
        (YAML.replace("verify: false", "verify: perhaps"), ":14: \"verify\" is neither"),
        (YAML.replace("R1", "R1\n    profile: x"), ":12: the profile \"x\" needs a clouds-public.yaml"),
    ];
    for (text, expected) in table {
        let source = Fixed::default().with_file("clouds.yaml", text.clone());
        let request = Request { cloud: Some("lab".into()), ..Request::default() };
        let error = Config::load(&source, &request).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text}\n{error}");
        assert!(!error.contains(CANARY), "{error}");
    }
    let error = Config::load(&conf("[Global]\nuse-clouds"), &request()).unwrap_err().to_string();
    assert!(error.starts_with("/etc/config/cloud.conf:2: no clouds.yaml found"), "{error}");
    let source = conf("[Global]\nuse-clouds\nclouds-file=/nope.yaml");
    let error = Config::load(&source, &request()).unwrap_err().to_string();
    assert!(
        error.starts_with("/etc/config/cloud.conf:2: /nope.yaml isn't there, and no clouds.yaml is at"),
        "{error}"
    );
    assert_eq!(error.matches("/nope.yaml").count(), 1, "{error}");
    let found = source.with_file("clouds.yaml", "clouds: {c: {auth: {auth_url: 'https://k', token: t}}}");
    let warnings = Config::load(&found, &request()).unwrap().warnings;
    assert!(warnings[0].to_string().ends_with("/nope.yaml isn't there: clouds.yaml is used"), "{warnings:?}");
    let source = conf("[Global]\nuse-clouds").with_file("clouds.yaml", YAML);
    let error = Config::load(&source, &request()).unwrap_err().to_string();
    assert!(error.contains("has the clouds lab, other"), "{error}");
}

#[test]
fn the_environment_alone_is_enough_and_cloud_conf_shuts_it_out() {
    let source = Fixed::default()
        .with_var("OS_AUTH_URL", "https://e/v3")
        .with_var("OS_USERNAME", "u")
        .with_var("OS_PASSWORD", CANARY)
        .with_var("OS_TENANT_NAME", "old")
        .with_var("OS_PROJECT_NAME", "p")
        .with_var("OS_DEFAULT_DOMAIN", "default")
        .with_var("OS_REGION_NAME", "R")
        .with_var("OS_INTERFACE", "internal")
        .with_var("OS_INSECURE", "1");
    let config = Config::load(&source, &Request::default()).unwrap();
    let cloud = &config.clouds[""];
    let expected = format!("user u of domain id default, {CANARY}, project p of domain id default");
    assert_eq!(show(&cloud.credential), expected);
    assert!(cloud.tls.insecure && cloud.interface == Interface::Internal);
    assert!(!format!("{config:?}").contains(CANARY));
    let error = Config::load(&source.with_file(FILE, "[Global]"), &request()).unwrap_err().to_string();
    assert!(error.contains("\"auth-url\" is missing"), "{error}");
    let error = Config::load(&Fixed::default(), &Request::default()).unwrap_err().to_string();
    assert!(error.starts_with("no cloud is configured"), "{error}");
}

#[test]
fn os_cloud_chooses_and_the_environment_fills_the_rest() {
    let source = Fixed::default()
        .with_var("OS_CLOUD", "other")
        .with_var("OS_REGION_NAME", "E")
        .with_var("OS_AUTH_URL", "https://e/")
        .with_file("clouds.yaml", YAML);
    let config = Config::load(&source, &Request::default()).unwrap();
    assert_eq!(config.clouds[""].auth_url.as_str(), "https://o/v3");
    assert_eq!(config.clouds[""].region.as_deref(), Some("E"));
    assert_eq!(config.clouds[""].interface, Interface::Admin);
}

#[test]
fn a_secure_yaml_that_appears_later_is_a_change() {
    let source = Fixed::default().with_file("clouds.yaml", YAML);
    let request = Request { cloud: Some("lab".into()), ..Request::default() };
    let config = Config::load(&source, &request).unwrap();
    assert!(!config.changed(&source));
    assert!(config.changed(&source.with_file("secure.yaml", "clouds: {lab: {auth: {password: new}}}")));
}

#[test]
fn anchors_and_merge_keys_are_followed() {
    let yaml = "
base: &base {auth: {auth_url: 'https://k/v3', user_id: u, password: 007}, region_name: R}
clouds:
  lab: {<<: *base, regions: [1, R], networks: [{name: n}], auth_type: password}
";
    let source = Fixed::default().with_file("clouds.yaml", yaml);
    let request = Request { cloud: Some("lab".into()), ..Request::default() };
    let config = Config::load(&source, &request).unwrap();
    assert_eq!(show(&config.clouds[""].credential), "user id u, 007, no scope");
}

#[test]
fn a_file_that_changes_between_two_clouds_is_seen_as_a_change() {
    struct Changing(std::sync::Mutex<u32>);
    impl Source for Changing {
        fn var(&self, _name: &str) -> Option<String> {
            None
        }
        fn read(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            match path.to_str() {
                Some(FILE) => Ok(b"[Global]\ncloud=c\n[Global \"east\"]\ncloud=c".to_vec()),
                Some("clouds.yaml") => {
                    let mut reads = self.0.lock().unwrap();
                    *reads += 1;
                    let secret = if *reads == 1 { "old" } else { "new" };
                    Ok(format!("clouds: {{c: {{auth: {{auth_url: 'https://k', token: {secret}}}}}}}").into())
                }
                _ => Err(std::io::ErrorKind::NotFound.into()),
            }
        }
    }
    let source = Changing(Default::default());
    let request = Request { clouds: vec![String::new(), "east".into()], ..request() };
    let (mut watch, config) = Watch::start(&source, request);
    assert_eq!(show(&config.unwrap().clouds[""].credential), "token old, no scope");
    let config = watch.poll(&source).unwrap().unwrap();
    assert_eq!(show(&config.clouds[""].credential), "token new, no scope");
}

#[test]
fn a_home_that_is_no_directory_is_passed_over() {
    struct Homeless(Fixed);
    impl Source for Homeless {
        fn var(&self, name: &str) -> Option<String> {
            (name == "HOME").then(|| "/dev/null".to_owned())
        }
        fn read(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            match path.starts_with("/dev/null") {
                true => Err(std::io::ErrorKind::NotADirectory.into()),
                false => self.0.read(path),
            }
        }
    }
    let source = Homeless(conf("[Global]\ncloud=other").with_file("/etc/openstack/clouds.yaml", YAML));
    assert_eq!(Config::load(&source, &request()).unwrap().clouds[""].auth_url.as_str(), "https://o/v3");
}
