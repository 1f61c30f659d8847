//! From files of a commit to releases: find the Apps of a repository, check them, render them.
//!
//! ```text
//!   Tree ──> apps() ──> App ──> render_all() ──> Variants { manifest per cluster, bytes per object }
//!    └─────> lint() ──> Vec<Diagnostic>
//! ```
//!
//! Pure: reads through [`Tree`], writes nothing, knows no clock. What it promises:
//!
//! * a release is complete or it is not there: a fault never makes a smaller set of objects, and an
//!   empty set is a fault;
//! * a folder is rendered once, however many clusters share it;
//! * equal objects have equal bytes, so a digest means content;
//! * every fault of a file is told at once, with its place and what to do;
//! * a field that is not understood is refused, never ignored;
//! * nothing outside the commit is read, and every input has a bound (see [`limits`]).
//!
//! Deliberately absent: templates and charts (they run programs), schemas of kinds (the cluster knows
//! them), decisions (they are in `rollout`).

#![warn(missing_docs)]

mod lint;
mod apps;
mod settings;
mod release;
mod app;
mod objects;
mod canonical;
mod walk;
mod template;
mod yaml;
mod tree;
mod diagnostic;
pub mod limits;

pub use app::{API_VERSION, App, DriftMode, parse_app};
pub use apps::{Found, apps};
pub use diagnostic::{Diagnostic, Position, Severity};
pub use lint::{FleetCluster, lint, lint_fleet};
pub use release::{Rendered, Variants, render, render_all};
pub use template::PathTemplate;
pub use tree::{EntryKind, MemoryTree, Tree, TreeEntry, TreeError};
