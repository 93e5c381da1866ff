use super::*;
use crate::config::Fixed;

type Row<'a> = (&'a [&'a str], fn(&Serve) -> bool);

fn serve(arguments: &[&str]) -> Serve {
    let arguments =
        ["--endpoint=unix:///csi/csi.sock"].iter().chain(arguments).map(|text| (*text).to_owned());
    match parse(arguments, &Fixed::default()).unwrap().command {
        Command::Serve(serve) => *serve,
        other => panic!("{other:?}"),
    }
}

fn run(arguments: &[&str]) -> Result<Invocation, Exit> {
    parse(arguments.iter().map(|text| (*text).to_owned()), &Fixed::default())
}

#[test]
fn the_flags_are_declared_without_contradiction() {
    CommandLine::command().debug_assert();
}

#[test]
fn without_flags_the_defaults_are_the_existing_drivers() {
    let serve = serve(&[]);
    assert!(serve.with_topology && serve.controller && serve.node);
    assert_eq!(serve.cloud_names, [""]);
    assert_eq!(serve.device_dir, PathBuf::from("/dev/disk/by-id"));
    assert_eq!((serve.http_endpoint, serve.node_id, serve.cluster.as_str()), (None, None, ""));
}

#[test]
fn go_style_flags_are_accepted() {
    let table: [Row; 17] = [
        (&["-cluster=k"], |serve| serve.cluster == "k"),
        (&["-cluster", "k"], |serve| serve.cluster == "k"),
        (&["--cluster", "k"], |serve| serve.cluster == "k"),
        (&["--cluster="], |serve| serve.cluster.is_empty()),
        (&["--with-topology=false"], |serve| !serve.with_topology),
        (&["-with-topology=F"], |serve| !serve.with_topology),
        (&["--with-topology", "--cluster=k"], |serve| serve.with_topology && serve.cluster == "k"),
        (&["--cloud-config=/a,/b", "--cloud-config", "/c"], |serve| {
            serve.cloud_config == ["/a", "/b", "/c"].map(PathBuf::from)
        }),
        (&["--cloud-config="], |serve| serve.cloud_config.is_empty()),
        (&["--cloud-name=a", "--cloud-name=b"], |serve| serve.cloud_names == ["a", "b"]),
        (&["--cloud-name=,a"], |serve| serve.cloud_names == ["", "a"]),
        (&[], |serve| !serve.list_only_cluster),
        (&["--list-only-cluster"], |serve| serve.list_only_cluster),
        (&["--list-only-cluster=0"], |serve| !serve.list_only_cluster),
        (&["--additional-topology", "a=1,b=2", "--additional-topology=c=3"], |serve| {
            serve.additional_topology.len() == 3
        }),
        (&["--user-agent=x y", "--user-agent=z"], |serve| serve.user_agent == ["x y", "z"]),
        (&["--http-endpoint="], |serve| serve.http_endpoint.is_none()),
    ];
    for (arguments, expected) in table {
        let serve = serve(arguments);
        assert!(expected(&serve), "{arguments:?}: {serve:?}");
    }
}

#[test]
fn of_a_repeated_flag_the_last_counts_as_in_pflag() {
    let table: [Row; 7] = [
        (&["--endpoint=unix:///other"], |serve| serve.endpoint == Endpoint::Unix("/other".into())),
        (&["--cluster=a", "-cluster", "b"], |serve| serve.cluster == "b"),
        (&["--pvc-annotations", "--pvc-annotations=true"], |serve| serve.pvc_annotations),
        (&["--pvc-annotations=true", "--pvc-annotations=false"], |serve| !serve.pvc_annotations),
        (&["--http-endpoint=:1", "--http-endpoint=:2"], |serve| serve.http_endpoint.as_deref() == Some(":2")),
        (&["--kube-api-burst=1", "--kube-api-burst=2"], |serve| serve.kubernetes.burst == 2),
        (&["--additional-topology=a=1,b=2", "--additional-topology=a=3"], |serve| {
            serve.additional_topology.values().eq(["3", "2"])
        }),
    ];
    for (arguments, expected) in table {
        let serve = serve(arguments);
        assert!(expected(&serve), "{arguments:?}: {serve:?}");
    }
    assert_eq!(run(&["--endpoint=unix:///s", "-v=2", "--v=4"]).unwrap().log.verbosity, 4);
}

#[test]
#[cfg(feature = "k8s")]
fn a_subcommands_flag_may_be_repeated_too() {
    let source = Fixed::default().with_var("NODE_NAME", "node-1");
    let arguments = ["pre-stop", "--timeout=1s", "--timeout=2s", "-v=2", "-v=4"].map(str::to_owned);
    let invocation = parse(arguments, &source).unwrap();
    let Command::PreStop(waits) = invocation.command else { panic!("{invocation:?}") };
    assert_eq!((waits.timeout, invocation.log.verbosity), (Duration::from_secs(2), 4));
}

#[test]
fn verbosity_has_all_of_klogs_numbers() {
    for (text, expected) in [("0", 0), ("10", 10), ("256", 255), ("2147483647", 255), ("-1", 0)] {
        let invocation = run(&["--endpoint=unix:///s", &format!("-v={text}")]).unwrap();
        assert_eq!(invocation.log.verbosity, expected, "{text}");
    }
}

#[test]
fn verbosity_has_all_of_klogs_spellings() {
    for arguments in [&["-v", "4"][..], &["-v=4"], &["-v4"], &["--v=4"], &["--v", "4"]] {
        let arguments = [&["--endpoint=tcp://0.0.0.0:1"], arguments].concat();
        assert_eq!(run(&arguments).unwrap().log.verbosity, 4, "{arguments:?}");
    }
}

#[test]
fn endpoints_are_sockets_or_ports() {
    let unix = |path: &str| Some(Endpoint::Unix(path.into()));
    let table = [
        ("unix:///csi/csi.sock", unix("/csi/csi.sock")),
        ("unix://csi/csi.sock", unix("/csi/csi.sock")),
        ("UNIX://csi/csi.sock", unix("/csi/csi.sock")),
        ("tcp://127.0.0.1:10000", Some(Endpoint::Tcp("127.0.0.1:10000".into()))),
        ("tcp://[::1]:10000", Some(Endpoint::Tcp("[::1]:10000".into()))),
        ("/csi/csi.sock", None),
        ("unix://", None),
        ("unix:///", None),
        ("tcp://host", None),
        ("tcp://host:99999", None),
        ("http://host:1", None),
    ];
    for (url, expected) in table {
        assert_eq!(Endpoint::parse(url).ok(), expected, "{url}");
    }
}

#[test]
fn the_endpoint_may_come_from_the_environment() {
    let source = Fixed::default().with_var("CSI_ENDPOINT", "unix://csi/csi.sock");
    assert!(parse([], &source).is_ok());
    assert!(run(&[]).unwrap_err().text.contains("--endpoint is missing"));
}

#[test]
fn bad_flags_exit_64_with_a_sentence() {
    let table: [(&[&str], &str); 20] = [
        (&["--http-endpoint=8080"], "write :8080 or HOST:8080"),
        (&["--http-endpoint=localhost"], "write :8080 or HOST:8080"),
        (&["--http-endpoint=:http"], "write :8080 or HOST:8080"),
        (&["--http-endpoint=:99999"], "write :8080 or HOST:8080"),
        (&["--metadata-url=https://x"], "--metadata-url must begin with http://"),
        (&["--metadata-url=169.254.169.254"], "--metadata-url must begin with http://"),
        (&["--metadata-url="], "--metadata-url must begin with http://"),
        (&["-v=high"], "it is not a number"),
        (&["--kube-api-qps=fast"], "it is not a number"),
        (&["--kube-api-burst=-1"], "it is not a number"),
        (&["--node-id=node-1"], "--node-id \"node-1\" is not the UUID of a server"),
        (&["--with-topology=maybe"], "neither true nor false"),
        (&["--with-topology", "false"], "--with-topology takes its value after '='"),
        (&["--clouster=k"], "'--cluster'"),
        (&["-nonsense"], "unexpected argument"),
        (&["--additional-topology=k"], "key=value"),
        (&["--v=many"], "it is not a number"),
        (&["--log-format=xml"], "possible values: text, json"),
        (&["--provide-controller-service=false", "--provide-node-service=false"], "nothing is left to serve"),
        (&["stray"], "stray"),
    ];
    for (arguments, expected) in table {
        let exit = run(&[&["--endpoint=unix:///s"], arguments].concat()).unwrap_err();
        assert!(exit.code == 64 && exit.text.contains(expected), "{arguments:?}: {}", exit.text);
    }
}

#[test]
fn no_boolean_takes_its_value_after_a_space() {
    let command = CommandLine::command();
    let booleans = command.get_arguments().filter(|argument| {
        argument.get_action().takes_values()
            && argument.get_num_args().is_some_and(|count| count.min_values() == 0)
    });
    let names: Vec<_> = booleans.filter_map(|argument| argument.get_long()).collect();
    assert!(names.contains(&"pin-zone") && names.contains(&"node-service-no-os-client"), "{names:?}");
    for name in names {
        let flag = format!("--{name}");
        let exit = run(&["--endpoint=unix:///s", &flag, "false"]).unwrap_err();
        assert!(exit.text.contains(&format!("{flag} takes its value after '='")), "{}", exit.text);
    }
}

#[test]
fn help_and_version_are_no_mistakes() {
    for arguments in [["--help"], ["-h"], ["-help"]] {
        let exit = run(&arguments).unwrap_err();
        assert_eq!(exit.code, 0);
        for flag in ["--cloud-config", "--device-dir", "CSI_ENDPOINT"] {
            assert!(exit.text.contains(flag), "{}", exit.text);
        }
        assert!(!exit.text.contains("--nodeid"), "deprecated flags aren't advertised");
    }
    let exit = run(&["--version"]).unwrap_err();
    assert_eq!((exit.code, exit.text.trim()), (0, concat!("cinder-csi ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn deprecated_and_klog_flags_are_accepted_with_a_warning() {
    let arguments = [
        "--endpoint=unix:///s",
        "--nodeid=x",
        "--node-service-no-os-client",
        "--logtostderr",
        "--min-resync-period=1h",
    ];
    let warnings = run(&arguments).unwrap().warnings;
    for flag in ["--nodeid", "--node-service-no-os-client", "--logtostderr", "--min-resync-period"] {
        assert!(warnings.iter().any(|warning| warning.contains(flag)), "{flag}: {warnings:?}");
    }
    assert_eq!(warnings.len(), 4);
}

#[test]
fn the_kubernetes_api_is_found_as_client_go_finds_it() {
    let Command::Serve(plain) = run(&["--endpoint=unix:///s"]).unwrap().command else { panic!() };
    assert!(!plain.pvc_annotations);
    assert_eq!(plain.kubernetes, k8s::Settings::default());
    let arguments = [
        "--endpoint=unix:///s",
        "-pvc-annotations",
        "--kubeconfig=/kube",
        "--master",
        "https://api:6443",
        "--kube-api-qps=-1",
        "--kube-api-burst=20",
    ];
    let Command::Serve(serve) = run(&arguments).unwrap().command else { panic!() };
    assert!(serve.pvc_annotations);
    let expected = k8s::Settings {
        kubeconfig: Some("/kube".into()),
        master: Some("https://api:6443".into()),
        qps: -1.0,
        burst: 20,
    };
    assert_eq!(serve.kubernetes, expected);
    for (variable, expected) in [("/of-the-environment", "/of-the-environment"), ("", "/kube")] {
        let source = Fixed::default().with_var("KUBECONFIG", variable);
        let parsed = parse(arguments.map(str::to_owned), &source).unwrap();
        let Command::Serve(serve) = parsed.command else { panic!() };
        assert_eq!(serve.kubernetes.kubeconfig, Some(expected.into()));
    }
}

#[test]
fn the_pod_is_known_where_its_manifest_tells() {
    let parsed = |source: &Fixed| match parse(["--endpoint=unix:///s".to_owned()], source).unwrap().command {
        Command::Serve(serve) => serve.pod,
        other => panic!("{other:?}"),
    };
    let named = Fixed::default().with_var("POD_NAME", "csi-0");
    assert_eq!(parsed(&named), None);
    let placed = named.with_var("POD_NAMESPACE", "kube-system").with_var("POD_UID", "");
    let pod = k8s::Pod { namespace: "kube-system".to_owned(), name: "csi-0".to_owned(), uid: None };
    assert_eq!(parsed(&placed), Some(pod.clone()));
    let uid = Some("u-1".to_owned());
    assert_eq!(parsed(&placed.with_var("POD_UID", "u-1")), Some(k8s::Pod { uid, ..pod }));
}

#[test]
fn what_is_about_a_node_is_told_its_name() {
    let at = Fixed::default().with_var("NODE_NAME", "node-1");
    let run = |arguments: &[&str], source| parse(arguments.iter().map(|text| text.to_string()), source);
    let Command::Serve(serve) =
        run(&["--endpoint=unix:///s", "-startup-taint=example.com/key"], &at).unwrap().command
    else {
        panic!()
    };
    let taint = StartupTaint { key: "example.com/key".to_owned(), node: "node-1".to_owned() };
    assert_eq!(serve.startup_taint, Some(taint));
    let Command::PreStop(waits) =
        run(&["pre-stop", "--timeout=90s", "--master=http://api"], &at).unwrap().command
    else {
        panic!()
    };
    assert_eq!((waits.node.as_str(), waits.timeout), ("node-1", std::time::Duration::from_secs(90)));
    assert_eq!(waits.kubernetes.master.as_deref(), Some("http://api"));
    let nowhere = Fixed::default();
    for (arguments, source, expected) in [
        (
            &["--endpoint=unix:///s", "--startup-taint=k"][..],
            &nowhere,
            "needs the environment variable NODE_NAME",
        ),
        (&["pre-stop"], &nowhere, "pre-stop needs the environment variable NODE_NAME"),
        (&["--endpoint=unix:///s", "--startup-taint=k=v:NoSchedule"], &at, "the taint's key alone"),
        (
            &["--endpoint=unix:///s", "--startup-taint=k", "--provide-node-service=false"],
            &at,
            "--provide-node-service is false",
        ),
        (&["pre-stop", "--timeout=soon"], &at, "it is not a duration"),
        (&["pre-stop", "--cluster=x"], &at, "--cluster"),
    ] {
        let exit = run(arguments, source).unwrap_err();
        assert!(exit.code == 64 && exit.text.contains(expected), "{arguments:?}: {}", exit.text);
    }
}

#[test]
#[cfg(feature = "sandbox")]
fn the_sandbox_has_flags_of_its_own() {
    let invocation =
        run(&["sandbox", "--serve", "--latency=50ms", "--seed", "7", "-v", "4", "--listen=127.0.0.1:8776"])
            .unwrap();
    let Command::Sandbox(flags) = invocation.command else { panic!("{invocation:?}") };
    assert!(flags.serve && !flags.cloud_only && !flags.pause);
    assert_eq!(
        (flags.latency, flags.seed, flags.listen.port()),
        (Latency::Each(std::time::Duration::from_millis(50)), 7, 8776)
    );
    assert_eq!(invocation.log.verbosity, 4);
    for (text, expected) in
        [("lab", Latency::Lab), ("production", Latency::Production), ("none", Latency::None)]
    {
        assert_eq!(sandbox::latency(text), Ok(expected));
    }
    assert_eq!(run(&["sandbox", "--latency=slow"]).unwrap_err().code, 64);
    assert_eq!(run(&["sandbox", "--cluster=x"]).unwrap_err().code, 64);
}

#[test]
fn every_flag_is_documented() {
    let manual = include_str!("../../docs/configuration.md");
    let command = CommandLine::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    for flag in
        commands.flat_map(|command| command.get_arguments()).filter_map(|argument| argument.get_long())
    {
        assert!(manual.contains(&format!("`--{flag}")), "--{flag}");
    }
}

fn checked(arguments: &[&str], source: &Fixed) -> Check {
    let arguments = ["check"].iter().chain(arguments).map(|text| (*text).to_owned());
    match parse(arguments, source).unwrap().command {
        Command::Check(check) => check,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_check_is_of_the_clouds_that_are_named_and_else_of_the_node() {
    let (nothing, set) = (Fixed::default(), Fixed::default().with_var("OS_CLOUD", "lab"));
    let empty = Fixed::default().with_var("OS_AUTH_URL", "");
    for (flags, source, is_cloud) in [
        (&["--cloud-config=/a"][..], &nothing, true),
        (&["--cloud=lab", "--json"], &nothing, true),
        (&["--cloud_name=east"], &nothing, true),
        (&[], &set, true),
        (&["--node"], &set, false),
        (&["--node", "--cloud-config=/a"], &nothing, false),
        (&[], &nothing, false),
        (&[], &empty, false),
    ] {
        let check = checked(flags, source);
        assert_eq!(matches!(check.subject, Subject::Clouds(_)), is_cloud, "{flags:?}");
        assert_eq!((check.json, check.with_topology), (flags.contains(&"--json"), true));
    }
    let check = checked(&["-cloud-config=/a,/b", "--cloud-name=,east", "--cloud-config=/c"], &nothing);
    let Subject::Clouds(request) = check.subject else { panic!("{check:?}") };
    assert_eq!(request.files, ["/a", "/b", "/c"].map(std::path::PathBuf::from));
    assert_eq!(request.clouds, ["", "east"]);
    assert!(!checked(&["--with-topology=true", "--with-topology=false"], &nothing).with_topology);
    for flags in [&["--node", "--cloud=lab"][..], &["--node", "--node-id=x"], &["--cluster=x"]] {
        let arguments = ["check"].iter().chain(flags).map(|text| (*text).to_owned());
        assert_eq!(parse(arguments, &nothing).unwrap_err().code, 64, "{flags:?}");
    }
}
