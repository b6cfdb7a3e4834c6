//! Making a failing history shorter.

use super::{Failure, Options, play};

/// How many shorter plans are tried.
const TRIES: usize = 300;

/// Leaves steps out, many at a time and then one by one, as long as something still does not hold.
pub fn shrink(mut failure: Box<Failure>, options: &Options) -> Box<Failure> {
    let mut tries = 0;
    let mut piece = failure.plan.steps.len() / 2;
    while piece > 0 {
        let mut from = 0;
        let mut shorter = false;
        while from < failure.plan.steps.len() && tries < TRIES {
            let mut plan = failure.plan.clone();
            let to = (from + piece).min(plan.steps.len());
            plan.steps.drain(from..to);
            tries += 1;
            match play(plan, options) {
                Err(found) => {
                    failure = found;
                    shorter = true;
                }
                Ok(_) => from = to,
            }
        }
        if !shorter || piece > 1 {
            piece /= 2;
        }
    }
    failure
}
