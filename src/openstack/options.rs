//! How to reach a cloud and as whom. `config` fills it; nothing here reads a file.

use secrecy::SecretString;
use url::Url;

#[derive(Clone, Debug)]
pub struct Options {
    /// Keystone's URL, with or without `/v3`.
    pub auth_url: Url,
    pub credential: Credential,
    /// `None`: the only region of the catalog, or its first.
    pub region: Option<String>,
    pub interface: Interface,
    pub tls: Tls,
    /// Words put before our own in `User-Agent`.
    pub user_agent: Vec<String>,
    /// What the log and the metrics call the cloud; "" is the unnamed one.
    pub name: String,
    /// Send no microversion to Cinder (`ignore-volume-microversion`).
    pub ignore_volume_microversion: bool,
    pub places: Places,
}

impl Options {
    /// The unnamed cloud, its only region and public endpoints, and the machine's trusted certificates.
    pub fn new(auth_url: Url, credential: Credential) -> Self {
        Self {
            auth_url,
            credential,
            region: None,
            interface: Interface::default(),
            tls: Tls::default(),
            user_agent: Vec::new(),
            name: String::new(),
            ignore_volume_microversion: false,
            places: Places::default(),
        }
    }
}

/// Where a person finds the settings that an error is about: `"region" in /etc/config/cloud.conf:5`.
#[derive(Clone, Debug)]
pub struct Places {
    pub auth_url: String,
    /// The password, or what else proves who we are, and what it belongs to.
    pub credential: String,
    pub region: String,
    pub interface: String,
    pub ca: String,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            auth_url: "auth-url".to_owned(),
            credential: "the cloud's configuration".to_owned(),
            region: "region".to_owned(),
            interface: "os-endpoint-type".to_owned(),
            ca: "ca-file".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    #[default]
    Public,
    Internal,
    Admin,
}

#[derive(Clone, Debug)]
pub enum Credential {
    Password { user: User, password: SecretString, scope: Scope },
    ApplicationCredential { by: ApplicationCredential, secret: SecretString },
    Token { token: SecretString, scope: Scope },
    Federated { who: Federated, scope: Scope },
}

/// A user that another identity provider vouches for, over OpenID Connect.
#[derive(Clone, Debug)]
pub struct Federated {
    /// Its name in Keystone.
    pub identity_provider: String,
    pub protocol: String,
    pub proof: Proof,
}

#[derive(Clone, Debug)]
pub enum Proof {
    AccessToken(SecretString),
    Client(Client),
}

/// Who gets an access token from the provider, and how.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: String,
    pub secret: Option<SecretString>,
    pub endpoint: TokenEndpoint,
    pub scope: String,
    pub token_type: TokenType,
    pub grant: Grant,
}

#[derive(Clone, Debug)]
pub enum TokenEndpoint {
    At(Url),
    /// By the provider's discovery document.
    ToldBy(Url),
}

/// <https://www.rfc-editor.org/rfc/rfc6749#section-4>
#[derive(Clone, Debug)]
pub enum Grant {
    ClientCredentials,
    Password { username: String, password: SecretString },
}

/// Which of the provider's tokens Keystone wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    #[default]
    AccessToken,
    IdToken,
}

impl TokenType {
    /// Its name in the provider's answer, and in settings.
    pub fn name(self) -> &'static str {
        match self {
            TokenType::AccessToken => "access_token",
            TokenType::IdToken => "id_token",
        }
    }
}

#[derive(Clone, Debug)]
pub enum ApplicationCredential {
    Id(String),
    Name { name: String, user: User },
}

#[derive(Clone, Debug)]
pub enum User {
    Id(String),
    Name { name: String, domain: UserDomain },
}

#[derive(Clone, Debug)]
pub enum UserDomain {
    Id(String),
    Name(String),
}

#[derive(Clone, Debug)]
pub enum Scope {
    ProjectId(String),
    ProjectName {
        name: String,
        domain: UserDomain,
    },
    Trust(String),
    /// None asked for: the user's default project (password), or the token's own scope.
    Unscoped,
}

#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// PEM: authorities, or one self-signed server certificate to be matched exactly.
    pub ca: Option<Vec<u8>>,
    /// PEM: the client's certificate chain and key.
    pub identity: Option<(Vec<u8>, SecretString)>,
    /// `tls-insecure`: don't verify the server.
    pub insecure: bool,
}

/// Through whom to reach the clouds: the environment says it for the whole process.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    /// For `http://` URLs. A proxy's URL may hold a password.
    pub http: Option<SecretString>,
    /// For `https://` URLs.
    pub https: Option<SecretString>,
    /// Hosts reached directly, as `NO_PROXY` lists them.
    pub bypass: String,
}
