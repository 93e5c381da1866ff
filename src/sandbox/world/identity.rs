//! Keystone's half of the world: users, projects, credentials, tokens.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{Quota, World, new_plain_id};

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Project {
    pub id: String,
    pub name: String,
    pub quota: Quota,
}

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct User {
    pub id: String,
    pub name: String,
    pub password: String,
    /// The project that the user is a member of.
    pub project: String,
}

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct AppCredential {
    pub id: String,
    pub name: String,
    pub secret: String,
    pub user: String,
}

/// Lets its trustee act in the trustor's project.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Trust {
    pub id: String,
    pub trustee: String,
    pub trustor: String,
    pub project: String,
}

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Token {
    pub user: String,
    /// `None`: the token is unscoped and has no catalog.
    pub project: Option<String>,
    pub methods: Vec<&'static str>,
    pub issued: SystemTime,
    pub expires: SystemTime,
    pub audit: String,
    pub trust: Option<String>,
    pub app_credential: Option<String>,
}

#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Identity {
    pub projects: Vec<Project>,
    pub users: Vec<User>,
    pub app_credentials: Vec<AppCredential>,
    pub trusts: Vec<Trust>,
    pub tokens: BTreeMap<String, Token>,
    /// Of the identity provider, and when they end.
    pub access_tokens: BTreeMap<String, SystemTime>,
}

/// What the small project of `tests/openstack` may have.
fn small() -> Quota {
    Quota { volumes: 2, gigabytes: 4, per_volume_gigabytes: Some(4), snapshots: 1, ..Quota::default() }
}

impl Identity {
    pub fn new(random: &mut fastrand::Rng, quota: Quota) -> Self {
        let mut project =
            |name: &str, quota| Project { id: new_plain_id(random), name: name.to_owned(), quota };
        let (whole, small) = (project("k8s", quota), project("k8s-small", small()));
        let mut user = |name: &str, project: &Project| User {
            id: new_plain_id(random),
            name: name.to_owned(),
            password: "labsecret".to_owned(),
            project: project.id.clone(),
        };
        let users = vec![user("csi", &whole), user("csi-small", &small), user("csi-trustee", &small)];
        let app_credentials = vec![AppCredential {
            id: new_plain_id(random),
            name: "csi-app".to_owned(),
            secret: "appsecret".to_owned(),
            user: users[0].id.clone(),
        }];
        let trusts = vec![Trust {
            id: new_plain_id(random),
            trustee: users[2].id.clone(),
            trustor: users[0].id.clone(),
            project: whole.id.clone(),
        }];
        Self {
            projects: vec![whole, small],
            users,
            app_credentials,
            trusts,
            tokens: BTreeMap::new(),
            access_tokens: BTreeMap::new(),
        }
    }

    pub fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub fn project(&self, id: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == id)
    }
}

impl World {
    /// A token that Keystone gave, and that is neither expired nor revoked.
    pub fn valid_token(&self, token: &str) -> Option<&Token> {
        self.identity.tokens.get(token).filter(|token| token.expires > self.now())
    }

    /// Keeps the token and names it.
    pub fn issue(&mut self, token: Token) -> String {
        let name = format!("gAAAAA{}{}", new_plain_id(&mut self.random), new_plain_id(&mut self.random));
        self.identity.tokens.insert(name.clone(), token);
        name
    }

    /// An access token of the identity provider, good for `life`.
    pub fn give_access_token(&mut self, life: Duration) -> String {
        let token = format!("access-{}", new_plain_id(&mut self.random));
        let ends = self.now() + life;
        self.identity.access_tokens.insert(token.clone(), ends);
        token
    }

    pub fn revoke(&mut self, token: &str) {
        self.identity.tokens.remove(token);
    }
}
