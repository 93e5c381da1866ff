//! The token, the clock, the certificates and the catalog.

use std::time::Duration;

use super::{Row, trouble};
use crate::openstack::{Admission, Credential, Options};

/// A token is replaced before it ends. One that ends sooner than this makes a login of every few calls.
const SHORT: Duration = Duration::from_secs(600);
/// Logs that differ by more can't be read beside each other.
const OFF: u64 = 30;

pub fn authentication(admission: &Admission, options: &Options) -> Row {
    const CHECK: &str = "authentication";
    let user = admission.user.as_deref().unwrap_or("a user without a name");
    let life = span(admission.life);
    let Some(project) = &admission.project else {
        let next =
            format!("name the project, tenant-id or tenant-name, beside {}", options.places.credential);
        return Row::failed(CHECK, format!("the token of {user} is for no project"), next);
    };
    let roles = match admission.roles.is_empty() {
        true => "without a role".to_owned(),
        false => format!("roles {}", admission.roles.join(", ")),
    };
    let found = format!("a token for {life}, as {user} in project {project}, {roles}");
    if matches!(options.credential, Credential::Token { .. }) {
        let next = "use a password or an application credential: a token can't be renewed, and the access ends with it";
        return Row::warning(CHECK, found, next);
    }
    match admission.life < SHORT {
        true => Row::warning(
            CHECK,
            found,
            "ask the cloud's operator for longer ones (Keystone's [token] expiration)",
        ),
        false => Row::ok(CHECK, found),
    }
}

pub fn clock(admission: &Admission) -> Row {
    const CHECK: &str = "clock";
    let next = "synchronise this machine's clock (NTP), or have the operator do it for the cloud's: certificates and logs \
        go by them";
    match admission.ahead {
        None => {
            Row::unknown(CHECK, "Keystone's answer has no date", "nothing, unless a certificate is refused")
        }
        Some(0) => Row::ok(CHECK, "the cloud's and ours agree"),
        Some(ahead) => {
            let side = if ahead > 0 { "ahead of" } else { "behind" };
            let off = ahead.unsigned_abs();
            let found = format!("the cloud's is {} {side} ours", span(Duration::from_secs(off)));
            if off < OFF { Row::ok(CHECK, found) } else { Row::warning(CHECK, found, next) }
        }
    }
}

/// Once Keystone has answered, so that its certificate is known to be good.
pub fn tls(options: &Options, admission: Option<&Admission>) -> Row {
    const CHECK: &str = "tls";
    let places = &options.places;
    if options.auth_url.scheme() != "https" {
        let next = format!("have {} begin with https:// where the cloud has it", places.auth_url);
        return Row::warning(CHECK, "password and tokens go over http, readable on their way", next);
    }
    if options.tls.insecure {
        let next = format!("remove tls-insecure, and name the cloud's authority: {}", places.ca);
        return Row::warning(
            CHECK,
            "certificates aren't verified: whoever is on the way can read and change",
            next,
        );
    }
    let endpoints = admission.into_iter().flat_map(|admission| [&admission.cinder, &admission.nova]);
    let bare: Vec<_> =
        endpoints.flatten().filter(|url| url.scheme() != "https").map(|url| url.to_string()).collect();
    if !bare.is_empty() {
        let found = format!("the catalog names {}: tokens go there readable", bare.join(" and "));
        return Row::warning(
            CHECK,
            found,
            format!("ask the operator for https, or choose others by {}", places.interface),
        );
    }
    let by = if options.tls.ca.is_some() { "ca-file" } else { "the machine's authorities" };
    Row::ok(CHECK, format!("Keystone's certificate is trusted, by {by}"))
}

/// One row for what is missing, however much it is: the settings to change are the same.
pub fn catalog(admission: &Admission, options: &Options) -> Row {
    const CHECK: &str = "catalog";
    match (&admission.cinder, &admission.nova) {
        (Ok(cinder), Ok(nova)) => Row::ok(CHECK, format!("Cinder at {cinder}, Nova at {nova}")),
        (Err(error), _) | (_, Err(error)) => trouble::row(CHECK, error, &options.places),
    }
}

/// `4 h`, `1 h 30 min`, `59 s`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let mut parts = parts.into_iter().filter(|(count, _)| *count > 0).take(2);
    match parts.next() {
        None => "0 s".to_owned(),
        Some((count, unit)) => {
            let rest: Vec<_> = parts.map(|(count, unit)| format!(" {count} {unit}")).collect();
            format!("{count} {unit}{}", rest.concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::openstack::{Scope, Tls};

    fn options(auth_url: &str) -> Options {
        let token = "t".to_owned().into();
        let credential = Credential::ApplicationCredential {
            by: crate::openstack::ApplicationCredential::Id("a".into()),
            secret: token,
        };
        Options::new(auth_url.parse().unwrap(), credential)
    }

    fn admission() -> Admission {
        Admission {
            life: Duration::from_secs(14_399),
            user: Some("csi".into()),
            project: Some("k8s".into()),
            roles: vec!["member".into(), "reader".into()],
            ahead: Some(0),
            cinder: Ok("https://c/v3/".parse().unwrap()),
            nova: Ok("https://n/v2.1/".parse().unwrap()),
        }
    }

    #[test]
    fn a_token_says_who_we_are_and_how_long() {
        let row = authentication(&admission(), &options("https://k/v3"));
        assert_eq!(row.found, "a token for 3 h 59 min, as csi in project k8s, roles member, reader");
        assert_eq!(row.verdict, Verdict::Ok);
        let short = Admission { life: Duration::from_secs(59), ..admission() };
        assert_eq!(authentication(&short, &options("https://k/v3")).verdict, Verdict::Warning);
        let nowhere = Admission { project: None, ..admission() };
        assert_eq!(authentication(&nowhere, &options("https://k/v3")).verdict, Verdict::Failed);
        let credential = Credential::Token { token: "t".to_owned().into(), scope: Scope::Unscoped };
        let row = authentication(&admission(), &Options { credential, ..options("https://k/v3") });
        assert_eq!(row.verdict, Verdict::Warning);
        assert!(row.next.unwrap().contains("can't be renewed"));
    }

    #[test]
    fn a_clock_may_be_off_by_what_nobody_notices() {
        for (ahead, verdict, found) in [
            (Some(0), Verdict::Ok, "the cloud's and ours agree"),
            (Some(2), Verdict::Ok, "the cloud's is 2 s ahead of ours"),
            (Some(-300), Verdict::Warning, "the cloud's is 5 min behind ours"),
            (Some(i64::MIN), Verdict::Warning, ""),
            (None, Verdict::Unknown, "Keystone's answer has no date"),
        ] {
            let row = clock(&Admission { ahead, ..admission() });
            assert_eq!(row.verdict, verdict);
            assert!(row.found.contains(found), "{row:?}");
        }
    }

    #[test]
    fn what_is_not_encrypted_or_not_verified_is_a_warning() {
        let seen = |options: &Options, admission: &Admission| {
            let row = tls(options, Some(admission));
            (row.verdict, row.found)
        };
        let good = options("https://k/v3");
        let by = |words: &str| (Verdict::Ok, format!("Keystone's certificate is trusted, by {words}"));
        assert_eq!(seen(&good, &admission()), by("the machine's authorities"));
        let own = Options { tls: Tls { ca: Some(Vec::new()), ..Tls::default() }, ..options("https://k/v3") };
        assert_eq!(seen(&own, &admission()), by("ca-file"));
        let careless = Options { tls: Tls { insecure: true, ..Tls::default() }, ..options("https://k/v3") };
        let half = Admission { nova: Ok("http://n/v2.1/".parse().unwrap()), ..admission() };
        for (options, admission, words) in [
            (&options("http://k/v3"), &admission(), "over http"),
            (&careless, &admission(), "aren't verified"),
            (&good, &half, "http://n/v2.1/"),
        ] {
            let (verdict, found) = seen(options, admission);
            assert!(verdict == Verdict::Warning && found.contains(words), "{found}");
        }
    }
}
