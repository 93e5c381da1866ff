//! `auth_type`: what each one wants, and which are refused.

use super::credentials::show;
use super::*;

const AT: &str = "access_token_endpoint: https://idp/token";
const CLIENT: &str = "client_id: c\nclient_secret: s";
const PROVIDER: &str = "identity_provider: corp\nprotocol: openid";
const PROJECT: &str = "project_id: p";

fn clouds_yaml(auth_type: &str, auth: &[&str]) -> Fixed {
    let auth: String =
        auth.iter().flat_map(|part| part.lines()).map(|line| format!("      {line}\n")).collect();
    let yaml = format!(
        "clouds:\n  lab:\n    auth_type: {auth_type}\n    auth:\n      auth_url: https://k/v3\n{auth}"
    );
    Fixed::default().with_file("clouds.yaml", yaml).with_file("/token", " access\n").with_file("/empty", "\n")
}

fn load(source: &Fixed) -> Result<Config> {
    Config::load(source, &Request { cloud: Some("lab".into()), ..Request::default() })
}

#[test]
fn every_kind_is_read_as_keystoneauth_reads_it() {
    let table = [
        (
            "v3oidcclientcredentials",
            vec![CLIENT, AT],
            "client c s at https://idp/token for itself, openid profile, access_token, project id p",
        ),
        (
            "v3oidcclientcredentials",
            vec![
                CLIENT,
                "discovery_endpoint: https://idp/d\nopenid_scope: openid\naccess_token_type: id_token",
            ],
            "client c s told by https://idp/d for itself, openid, id_token, project id p",
        ),
        (
            "v3oidcclientcredentials",
            vec![CLIENT, AT, "discovery_endpoint: https://idp/d"],
            "client c s at https://idp/token for itself, openid profile, access_token, project id p",
        ),
        (
            "v3oidcpassword",
            vec!["client_id: c", AT, "username: u\npassword: p"],
            "client c none at https://idp/token for u p, openid profile, access_token, project id p",
        ),
        ("v3oidcaccesstoken", vec!["access_token: a"], "access token a, project id p"),
        ("v3oidcaccesstoken", vec!["access_token_file: /token"], "access token access, project id p"),
    ];
    for (auth_type, auth, expected) in table {
        let source = clouds_yaml(auth_type, &[auth.as_slice(), &[PROVIDER, PROJECT]].concat());
        let config = load(&source).unwrap_or_else(|error| panic!("{auth:?}: {error}"));
        assert_eq!(show(&config.clouds[""].credential), format!("corp by openid, {expected}"));
    }
}

#[test]
fn what_is_missing_or_contradicts_is_named() {
    let client = "v3oidcclientcredentials";
    let table = [
        (client, vec!["client_id: c", AT, PROVIDER, PROJECT], "\"client_secret\" is missing"),
        (client, vec!["client_secret: canary-s3cr3t", AT, PROVIDER, PROJECT], "\"client_id\" is missing"),
        (client, vec![CLIENT, PROVIDER, PROJECT], "\"access_token_endpoint\" is missing"),
        (client, vec![CLIENT, AT, "protocol: openid", PROJECT], "\"identity_provider\" is missing"),
        (client, vec![CLIENT, AT, "identity_provider: i", PROJECT], "\"protocol\" is missing"),
        (client, vec![CLIENT, AT, PROVIDER], "\"project_name\" is missing"),
        (
            client,
            vec![CLIENT, "access_token_endpoint: ftp://x", PROVIDER, PROJECT],
            "clouds.yaml:8: \"access_token_endpoint\" is not a URL: write https://HOST",
        ),
        (
            client,
            vec![CLIENT, "access_token_endpoint: https://u:canary-s3cr3t@x", PROVIDER, PROJECT],
            "holds a user name or password",
        ),
        (
            client,
            vec![CLIENT, AT, "access_token_type: canary-s3cr3t", PROVIDER, PROJECT],
            "is neither access_token nor id_token",
        ),
        ("v3oidcpassword", vec!["client_id: c", AT, PROVIDER, PROJECT], "\"username\" is missing"),
        ("v3oidcaccesstoken", vec![PROVIDER, PROJECT], "\"access_token\" is missing"),
        (
            "v3oidcaccesstoken",
            vec!["access_token: canary-s3cr3t\naccess_token_file: /token", PROVIDER, PROJECT],
            "\"access_token\" contradicts \"access_token_file\" (clouds.yaml:7)",
        ),
        ("v3oidcaccesstoken", vec!["access_token_file: /none", PROVIDER, PROJECT], "can't be read"),
        ("v3oidcaccesstoken", vec!["access_token_file: /empty", PROVIDER, PROJECT], "holds no access token"),
    ];
    for (auth_type, auth, expected) in table {
        let error = load(&clouds_yaml(auth_type, &auth)).unwrap_err().to_string();
        assert!(error.contains(expected), "{auth:?}\n{error}");
        assert!(!error.contains(CANARY), "{error}");
    }
}

#[test]
fn another_kind_is_refused_and_the_supported_ones_are_named() {
    for auth_type in ["v3kerberos", "v3samlpassword", "v3oidcauthcode", "v3totp", "none", "v2password", "X"] {
        let error =
            load(&clouds_yaml(auth_type, &["username: u\npassword: p", PROJECT])).unwrap_err().to_string();
        let expected =
            format!("clouds.yaml:3: the \"auth_type\" {auth_type} isn't supported; supported are password,");
        assert!(error.starts_with(&expected) && error.contains("v3oidcaccesstoken"), "{error}");
    }
    let error = load(&clouds_yaml(CANARY, &[PROJECT])).unwrap_err().to_string();
    assert!(error.contains("isn't supported") && !error.contains(CANARY), "{error}");
}

#[test]
fn the_kinds_of_keystone_itself_say_nothing_new() {
    for auth_type in ["password", "v3password", "\"\""] {
        let config = load(&clouds_yaml(auth_type, &["user_id: u\npassword: p", PROJECT])).unwrap();
        assert_eq!(show(&config.clouds[""].credential), "user id u, p, project id p");
    }
}

#[test]
fn the_environment_has_them_and_cloud_conf_does_not() {
    let mut source = Fixed::default();
    for (name, value) in [
        ("OS_AUTH_URL", "https://k/v3"),
        ("OS_AUTH_TYPE", "v3oidcclientcredentials"),
        ("OS_IDENTITY_PROVIDER", "corp"),
        ("OS_PROTOCOL", "openid"),
        ("OS_CLIENT_ID", "c"),
        ("OS_CLIENT_SECRET", "s"),
        ("OS_DISCOVERY_ENDPOINT", "https://idp/d"),
        ("OS_PROJECT_ID", "p"),
    ] {
        source = source.with_var(name, value);
    }
    let config = Config::load(&source, &Request::default()).unwrap();
    assert_eq!(
        show(&config.clouds[""].credential),
        "corp by openid, client c s told by https://idp/d for itself, openid profile, access_token, project id p"
    );
    let source = conf(&format!("[Global]\n{BASE}token=t\nclient_id=x\nauth_type=v3oidcpassword\n"));
    assert!(
        Config::load(&source, &request()).is_err(),
        "a key with '_' is a mistake of syntax in cloud.conf"
    );
}
