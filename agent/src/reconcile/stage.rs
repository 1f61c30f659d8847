//! What acting works with, and what it changes.

use model::{AppName, Choices, ObjectKey, Reason};
use plan::Inventory;
use tokio::sync::watch;

use super::Shared;
use super::observe::Observed;
use super::refusals::Refusals;
use super::report::Trouble;
use super::validate::Release;
use crate::cluster::Cluster;
use crate::state::Held;

/// What acting works with.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a> {
    pub(super) shared: &'a Shared,
    /// Writes go through this one: it speaks for the App's account.
    pub(super) writer: &'a Cluster,
    pub(super) app: &'a AppName,
    pub(super) release: &'a Release,
    pub(super) observed: &'a Observed,
    /// To notice a newer grant between two objects.
    pub(super) held: &'a watch::Receiver<Held>,
    /// What the App chose.
    pub(super) choices: &'a Choices,
    /// When the round began.
    pub(super) now: std::time::Duration,
}

impl Stage<'_> {
    /// Whether a newer grant came.
    pub(super) fn is_over(&self) -> bool {
        self.held.has_changed().unwrap_or(true)
    }
}

/// A correction that was made.
#[derive(Debug)]
pub(super) struct Correction {
    pub(super) key: ObjectKey,
    pub(super) manager: Option<String>,
}

/// What acting changes.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    pub(super) inventory: &'a mut Inventory,
    /// As last stored.
    pub(super) stored: &'a mut Inventory,
    pub(super) corrections: Vec<Correction>,
    pub(super) refusals: &'a mut Refusals,
}

impl Ledger<'_> {
    /// Stores the inventory when it differs from what is stored.
    pub(super) async fn store(&mut self, shared: &Shared) -> Result<(), Trouble> {
        if *self.inventory == *self.stored {
            return Ok(());
        }
        match shared.state.record(self.inventory).await {
            Ok(()) => {
                self.stored.clone_from(self.inventory);
                Ok(())
            }
            Err(fault) => {
                Err(Trouble::waiting(Reason::AgentStateUnwritable, crate::fault::causes(&fault)))
            }
        }
    }
}
