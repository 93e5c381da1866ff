//! What Nova and Cinder have of the volume, and what they do.

use super::{Life, Move};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Available,
    InUse,
    Reserved,
    Attaching,
    Detaching,
    Extending,
    ErrorExtending,
    Deleting,
    ErrorDeleting,
    Gone,
}

/// What goes on, and for whose call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Work {
    pub call: usize,
    /// Of an attach or a detach.
    pub server: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cloud {
    pub status: State,
    pub multiattach: bool,
    pub size: u8,
    /// Cinder's, by server: what the volume shows.
    pub entries: [bool; 2],
    /// Nova's, by server.
    pub records: [bool; 2],
    pub work: Option<Work>,
    /// Nova is about to drop its record of this server.
    pub dropping: [bool; 2],
}

/// What a call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Accepted,
    Refused,
    Missing,
}

impl Cloud {
    pub fn free(multiattach: bool) -> Self {
        let no = [false; 2];
        let status = State::Available;
        Self { status, multiattach, size: 1, entries: no, records: no, work: None, dropping: no }
    }

    pub fn attached(multiattach: bool) -> Self {
        let first = [true, false];
        Self { status: State::InUse, entries: first, records: first, ..Self::free(multiattach) }
    }

    pub fn is_gone(&self) -> bool {
        self.status == State::Gone
    }

    pub fn is_quiet(&self) -> bool {
        self.work.is_none() && self.dropping == [false; 2]
    }

    fn rest(&mut self) {
        self.status = if self.entries.contains(&true) { State::InUse } else { State::Available };
        self.work = None;
    }

    fn begin(&mut self, status: State, call: usize, server: usize) -> Reply {
        (self.status, self.work) = (status, Some(Work { call, server }));
        Reply::Accepted
    }

    /// POST servers/ID/os-volume_attachments.
    pub fn attach(&mut self, call: usize, server: usize) -> Reply {
        let is_held = if self.multiattach { self.records[server] } else { self.records.contains(&true) };
        let is_open = self.status == State::Available || (self.multiattach && self.status == State::InUse);
        match self.status {
            State::Gone => Reply::Missing,
            _ if is_held || !is_open => Reply::Refused,
            _ => {
                self.records[server] = true;
                self.begin(State::Reserved, call, server)
            }
        }
    }

    /// DELETE servers/ID/os-volume_attachments/VOLUME.
    pub fn detach(&mut self, call: usize, server: usize) -> Reply {
        match self.status {
            _ if !self.records[server] => Reply::Missing,
            State::InUse if !self.dropping[server] => self.begin(State::Detaching, call, server),
            _ => Reply::Refused,
        }
    }

    pub fn extend(&mut self, call: usize) -> Reply {
        match self.status {
            State::Gone => Reply::Missing,
            State::Available | State::InUse => self.begin(State::Extending, call, 0),
            _ => Reply::Refused,
        }
    }

    pub fn delete(&mut self, call: usize) -> Reply {
        match self.status {
            State::Gone => Reply::Missing,
            State::Available | State::ErrorExtending if !self.entries.contains(&true) => {
                self.begin(State::Deleting, call, 0)
            }
            _ => Reply::Refused,
        }
    }
}

impl Life {
    pub fn of_the_cloud(&self, told: bool) -> Vec<Move<Self>> {
        let mut moves = Vec::new();
        let mut add = |what: &str, fault: u8, change: &dyn Fn(&mut Cloud)| {
            if fault > self.faults {
                return;
            }
            let mut to = self.clone();
            to.faults -= fault;
            to.harmed |= fault > 0;
            change(&mut to.cloud);
            let what = if told { what.to_owned() } else { String::new() };
            moves.push(Move { what, is_timeout: false, to });
        };
        let server = self.cloud.work.map_or(0, |work| work.server);
        match self.cloud.status {
            State::Reserved => add("the attach goes on", 0, &|cloud| cloud.status = State::Attaching),
            State::Attaching => {
                add("the disk is there", 0, &|cloud| {
                    cloud.entries[server] = true;
                    cloud.rest();
                });
                add("the attach fails", 1, &|cloud| {
                    cloud.dropping[server] = true;
                    cloud.rest();
                });
            }
            State::Detaching if self.cloud.entries[server] => {
                add("the disk is out", 0, &|cloud| cloud.entries[server] = false);
                add("the detach fails", 1, &|cloud| cloud.rest());
            }
            State::Detaching => add("the detach ends", 0, &|cloud| {
                cloud.dropping[server] = true;
                cloud.rest();
            }),
            State::Extending => {
                add("it is larger", 0, &|cloud| {
                    cloud.size = 2;
                    cloud.rest();
                });
                add("the extend fails", 1, &|cloud| {
                    (cloud.status, cloud.work) = (State::ErrorExtending, None)
                });
            }
            State::Deleting => {
                add("it is gone", 0, &|cloud| (cloud.status, cloud.work) = (State::Gone, None));
                add("the deletion fails", 1, &|cloud| {
                    (cloud.status, cloud.work) = (State::ErrorDeleting, None)
                });
            }
            State::ErrorExtending | State::ErrorDeleting => {
                add("an administrator resets it", 0, &|cloud| cloud.rest());
            }
            State::Available | State::InUse | State::Gone => {}
        }
        for server in (0..2).filter(|server| self.cloud.dropping[*server]) {
            add("Nova drops its record", 0, &|cloud| {
                (cloud.dropping[server], cloud.records[server]) = (false, false);
            });
        }
        moves
    }
}
