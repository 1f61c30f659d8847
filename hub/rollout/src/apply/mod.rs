//! Remembering: `state' = apply(state, event)`, total and without choices.

use model::AppName;

use crate::{event::Event, state::App};

impl App {
    /// The fold of a log.
    pub fn fold<'a>(name: AppName, log: impl IntoIterator<Item = &'a Event>) -> App {
        let mut app = App::new(name);
        log.into_iter().for_each(|event| app.apply(event));
        app
    }

    /// Remembers one event.
    pub fn apply(&mut self, event: &Event) {
        let _ = event;
    }
}
