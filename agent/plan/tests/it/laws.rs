//! Many made-up worlds: nothing is deleted without its three proofs, the plan after a plan that was
//! carried out is empty, needs come first and go last, and no byte of a Secret is in what is said.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use plan::check::check;
use plan::{
    Action, DiffOptions, Key, Migrate, Ownership, Policy, Prune, Schemas, admit, diff,
    plan as make_plan,
};
use serde_json::{Value, json};

use super::world::{Dice, Kinds, World, app, content, options, rolled};

/// Worlds when nobody says how many; the gate says 100,000 (`PLAN_CASES`).
const CASES: u64 = 2_000;
/// Rounds after which a cluster that does what it is told must be at rest.
const ROUNDS: usize = 4;
/// Seeds that one thread takes at a time.
const BATCH: u64 = 100;

/// Runs `judge` for all seeds on all cores; the first fault with its seed.
pub(super) fn for_all(judge: impl Fn(u64) -> Result<(), String> + Sync) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the gate asks for more cases than the quick loop"
    )]
    let asked = std::env::var("PLAN_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases: u64 = asked.unwrap_or(CASES);
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            if start >= cases {
                return;
            }
            for seed in start..cases.min(start + BATCH) {
                if let Err(fault) = judge(seed) {
                    panic!("seed {seed}: {fault}");
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

fn lawful(world: &World) -> Result<plan::Plan, String> {
    let World { cluster, desired } = world;
    let policy = Policy::default();
    let plan = make_plan(desired, &cluster.live, &cluster.inventory, &policy);
    let notes = check(desired, &cluster.live, &cluster.inventory, &policy, &plan);
    if notes.is_empty() { Ok(plan) } else { Err(format!("{notes:#?}")) }
}

#[test]
fn no_law_is_broken_in_any_world() {
    for_all(|seed| {
        let mut world = rolled(seed);
        for _ in 0..ROUNDS {
            let plan = lawful(&world)?;
            world.cluster.run(&world.desired, &plan);
            world.cluster.inventory.confirm(&world.cluster.live);
            if plan.is_empty() {
                break;
            }
        }
        let rest = lawful(&world)?;
        let open = rest
            .tasks()
            .find(|task| !matches!(task.action, Action::NoOp | Action::Conflict { .. }));
        let going = rest.prunes().find(|task| !matches!(task.prune, Prune::Hold(_)));
        match (open, going) {
            (None, None) => Ok(()),
            rest => Err(format!("not at rest: {rest:?}")),
        }
    });
}

/// A value that no other text holds a piece of.
fn value(dice: &mut Dice) -> String {
    const LETTERS: &[u8] = b"QWRTZPSDFGHJKLYXCVBNM23456789";
    let letter = |dice: &mut Dice| {
        char::from(LETTERS[usize::try_from(dice.roll(LETTERS.len() as u64)).unwrap()])
    };
    (0..24).map(|_| letter(dice)).collect()
}

/// The first piece of eight bytes of `text` that is said.
fn piece<'a>(text: &'a str, said: &str) -> Option<&'a str> {
    (0..=text.len() - 8).map(|at| &text[at..at + 8]).find(|piece| said.contains(piece))
}

#[test]
fn s50_no_piece_of_a_secret_is_said_in_any_case() {
    let (ownership, schemas, key) = (Ownership::of(&app()), Schemas::new(), Key::new([3; 32]));
    let migrate = Migrate::default();
    let options_of = DiffOptions::new(&ownership, &schemas, &key, &migrate);
    for_all(|seed| {
        let mut dice = Dice(seed ^ 0x5eed);
        let (old, new) = (value(&mut dice), value(&mut dice));
        let secret = |value: &str, dice: &mut Dice| {
            let meta = json!({"name": "s", "namespace": "shop", "uid": "u"});
            match dice.roll(4) {
                0 => {
                    json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"k": value}})
                }
                1 => {
                    json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"k": value}})
                }
                2 => {
                    json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"k": [value]}})
                }
                _ => {
                    json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [
                    {"name": "c", "image": "i", "env": [{"name": "API_TOKEN", "value": value}]}]}})
                }
            }
        };
        let (before, after) = (secret(&old, &mut dice), secret(&new, &mut dice));
        let mut said = String::new();
        match admit(&app(), vec![content(after.clone())], &Kinds, &options()) {
            Err(faults) => faults.iter().for_each(|f| write!(said, "{f} {f:?}").unwrap()),
            Ok(desired) => {
                let object = desired.objects().values().next().unwrap();
                write!(said, "{desired:?} {:?}", diff(&object.body, &before, &options_of)).unwrap();
            }
        }
        write!(said, "{}", Value::from(format!("{:?}", diff(&after, &before, &options_of))))
            .unwrap();
        for value in [&old, &new] {
            if let Some(piece) = piece(value, &said) {
                return Err(format!("`{piece}` of {value} is in {said}"));
            }
            let encoded = json!(value).to_string();
            if let Some(piece) = piece(encoded.trim_matches('"'), &said) {
                return Err(format!("`{piece}` is in {said}"));
            }
        }
        Ok(())
    });
}
