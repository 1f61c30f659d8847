//! The files as the agent's brain sees them: an admitted set, live metadata, an inventory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use model::{AppName, Digest, ObjectKey, ObjectParts, Reason};
use plan::{
    AdmitOptions, Content, Desired, Fault, Key, Live, LiveMeta, Ownership, Schemas, Scope,
    Scrubber, admit,
};
use serde::Serialize;
use serde_json::Value;

use super::kinds::Kinds;
use crate::{
    error::{Error, Exit},
    objects::{Found, Twice, objects},
};

/// Options that both commands share.
#[derive(Debug, clap::Args)]
pub(super) struct Shared {
    /// App that the objects belong to
    #[arg(long, value_name = "NAME")]
    pub(super) app: Option<String>,
    /// Namespace of objects that need one and name none
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    pub(super) namespace: String,
    /// JSON pointer of a field that is left to others, such as `/spec/replicas`; `*` stands for every key or item
    #[arg(long, value_name = "POINTER")]
    pub(super) ignore: Vec<String>,
    /// Understand the hooks and waves of Helm and Argo CD
    #[arg(long)]
    pub(super) foreign: bool,
    /// File with further live objects or definitions that only explain kinds; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(super) definitions: Vec<PathBuf>,
}

/// Name of the App when nobody names one.
const APP: &str = "app";

impl Shared {
    /// The App: as named, or as the inventory says.
    pub(super) fn app(&self, known: Option<AppName>) -> Result<AppName, Error> {
        match (&self.app, known) {
            (Some(name), _) => AppName::parse(name).map_err(|_| {
                let message = format!("`{name}` is not the name of an App");
                Error::because(Exit::Usage, Reason::BadRequest, message)
                    .hint("small letters, digits and `-`, at most 63")
            }),
            (None, Some(known)) => Ok(known),
            (None, None) => AppName::parse(APP)
                .map_err(|error| Error::new(Exit::Internal, format!("name: {error}"))),
        }
    }
}

/// One live object.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) object: Value,
    pub(super) meta: LiveMeta,
}

/// Everything that the files say.
#[derive(Debug)]
pub(super) struct World {
    pub(super) app: AppName,
    pub(super) ownership: Ownership,
    pub(super) key: Key,
    pub(super) schemas: Schemas,
    pub(super) scrubber: Scrubber,
    pub(super) desired: Result<Desired, Vec<Told>>,
    pub(super) seen: BTreeMap<ObjectKey, Seen>,
}

/// A fault in the desired objects, with its place.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    pub(super) code: &'static str,
    pub(super) reason: &'static str,
    pub(super) place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) path: String,
    pub(super) message: String,
}

impl World {
    /// Reads both sides.
    pub(super) fn read(
        shared: &Shared,
        app: AppName,
        desired: &Path,
        live: Option<&Path>,
    ) -> Result<World, Error> {
        let wanted = objects(desired, Twice::Refused)?;
        let live = live.map_or(Ok(Vec::new()), |file| objects(file, Twice::LastWins))?;
        let (mut kinds, mut schemas, mut scrubber) =
            (Kinds::default(), Schemas::new(), Scrubber::new());
        let mut more = Vec::new();
        for file in &shared.definitions {
            more.extend(objects(file, Twice::LastWins)?);
        }
        for found in more.iter().chain(&live).chain(&wanted) {
            kinds.learn(&found.object);
            schemas.learn(&found.object);
            scrubber.learn(&found.object);
        }
        let ownership = Ownership::of(&app);
        let key = Key::new(random()?);
        let seen = see(live, &kinds, &ownership, &shared.namespace);
        let options = AdmitOptions {
            default_namespace: Some(shared.namespace.clone()),
            foreign_waves: shared.foreign,
            foreign_hooks: shared.foreign,
            ..AdmitOptions::new(key.clone())
        };
        let desired = admitted(&app, wanted, &kinds, &options, &scrubber);
        Ok(World { app, ownership, key, schemas, scrubber, desired, seen })
    }

    /// The metadata of all live objects.
    pub(super) fn live(&self) -> Live {
        let mut live = Live::new();
        for (key, seen) in &self.seen {
            live.insert(key.clone(), seen.meta.clone());
        }
        live
    }

    /// Namespaces that hold objects of anybody.
    pub(super) fn occupied(&self) -> BTreeSet<String> {
        let content = self
            .seen
            .iter()
            .filter(|(key, seen)| !key.namespace.is_empty() && plan::is_content(key, &seen.meta));
        content.map(|(key, _)| key.namespace.clone()).collect()
    }
}

/// Live objects by key. An object without a uid is there all the same, and proven to be nobody's.
fn see(
    live: Vec<Found>,
    kinds: &Kinds,
    ownership: &Ownership,
    namespace: &str,
) -> BTreeMap<ObjectKey, Seen> {
    let mut seen = BTreeMap::new();
    for Found { mut object, .. } in live {
        let text =
            |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
        let api_version = text("/apiVersion");
        let group = api_version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        if kind.is_empty() || name.is_empty() {
            continue;
        }
        let given = text("/metadata/namespace");
        let namespace = match kinds.namespaced(&group, &kind) {
            Some(false) => String::new(),
            Some(true) if given.is_empty() => namespace.to_owned(),
            Some(true) | None => given,
        };
        if text("/metadata/uid").is_empty() {
            object["metadata"]["uid"] = Value::from("");
        }
        let Some(meta) = LiveMeta::read(&object, ownership) else { continue };
        let key = ObjectParts { group, kind, namespace, name }.into();
        seen.insert(key, Seen { object, meta });
    }
    seen
}

fn admitted(
    app: &AppName,
    wanted: Vec<Found>,
    kinds: &Kinds,
    options: &AdmitOptions,
    scrubber: &Scrubber,
) -> Result<Desired, Vec<Told>> {
    let places: Vec<String> = wanted.iter().map(|found| found.place.clone()).collect();
    let contents = wanted.into_iter().map(|found| Content {
        digest: Digest::of(found.object.to_string().as_bytes()),
        object: found.object,
    });
    admit(app, contents.collect(), kinds, options).map_err(|faults| {
        let tell = |fault: Fault| Told {
            code: fault.reason.code(),
            reason: fault.reason.name(),
            place: places.get(fault.index).cloned().unwrap_or_default(),
            id: fault.key.as_ref().map(ObjectKey::id),
            path: fault.path,
            message: scrubber.scrub(&fault.message),
        };
        faults.into_iter().map(tell).collect()
    })
}

/// Bytes for the marks that stand for secret values: they differ from run to run, so that nobody can try
/// out values against them.
fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Error::new(Exit::Internal, format!("read `/dev/urandom`: {error}")))?;
    Ok(bytes)
}

impl Told {
    /// For people: where, what, why.
    pub(super) fn line(&self) -> String {
        let path = if self.path.is_empty() { String::new() } else { format!(" `{}`:", self.path) };
        let id = self.id.as_deref().map(|id| format!(" {id}:")).unwrap_or_default();
        format!("{}:{id}{path} {} [{}]", self.place, self.message, self.code)
    }
}
