//! `tidegate agent diff`.

use std::path::PathBuf;

use model::{ObjectKey, api::API_VERSION};
use plan::{Change, DiffOptions, Migrate, Op, diff};
use serde::Serialize;
use serde_json::Value;

use super::world::{Shared, Told, World};
use crate::{
    error::{Error, Exit},
    output::{Format, Output, safe},
};

/// What to compare.
///
/// The answer is what a server-side apply by the agent would change, field by field: fields that the desired
/// object does not name and no write of ours (or of `kubectl apply`) brought are nobody's business; lists merge by
/// their keys; amounts are compared as amounts; what the API server drops or fills in is no difference. Values of
/// Secrets, and of environment variables that sound like one, are shown as `«redacted len=N hmac=…»`, the same on
/// both sides when they are equal.
///
/// `-o json` prints `{"apiVersion": "cli.tidegate/v1", "kind": "AgentDiff", "equal": BOOL, "faults": […],
/// "objects": [{"id", "apiVersion", "kind", "namespace", "name", "status", "changes", "shared", "conflicts"}]}`:
///   id         `group/Kind/namespace/name`
///   status     `equal`, `different`, `missing` (not live), `deleting`, or `conflict`
///   changes    [{"path", "op": "add"|"change"|"remove", "from", "to", "owners": [managers]}]
///   shared     the same for fields that are left to a scaler; no difference
///   conflicts  the same for fields that another App or delivery tool owns: the apply would fail
///
/// Exit codes: 0 no difference, 1 a difference or a fault in the desired objects, 2 a file that is no YAML or
/// JSON, 5 a file that is not there.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// File or folder with desired objects, `-` for stdin
    #[arg(long, value_name = "FILE")]
    desired: PathBuf,
    /// File or folder with live objects, as `kubectl get -o yaml --show-managed-fields` prints them; `-` for stdin
    #[arg(long, value_name = "FILE")]
    live: PathBuf,
    /// Count the agent's own label and annotation as well
    #[arg(long)]
    marks: bool,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    api_version: &'static str,
    kind: &'static str,
    equal: bool,
    faults: Vec<Told>,
    objects: Vec<Compared>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Compared {
    id: String,
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    status: &'static str,
    changes: Vec<Change>,
    shared: Vec<Change>,
    conflicts: Vec<Change>,
}

/// Runs it.
pub(super) fn run(args: &Args, output: Output) -> Result<Exit, Error> {
    let app = args.shared.app(None)?;
    let world = World::read(&args.shared, app, &args.desired, Some(&args.live))?;
    let (faults, objects) = match &world.desired {
        Err(faults) => (faults.clone(), Vec::new()),
        Ok(desired) => {
            let all = desired.objects().values();
            (Vec::new(), all.map(|wanted| compare(args, &world, wanted)).collect())
        }
    };
    let equal = faults.is_empty() && objects.iter().all(|one: &Compared| one.status == "equal");
    let document = Document { api_version: API_VERSION, kind: "AgentDiff", equal, faults, objects };
    if output.format == Format::Json {
        let text = serde_json::to_string_pretty(&document)
            .map_err(|e| Error::new(Exit::Internal, format!("write JSON: {e}")))?;
        Output::data(&world.scrubber.scrub(&text))?;
    } else {
        let text = world.scrubber.scrub(&lines(&document));
        if !text.is_empty() {
            Output::data(&safe(&text))?;
        }
    }
    let differ = document.objects.iter().filter(|one| one.status != "equal").count();
    output.say(&format!("{} objects, {differ} differ", document.objects.len()));
    Ok(if equal { Exit::Fine } else { Exit::No })
}

fn compare(args: &Args, world: &World, wanted: &plan::DesiredObject) -> Compared {
    let key: &ObjectKey = &wanted.key;
    let migrate = Migrate::default();
    let ignore: Vec<String> =
        args.shared.ignore.iter().chain(&wanted.choices.ignore).cloned().collect();
    let options = DiffOptions {
        ignore: &ignore,
        marks: args.marks,
        ..DiffOptions::new(&world.ownership, &world.schemas, &world.key, &migrate)
    };
    let mut one = Compared {
        id: key.id(),
        api_version: wanted.api_version.clone(),
        kind: key.kind.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        status: "missing",
        changes: Vec::new(),
        shared: Vec::new(),
        conflicts: Vec::new(),
    };
    let Some(seen) = world.seen.get(key) else { return one };
    let found = diff(&wanted.body, &seen.object, &options);
    one.status = if seen.meta.deleting {
        "deleting"
    } else if !found.conflicts.is_empty() {
        "conflict"
    } else if found.changes.is_empty() {
        "equal"
    } else {
        "different"
    };
    (one.changes, one.shared, one.conflicts) = (found.changes, found.shared, found.conflicts);
    one
}

fn lines(document: &Document) -> String {
    let mut text = String::new();
    for fault in &document.faults {
        text.push_str(&format!("{}\n", fault.line()));
    }
    for one in document.objects.iter().filter(|one| one.status != "equal") {
        text.push_str(&format!("{} {}\n", one.status, one.id));
        let groups =
            [("", &one.changes), (" (shared)", &one.shared), (" (conflict)", &one.conflicts)];
        for (note, changes) in groups {
            for change in changes {
                text.push_str(&format!("  {}{note}\n", line(change)));
            }
        }
    }
    text
}

/// One change for people.
pub(super) fn line(change: &Change) -> String {
    let value = |value: &Option<Value>| value.as_ref().map_or_else(String::new, Value::to_string);
    let owners = if change.owners.is_empty() {
        String::new()
    } else {
        let names: Vec<&str> = change.owners.iter().map(String::as_str).collect();
        format!("  [{}]", names.join(", "))
    };
    match change.op {
        Op::Add => format!("+ {}: {}{owners}", change.path, value(&change.to)),
        Op::Remove => format!("- {}: {}{owners}", change.path, value(&change.from)),
        Op::Change => {
            format!("~ {}: {} → {}{owners}", change.path, value(&change.from), value(&change.to))
        }
    }
}
