//! A user of the driver's project whose password a test may change.

use std::path::Path;

use http::Method;
use serde_json::{Value, json};

use crate::bed::Lab;
use crate::client::{Client, Reply};
use crate::others::{administrator, auth_url};

pub struct User {
    administrator: Client,
    keystone: String,
    name: String,
    id: String,
}

impl User {
    pub async fn new(lab: &Lab, name: &str, password: &str) -> Self {
        let administrator = administrator(lab).await;
        let mut user =
            Self { administrator, keystone: auth_url(lab), name: name.to_owned(), id: String::new() };
        // Of a run that broke off.
        if let Some(old) = user.find(&format!("/users?name={name}"), "users").await {
            user.id = old;
            user.ask(Method::DELETE, "", None).await;
        }
        let wanted = json!({ "user": { "name": name, "password": password, "domain_id": "default" } });
        let made = user.send(Method::POST, "/users", Some(wanted)).await;
        user.id = made.body["user"]["id"].as_str().unwrap().to_owned();
        let project = user.find("/projects?name=k8s", "projects").await.unwrap();
        let role = user.find("/roles?name=member", "roles").await.unwrap();
        user.send(Method::PUT, &format!("/projects/{project}/users/{}/roles/{role}", user.id), None).await;
        user
    }

    /// Keystone then takes none of the user's tokens any more:
    /// <https://docs.openstack.org/api-ref/identity/v3/#update-user>.
    pub async fn set_password(&self, password: &str) {
        self.ask(Method::PATCH, "", Some(json!({ "user": { "password": password } }))).await;
    }

    pub async fn remove(self) {
        self.ask(Method::DELETE, "", None).await;
    }

    /// The settings of a driver that is this user.
    pub fn conf(&self, auth_url: &str, password: &str, ca: Option<&Path>) -> String {
        let ca = ca.map(|path| format!("ca-file = {}\n", path.display())).unwrap_or_default();
        format!(
            "[Global]\nauth-url = {auth_url}\nusername = {}\npassword = {password}\ntenant-name = k8s\n\
             domain-name = Default\nregion = RegionOne\n{ca}",
            self.name
        )
    }

    async fn find(&self, path: &str, kind: &str) -> Option<String> {
        let reply = self.send(Method::GET, path, None).await;
        Some(reply.body[kind][0]["id"].as_str()?.to_owned())
    }

    async fn ask(&self, method: Method, below: &str, body: Option<Value>) -> Reply {
        self.send(method, &format!("/users/{}{below}", self.id), body).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let reply =
            self.administrator.send(method, &format!("{}{path}", self.keystone), "", body).await.unwrap();
        assert!(reply.code < 300, "{path}: {} {}", reply.code, reply.body);
        reply
    }
}
