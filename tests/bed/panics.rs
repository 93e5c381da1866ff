//! Every panic of a play, whatever becomes of it: the server answers INTERNAL, a task of the driver just ends.

use std::cell::RefCell;
use std::panic;
use std::sync::{Arc, Mutex, Once, PoisonError};

/// The panics of one play.
#[derive(Clone, Default)]
pub struct Panics(Arc<Mutex<Vec<String>>>);

thread_local! {
    static HERE: RefCell<Panics> = RefCell::default();
}

impl Panics {
    /// From now on this thread's.
    pub fn watch_this_thread(&self) {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let usual = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                HERE.with_borrow(|panics| panics.note(panic.to_string()));
                usual(panic);
            }));
        });
        HERE.set(self.clone());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, panic: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(panic);
    }
}
