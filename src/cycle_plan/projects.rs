//! Plans the lists of single projects of the official register: late values and missing histories.

use sources::page::Stage;
use store::{FundState, NewTask, PlanningState};

use super::{StagePlanner, late, of_stage};

impl StagePlanner {
    /// The late projects can be chosen only after the last part.
    pub(super) fn projects(
        &mut self,
        state: &PlanningState,
        funds: &[&FundState],
        is_last: bool,
    ) -> Vec<NewTask> {
        let mut tasks = Vec::new();
        if !state.register_answered {
            return tasks;
        }
        self.left = 0;
        for (source, specs) in self.ready(state) {
            let spec = of_stage(specs, Stage::Projects).next();
            let mut chains = specs.iter().filter_map(|spec| spec.chain);
            let window = chains.find_map(|chain| chain.window);
            let Some((spec, window)) = spec.zip(window) else {
                continue;
            };
            let projects = self.late.entry(source).or_default();
            projects.add(late::Shown::of(window, state), funds);
            if is_last {
                let (new, left) = projects.tasks(source, spec, state.cycle.cycle_date);
                tasks.extend(new);
                self.left += left;
            }
        }
        tasks
    }

    /// The histories can be chosen only after the last part.
    pub(super) fn histories(
        &mut self,
        state: &PlanningState,
        funds: &[&FundState],
        is_last: bool,
    ) -> Vec<NewTask> {
        let mut tasks = Vec::new();
        self.left = 0;
        let sources: Vec<_> = self.asked().collect();
        for (source, specs) in sources {
            let Some(spec) = of_stage(specs, Stage::Histories).next() else {
                continue;
            };
            let histories = self.histories.entry(source).or_default();
            histories.add(state, &self.pages, &self.narrowing, funds, self.final_round);
            if is_last {
                let today = state.cycle.cycle_date;
                let (new, left) = histories.tasks(source, spec, today, self.history_pages);
                tasks.extend(new);
                self.left += left;
            }
        }
        tasks
    }
}
