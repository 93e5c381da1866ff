//! What stands at the seams to the machine and to the clouds.

use std::io;
use std::sync::Arc;

use crate::config::Source;
#[cfg(feature = "crash")]
use crate::crash::{self, Crash};
use crate::node::{Host, Linux};
use crate::openstack::{Http, Proxy, Tls, http};

pub struct Seams {
    #[cfg(feature = "crash")]
    crash: Crash,
}

impl Seams {
    pub fn new(_source: &dyn Source) -> Self {
        Self {
            #[cfg(feature = "crash")]
            crash: Crash::new(_source.var(crash::VARIABLE)),
        }
    }

    pub fn host(&self) -> Arc<dyn Host> {
        let host = Arc::new(Linux::default());
        #[cfg(feature = "crash")]
        let host = self.crash.host(host);
        host
    }

    pub fn http(&self, tls: &Tls, proxy: &Proxy) -> io::Result<Http> {
        let http = http::client(tls, proxy)?;
        #[cfg(feature = "crash")]
        let http = self.crash.http(http);
        Ok(http)
    }
}
