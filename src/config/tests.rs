//! The contract with users of the existing driver, as tables.

use secrecy::ExposeSecret;

use super::*;
use crate::openstack::Interface;
use credentials::show;

mod clouds;
mod credentials;
mod federation;

const CANARY: &str = "canary-s3cr3t";
const FILE: &str = "/etc/config/cloud.conf";

/// Everything that a cloud needs but a credential.
const BASE: &str = "auth-url = https://keystone.example:5000/v3\n";

fn conf(text: &str) -> Fixed {
    Fixed::default().with_file(FILE, text)
}

fn request() -> Request {
    Request { files: vec![FILE.into()], ..Request::default() }
}

/// The unnamed cloud of a `[Global]` with `lines`.
fn cloud(lines: &str) -> Options {
    let source = conf(&format!("[Global]\n{BASE}{lines}"));
    Config::load(&source, &request())
        .unwrap_or_else(|error| panic!("{lines}: {error}"))
        .clouds
        .remove("")
        .unwrap()
}

fn refusal(lines: &str) -> String {
    let source = conf(&format!("[Global]\n{lines}"));
    let error = Config::load(&source, &request()).expect_err(lines).to_string();
    assert!(!error.contains(CANARY), "{error}");
    error
}

#[test]
fn a_misspelt_key_is_told_with_the_error_that_it_leads_to() {
    let error = refusal(&format!("{BASE}usernam=u\npassword={CANARY}\ntenant-id=t\ndomain-name=D"));
    assert_eq!(
        error,
        "/etc/config/cloud.conf: \"username\" is missing in [Global]: or user-id: the password needs a user; \
         /etc/config/cloud.conf:3: unknown key \"usernam\" in [Global] is ignored; did you mean \"username\"?"
    );
}

#[test]
fn of_many_misspelt_keys_ten_are_told_with_an_error() {
    let error = refusal(&format!("{BASE}{}", "usernam=u\n".repeat(1000)));
    assert_eq!(error.matches("did you mean").count(), 10);
}

#[test]
fn syntax_and_type_errors_name_file_and_line() {
    let of_the_cloud = [
        ("[Global]\nauth_url = x", ":2: a key is written with '-', not '_'"),
        ("[Global]\npassword = \"canary-s3cr3t", ":2: a quoted value has no closing quote"),
    ];
    for (text, expected) in of_the_cloud {
        let error = Config::load(&conf(text), &request()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.starts_with(FILE), "{text}\n{error}");
        assert!(!error.contains(CANARY), "{error}");
    }
    let table = [
        ("[Global", ":1: expected ']'"),
        ("[BlockStorage]\nrescan-on-resize = maybe", ":2: \"rescan-on-resize\" is neither"),
        (
            "[BlockStorage]\nnode-volume-attach-limit = many",
            ":2: \"node-volume-attach-limit\" is not a whole number",
        ),
        (
            "[BlockStorage]\nnode-volume-attach-limit",
            ":2: \"node-volume-attach-limit\" is not a whole number",
        ),
        ("[Metadata]\nsearch-order = configdrive", ":2: \"search-order\" knows \"configDrive\""),
        ("[Metadata]\nrequest-timeout = 5", ":2: \"request-timeout\" is not a duration"),
        ("[Metadata]\nsearch-order", ":2: \"search-order\" needs a value"),
    ];
    for (text, expected) in table {
        for error in [
            Config::load(&conf(text), &request()).unwrap_err().to_string(),
            NodeSettings::load(&conf(text), &[FILE.into()]).unwrap_err().to_string(),
        ] {
            assert!(error.contains(expected) && error.starts_with(FILE), "{text}\n{error}");
            assert!(!error.contains(CANARY), "{error}");
        }
    }
}

#[test]
fn unknown_keys_of_ours_are_warnings_and_other_sections_are_skipped() {
    let text = "[Global]\nauth-url=https://k/v3\ntoken=t\nuser-nam=x\n\
        [LoadBalancer]\nuse-octavia\nsubnet-id = \"1\"\n\
        [LoadBalancerClass \"x\"]\nfloating-subnet-tags = !a\n[Networking]\n[Route]\nrouter-id=1\n\
        [BlockStorage]\nbs-version=v3\ntrust-device-path=nonsense\nrescan-on-resiz=yes\n\
        [blockstorage \"x\"]\nrescan-on-resize=1\n[Metadata]\nserch-order=1\n";
    let config = Config::load(&conf(text), &request()).unwrap();
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "/etc/config/cloud.conf:4: unknown key \"user-nam\" in [Global] is ignored; did you mean \"username\"?",
            "/etc/config/cloud.conf:16: unknown key \"rescan-on-resiz\" in [BlockStorage] is ignored; did you mean \"rescan-on-resize\"?",
            "/etc/config/cloud.conf:17: [blockstorage] takes no quoted name: this section is ignored",
            "/etc/config/cloud.conf:20: unknown key \"serch-order\" in [Metadata] is ignored; did you mean \"search-order\"?",
        ]
    );
    assert!(!config.block_storage.rescan_on_resize);
}

#[test]
fn a_misspelt_section_is_told_and_those_of_the_cloud_controller_manager_are_not() {
    let good = format!("[Global]\n{BASE}token=t\n");
    for (section, near) in [
        ("blockstorag", Some("BlockStorage")),
        ("Block-Storage", Some("BlockStorage")),
        ("Globl", Some("Global")),
        ("Globl \"east\"", Some("Global")),
        ("Metdata", Some("Metadata")),
        ("LoadBalancer", None),
        ("LoadBalancerClass \"x\"", None),
        ("Networking", None),
        ("Route", None),
        ("KeyManager", None),
    ] {
        let config = Config::load(&conf(&format!("{good}[{section}]\nx=1")), &request()).unwrap();
        let told: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
        let name = section.split(' ').next().unwrap();
        let expected = near.map(|near| {
            format!("/etc/config/cloud.conf:4: the section [{name}] is ignored; did you mean [{near}]?")
        });
        assert_eq!(told, Vec::from_iter(expected), "{section}");
    }
}

#[test]
fn the_error_of_a_missing_section_names_the_one_that_was_probably_meant() {
    let error = Config::load(&conf(&format!("[Globl]\n{BASE}token=t")), &request()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/config/cloud.conf: there is no section [Global]: add one; \
         /etc/config/cloud.conf:1: the section [Globl] is ignored; did you mean [Global]?"
    );
}

#[test]
fn block_storage_and_metadata_are_typed() {
    let text = "[BLOCKSTORAGE]\nNode-Volume-Attach-Limit = 0x10\nrescan-on-resize\nignore-volume-az = YES\n\
        ignore-volume-microversion = off\naz-map = nova1=cinder1, nova2=cinder1\n[metadata]\nsearch-order = metadataService, configDrive\nrequest-timeout = 1m30s";
    let node = NodeSettings::load(&conf(text), &[FILE.into()]).unwrap();
    assert_eq!(
        node.block_storage,
        BlockStorage {
            node_volume_attach_limit: Some(16),
            rescan_on_resize: true,
            ignore_volume_az: true,
            ignore_volume_microversion: false,
            zone_map: ["nova1", "nova2"].map(|zone| (zone.to_owned(), "cinder1".to_owned())).into(),
        }
    );
    let halved = NodeSettings::load(&conf("[BlockStorage]\naz-map = nova1"), &[FILE.into()]).unwrap_err();
    assert!(halved.to_string().starts_with("/etc/config/cloud.conf:2: \"az-map\" must be pairs"), "{halved}");
    let search_order = vec![Origin::MetadataService, Origin::ConfigDrive];
    assert_eq!(node.metadata, Metadata { search_order, request_timeout: Duration::from_secs(90) });
    for (text, expected) in [("0", None), ("-1", None), ("1", Some(1)), ("256", Some(256)), ("257", None)] {
        let text = format!("[BlockStorage]\nnode-volume-attach-limit={text}");
        let node = NodeSettings::load(&conf(&text), &[FILE.into()]).unwrap();
        assert_eq!(node.block_storage.node_volume_attach_limit, expected, "{text}");
    }
}

#[test]
fn a_node_needs_no_file_and_no_credentials() {
    let node = NodeSettings::load(&Fixed::default(), &[FILE.into()]).unwrap();
    assert_eq!((node.block_storage, node.metadata), (BlockStorage::default(), Metadata::default()));
    assert!(Config::load(&Fixed::default(), &request()).unwrap_err().to_string().starts_with(FILE));
}

#[test]
fn a_node_does_not_look_at_what_other_sections_hold() {
    let wanted = "[BlockStorage]\nrescan-on-resize\n[Metadata]\nrequest-timeout = 1s\n";
    for other in [
        "[Global]\nauth-url = nonsense\nuse-clouds = perhaps\npassword",
        "[Global]\npassword = \"never closed\n!?= \\x\n\u{0}",
        "[global \"east\"]\n= = =\n] [\n  ; [Metadata]\n",
        "[LoadBalancer]\n{not: gcfg}",
    ] {
        for text in [format!("{other}\n{wanted}"), format!("{wanted}{other}")] {
            let node =
                NodeSettings::load(&conf(&text), &[FILE.into()]).unwrap_or_else(|error| panic!("{error}"));
            assert!(node.block_storage.rescan_on_resize && node.warnings.is_empty(), "{text}");
            assert_eq!(node.metadata.request_timeout, Duration::from_secs(1), "{text}");
        }
    }
    let latin = [b"[Global]\npassword = \xe4\n".as_slice(), wanted.as_bytes()].concat();
    let source = Fixed::default().with_file(FILE, latin);
    assert!(NodeSettings::load(&source, &[FILE.into()]).unwrap().block_storage.rescan_on_resize);
    assert!(Config::load(&source, &request()).is_err());
}

#[test]
fn later_files_and_later_lines_override_earlier_ones() {
    let source = conf(
        "[Global]\nauth-url=https://a/v3\ntoken=1\ntoken=2\nregion=A\n[BlockStorage]\nrescan-on-resize=1",
    )
    .with_file("/b", "[global]\nREGION=B\n[Global \"other\"]\nauth-url=https://o/v3\ntoken=3");
    let mut request = request();
    request.files.push("/b".into());
    request.clouds = vec![String::new(), "other".into()];
    let config = Config::load(&source, &request).unwrap();
    assert_eq!(config.clouds[""].region.as_deref(), Some("B"));
    assert_eq!(show(&config.clouds[""].credential), "token 2, no scope");
    assert_eq!(config.clouds["other"].auth_url.as_str(), "https://o/v3");
    assert!(config.block_storage.rescan_on_resize);
    assert_eq!(config.files, [PathBuf::from("/b"), PathBuf::from(FILE)]);
}

#[test]
fn a_cloud_name_without_a_section_is_refused() {
    let source = conf("[Global \"east\"]\nauth-url=https://a/v3\ntoken=1");
    let error = Config::load(&source, &request()).unwrap_err().to_string();
    assert!(
        error.contains("no section [Global]: the sections are [Global \"east\"]; --cloud-name"),
        "{error}"
    );
    let request = Request { clouds: vec!["east".into()], ..request() };
    assert_eq!(Config::load(&source, &request).unwrap().clouds.len(), 1);
}

#[test]
fn tls_files_are_read_into_the_options() {
    let source = conf(&format!(
        "[Global]\n{BASE}token=t\nca-file=/ca\ncert-file=/cert\nkey-file=/key\ntls-insecure=true"
    ))
    .with_file("/ca", "-----BEGIN CERTIFICATE-----")
    .with_file("/cert", "-----BEGIN CERTIFICATE-----")
    .with_file("/key", format!("-----BEGIN PRIVATE KEY-----\n{CANARY}"));
    let config = Config::load(&source, &request()).unwrap();
    let tls = &config.clouds[""].tls;
    assert_eq!(tls.ca.as_deref(), Some(&b"-----BEGIN CERTIFICATE-----"[..]));
    assert!(tls.identity.is_some() && tls.insecure);
    assert!(!format!("{config:?}").contains(CANARY));
    assert!(config.files.contains(&PathBuf::from("/ca")));
}

#[test]
fn only_true_switches_verification_off() {
    for (text, insecure) in
        [("true", true), ("false", false), ("True", false), ("yes", false), ("1", false), ("", false)]
    {
        assert_eq!(cloud(&format!("token=t\ntls-insecure={text}")).tls.insecure, insecure, "{text}");
    }
}

#[test]
fn interfaces_have_two_spellings() {
    for (text, expected) in [
        ("", Interface::Public),
        ("public", Interface::Public),
        ("internalURL", Interface::Internal),
        ("internal", Interface::Internal),
        ("adminURL", Interface::Admin),
    ] {
        assert_eq!(cloud(&format!("token=t\nos-endpoint-type={text}")).interface, expected, "{text}");
    }
}

#[test]
fn a_change_of_any_file_is_seen_once_and_a_broken_file_is_told_once() {
    let good = format!("[Global]\n{BASE}token=t\nca-file=/ca");
    let source = conf(&good).with_file("/ca", "-----BEGIN CERTIFICATE-----");
    let (mut watch, config) = Watch::start(&source, request());
    let config = config.unwrap();
    assert!(!config.changed(&source) && watch.poll(&source).is_none());
    let rotated = source.clone().with_file("/ca", "-----BEGIN CERTIFICATE-----2");
    assert!(config.changed(&rotated));
    assert!(watch.poll(&rotated).unwrap().is_ok());
    assert!(watch.poll(&rotated).is_none());
    let broken = rotated.clone().with_file(FILE, "[");
    assert!(watch.poll(&broken).unwrap().is_err());
    assert!(watch.poll(&broken).is_none());
    assert!(watch.poll(&rotated).unwrap().is_ok());
}

#[test]
fn a_password_cut_by_a_comment_is_a_warning_that_does_not_show_it() {
    let source = conf(&format!("[Global]\n{BASE}user-id=u\npassword={CANARY}#rest"));
    let warnings = Config::load(&source, &request()).unwrap().warnings;
    assert!(
        warnings[0].to_string().contains(":4: the value of \"password\" ends at a '#' or ';'"),
        "{warnings:?}"
    );
    assert!(!format!("{warnings:?}").contains(CANARY));
}

#[test]
fn the_proxy_comes_from_the_environment() {
    let source = conf(&format!("[Global]\n{BASE}token=t"))
        .with_var("HTTPS_PROXY", &format!("http://u:{CANARY}@proxy:3128"))
        .with_var("http_proxy", "http://lower:1")
        .with_var("NO_PROXY", "a,b");
    let config = Config::load(&source, &request()).unwrap();
    assert_eq!(config.proxy.bypass, "a,b");
    assert_eq!(config.proxy.http.as_ref().map(|url| url.expose_secret()), Some("http://lower:1"));
    assert!(!format!("{config:?}").contains(CANARY));
}

/// Lines of all kinds in any order, the secret only where a secret belongs.
#[test]
fn no_text_panics_and_none_gives_its_secret_away() {
    let lines = [
        "[Global]",
        "[Global \"east\"]",
        "[Global",
        "[BlockStorage]",
        "[Metadata]",
        "[Networking]",
        "# comment",
        "auth-url=https://k/v3",
        "auth-url=nonsense",
        "username=u",
        "user-id=u",
        "tenant-name=t",
        "domain-name=D",
        "password=canary-s3cr3t",
        "password=\"canary-s3cr3t",
        "password=canary-s3cr3t#x",
        "password=canary\\-s3cr3t",
        "token=canary-s3cr3t",
        "pasword=canary-s3cr3t",
        "pass_word=canary-s3cr3t",
        "password canary-s3cr3t",
        "canary-s3cr3t",
        "application-credential-secret=canary-s3cr3t",
        "application-credential-id=a",
        "trust-id=x",
        "trustee-password=canary-s3cr3t",
        "tls-insecure=canary-s3cr3t",
        "use-clouds=canary-s3cr3t",
        "auth-url=https://u:canary-s3cr3t@k/v3",
        "auth-url=canary-s3cr3t://",
        "os-endpoint-type=canary-s3cr3t",
        "rescan-on-resize=canary-s3cr3t",
        "node-volume-attach-limit=canary-s3cr3t",
        "search-order=canary-s3cr3t",
        "request-timeout=canary-s3cr3t",
        "use-clouds",
        "key-file=/ca",
        "cert-file=/ca",
        "ca-file=/ca",
    ];
    let mut loaded = 0;
    for seed in 0..5_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let text: String =
            (0..random.usize(0..9)).map(|_| lines[random.usize(0..lines.len())].to_owned() + "\n").collect();
        let text = format!("[Global]\nauth-url=https://k/v3\n{text}");
        let source = conf(&text).with_file("/ca", format!("-----BEGIN CERTIFICATE-----{CANARY}"));
        let told = match Config::load(&source, &request()) {
            Ok(config) => {
                loaded += 1;
                // The certificate is no secret, and so not wrapped.
                format!("{:?} {:?}", config.warnings, config.clouds[""].credential)
            }
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!told.contains(CANARY), "seed {seed}:\n{text}\n{told}");
    }
    assert!(loaded > 25, "both outcomes are to be met, loaded {loaded}");
}
