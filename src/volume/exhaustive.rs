//! Every order in which things can happen, where there are few things: the plans as they are, on a cloud of a few words.

mod life;
mod names;
mod search;
