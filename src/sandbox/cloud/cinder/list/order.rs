//! In which order a list comes: newest first where nobody asks for another.

use std::cmp::Ordering;

use super::super::super::super::world::Refusal;
use super::super::super::answer::Answer;
use super::super::super::request::{Caller, Request};
use super::Listed;

const SORT_TWICE: &str = "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' \
    parameter.";

/// Sort keys, most important first, and whether each goes down.
pub(super) struct Order<'a>(Vec<(&'a str, bool)>);

impl<'a> Order<'a> {
    pub fn of<T: Listed>(request: &'a Request<'_>, caller: &Caller) -> Result<Self, Answer> {
        let (sort, key, direction) =
            (request.query("sort"), request.query("sort_key"), request.query("sort_dir"));
        let wanted: Vec<_> = match sort {
            Some(_) if key.is_some() || direction.is_some() => return Err(Answer::fault(400, SORT_TWICE)),
            Some(sort) => {
                sort.trim().split(',').map(|one| one.split_once(':').unwrap_or((one, ""))).collect()
            }
            None => vec![(key.unwrap_or("created_at"), direction.unwrap_or_default())],
        };
        let mut keys = Vec::new();
        for (key, direction) in wanted {
            match direction.trim() {
                "" | "desc" => keys.push((key.trim(), true)),
                "asc" => keys.push((key.trim(), false)),
                _ => {
                    let reason = "Unknown sort direction, must be 'desc' or 'asc'.";
                    return Err(Refusal::invalid_input(reason).into());
                }
            }
        }
        let by_name = caller.version >= T::SORTED_BY_NAME;
        if keys.iter().any(|(key, _)| !T::SORT_KEYS.contains(key) || *key == "name" && !by_name) {
            return Err(Refusal::invalid_input("Invalid sort key").into());
        }
        let first = keys[0].1;
        for key in ["created_at", "id"] {
            if !keys.iter().any(|(known, _)| *known == key) {
                keys.push((key, first));
            }
        }
        Ok(Self(keys))
    }

    pub fn compare<T: Listed>(&self, left: &T, right: &T) -> Ordering {
        let of_one = |(key, descending): &(&str, bool)| {
            let order = left.column(key).cmp(&right.column(key));
            if *descending { order.reverse() } else { order }
        };
        self.0.iter().map(of_one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// Keeps the first `count` in order, and drops the others unsorted.
    pub fn sort_first<T: Listed>(&self, items: &mut Vec<&T>, count: usize) {
        if count == 0 {
            items.clear();
        } else if count < items.len() {
            items.select_nth_unstable_by(count - 1, |left, right| self.compare(*left, *right));
            items.truncate(count);
        }
        items.sort_unstable_by(|left, right| self.compare(*left, *right));
    }
}
