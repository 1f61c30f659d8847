//! The hub dies after each single append of a rollout of four waves, and the story is the same.

use std::{collections::BTreeMap, time::Duration};

use model::{ClusterName, Selector, WaveName};
use rollout::{
    Amount, Event, Members, Strategy, WaveSettings, WaveSpec,
    sim::{Commitment, World, commit_id, lines},
};

/// The same fleet and release, with a crash after the append of that number.
fn story(crash_at: Option<usize>) -> World {
    let mut world = World::new(7);
    for n in 1..=8 {
        let ring = ["a", "b", "c", "d"][usize::try_from(n % 4).unwrap()];
        let labels = [("app", "yes"), ("ring", ring)];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        world.join(n, ClusterName::parse(&format!("k{n}")).unwrap(), labels);
    }
    let settings = WaveSettings {
        max_in_flight: Amount::Count(2),
        min_healthy: Duration::from_secs(30),
        soak: Duration::from_mins(2),
        ..WaveSettings::default()
    };
    let wave = |name: &str| {
        let select = Selector::parse(&format!("labels.ring == '{name}'")).unwrap();
        WaveSpec::new(WaveName::parse(name).unwrap(), Members::Select(select), settings)
    };
    world.commit(Commitment {
        author: "alice".to_owned(),
        targets: World::targets(),
        commit: commit_id(1),
        subject: "r1".to_owned(),
        strategy: Strategy { waves: ["a", "b", "c", "d"].map(wave).into(), ..Strategy::default() },
        content: "r1".to_owned(),
        own: BTreeMap::new(),
        hard_to_undo: Vec::new(),
    });
    world.crash_at = crash_at;
    world.run(Duration::from_mins(30), Duration::from_secs(10));
    world
}

/// What was decided about each cluster and wave, in order. Two clusters that answer in the same second may
/// be written down in either order.
fn by_subject(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines(world, 0) {
        let subject = line.split(' ').next().unwrap().to_owned();
        all.entry(subject).or_default().push(line);
    }
    all
}

#[test]
fn a_crash_after_any_append_changes_no_decision_and_repeats_no_epoch() {
    let calm = story(None);
    assert!(matches!(calm.log.last(), Some(Event::Ended { .. })), "the story has an end");
    for crash_at in 1..=calm.log.len() {
        let world = story(Some(crash_at));
        assert_eq!(world.violations, Vec::<String>::new(), "crash after {crash_at}");
        assert_eq!(rollout::check::log(&world.log), Vec::<String>::new(), "crash after {crash_at}");
        assert_eq!(by_subject(&world), by_subject(&calm), "crash after {crash_at}");
    }
}
