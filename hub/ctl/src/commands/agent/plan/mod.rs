//! `tidegate agent plan`.
//!
//! `judge` asks the agent's brain and words its answer object by object; this file reads and prints.

mod judge;

use std::{collections::BTreeMap, path::PathBuf};

use model::api::API_VERSION;
use plan::{Adopt, Change, Gate, GateLimits};
use serde::Serialize;

use super::{
    diff::line,
    inventory::inventory,
    world::{Shared, Told, World},
};
use crate::{
    error::{Error, Exit},
    output::{Format, Output, Table},
};

/// What to plan.
///
/// The answer is what the agent would do in its next sync. An object is deleted only with three proofs: the
/// inventory holds its `uid`, its live label `tidegate.dev/app` names the App, and its live annotation
/// `tidegate.dev/id` is `group/Kind/namespace/name` of itself. Without an inventory nothing is ours, so nothing is
/// deleted. An entry of the inventory without a uid counts when the live object's managed fields hold an Apply
/// entry of `tidegate-agent/APP`.
///
/// `-o json` prints one document:
///   apiVersion, kind  `cli.tidegate/v1`, `AgentPlan`
///   app       the App
///   allowed   false: nothing at all would be written (`faults` or `blocked` say why)
///   faults    [{"code", "reason", "place", "id", "path", "message"}]: everything wrong with the desired objects
///   blocked   [{"gate", "code", "reason", "message"}]: safety gates that hold; `--allow GATE` opens one
///   apply, delete, keep, unchanged, wait, refuse, hooks
///             lists of ids; apply and delete in the order of their execution, apply before delete
///   objects   one for each desired object and each entry that is no longer desired, in order:
///     id, apiVersion, kind, namespace, name
///     phase   `apply` or `prune`
///     step    from 1 in its phase; objects of one step go side by side, a step waits for the one before
///     action  apply: `create`, `update`, `adopt`, `transfer`, `recreate`, `unchanged`, `wait`, `drifted`, `conflict`,
///             `refused`; prune: `delete`, `wait`, `keep` (the entry stays), `detach` (marks come off), `forget` (the
///             entry goes, the object is left alone); `blocked` when nothing at all would be written
///     would   the action that is held back by a gate, a fault elsewhere or what the object holds
///     reason, code, message   why
///     needs   [{"id", "until"}]: what must hold first
///     changes, shared, conflicts   as in `tidegate agent diff`
///     uid, propagation, data, finalizers   of deletions; data: people's data may go with it
///
/// The inventory is `{"app": "web", "entries": [{"group", "kind", "namespace", "name", "uid", "dependsOn": [ids],
/// "wave", "finished"}]}`; `apiVersion` instead of `group`, ids instead of entries, `{id: uid}`, and the inventories of
/// other tools are read as well. Waves and dependencies that it does not tell are read from the live objects.
///
/// Exit codes: 0 the plan can be carried out, 1 it is blocked, faulty, or some object is refused; 2 a file that
/// is no YAML or JSON, 5 a file that is not there.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Folder or file with all desired objects, `-` for stdin
    #[arg(long, value_name = "DIR")]
    desired: PathBuf,
    /// File or folder with all live objects that matter, `-` for stdin
    #[arg(long, value_name = "FILE")]
    live: PathBuf,
    /// File with what the App has applied; without it nothing is ours
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// What to do with objects that exist and are nobody's
    #[arg(long, value_enum, default_value_t = AdoptArg::IfUnowned)]
    adopt: AdoptArg,
    /// Open a safety gate: `EmptySet`, `NamespaceWipe`, `MassPrune`, `Protected`
    #[arg(long, value_name = "GATE", value_parser = gate)]
    allow: Vec<Gate>,
    /// Confirm the deletion of an object that asks for it, by id
    #[arg(long, value_name = "ID")]
    approve: Vec<String>,
    /// Replace objects when a field changes that cannot
    #[arg(long)]
    recreate: bool,
    /// With no desired object: leave everything running and take the marks off
    #[arg(long)]
    orphan: bool,
    /// Objects that may always go at once
    #[arg(long, value_name = "N", default_value_t = GateLimits::default().mass_objects)]
    mass_objects: usize,
    /// Share of the inventory that may go at once
    #[arg(long, value_name = "PERCENT", default_value_t = GateLimits::default().mass_percent)]
    mass_percent: usize,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AdoptArg {
    IfUnowned,
    IfIdentical,
    Never,
    Always,
}

impl From<AdoptArg> for Adopt {
    fn from(arg: AdoptArg) -> Adopt {
        match arg {
            AdoptArg::IfUnowned => Adopt::IfUnowned,
            AdoptArg::IfIdentical => Adopt::IfIdentical,
            AdoptArg::Never => Adopt::Never,
            AdoptArg::Always => Adopt::Always,
        }
    }
}

fn gate(text: &str) -> Result<Gate, String> {
    serde_json::from_value(serde_json::Value::from(text))
        .map_err(|_| "no gate; they are EmptySet, NamespaceWipe, MassPrune, Protected".to_owned())
}

/// The whole answer.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    api_version: &'static str,
    kind: &'static str,
    app: String,
    allowed: bool,
    faults: Vec<Told>,
    blocked: Vec<Gated>,
    apply: Vec<String>,
    delete: Vec<String>,
    keep: Vec<String>,
    unchanged: Vec<String>,
    wait: Vec<String>,
    refuse: Vec<String>,
    hooks: Vec<Hooked>,
    notes: Vec<String>,
    objects: Vec<Row>,
}

/// A safety gate that holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Gated {
    gate: Gate,
    code: &'static str,
    reason: &'static str,
    message: String,
}

/// A hook of the release.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Hooked {
    id: String,
    phase: &'static str,
    wave: i32,
}

/// What must hold first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Needed {
    id: String,
    until: String,
}

/// One object.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    phase: &'static str,
    step: usize,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    would: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<Needed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shared: Vec<Change>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    propagation: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    data: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    finalizers: Vec<String>,
}

/// Runs it.
pub(super) fn run(args: &Args, output: Output) -> Result<Exit, Error> {
    let known = inventory(args.inventory.as_deref(), &args.shared.namespace)?;
    let app = args.shared.app(known.app.clone())?;
    let world = World::read(&args.shared, app.clone(), &args.desired, Some(&args.live))?;
    let mut document = judge::judge(args, &world, known.of(app))?;
    document.sum_up();
    let fine = document.allowed && document.refuse.is_empty();
    if output.format == Format::Json {
        let text = serde_json::to_string_pretty(&document)
            .map_err(|e| Error::new(Exit::Internal, format!("write JSON: {e}")))?;
        Output::data(&world.scrubber.scrub(&text))?;
    } else {
        let text = world.scrubber.scrub(&document.to_text(output.format));
        if !text.is_empty() {
            Output::data(&crate::output::safe(&text))?;
        }
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &document.objects {
        *counts.entry(row.action).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(action, n)| format!("{n} {action}")).collect();
    output.say(&format!("{} objects: {}", document.objects.len(), counts.join(", ")));
    Ok(if fine { Exit::Fine } else { Exit::No })
}

impl Document {
    fn new(app: String) -> Document {
        Document { api_version: API_VERSION, kind: "AgentPlan", app, ..Document::default() }
    }

    /// The lists of ids, from the rows.
    fn sum_up(&mut self) {
        for row in &self.objects {
            let list = match (row.phase, row.action) {
                (_, "create" | "update" | "adopt" | "transfer" | "recreate") => &mut self.apply,
                (_, "delete") => &mut self.delete,
                (_, "unchanged") => &mut self.unchanged,
                (_, "wait") => &mut self.wait,
                ("prune", "keep" | "detach" | "forget") => &mut self.keep,
                (_, "conflict" | "refused" | "drifted") => &mut self.refuse,
                _ => continue,
            };
            list.push(row.id.clone());
        }
    }

    fn to_text(&self, format: Format) -> String {
        if format == Format::Name {
            let rows = self.objects.iter().map(|row| format!("{} {}\n", row.action, row.id));
            return rows.collect::<Vec<_>>().concat();
        }
        let mut text = String::new();
        for fault in &self.faults {
            text.push_str(&format!("{}\n", fault.line()));
        }
        for gate in &self.blocked {
            text.push_str(&format!("blocked [{}]: {}\n", gate.code, gate.message));
        }
        let mut table = Table::new(&["PHASE", "STEP", "ACTION", "OBJECT", "WHY"]);
        for row in &self.objects {
            let mut why = row.message.clone();
            for change in row.changes.iter().chain(&row.conflicts) {
                why.push_str(&format!("\n{}", line(change)));
            }
            let step = row.step.to_string();
            table.row(&[row.phase.to_owned(), step, row.action.to_owned(), row.id.clone(), why]);
        }
        if !self.objects.is_empty() {
            text.push_str(&table.to_string());
        }
        text
    }
}
