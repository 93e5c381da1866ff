//! Nova's metadata service: what a server learns of itself.
//!
//! The real one knows the server by the address that asks: <https://docs.openstack.org/nova/latest/user/metadata.html>.
//! Here the path begins with the server's id, because all servers are one machine.

use http::Method;
use serde_json::json;

use super::super::world::World;
use super::answer::Answer;
use super::request::Request;

pub(super) fn answer(request: &Request, world: &World) -> Answer {
    let missing = || Answer::fault(404, "The resource could not be found.");
    let [id, "openstack", "latest", "meta_data.json"] = request.segments.as_slice() else { return missing() };
    match world.servers.get(*id).filter(|_| *request.method == Method::GET) {
        Some(server) => Answer::new(
            200,
            json!({
                "uuid": server.id,
                "name": server.name,
                "hostname": server.name,
                "availability_zone": server.zone,
                "project_id": server.project,
                "launch_index": 0,
                "devices": [],
            }),
        ),
        None => missing(),
    }
}
