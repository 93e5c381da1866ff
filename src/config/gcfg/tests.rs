use super::*;
use secrecy::ExposeSecret;

/// The value of the one variable in `text`, under a section.
fn value(text: &str) -> Option<String> {
    let items = parse(format!("[s]\n{text}").as_bytes()).unwrap();
    let Item::Variable(variable) = &items[1] else { panic!("{items:?}") };
    variable.value.as_ref().map(|value| value.expose_secret().to_owned())
}

#[test]
fn values_are_read_as_gcfg_reads_them() {
    let table = [
        ("k = v", "v"),
        ("k=v", "v"),
        ("k =  two words  ", "two words"),
        ("k =", ""),
        ("k = \"\"", ""),
        ("k = \" kept \"  ", " kept "),
        ("k = a\" b \"c", "a b c"),
        ("k = v # comment", "v"),
        ("k = v ; comment", "v"),
        ("k = \"a#b;c\"", "a#b;c"),
        ("k = a=b", "a=b"),
        ("k = [x]", "[x]"),
        ("k = \"tab\\tline\\nquote\\\"slash\\\\\"", "tab\tline\nquote\"slash\\"),
        ("k = \\\"v\\\"", "\"v\""),
        ("k = a \\\n  b", "a   b"),
        ("k = a\\\r\nb\r\n", "ab"),
        ("k = v\r\n", "v"),
        ("K = V", "V"),
        ("k = häß", "häß"),
    ];
    for (text, expected) in table {
        assert_eq!(value(text).as_deref(), Some(expected), "{text:?}");
    }
    assert_eq!(value("k"), None);
    assert_eq!(value("k # comment"), None);
}

#[test]
fn sections_have_names_and_quoted_names() {
    let text = "\u{feff}; first\n[Global]\n[ Global \"a b\" ] # c\n[Global\"x\\\\\\\"y\"]\n";
    let names: Vec<_> = parse(text.as_bytes())
        .unwrap()
        .into_iter()
        .map(|item| match item {
            Item::Section { line, name, subsection } => (line, name, subsection),
            Item::Variable(_) => panic!("no variable here"),
        })
        .collect();
    let name = || "Global".to_owned();
    assert_eq!(
        names,
        [(2, name(), None), (3, name(), Some("a b".into())), (4, name(), Some("x\\\"y".into()))]
    );
}

#[test]
fn malformed_text_is_refused_with_its_line() {
    let table: [(&[u8], u64); 22] = [
        (b"k = v", 1),
        (b"\n= v", 2),
        (b"[", 1),
        (b"[]", 1),
        (b"[s", 1),
        (b"[s\n]", 1),
        (b"[s \"]", 1),
        (b"[s \"\"]", 1),
        (b"[s \"a\\n\"]", 1),
        (b"[s] k = v", 1),
        (b"[1]", 1),
        (b"[s]\nk v", 2),
        (b"[s]\nk: v", 2),
        (b"[s]\nuser_name = v", 2),
        (b"[s]\n9 = v", 2),
        (b"[s]\nk = \"v", 2),
        (b"[s]\nk = \"v\nw\"", 2),
        (b"[s]\nk = a\\b", 2),
        (b"[s]\nk = \"a\\x\"", 2),
        (b"[s]\nk = a\\", 2),
        (b"[s]\n\nk = \xff\n", 3),
        (b"[s]\nk = \0", 2),
    ];
    for (text, line) in table {
        let error = parse(text).expect_err(&String::from_utf8_lossy(text));
        assert_eq!(error.line, line, "{:?}: {error:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn a_comment_that_touches_a_value_is_noted() {
    for (text, expected) in [
        ("p = ab#c", true),
        ("p = ab;c", true),
        ("p = ab #c", false),
        ("p = \"ab#c\"", false),
        ("p = #c", false),
    ] {
        let items = parse(format!("[s]\n{text}").as_bytes()).unwrap();
        let Item::Variable(variable) = &items[1] else { panic!("{items:?}") };
        assert_eq!(variable.cut, expected, "{text}");
    }
}

#[test]
fn no_text_panics_and_every_line_number_is_within_the_text() {
    let alphabet =
        ["[", "]", "\"", "\\", "\n", "\r", " ", "\t", "=", ";", "#", "a", "Global", "-", "_", "é", "\0", "1"];
    for seed in 0..5_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let text: String =
            (0..random.usize(0..40)).map(|_| alphabet[random.usize(0..alphabet.len())]).collect();
        let lines = text.matches('\n').count() as u64 + 1;
        match parse(text.as_bytes()) {
            Err(error) => assert!((1..=lines).contains(&error.line), "seed {seed}: {text:?}: {error:?}"),
            Ok(items) => assert!(items.len() as u64 <= lines, "seed {seed}: {text:?}"),
        }
        let bytes: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(..)).collect();
        let _ = parse(&bytes);
    }
}

#[test]
fn a_written_value_is_read_back() {
    for seed in 0..5_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let secret: String = (0..random.usize(0..30))
            .map(|_| random.char('\u{1}'..'\u{250}'))
            .filter(|c| *c != '\r')
            .collect();
        let escaped =
            secret.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
        assert_eq!(value(&format!("k = \"{escaped}\"")).as_deref(), Some(secret.as_str()), "seed {seed}");
    }
}
