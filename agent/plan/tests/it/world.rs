//! Made-up clusters: what is desired, what was applied, and what became of it since.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, Digest, Epoch, ObjectKey, ObjectParts};
use plan::{
    Action, AdmitOptions, Content, Desired, Inventory, Key, Live, LiveMeta, Plan, Prune, Scope,
    Sight, Signature, Written, admit,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The kinds of the made-up cluster.
pub(crate) struct Kinds;

impl Scope for Kinds {
    fn namespaced(&self, _group: &str, kind: &str) -> Option<bool> {
        match kind {
            "Namespace"
            | "CustomResourceDefinition"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "ValidatingWebhookConfiguration"
            | "APIService"
            | "StorageClass"
            | "PriorityClass" => Some(false),
            "Thing" => None,
            _ => Some(true),
        }
    }
}

pub(crate) fn app() -> AppName {
    AppName::parse("web").unwrap()
}

pub(crate) fn options() -> AdmitOptions {
    AdmitOptions {
        default_namespace: Some("shop".to_owned()),
        ..AdmitOptions::new(Key::new([7; 32]))
    }
}

pub(crate) fn content(object: Value) -> Content {
    Content { digest: Digest::of(object.to_string().as_bytes()), object }
}

/// Admits objects that are right.
pub(crate) fn desired(objects: impl IntoIterator<Item = Value>) -> Desired {
    let contents = objects.into_iter().map(content).collect();
    admit(&app(), contents, &Kinds, &options()).unwrap_or_else(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("{}", faults.join("\n"))
    })
}

pub(crate) fn key(id: &str) -> ObjectKey {
    ObjectKey::parse_id(id).unwrap()
}

pub(crate) fn signature(n: u64) -> Signature {
    Signature::try_from(format!("{n:016x}")).unwrap()
}

/// A cluster that does what it is told.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) live: Live,
    pub(crate) inventory: Inventory,
    writes: u64,
}

impl Cluster {
    pub(crate) fn new() -> Cluster {
        Cluster { live: Live::new(), inventory: Inventory::new(app()), writes: 0 }
    }

    /// Carries out a plan as the shell does: claim, apply, record, prune, forget.
    pub(crate) fn run(&mut self, desired: &Desired, plan: &Plan) {
        self.inventory = self.inventory.claim(desired, self.inventory.epoch().next());
        for task in plan.tasks() {
            match &task.action {
                Action::Apply { .. } => self.apply(desired, &task.key),
                Action::WaitTerminating { .. } => self.live.remove(&task.key),
                Action::NoOp
                | Action::Drifted(_)
                | Action::Conflict { .. }
                | Action::Compare { .. }
                | Action::NotSeen => {}
            }
        }
        for task in plan.prunes() {
            match &task.prune {
                Prune::Delete { .. } | Prune::Deleting { .. } => {
                    self.live.remove(&task.key);
                    self.inventory.forget(&task.key);
                }
                Prune::Gone | Prune::Forget(_) | Prune::Detach(_) => {
                    self.inventory.forget(&task.key);
                }
                Prune::Hold(_) => {}
            }
        }
    }

    fn apply(&mut self, desired: &Desired, key: &ObjectKey) {
        let object = desired.get(key).unwrap();
        self.writes += 1;
        let uid = match self.live.get(key) {
            Sight::Present(meta) => meta.uid.clone(),
            Sight::Absent | Sight::Unknown => format!("uid-{}", self.writes),
        };
        let meta = LiveMeta {
            uid,
            resource_version: self.writes.to_string(),
            owner: Some(app().to_string()),
            id: Some(key.id()),
            sig: Some(signature(self.writes)),
            ..LiveMeta::default()
        };
        self.live.insert(key.clone(), meta.clone());
        let version = object.version().to_owned();
        let fingerprint = object.fingerprint;
        self.inventory.record(key, Written { version, fingerprint, meta });
    }

    /// Changes what is live of one object.
    pub(crate) fn meddle(&mut self, key: &ObjectKey, change: impl FnOnce(&mut LiveMeta)) {
        let Sight::Present(meta) = self.live.get(key) else { return };
        let mut meta = meta.clone();
        change(&mut meta);
        self.live.insert(key.clone(), meta);
    }
}

/// What became of one object since it was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Untouched,
    Deleted,
    Recreated,
    RecreatedWithOurMarks,
    LabelRemoved,
    TakenByAnotherApp,
    MarksOfAnother,
    Deleting,
    AsksToStay,
    Edited,
}

const FATES: &[Fate] = &[
    Fate::Untouched,
    Fate::Deleted,
    Fate::Recreated,
    Fate::RecreatedWithOurMarks,
    Fate::LabelRemoved,
    Fate::TakenByAnotherApp,
    Fate::MarksOfAnother,
    Fate::Deleting,
    Fate::AsksToStay,
    Fate::Edited,
];

/// One object of the pool.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is the toss of a coin of its own")]
pub(crate) struct Lot {
    before: bool,
    after: bool,
    changed: bool,
    answered: bool,
    wave: i32,
    needs: Option<usize>,
    fate: Fate,
}

/// Kinds, in an order that has nothing to do with theirs; what is needed by nature comes first.
const POOL: &[(&str, &str, &str, &str)] = &[
    ("v1", "Namespace", "", "shop"),
    ("v1", "Namespace", "", "bank"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "things.a.example"),
    ("rbac.authorization.k8s.io/v1", "Role", "shop", "r"),
    ("v1", "Service", "shop", "hook"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", "w"),
    ("a.example/v1", "Thing", "shop", "t"),
    ("a.example/v1", "Thing", "bank", "t"),
    ("apps/v1", "Deployment", "shop", "web"),
    ("apps/v1", "StatefulSet", "bank", "db"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "shop", "b"),
    ("v1", "ConfigMap", "shop", "c"),
    ("v1", "Secret", "bank", "s"),
    ("apiregistration.k8s.io/v1", "APIService", "", "v1.x"),
    ("v1", "ServiceAccount", "shop", "web"),
    ("networking.k8s.io/v1", "Ingress", "shop", "i"),
    ("batch/v1", "Job", "bank", "j"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "", "cr"),
    ("policy/v1", "PodDisruptionBudget", "shop", "p"),
    ("storage.k8s.io/v1", "StorageClass", "", "fast"),
];

fn pool_key(at: usize) -> ObjectKey {
    let (api_version, kind, namespace, name) = POOL[at];
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let text = |text: &str| text.to_owned();
    ObjectParts {
        group: text(group),
        kind: text(kind),
        namespace: text(namespace),
        name: text(name),
    }
    .into()
}

fn reference(key: &ObjectKey) -> String {
    if key.namespace.is_empty() {
        format!("{}/{}/{}", key.group, key.kind, key.name)
    } else {
        format!("{}/namespaces/{}/{}/{}", key.group, key.namespace, key.kind, key.name)
    }
}

fn pool_object(at: usize, lot: &Lot, changed: bool, present: &BTreeSet<usize>) -> Value {
    let (api_version, kind, namespace, name) = POOL[at];
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata":
        {"name": name, "annotations": {"tidegate.dev/wave": lot.wave.to_string()}}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    if let Some(need) = lot.needs.filter(|need| present.contains(need)) {
        object["metadata"]["annotations"]["tidegate.dev/depends-on"] =
            json!(reference(&pool_key(need)));
    }
    match kind {
        "CustomResourceDefinition" => {
            object["spec"] =
                json!({"group": "a.example", "scope": "Namespaced", "names": {"kind": "Thing"}});
        }
        "RoleBinding" => object["roleRef"] = json!({"kind": "Role", "name": "r"}),
        "ValidatingWebhookConfiguration" => {
            object["webhooks"] =
                json!([{"clientConfig": {"service": {"name": "hook", "namespace": "shop"}}}]);
        }
        "APIService" => object["spec"] = json!({"service": {"name": "x", "namespace": "other"}}),
        _ => object["changed"] = json!(changed),
    }
    object
}

/// One made-up cluster at the moment of planning.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) desired: Desired,
}

fn lot(at: usize) -> impl Strategy<Value = Lot> {
    let needs = proptest::option::weighted(0.2, 0..at.max(1));
    let wave = prop_oneof![8 => Just(0), 1 => Just(-1), 1 => Just(2)];
    let fate = prop_oneof![1 => Just(Fate::Untouched), 2 => proptest::sample::select(FATES)];
    (any::<bool>(), any::<bool>(), any::<bool>(), proptest::bool::weighted(0.8), wave, needs, fate)
        .prop_map(move |(before, after, changed, answered, wave, needs, fate)| {
            let needs = needs.filter(|need| *need < at);
            Lot { before, after, changed, answered, wave, needs, fate }
        })
}

/// Any world. One in eight wants nothing at all.
pub(crate) fn worlds() -> impl Strategy<Value = World> {
    let lots: Vec<_> = (0..POOL.len()).map(lot).collect();
    (lots, proptest::bool::weighted(0.125)).prop_map(|(lots, empty)| world(&lots, empty))
}

/// A small, fast source of numbers: the same ones for the same seed.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

/// The world of one seed. Cheaper than [`worlds`], and never shrunk: its seed is in the message.
pub(crate) fn rolled(seed: u64) -> World {
    let mut dice = Dice(seed);
    let lots: Vec<Lot> = (0..POOL.len())
        .map(|at| Lot {
            // Few at a time: most laws need two or three objects to be broken.
            before: dice.one_in(3),
            after: dice.one_in(3),
            changed: dice.one_in(2),
            answered: !dice.one_in(5),
            wave: [0, 0, 0, 0, -1, 2][usize::try_from(dice.roll(6)).unwrap()],
            needs: (at > 0 && dice.one_in(5))
                .then(|| usize::try_from(dice.roll(at as u64)).unwrap()),
            fate: if dice.one_in(3) {
                Fate::Untouched
            } else {
                FATES[usize::try_from(dice.roll(FATES.len() as u64)).unwrap()]
            },
        })
        .collect();
    world(&lots, dice.one_in(8))
}

fn world(lots: &[Lot], empty: bool) -> World {
    let pick = |chosen: &dyn Fn(&Lot) -> bool, changed: bool| {
        let present: BTreeSet<usize> =
            lots.iter().enumerate().filter(|(_, lot)| chosen(lot)).map(|(at, _)| at).collect();
        desired(
            present
                .iter()
                .map(|at| pool_object(*at, &lots[*at], changed && lots[*at].changed, &present)),
        )
    };
    let before = pick(&|lot| lot.before, false);
    let after = pick(&|lot| lot.after && !empty, true);
    let mut cluster = Cluster::new();
    let first = plan::plan(&before, &cluster.live, &cluster.inventory, &plan::Policy::default());
    cluster.run(&before, &first);
    forget_answers(&mut cluster, &before, lots);
    for (at, lot) in lots.iter().enumerate() {
        befall(&mut cluster, &pool_key(at), lot.fate);
    }
    World { cluster, desired: after }
}

/// The agent died before it could note some answers.
fn forget_answers(cluster: &mut Cluster, before: &Desired, lots: &[Lot]) {
    let mut inventory = Inventory::new(app()).claim(before, Epoch(1));
    let entries: BTreeMap<ObjectKey, _> = cluster.inventory.entries().clone();
    for (at, _) in lots.iter().enumerate().filter(|(_, lot)| lot.answered) {
        let key = pool_key(at);
        let (Some(entry), Sight::Present(meta)) = (entries.get(&key), cluster.live.get(&key))
        else {
            continue;
        };
        let written = Written {
            version: entry.version.clone(),
            fingerprint: entry.applied.unwrap(),
            meta: meta.clone(),
        };
        inventory.record(&key, written);
    }
    cluster.inventory = inventory;
}

fn befall(cluster: &mut Cluster, key: &ObjectKey, fate: Fate) {
    match fate {
        Fate::Untouched => {}
        Fate::Deleted => cluster.live.remove(key),
        Fate::Recreated => cluster.meddle(key, |meta| {
            *meta = LiveMeta { uid: "somebody-else".to_owned(), ..LiveMeta::default() };
        }),
        Fate::RecreatedWithOurMarks => {
            cluster.meddle(key, |meta| "somebody-else".clone_into(&mut meta.uid));
        }
        Fate::LabelRemoved => cluster.meddle(key, |meta| {
            meta.owner = None;
            meta.sig = Some(signature(u64::MAX));
        }),
        Fate::TakenByAnotherApp => {
            cluster.meddle(key, |meta| meta.owner = Some("other".to_owned()));
        }
        Fate::MarksOfAnother => {
            cluster.meddle(key, |meta| meta.id = Some("/ConfigMap/shop/parent".to_owned()));
        }
        Fate::Deleting => cluster.meddle(key, |meta| meta.deleting = true),
        Fate::AsksToStay => cluster.meddle(key, |meta| meta.keep = Some("keep: yes".to_owned())),
        Fate::Edited => cluster.meddle(key, |meta| meta.sig = Some(signature(u64::MAX))),
    }
}
