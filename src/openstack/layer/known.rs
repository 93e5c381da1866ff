//! The label `request`, as the existing driver's dashboards know it: resource and verb of its calls in
//! <https://github.com/kubernetes/cloud-provider-openstack/tree/master/pkg/csi/cinder/openstack>.

/// A call that the existing driver doesn't make.
const OTHER: &str = "other";

/// What it calls this operation.
pub(super) fn known(operation: &str) -> &'static str {
    match operation {
        "create a volume" => "volume_create",
        "show the volume" => "volume_get",
        "delete the volume" => "volume_delete",
        "extend the volume" => "volume_expand",
        "attach the volume" => "volume_attach",
        "detach the volume" => "volume_detach",
        "list volumes"
        | "list the volumes of a name"
        | "list the volumes that changed"
        | "list the volumes that are new"
        | "list the volumes being deleted" => "volume_list",
        "snapshot the volume" => "snapshot_create",
        "show the snapshot" => "snapshot_get",
        "delete the snapshot" => "snapshot_delete",
        "list snapshots"
        | "list the snapshots of a name"
        | "list the snapshots of a status"
        | "list the volume's snapshots" => "snapshot_list",
        "back up the volume" => "backup_create",
        "show the backup" => "backup_get",
        "delete the backup" => "backup_delete",
        "list backups" | "list the backups of a name" | "list the backups of a status" => "backup_list",
        "show the server" => "server_get",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn sources(directory: &Path, all: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if !path.ends_with("known.rs") {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    /// The texts of the table, its operations and the existing driver's names.
    fn names() -> impl Iterator<Item = &'static str> {
        let table = include_str!("known.rs").split("fn known").nth(1).unwrap();
        table.split("_ => OTHER").next().unwrap().split('"').skip(1).step_by(2)
    }

    /// An operation that gets another name must be renamed here, too.
    #[test]
    fn every_name_is_of_an_operation_that_there_is() {
        let mut all = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/openstack"), &mut all);
        let operations = names().filter(|text| text.contains(' '));
        let mut count = 0;
        for operation in operations {
            assert!(all.contains(&format!("\"{operation}\"")), "no call is there to {operation}");
            count += 1;
        }
        assert!(count > 0, "the table isn't read");
    }

    #[test]
    fn the_existing_drivers_names_are_all_documented() {
        let manual = include_str!("../../../docs/metrics.md");
        let row = |name: &str| manual.contains(&format!("| `{name}` |"));
        for name in
            ["volume_create", "volume_get", "volume_list", "snapshot_list", "backup_get", "server_get"]
        {
            assert!(row(name), "docs/metrics.md doesn't map {name}");
        }
    }
}
