//! From files of a commit to releases: find the Apps of a repository, check them, render them.
//!
//! ```text
//!   Tree ──> apps() ──> App ──> render_all() ──> Variants { manifest per cluster, bytes per object }
//!    └─────> lint() ──> Vec<Diagnostic>
//! ```
//!
//! Pure: reads through [`Tree`], runs Kustomize and Helm through [`Tools`], writes nothing, knows no clock.
//! What it promises:
//!
//! * a release is complete or it is not there: a fault never makes a smaller set of objects, and an
//!   empty set is a fault;
//! * a variant is rendered once, however many clusters share it;
//! * equal objects have equal bytes, so a digest means content;
//! * every fault of a file is told at once, with its place and what to do;
//! * a field that is not understood is refused, never ignored;
//! * nothing outside the commit is read, and every input has a bound (see [`limits`]).
//!
//! Deliberately absent: running programs (that is for whoever implements [`Tools`]), schemas of kinds (the cluster knows
//! them), decisions (they are in `rollout`).

#![warn(missing_docs)]

mod import;
mod schema;
mod preview;
mod lint;
mod place;
mod release;
mod undo;
mod forms;
mod template_calls;
mod kit;
mod policy;
mod recipe;
mod apps;
mod settings;
mod app;
mod objects;
mod secrets;
mod canonical;
mod walk;
mod fill;
mod fleet;
mod template;
mod charts;
mod tools;
mod yaml;
mod tree;
mod diagnostic;
mod guard;
pub mod limits;

pub use app::{
    API_VERSION, App, Asked, Content, DriftMode, Form, HealthRule, HelmSettings, Override, Patch,
    parse_app,
};
pub use apps::{Found, apps};
pub use charts::{ChartError, Charts, NoCharts, Wanted};
pub use diagnostic::{Diagnostic, Position, Severity};
pub use fill::{Text, Values};
pub use fleet::{FleetCluster, Target};
pub use forms::wants_tools;
#[cfg(feature = "mutations")]
pub use guard::{Guard, without};
pub use import::{Imported, Origin, import};
pub use kit::Kit;
pub use lint::{circular, lint, lint_fleet};
pub use place::{Placement, place};
pub use policy::Policy;
pub use preview::{AppChange, Change, ChangeKind, Group, Preview, WaveChange, preview};
pub use release::{Rendered, Variants, render, render_all};
pub use schema::schema;
pub use template::PathTemplate;
pub use tools::{Job, NoTools, Output, Tool, ToolError, Tools};
pub use tree::{EntryKind, MemoryTree, Tree, TreeEntry, TreeError};
pub use undo::hard_to_undo;
pub use yaml::text as yaml_text;
