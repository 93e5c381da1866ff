//! Every order in which things can happen, where there are few things: the plans as they are, on a cloud of a few words.

mod one_name;
mod one_volume;
mod search;
