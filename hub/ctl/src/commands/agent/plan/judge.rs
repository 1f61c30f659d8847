//! Asks the agent's brain, and words its answer object by object.

use std::collections::{BTreeMap, BTreeSet};

use model::{ObjectKey, Reason};
use plan::{
    Action, Class, Definition, Desired, DesiredObject, Detach, Diff, DiffOptions, Drift, Entry,
    Failure, Forget, GateInput, GateLimits, Hold, HookPhase, Inventory, Keepers, Migrate, OnDrift,
    Ownership, Plan, Policy, Prune, PruneTask, Recreate, Spread, Task, Until, Why, diff,
    gates_with, guard_holds, immutable, live_links, plan, recreate_decision,
};
use serde_json::Value;

use super::{Args, Document, Gated, Hooked, Needed, Row};
use crate::{
    commands::agent::world::{Seen, World},
    error::{Error, Exit},
};

/// Objects that a message names.
const NAMED_MAX: usize = 5;

/// What the words about one object are made of.
struct Case<'a> {
    args: &'a Args,
    world: &'a World,
    desired: &'a Desired,
    inventory: &'a Inventory,
}

/// The whole answer.
pub(super) fn judge(args: &Args, world: &World, inventory: Inventory) -> Result<Document, Error> {
    let mut document = Document::new(world.app.to_string());
    let desired = match &world.desired {
        Ok(desired) => desired,
        Err(faults) => {
            document.faults.clone_from(faults);
            return Ok(document);
        }
    };
    let live = world.live();
    let mut inventory = inventory;
    inventory.confirm(&live);
    let inventory = believed(args, world, desired, &inventory);
    let (occupied, open) = (world.occupied(), args.allow.iter().copied().collect());
    let limits = GateLimits { mass_objects: args.mass_objects, mass_percent: args.mass_percent };
    let input = GateInput {
        desired,
        inventory: &inventory,
        occupied: &occupied,
        open: &open,
        limits,
        cluster: None,
    };
    if !(args.orphan && desired.objects().is_empty()) {
        let blocked = gates_with(&input).err().unwrap_or_default();
        document.blocked = blocked
            .into_iter()
            .map(|b| Gated {
                gate: b.gate,
                code: b.reason.code(),
                reason: b.reason.name(),
                message: b.message,
            })
            .collect();
    }
    document.allowed = document.blocked.is_empty();
    document.notes = desired.notes().iter().map(|note| world.scrubber.scrub(note)).collect();
    document.hooks = desired
        .hooks()
        .map(|hook| Hooked { id: hook.key.id(), phase: phase(hook.phase), wave: hook.wave })
        .collect();
    let approved = args.approve.iter().filter_map(|id| ObjectKey::parse_id(id).ok()).collect();
    let policy = Policy {
        adopt: args.adopt.into(),
        on_drift: OnDrift::Correct,
        // What a gate holds back is shown as what it would be.
        purge: true,
        orphan: args.orphan,
        approved,
        recreate: args.recreate,
        foresee: true,
        ..Policy::default()
    };
    let made = plan(desired, &live, &inventory, &policy);
    let broken = plan::check::check(desired, &live, &inventory, &policy, &made);
    if let Some(note) = broken.into_iter().find(|n| n.law != plan::check::Law::EmptyIsNoOrder) {
        return Err(Error::new(
            Exit::Internal,
            format!("the plan breaks a law of its own: {note:?}"),
        ));
    }
    let case = Case { args, world, desired, inventory: &inventory };
    document.objects = case.rows(&made);
    if !document.allowed {
        for row in document.objects.iter_mut().filter(|row| row.action != "unchanged") {
            row.would = Some(row.would.unwrap_or(row.action));
            row.action = "blocked";
        }
    }
    Ok(document)
}

fn phase(phase: HookPhase) -> &'static str {
    match phase {
        HookPhase::PreApply => "pre-apply",
        HookPhase::PostApply => "post-apply",
        HookPhase::OnFailure => "on-failure",
        HookPhase::PreDelete => "pre-delete",
    }
}

/// The inventory with what the agent would have noted at its last write: an object that applying would not
/// change was applied as it is, and so was a Job that ran to its end and was cleaned up.
fn believed(args: &Args, world: &World, desired: &Desired, inventory: &Inventory) -> Inventory {
    let mut entries: BTreeMap<ObjectKey, Entry> = inventory.entries().clone();
    for (key, entry) in &mut entries {
        let Some(wanted) = desired.get(key) else {
            remember(entry, world.seen.get(key), args.shared.foreign);
            continue;
        };
        entry.position = wanted.position;
        let Some(seen) = world.seen.get(key) else {
            if entry.finished {
                entry.applied = Some(wanted.fingerprint);
                wanted.version().clone_into(&mut entry.version);
            }
            continue;
        };
        let found = differs(args, world, wanted, &seen.object, true);
        if found.is_empty() {
            entry.applied = Some(wanted.fingerprint);
            wanted.version().clone_into(&mut entry.version);
            entry.sig = seen.meta.sig;
            entry.resource_version.clone_from(&seen.meta.resource_version);
        }
    }
    let mut believed = Inventory::of(inventory.app().clone(), inventory.epoch(), entries);
    believed.place_by_links();
    believed
}

/// The order in which it was applied, as its live object tells, where the file does not.
fn remember(entry: &mut Entry, seen: Option<&Seen>, foreign: bool) {
    let Some(seen) = seen else { return };
    let (wave, named) = live_links(&seen.object, foreign);
    if entry.depends_on.is_empty() {
        entry.depends_on = named;
    }
    if entry.position.wave == 0 {
        entry.position.wave = wave;
    }
}

fn differs(args: &Args, world: &World, wanted: &DesiredObject, live: &Value, marks: bool) -> Diff {
    let migrate = Migrate::default();
    let ignore: Vec<String> =
        args.shared.ignore.iter().chain(&wanted.choices.ignore).cloned().collect();
    let options = DiffOptions {
        ignore: &ignore,
        marks,
        ..DiffOptions::new(&world.ownership, &world.schemas, &world.key, &migrate)
    };
    diff(&wanted.body, live, &options)
}

impl Case<'_> {
    fn rows(&self, made: &Plan) -> Vec<Row> {
        let mut rows = Vec::new();
        for (at, step) in made.apply.iter().enumerate() {
            rows.extend(step.tasks.iter().map(|task| Row { step: at + 1, ..self.task(task) }));
        }
        let failed: Vec<String> = rows
            .iter()
            .filter(|row| matches!(row.action, "conflict" | "refused" | "wait"))
            .map(|row| row.id.clone())
            .collect();
        let mut going = BTreeSet::new();
        let mut keepers = Keepers::default();
        for (at, step) in made.prune.iter().enumerate() {
            let mut kept = Vec::new();
            for task in step {
                let entry = self.inventory.get(&task.key);
                let mut row = Row { step: at + 1, ..self.prune(task, &going) };
                if row.action == "delete" && !failed.is_empty() {
                    let why = format!("the release is not applied in full: {}", failed[0]);
                    row.hold_back(Reason::PruneBlocked, why);
                }
                let keeper = entry.and_then(|entry| keepers.keeper(&task.key, entry));
                if let Some(by) = keeper.filter(|_| row.action == "delete") {
                    row.hold_back(Reason::PruneBlocked, waits_for(by));
                }
                match row.action {
                    "delete" => drop(going.insert(task.key.clone())),
                    "keep" => kept.extend(entry.map(|entry| (&task.key, entry))),
                    // What only takes its time is gone soon; what is held by others is not.
                    "wait" if !row.finalizers.is_empty() => {
                        kept.extend(entry.map(|entry| (&task.key, entry)));
                    }
                    _ => {}
                }
                rows.push(row);
            }
            for (key, entry) in kept {
                keepers.keep(key, entry);
            }
        }
        rows
    }

    fn row(&self, key: &ObjectKey, version: &str, phase: &'static str) -> Row {
        let api_version = match (key.group.as_str(), self.desired.get(key)) {
            (_, Some(wanted)) => wanted.api_version.clone(),
            ("", None) => version.to_owned(),
            (group, None) => format!("{group}/{version}"),
        };
        Row {
            id: key.id(),
            api_version,
            kind: key.kind.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            phase,
            ..Row::default()
        }
    }

    /// One desired object.
    fn task(&self, task: &Task) -> Row {
        let mut row = self.row(&task.key, "", "apply");
        row.needs = task
            .needs
            .iter()
            .map(|need| Needed { id: need.key.id(), until: until(need.until).to_owned() })
            .collect();
        let (wanted, seen) = (self.desired.get(&task.key), self.world.seen.get(&task.key));
        match (&task.action, wanted, seen) {
            (Action::Apply { why, .. }, Some(wanted), Some(seen)) => {
                self.applied(&mut row, why, wanted, seen);
            }
            (Action::Apply { why, .. }, ..) => row.say("create", words(why)),
            (Action::Compare { .. }, Some(wanted), Some(seen)) => {
                let found = differs(self.args, self.world, wanted, &seen.object, false);
                if found.is_empty() {
                    row.say("adopt", "is identical and becomes ours");
                } else {
                    (row.changes, row.conflicts) = (found.changes, found.conflicts);
                    row.say("conflict", "exists already and is not identical");
                    row.because(Reason::ExistsUnowned);
                }
            }
            (Action::NoOp, ..) => row.say("unchanged", "is as it shall be"),
            (Action::WaitTerminating { finalizers }, ..) => {
                row.finalizers.clone_from(finalizers);
                row.say(
                    "wait",
                    "it, or what holds it, is being deleted; applied once that is gone",
                );
                row.because(Reason::ObjectTerminating);
            }
            (Action::Conflict { reason, message }, ..) => {
                row.say("conflict", message);
                row.because(*reason);
            }
            (Action::Drifted(_), ..) => row.say("drifted", "was changed, and is left so"),
            (Action::NotSeen | Action::Compare { .. }, ..) => {
                row.say("wait", "its kind could not be looked at");
            }
        }
        row
    }

    /// One object that is live and would be applied.
    fn applied(&self, row: &mut Row, why: &Why, wanted: &DesiredObject, seen: &Seen) {
        let found = differs(self.args, self.world, wanted, &seen.object, true);
        let fixed = immutable(&wanted.key, &seen.object, &found);
        row.say(verb(why), words(why));
        let conflict = !found.conflicts.is_empty() && !matches!(why, Why::Transfer(_));
        (row.changes, row.shared, row.conflicts) = (found.changes, found.shared, found.conflicts);
        if conflict {
            let ours = |owner: &String| owner.starts_with(Ownership::MANAGER_PREFIX);
            let app = row.conflicts.iter().any(|c| c.owners.iter().any(ours));
            row.because(if app { Reason::OwnedByAnotherApp } else { Reason::FieldConflict });
            row.say("conflict", "another manager owns fields of it");
        } else if !fixed.is_empty() {
            self.fixed(row, wanted, seen, &fixed);
        }
    }

    /// An update that the API server would refuse.
    fn fixed(&self, row: &mut Row, wanted: &DesiredObject, seen: &Seen, paths: &[String]) {
        let failure = Failure {
            class: Class::Immutable,
            reason: Reason::Immutable,
            message: String::new(),
            terminal: true,
            retry: None,
        };
        let claimed = Entry::claimed(wanted.version());
        let entry = self.inventory.get(&wanted.key).unwrap_or(&claimed);
        let (app, allowed) = (&self.world.app, self.args.recreate);
        row.because(Reason::Immutable);
        let named = paths.join(", ");
        match recreate_decision(wanted, entry, &seen.meta, app, allowed, &failure) {
            Recreate::Do { uid, spread, .. } => {
                row.say("recreate", &format!("cannot change in place: {named}"));
                (row.uid, row.propagation) = (Some(uid), Some(propagation(spread)));
            }
            Recreate::Refuse(why) => {
                row.say(
                    "refused",
                    &format!("cannot change in place: {named}; not replaced: {why}"),
                );
            }
        }
    }

    /// One entry that is no longer desired.
    fn prune(&self, task: &PruneTask, going: &BTreeSet<ObjectKey>) -> Row {
        let mut row = self.row(&task.key, &task.version, "prune");
        row.data = task.data && matches!(task.prune, Prune::Delete { .. });
        match &task.prune {
            Prune::Delete { uid, spread, guard } => {
                row.say("delete", "is ours and no longer desired");
                (row.uid, row.propagation) = (Some(uid.clone()), Some(propagation(*spread)));
                let definition = self.definition(&task.key);
                let held = guard.map(|guard| {
                    guard_holds(guard, &task.key, definition.as_ref(), &self.world.live(), going)
                });
                let held = held.unwrap_or_default();
                let wanted = definition.and_then(|d| self.instance(&d));
                if !held.is_empty() {
                    row.hold_back(Reason::PruneBlocked, format!("it still holds {}", named(&held)));
                } else if let Some(wanted) = wanted {
                    row.hold_back(
                        Reason::PruneBlocked,
                        format!("{wanted} needs it and stays; it goes when that goes"),
                    );
                }
            }
            Prune::Deleting { finalizers } => {
                row.finalizers.clone_from(finalizers);
                row.say("wait", "is being deleted already");
                row.because(Reason::Pruning);
            }
            Prune::Gone => row.say("forget", "is gone, or lives on under another kind"),
            Prune::Forget(forget) => row.say("forget", &forgotten(forget)),
            Prune::Detach(detach) => {
                row.say("detach", &detached(detach));
                row.because(Reason::OrphanKept);
            }
            Prune::Hold(hold) => {
                row.say("keep", &held_back(hold));
                row.because(Reason::PruneBlocked);
            }
        }
        row
    }

    /// A desired object of a kind.
    fn instance(&self, of: &Definition) -> Option<&ObjectKey> {
        let mut all = self.desired.objects().keys();
        all.find(|key| key.group == of.group && key.kind == of.kind)
    }

    /// The kind that a live definition defines.
    fn definition(&self, key: &ObjectKey) -> Option<Definition> {
        let object = &self.world.seen.get(key)?.object;
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
        Some(Definition { group: text("/spec/group")?, kind: text("/spec/names/kind")? })
    }
}

impl Row {
    fn say(&mut self, action: &'static str, message: &str) {
        self.action = action;
        message.clone_into(&mut self.message);
    }

    fn because(&mut self, reason: Reason) {
        self.reason = Some(reason.name());
        self.code = Some(reason.code());
    }

    fn hold_back(&mut self, reason: Reason, message: String) {
        self.would = Some(self.action);
        self.action = "keep";
        self.message = message;
        self.because(reason);
    }
}

fn verb(why: &Why) -> &'static str {
    match why {
        Why::Create | Why::Recreate | Why::Drift(Drift::Deleted) => "create",
        Why::Adopt | Why::Drift(Drift::Recreated) => "adopt",
        Why::Transfer(_) => "transfer",
        Why::Update | Why::Resume | Why::Drift(_) => "update",
    }
}

fn words(why: &Why) -> &'static str {
    match why {
        Why::Create => "is not there",
        Why::Update => "differs from what is desired",
        Why::Resume => "carries our marks, and the last write of it is not noted",
        Why::Drift(Drift::Deleted) => "was ours and somebody deleted it",
        Why::Drift(Drift::Recreated) => "was ours, and somebody made it again",
        Why::Drift(_) => "was changed by somebody",
        Why::Adopt => "is there and nobody's",
        Why::Transfer(_) => "is handed over by another App",
        Why::Recreate => "was deleted to be made again",
    }
}

fn until(until: Until) -> &'static str {
    match until {
        Until::Applied => "applied",
        Until::Healthy => "healthy",
        Until::NamespaceActive => "namespace active",
        Until::DefinitionEstablished => "definition established",
        Until::EndpointReady => "endpoint ready",
    }
}

fn propagation(spread: Spread) -> &'static str {
    match spread {
        Spread::Background => "Background",
        Spread::Foreground => "Foreground",
        Spread::Orphan => "Orphan",
    }
}

fn forgotten(forget: &Forget) -> String {
    match forget {
        Forget::Recreated => {
            "is not the object that was applied: its uid is another one".to_owned()
        }
        Forget::Taken(Some(app)) => format!("its label names App `{app}`"),
        Forget::Taken(None) => "its label does not name this App".to_owned(),
        Forget::CopiedMarks => {
            "its tracking id does not name itself: the marks are copies".to_owned()
        }
        Forget::NeverWritten => "was announced and never written by us".to_owned(),
    }
}

fn detached(detach: &Detach) -> String {
    match detach {
        Detach::AsksToStay(annotation) => format!("asks to be kept: {annotation}"),
        Detach::Protected => "is one that no App may delete".to_owned(),
        Detach::OwnedByOthers(_) => "has an owner that is not of this App".to_owned(),
        Detach::Released => "is let go with the App".to_owned(),
        Detach::NeededBy(by) => format!("{by} needs it and stays"),
    }
}

fn held_back(hold: &Hold) -> String {
    match hold {
        Hold::NotSeen => "its kind could not be looked at".to_owned(),
        Hold::Unconfirmed => "our write of it was never answered".to_owned(),
        Hold::AfterFailure => "the release is not applied in full".to_owned(),
        Hold::AwaitsApproval => "asks that a person confirms its deletion".to_owned(),
        Hold::Leaving(to) => format!("is handed over to App `{to}`"),
        Hold::NeededBy(by) => format!("{by} needs it and stays; it goes when that goes"),
        Hold::MayBeNeededBy(by) => waits_for(by),
    }
}

fn waits_for(by: &ObjectKey) -> String {
    format!("{by} stays for now and may need it; it goes when that goes")
}

fn named(keys: &[ObjectKey]) -> String {
    let mut text =
        keys.iter().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if keys.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", keys.len() - NAMED_MAX));
    }
    text
}
