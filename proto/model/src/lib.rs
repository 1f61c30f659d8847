//! The words of Tidegate, in reading order.
//!
//! | word | meaning |
//! |---|---|
//! | **Source** | a Git repository and ref that the hub follows |
//! | **App** | what to deploy, where and how: `apps/NAME/app.yaml` in a source |
//! | **Release** | one commit of an App, rendered; its identity is a [`Digest`] per cluster |
//! | **Cluster** | a registered agent, with hub-side [`Labels`] and agent-reported facts |
//! | **Rollout** | one Release going out to the clusters of an App |
//! | **Wave** | an ordered group of clusters within a rollout |
//! | **Gate** | what must hold before or after a wave |
//! | **Grant** | `{epoch, digest}` for (App, Cluster): the only thing that changes what a cluster may run |
//! | **Report** | what the agent saw for one grant |
//! | **Inventory** | what the agent applied, kept in the cluster |
//! | **Drift** | a live object differs from what was applied |
//! | **Reason** | a stable code with a text, an owner and a next step |
//!
//! Deliberately absent: anything async, anything of the wire, anything that only one crate uses.

#![warn(missing_docs)]

pub mod api;
pub mod source;
mod report;
mod grant;
mod choices;
mod content;
mod status;
mod reason;
mod state;
mod health;
mod selector;
mod expression;
mod object;
mod revision;
mod digest;
mod epoch;
mod name;

pub use choices::{Adopt, Choices, Ignore};
pub use content::{Manifest, ObjectEntry};
pub use digest::{Digest, ParseDigestError};
pub use epoch::{Epoch, LeaseEpoch};
pub use expression::Expression;
pub use grant::{Directive, Grant};
pub use health::Health;
pub use name::{AppName, ClusterName, ClusterUid, NameError, RolloutId, SourceName, WaveName};
pub use object::{ObjectKey, ObjectParts, ParseObjectKeyError};
pub use reason::{Area, Owner, Reason};
pub use report::{ObjectStatus, Phase, Report};
pub use revision::{Commit, ParseCommitError, Revision};
pub use selector::{Facts, Labels, Selector, SelectorError};
pub use state::State;
pub use status::{Fix, Next, Status};
