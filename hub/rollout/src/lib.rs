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

pub mod check;

mod serve;

mod head;
mod plan;
mod retreat;

mod apply;
mod evidence;

mod event;
mod state;

mod assign;
mod bug;
mod obs;
mod release;
mod spec;

mod amount;

pub use amount::Amount;
#[cfg(feature = "mutations")]
pub use bug::Bug;
pub use command::{Refusal, Verb, command};
pub use decide::decide;
pub use event::{Event, MemberChange, Start, WaveChange};
pub use explain::{Blocker, explain, explain_cluster};
pub use obs::{Candidate, ClusterObs, Now, Obs};
pub use plan::{PlanFault, plan};
pub use release::{Plan, PlannedWave, Release, Variants};
pub use serve::serve;
pub use spec::{
    Assign, Expect, Members, Offline, OnFailure, OnNewRelease, OnUntarget, Order, Retry, StartMode,
    Strategy, Targets, WaveSettings, WaveSpec,
};
pub use state::{
    Actor, App, Cause, Condemned, Counts, DeferredWhy, FailureWhy, Given, Head, Held, Holding,
    Kind, Limits, Member, MemberState, Outcome, Rollout, RolloutState, Verdict, Wave, WaveState,
};
pub use wakeup::next_wakeup;
