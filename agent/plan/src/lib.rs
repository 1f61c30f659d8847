//! The brain of the agent: what to apply, keep and delete, and how healthy it is.
//!
//! ```text
//! content ──admit──▶ Desired ─┐
//!                    gates ◀──┤
//! metadata ─────────▶ Live ───┼──plan──▶ Plan {apply: steps, prune: steps}
//! what was applied ▶ Inventory┘
//! live objects ──health──▶ Verdict ──Tracker──▶ model::Report
//! refusals ──classify──▶ Failure
//! directives ──accept──▶ Stored
//! ```
//!
//! Deliberately absent: a clock, randomness, I/O, async, anything of kube. Time is an argument.

#![warn(missing_docs)]

#[cfg(feature = "mutations")]
pub mod mutations;

pub mod check;

mod plan;

pub mod accept;
mod admit;
mod recreate;

mod prune;

mod gates;

mod drift;
mod hooks;

mod inventory;

mod desired;

mod shape;

mod choices;

mod fight;
mod tracker;

mod health;
mod pods;

mod classify;
mod immutable;

mod diff;

mod merge;
mod migrate;

mod conflict;
mod schema;

mod live;
mod order;
mod signature;

mod ownership;

mod keyed;
mod path;

mod fields;

mod redact;
mod seeded;

pub use admit::{AdmitOptions, Content, Fault, Scope, admit, is_sealed, live_links};
pub use choices::{Choices, pointer_fault};
pub use classify::{Answer, Asked, Class, Failure, Verb, classify, probe_body, probe_verdict};
pub use conflict::{
    ConflictCause, Resolution, conflict_causes, conflict_policy, resolve, yield_field,
};
pub use desired::{Desired, DesiredObject, Hook, HookPhase, OnLost};
pub use diff::{Change, Diff, DiffOptions, Op, diff, identical, summary};
pub use drift::{Drift, drift};
pub use fields::{FieldSet, Part};
pub use fight::{Fight, FightDetector};
pub use gates::{Blocked, Gate, GateInput, GateLimits, Overrides, gates, gates_with};
pub use health::{
    HealthContext, Met, RuleFault, RuleSet, Until, Verdict, health, health_with,
    judged_by_existence, met,
};
pub use hooks::{HookAction, HookTask, hook_tasks, is_hook, removes, stale_runs};
pub use immutable::immutable;
pub use inventory::{Entry, HookResult, HookRun, Inventory, InventoryError, Sharded, Written};
pub use keyed::{Fingerprint, Key};
pub use live::{Live, LiveMeta, Mark, Sight};
pub use merge::three_way;
pub use migrate::{Migrate, migrate_patch, migrates, rewrite_version_patch, transfer_patch};
pub use model::Adopt;
pub use order::Position;
pub use ownership::Ownership;
pub use plan::{Action, Need, OnDrift, Plan, Policy, Step, Task, Why, plan};
pub use pods::{Stuck, pods_verdict, workload_verdict};
pub use prune::{
    Definition, Detach, Forget, Guard, Hold, Keepers, Prune, PruneContext, PruneTask, Spread,
    guard_holds, is_content, prune_again, prune_decision,
};
pub use recreate::{Recreate, recreate_decision};
pub use redact::{Scrubber, redacted};
pub use schema::Schemas;
pub use shape::shape_body;
pub use signature::Signature;
pub use tracker::{Observation, Observed, Sync, Tracker};
