//! The CSI services over gRPC.

/// The types of `proto/csi.proto`.
#[allow(clippy::all, clippy::unwrap_used, rustdoc::all)]
pub mod proto {
    tonic::include_proto!("csi.v1");
}
