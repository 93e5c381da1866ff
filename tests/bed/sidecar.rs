//! What each sidecar makes of a code.

use tonic::Code;

/// Who calls an RPC, and reads its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sidecar {
    Provisioner,
    Attacher,
    Resizer,
    /// The external-resizer again, for a VolumeAttributesClass.
    Modifier,
    Snapshotter,
    /// The external-snapshotter again, for a VolumeGroupSnapshot.
    GroupSnapshotter,
}

/// Codes after which an operation may still be under way. After any other the sidecar forgets that it began.
const PENDING: [Code; 4] = [Code::Cancelled, Code::DeadlineExceeded, Code::Unavailable, Code::Aborted];

impl Sidecar {
    /// The sidecar holds the operation for ended, and nothing for left of it.
    ///
    /// - `checkError`, <https://github.com/kubernetes-csi/external-provisioner/blob/master/pkg/controller/controller.go>
    /// - `isFinalError`, <https://github.com/kubernetes-csi/external-attacher/blob/master/pkg/attacher/attacher.go>
    /// - `IsFinalError`, <https://github.com/kubernetes-csi/external-resizer/blob/master/pkg/util/util.go>
    /// - `isCSIFinalError`, <https://github.com/kubernetes-csi/external-snapshotter/blob/master/pkg/sidecar-controller/snapshot_controller.go>
    /// - `controllerModifyVolumeWithTarget`, which goes by `IsFinalError`, too, and takes INVALID_ARGUMENT alone for
    ///   infeasible: <https://github.com/kubernetes-csi/external-resizer/blob/master/pkg/modifycontroller/modify_volume.go>
    ///
    /// - `createGroupSnapshotWrapper`, which goes by `isCSIFinalError`, too:
    ///   <https://github.com/kubernetes-csi/external-snapshotter/blob/master/pkg/sidecar-controller/groupsnapshot_helper.go>
    ///
    /// DeleteVolume, DeleteSnapshot, DeleteVolumeGroupSnapshot (`deleteCSIGroupSnapshotOperation`) and ControllerUnpublishVolume are called again after every error; judged all the same, because a
    /// person reads their codes, too.
    pub fn is_final(self, code: Code) -> bool {
        match (self, code) {
            (_, Code::Ok) => false,
            // A full backend is "not here": the scheduler takes another node, and the name is forgotten.
            (Sidecar::Provisioner, Code::ResourceExhausted) => true,
            (
                Sidecar::Attacher
                | Sidecar::Resizer
                | Sidecar::Modifier
                | Sidecar::Snapshotter
                | Sidecar::GroupSnapshotter,
                Code::ResourceExhausted,
            ) => false,
            _ => !PENDING.contains(&code),
        }
    }
}

#[test]
fn only_the_provisioner_takes_an_exhausted_resource_as_final() {
    use Sidecar::*;
    for sidecar in [Provisioner, Attacher, Resizer, Modifier, Snapshotter, GroupSnapshotter] {
        for pending in PENDING {
            assert!(!sidecar.is_final(pending), "{sidecar:?} {pending:?}");
        }
        for ended in [Code::Internal, Code::Unknown, Code::NotFound, Code::FailedPrecondition] {
            assert!(sidecar.is_final(ended), "{sidecar:?} {ended:?}");
        }
        assert_eq!(sidecar.is_final(Code::ResourceExhausted), sidecar == Provisioner);
    }
}
