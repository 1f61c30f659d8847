//! The brain of the hub: decides which cluster may run which release, and touches nothing.
//!
//! In: the state of one App (a fold of its event log), the time, and what was observed. Out: the next
//! event, or none. [`decide`] chooses, [`App::apply`] remembers, [`serve`] says what one cluster is told,
//! [`explain`] says why nothing more happens.
//!
//! Deliberately absent: clocks, I/O, randomness, threads, async, and health reports in the log. Time is
//! an argument; every conclusion drawn from a report is an event, the report itself never is.

#![warn(missing_docs)]

#[cfg(feature = "sim")]
pub mod sim;

pub mod view;

mod explain;
mod wakeup;

mod decide;

mod command;
mod ask;

pub mod check;

mod serve;

mod head;
mod faults;
mod plan;
mod retreat;

mod apply;
mod evidence;

mod event;
mod act;
mod state;

mod assign;
mod bug;
mod obs;
mod release;
mod removal;
mod spec;

mod gate;

mod amount;
mod window;

pub use act::{Act, Answer, Judgement, LaneChange};
pub use amount::Amount;
pub use ask::{Question, answer, question};
#[cfg(feature = "mutations")]
pub use bug::Bug;
pub use command::{Refusal, Verb, command, stamp};
pub use decide::{Scan, decide};
pub use event::{Event, MemberChange, Start, WaveChange};
pub use explain::{Blocker, Step, explain, explain_cluster, path};
pub use faults::circle;
pub use gate::{After, Analysis, ApprovalRule, Ask, Before, DependsOn, Expectation, Gate, Scope};
pub use obs::{
    BlockerObs, Candidate, ClusterObs, DependencyObs, Mark, Now, Obs, Proven, UPDATES_PER_CLUSTER,
};
pub use plan::{PlanFault, plan};
pub use release::{Place, Plan, PlannedWave, Release, Variants};
pub use removal::tombstone;
pub use serve::serve;
pub use spec::{
    Assign, CatchUp, Expect, Members, Offline, OnFailure, OnNewRelease, OnUntarget, Order, Retry,
    RollbackPolicy, Spread, StartMode, Strategy, Targets, WaveSettings, WaveSpec,
};
pub use state::{
    Actor, App, Approval, Cause, Condemned, Counts, DeferredWhy, FailureWhy, Given, Head, Held,
    Holding, InLane, Kind, LaneRules, Limits, Measured, Member, MemberState, Outcome, Override,
    Role, Rollout, RolloutState, Stage, Tally, Untargeted, Verdict, Wave, WaveState,
};
pub use wakeup::next_wakeup;
pub use window::{OPENS_WITHIN_DAYS, STEP, STEP_SETTLES, Window, Zone, is_zone};
