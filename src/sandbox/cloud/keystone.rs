//! Keystone v3: tokens and the catalog.

mod federation;

use http::Method;
use serde_json::{Value, json};

use super::super::world::{Identity, Token, User, World, new_plain_id, timestamp_with};
use super::answer::Answer;
use super::request::{Request, unknown_path};

/// What an authentication request proves and asks for.
struct Claim {
    user: String,
    methods: Vec<&'static str>,
    project: Option<String>,
    trust: Option<String>,
    app_credential: Option<String>,
}

pub(super) fn answer(request: &Request<'_>, world: &mut World) -> Answer {
    let method = request.method;
    match request.segments.as_slice() {
        [] => versions(request),
        ["v3"] => Answer::new(200, json!({ "version": version(request) })),
        ["v3", "auth", "tokens"] if method == Method::POST => authenticate(request, world),
        ["v3", "auth", "tokens"] if method == Method::GET || method == Method::HEAD => {
            validate(request, world)
        }
        ["v3", "auth", "tokens"] if method == Method::DELETE => revoke(request, world),
        ["idp", ..] => federation::provider(request, world),
        ["v3", "OS-FEDERATION", "identity_providers", provider, "protocols", protocol, "auth"]
            if method == Method::POST || method == Method::GET =>
        {
            federation::login(request, world, provider, protocol)
        }
        ["v3", "auth", "catalog"] => catalog_answer(request, world),
        ["v3", "projects", id] => project(request, world, id),
        _ => unknown_path(),
    }
}

fn versions(request: &Request<'_>) -> Answer {
    let body = json!({ "versions": { "values": [version(request)] } });
    Answer::new(300, body).with("Location", format!("{}/identity/v3/", request.base))
}

fn version(request: &Request<'_>) -> Value {
    json!({
        "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{ "rel": "self", "href": format!("{}/identity/v3/", request.base) }],
        "media-types": [{ "base": "application/json", "type": "application/vnd.openstack.identity-v3+json" }],
    })
}

fn authenticate(request: &Request<'_>, world: &mut World) -> Answer {
    let now = world.now();
    let Some(claim) = prove(&request.body["auth"], world) else { return Answer::unauthorized(&request.base) };
    let token = Token {
        user: claim.user,
        project: claim.project,
        methods: claim.methods,
        issued: now,
        expires: now + world.settings.token_lifetime,
        audit: world.new_id().replace('-', ""),
        trust: claim.trust,
        app_credential: claim.app_credential,
    };
    let body = shown(request, world, &token);
    let name = world.issue(token);
    Answer::new(201, body).with("X-Subject-Token", name).with("Vary", "X-Auth-Token")
}

fn validate(request: &Request<'_>, world: &World) -> Answer {
    if request.token.and_then(|token| world.valid_token(token)).is_none() {
        return Answer::unauthorized(&request.base);
    }
    match request.subject.and_then(|subject| Some((subject, world.valid_token(subject)?))) {
        Some((name, token)) => Answer::new(200, shown(request, world, token)).with("X-Subject-Token", name),
        None => Answer::fault(404, "The token could not be found."),
    }
}

fn revoke(request: &Request<'_>, world: &mut World) -> Answer {
    if request.token.and_then(|token| world.valid_token(token)).is_none() {
        return Answer::unauthorized(&request.base);
    }
    world.revoke(request.subject.unwrap_or_default());
    Answer::empty(204)
}

fn catalog_answer(request: &Request<'_>, world: &World) -> Answer {
    match request.token.and_then(|token| world.valid_token(token)) {
        Some(Token { project: Some(project), .. }) => {
            Answer::new(200, json!({ "catalog": catalog(&request.base, world, project) }))
        }
        _ => Answer::unauthorized(&request.base),
    }
}

fn project(request: &Request<'_>, world: &World, id: &str) -> Answer {
    let owner =
        request.token.and_then(|token| world.valid_token(token)).and_then(|token| token.project.as_deref());
    match world.identity.project(id).filter(|project| owner == Some(&project.id)) {
        Some(project) => Answer::new(
            200,
            json!({ "project": { "id": project.id, "name": project.name, "domain_id": "default" } }),
        ),
        None => Answer::unauthorized(&request.base),
    }
}

/// Who the request proves to be; `None` where it doesn't.
fn prove(auth: &Value, world: &World) -> Option<Claim> {
    let identity = &world.identity;
    let proof = &auth["identity"];
    let methods = proof["methods"].as_array()?;
    let mut claim = match methods.first()?.as_str()? {
        "password" => by_password(&proof["password"]["user"], identity)?,
        "application_credential" => by_app_credential(&proof["application_credential"], identity)?,
        "token" => by_token(proof["token"]["id"].as_str()?, world)?,
        _ => return None,
    };
    scope(&auth["scope"], identity, &mut claim)?;
    Some(claim)
}

fn by_password(user: &Value, identity: &Identity) -> Option<Claim> {
    let known = find_user(user, identity)?;
    (known.password == user["password"].as_str()?).then(|| Claim::of(known.id.clone(), "password"))
}

fn by_app_credential(credential: &Value, identity: &Identity) -> Option<Claim> {
    let known = identity.app_credentials.iter().find(|known| match credential["id"].as_str() {
        Some(id) => known.id == id,
        None => {
            let owner = find_user(&credential["user"], identity);
            credential["name"] == *known.name && owner.is_some_and(|owner| owner.id == known.user)
        }
    })?;
    let project = identity.user(&known.user)?.project.clone();
    let mut claim = Claim::of(known.user.clone(), "application_credential");
    claim.project = Some(project);
    claim.app_credential = Some(known.id.clone());
    (known.secret == credential["secret"].as_str()?).then_some(claim)
}

/// A token proves its own user. The new token has the old one's method, too.
fn by_token(name: &str, world: &World) -> Option<Claim> {
    let token = world.valid_token(name)?;
    let mut claim = Claim::of(token.user.clone(), "token");
    claim.methods.extend(token.methods.iter().filter(|method| **method != "token"));
    claim.project = token.project.clone();
    Some(claim)
}

fn scope(scope: &Value, identity: &Identity, claim: &mut Claim) -> Option<()> {
    if let Some(id) = scope["OS-TRUST:trust"]["id"].as_str() {
        let trust = identity.trusts.iter().find(|trust| trust.id == id && trust.trustee == claim.user)?;
        claim.project = Some(trust.project.clone());
        claim.user = trust.trustor.clone();
        claim.trust = Some(trust.id.clone());
        return Some(());
    }
    let wanted = &scope["project"];
    if wanted.is_null() {
        return Some(());
    }
    // A credential is bound to its project: Keystone refuses any scope beside it.
    if claim.app_credential.is_some() {
        return None;
    }
    let found = identity.projects.iter().find(|project| match wanted["id"].as_str() {
        Some(id) => project.id == id,
        None => wanted["name"] == *project.name && is_default_domain(&wanted["domain"]),
    })?;
    let member = identity.user(&claim.user).is_some_and(|user| user.project == found.id);
    let same = claim.project.as_ref() == Some(&found.id);
    claim.project = Some(found.id.clone());
    (member || same).then_some(())
}

fn find_user<'a>(user: &Value, identity: &'a Identity) -> Option<&'a User> {
    identity.users.iter().find(|known| match user["id"].as_str() {
        Some(id) => known.id == id,
        None => user["name"] == *known.name && is_default_domain(&user["domain"]),
    })
}

fn is_default_domain(domain: &Value) -> bool {
    domain["id"] == "default" || domain["name"] == "Default"
}

fn shown(request: &Request<'_>, world: &World, token: &Token) -> Value {
    let domain = json!({ "id": "default", "name": "Default" });
    let user = world.identity.user(&token.user);
    let time = |time| timestamp_with(time, "%Y-%m-%dT%H:%M:%S.000000Z");
    let mut body = json!({
        "methods": token.methods,
        "user": {
            "domain": domain, "id": token.user, "name": user.map(|user| user.name.as_str()),
            "password_expires_at": null,
        },
        "audit_ids": [token.audit],
        "expires_at": time(token.expires),
        "issued_at": time(token.issued),
    });
    if let Some(project) = token.project.as_deref().and_then(|id| world.identity.project(id)) {
        body["project"] = json!({ "domain": domain, "id": project.id, "name": project.name });
        body["is_domain"] = json!(false);
        body["roles"] = json!([{ "id": "member", "name": "member" }, { "id": "reader", "name": "reader" }]);
        body["catalog"] = catalog(&request.base, world, &project.id);
    }
    if let Some(trust) = &token.trust {
        body["OS-TRUST:trust"] = json!({ "id": trust, "impersonation": true });
    }
    if let Some(credential) = &token.app_credential {
        body["application_credential"] = json!({ "id": credential, "restricted": true });
    }
    json!({ "token": body })
}

fn catalog(base: &str, world: &World, project: &str) -> Value {
    let compute = format!("{}/v2.1", world.address("compute"));
    let volume = format!("{}/v3/{project}", world.address("volume"));
    json!([
        service(world, base, "compute", "nova", &compute),
        service(world, base, "identity", "keystone", "identity/v3/"),
        service(world, base, "volumev3", "cinderv3", &volume),
        service(world, base, "block-storage", "cinder", &volume),
    ])
}

fn service(world: &World, base: &str, kind: &str, name: &str, path: &str) -> Value {
    let mut ids = fastrand::Rng::with_seed(kind.bytes().map(u64::from).sum());
    let own = (world.settings.region.as_str(), base);
    let others = world.regions.iter().map(|(region, base)| (region.as_str(), base.as_str()));
    let endpoints: Vec<_> = std::iter::once(own)
        .chain(others)
        .flat_map(|(region, base)| ["internal", "public", "admin"].map(|interface| (region, base, interface)))
        .map(|(region, base, interface)| {
            json!({
                "id": new_plain_id(&mut ids), "interface": interface, "region": region, "region_id": region,
                "url": format!("{base}/{path}"),
            })
        })
        .collect();
    json!({ "id": new_plain_id(&mut ids), "type": kind, "name": name, "endpoints": endpoints })
}

impl Claim {
    fn of(user: String, method: &'static str) -> Self {
        Self { user, methods: vec![method], project: None, trust: None, app_credential: None }
    }
}
