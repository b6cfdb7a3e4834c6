//! Asking a balancer that is a plugin.

use std::sync::Arc;

use super::{Advise, Placement, lock};
use crate::error::Result;
use crate::journal::{RemoteStatus, View};
use crate::local::blocking;
use crate::plugin::{Choice, Offer};
use crate::pool::Pool;
use crate::remote::Usage;
use crate::stage::place::{Candidate, Placer, Question};

impl Placement {
    /// What the balancer that is a plugin says, question by question, in a rehearsal of the placement: it may take its
    /// time, and nobody else is to wait for that. Empty where there is none, or it fails; the configured strategy then
    /// decides, as it does between what the rehearsal saw and what is there later.
    ///
    /// # Errors
    /// Those of the index.
    pub(super) async fn ask_balancer(
        &self,
        pool: &Arc<Pool>,
        view: &View,
        usage: &[Usage],
        rehearse: impl FnOnce(&mut Placer, &[Candidate], &mut Advise) -> Result<()> + Send + 'static,
    ) -> Result<Vec<Option<usize>>> {
        let Some((id, balancer)) = pool.plugins.balancer() else { return Ok(Vec::new()) };
        let (mut placer, candidates) = {
            let mut state = lock(&self.state);
            self.note_base(pool, &mut state)?;
            (state.placer.clone(), self.candidates(&state, usage, pool, view)?)
        };
        let remotes = view.remotes.iter().map(RemoteStatus::id);
        let offers: Vec<Offer> = candidates.iter().zip(remotes).map(|(one, id)| offer(one, id)).collect();
        let (answers, failure) = blocking(move || {
            let (mut answers, mut failure) = (Vec::new(), None);
            let mut advise = |question: &Question| {
                let chosen = if failure.is_some() || question.open.is_empty() {
                    None
                } else {
                    let open: Vec<Offer> = question.open.iter().filter_map(|at| offers.get(*at).cloned()).collect();
                    match balancer.choose(&open, question.size) {
                        Ok(Choice::Remote(at)) => question.open.get(at).copied(),
                        Ok(Choice::Strategy(_)) => None,
                        Err(error) => {
                            failure = Some(error);
                            None
                        }
                    }
                };
                answers.push(chosen);
                chosen
            };
            // What keeps a shard from finding a place is told by the placement itself.
            let _ = rehearse(&mut placer, &candidates, &mut advise);
            Ok((answers, failure))
        })
        .await?;
        if let Some(error) = failure {
            pool.plugins.warn_of_balancer(id, &error);
        }
        Ok(answers)
    }
}

fn offer(candidate: &Candidate, id: Option<crate::id::RemoteId>) -> Offer {
    Offer {
        name: candidate.name.clone(),
        id: id.map(|id| id.to_string()).unwrap_or_default(),
        used: candidate.used,
        free: candidate.free,
        total: candidate.share,
        weight: candidate.weight,
        priority: candidate.priority,
    }
}
