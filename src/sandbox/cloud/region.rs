//! Regions: the services of several clouds behind one Keystone.

use super::{SimulatedCloud, locked};

impl SimulatedCloud {
    /// The Cinder and Nova of `other`, which answer below `base`, become another region of this cloud's Keystone. They are
    /// for the same users and projects, and take its tokens.
    pub fn add_region(&self, other: &SimulatedCloud, base: &str) {
        let region = other.with_world(|world| world.settings.region.clone());
        let identity = self.with_world(|world| {
            world.regions.push((region, base.to_owned()));
            world.identity.clone()
        });
        other.with_world(|world| {
            let (project, user) = (&identity.projects[0].id, &identity.users[0].id);
            for server in world.servers.values_mut() {
                (server.project, server.user) = (project.clone(), user.clone());
            }
            world.identity = identity;
        });
        locked(&self.inner.regions).push(other.clone());
    }

    /// What Keystone has given so far is good in every region.
    pub(super) fn tell_regions(&self) {
        let regions = locked(&self.inner.regions).clone();
        if regions.is_empty() {
            return;
        }
        let tokens = self.with_world(|world| world.identity.tokens.clone());
        for region in regions {
            region.with_world(|world| world.identity.tokens.clone_from(&tokens));
        }
    }
}
