//! The kernel's own events.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use futures_util::future::BoxFuture;
use nix::sys::socket::{self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};
use tokio::io::unix::AsyncFd;

use super::super::host::Uevents;

/// The multicast group of the kernel; group 2 is udev's.
const KERNEL_EVENTS: u32 = 1;

/// Each is `action@devpath` and then `KEY=value`, each ended by a NUL.
pub struct KernelEvents(AsyncFd<OwnedFd>);

impl KernelEvents {
    /// Inside a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket::socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
        socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_EVENTS))?;
        // SAFETY: an OwnedFd keeps its descriptor open and the same until it's dropped, and AsyncFd owns it.
        #[allow(unsafe_code)]
        let socket = unsafe { AsyncFd::register(socket) }?;
        Ok(Self(socket))
    }
}

impl Uevents for KernelEvents {
    fn next(&mut self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async {
            loop {
                let mut ready = self.0.readable().await?;
                let mut event = vec![0; 16 << 10];
                let received = ready
                    .try_io(|socket| Ok(socket::recv(socket.as_raw_fd(), &mut event, MsgFlags::empty())?));
                match received {
                    Ok(Ok(length)) if is_of_block_device(&event[..length]) => return Ok(()),
                    // ENOBUFS: events were lost, so one may have been ours.
                    Ok(Err(error)) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => return Ok(()),
                    Ok(Err(error)) => return Err(error),
                    Ok(Ok(_)) | Err(_) => {}
                }
            }
        })
    }
}

fn is_of_block_device(event: &[u8]) -> bool {
    event.split(|byte| *byte == 0).any(|field| field == b"SUBSYSTEM=block")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_of_block_devices_wake() {
        assert!(is_of_block_device(b"change@/devices/x\0ACTION=change\0SUBSYSTEM=block\0RESIZE=1\0"));
        assert!(!is_of_block_device(b"add@/devices/x\0SUBSYSTEM=pci\0"));
    }

    #[tokio::test]
    async fn the_kernel_lets_us_listen() {
        KernelEvents::listen().unwrap();
    }
}
