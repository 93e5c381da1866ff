//! Whether the driver can be of use, and else why not.

use super::{Access, Registration};

/// What was asked for at the start; a driver that needs neither is ready at once.
#[derive(Clone)]
pub struct Readiness {
    /// Of a controller.
    pub access: Option<Access>,
    /// Of a node that registers itself: a rollout must not go on over nodes where nothing mounts.
    pub registration: Option<Registration>,
}

impl Readiness {
    /// A sentence either way, or several.
    pub fn summary(&self) -> Result<String, String> {
        if let Some(registration) = &self.registration {
            registration.state()?;
        }
        self.access.as_ref().map_or_else(|| Ok(String::new()), Access::summary)
    }
}
