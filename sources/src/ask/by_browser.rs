//! Requests of a [`super::PageFetcher`] in the real browser, one page at a time.

use schema::Outcome;

use crate::site::{BrowserWay, StatusMeaning};

use super::{PageFetcher, Round, TRIES_EACH_WAY, Turn, answered, into_end, refusal};

impl PageFetcher {
    /// Gets the page of the turn's only task by the browser. Ends the task or queues it again.
    pub(super) async fn take_by_browser(
        &self,
        mut turn: Turn,
        way: &BrowserWay,
        round: &mut Round<'_>,
    ) {
        let page = round.page;
        let meaning = |status| self.site.meaning(&page, status, 1);
        let call = self.call(&turn, &meaning, round);
        let ended = into_end(self.transport.by_browser(way, &call).await);
        let Some(answer) = answered(&mut turn, ended, round) else {
            return;
        };
        turn.tries_by_browser += 1;
        match self.site.meaning(&page, answer.status, 1) {
            StatusMeaning::Answer => {
                self.memory.seen_in_browser(page.name);
                let calling = self.read(turn.tasks, &answer, round).await;
                for (task, breach) in calling {
                    if self.memory.came_to_nothing(&task.id) {
                        self.broken(task, &answer, &breach, round).await;
                    } else {
                        round.later.push(task);
                    }
                }
            }
            StatusMeaning::Refused => {
                self.transport.slow_down(self.site.name(), &answer.url);
                if self.memory.refused_in_browser(page.name) {
                    let text = format!(
                        "source down: {} is refused ({}) in the browser, too",
                        answer.url, answer.status
                    );
                    self.stop_source(&text);
                    round.end(turn.tasks, &Outcome::Deferred(text));
                } else if turn.tries_by_browser < TRIES_EACH_WAY {
                    round.turns.push_back(turn);
                } else {
                    let advice = self.advice(&page, &turn.tasks);
                    let text = format!("{}: {}", answer.url, refusal(&answer, &advice));
                    round.end(turn.tasks, &Outcome::Failed(text));
                }
            }
            meaning => {
                self.end_by_status(turn.tasks, meaning, &answer, round)
                    .await;
            }
        }
    }
}
