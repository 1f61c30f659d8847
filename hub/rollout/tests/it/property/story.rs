//! A story: a random fleet to which random things happen.

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;
use model::{AppName, ClusterName, ClusterUid};
use rollout::{
    Answer, Bug, DependencyObs, Event, Expect, Gate, Mark, OnUntarget, Role, Targets, Verb,
    sim::{Behaviour, Commitment, Faults, Outside, Rng, World, actor, commit_id, digest, uid},
};

use super::{lift, strategy::strategy};

const SECOND: Duration = Duration::from_secs(1);
/// Things that happen in one story.
const STEPS: u64 = 250;
/// Most clusters of one story.
const CLUSTERS_MAX: u64 = 12;

pub(super) struct Story {
    pub(super) rng: Rng,
    pub(super) world: World,
    releases: u64,
    commits: u64,
    pub(super) clusters: u64,
}

impl Story {
    pub(super) fn new(seed: u64, bug: Option<Bug>) -> Story {
        let mut rng = Rng::new(seed ^ 0x7469_6465);
        let mut world = World::new(seed);
        world.bug = bug;
        world.compare = bug.is_none() && seed.is_multiple_of(4);
        world.faults = Faults {
            loss: *rng.pick(&[0, 5, 25]),
            duplicate: *rng.pick(&[0, 20]),
            delay_secs: *rng.pick(&[0, 3, 25]),
            crash: *rng.pick(&[0, 0, 2, 10]),
        };
        let mut story = Story { rng, world, releases: 0, commits: 0, clusters: 0 };
        for _ in 0..2 + story.rng.below(7) {
            story.join();
        }
        story.world.outside(&Outside::Blocker("sev1".to_owned(), false));
        let all = story.everybody();
        story.depend(true, &all);
        story.commit();
        story
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        match self.world.violations.first() {
            None => Ok(()),
            Some(first) => {
                let tail = self.world.log.iter().rev().take(12).rev();
                let tail: Vec<_> = tail.map(|e| format!("  {}", short(e))).collect();
                Err(format!("{first}\nafter\n{}", tail.join("\n")))
            }
        }
    }

    /// One thing after the other.
    pub(super) fn chaos(&mut self) -> Result<(), String> {
        for step in 0..STEPS {
            self.happens();
            self.world.step(SECOND * u32::try_from(2 + self.rng.below(20)).unwrap());
            self.verdict()?;
            if step.is_multiple_of(16) && self.world.bug.is_none() {
                lift::lift(&self.world)?;
            }
        }
        Ok(())
    }

    fn everybody(&self) -> Vec<ClusterUid> {
        (1..=self.clusters).map(uid).collect()
    }

    pub(super) fn depend(&mut self, settled: bool, ready: &[ClusterUid]) {
        let is = DependencyObs { settled, ready: ready.iter().cloned().collect() };
        self.world.outside(&Outside::Dependency(AppName::parse("db").unwrap(), is));
    }

    fn join(&mut self) {
        self.clusters += 1;
        // The first is a canary, so that a strategy with a canary selector can be planned.
        let canary = self.clusters == 1 || self.rng.chance(25);
        let ring = if canary { "canary" } else { "prod" };
        let name = format!("k{}", self.clusters);
        let zone = *self.rng.pick(&["a", "b"]);
        let pair = *self.rng.pick(&["1", "2", "3"]);
        let tz = *self.rng.pick(&["UTC", "Asia/Tokyo"]);
        let labels = [("app", "yes"), ("ring", ring), ("zone", zone), ("pair", pair), ("tz", tz)];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        self.world.join(self.clusters, ClusterName::parse(&name).unwrap(), labels);
        let nodes = 1 + self.rng.below(50);
        let cluster = self.world.clusters.get_mut(&uid(self.clusters)).unwrap();
        cluster.link = !self.rng.chance(10);
        cluster.facts = serde_json::json!({"nodes": nodes});
    }

    fn commit(&mut self) {
        let head = self.world.head.clone();
        // Sometimes HEAD moves and the content does not, or goes back to what it was.
        let content = match (self.rng.below(10), &head) {
            (0, Some(head)) => head.content.clone(),
            (1, _) if self.releases > 0 => format!("r{}", 1 + self.rng.below(self.releases)),
            _ => {
                self.releases += 1;
                format!("r{}", self.releases)
            }
        };
        let mut own = BTreeMap::new();
        for n in 1..=self.clusters {
            if self.rng.chance(15) {
                own.insert(uid(n), (*self.rng.pick(&["x", "y"])).to_owned());
            }
        }
        self.commits += 1;
        self.misbehave(&content);
        let hard_to_undo = if self.rng.chance(10) { vec!["crd".to_owned()] } else { Vec::new() };
        let on_untarget = *self.rng.pick(&[OnUntarget::Retain, OnUntarget::Prune]);
        let max_change = self.rng.chance(10).then_some(rollout::Amount::Percent(40));
        self.world.commit(Commitment {
            commit: commit_id(self.commits),
            subject: content.clone(),
            author: "alice".to_owned(),
            targets: Targets {
                on_untarget,
                expect: Expect { min: None, max_change },
                ..World::targets()
            },
            strategy: strategy(&mut self.rng),
            content,
            own,
            hard_to_undo,
        });
    }

    fn misbehave(&mut self, content: &str) {
        let after = |rng: &mut Rng| SECOND * u32::try_from(rng.below(90)).unwrap();
        let everywhere = self.rng.chance(30);
        let kind = self.rng.below(8);
        for n in 1..=self.clusters + 3 {
            if !everywhere && self.rng.chance(60) {
                continue;
            }
            let behaviour = match kind {
                0 => Behaviour::Stuck,
                1 => Behaviour::Terminal(after(&mut self.rng)),
                2 => Behaviour::Regresses {
                    healthy: after(&mut self.rng),
                    lasts: 4 * after(&mut self.rng),
                },
                3 => Behaviour::CutsNetwork,
                _ => Behaviour::Good(after(&mut self.rng)),
            };
            let all = self.world.contents.entry(digest(content)).or_default();
            all.on.insert(uid(n), behaviour);
        }
    }

    /// One thing happens.
    fn happens(&mut self) {
        let n = 1 + self.rng.below(self.clusters);
        let time = self.world.time;
        let cluster = self.world.clusters.get_mut(&uid(n)).unwrap();
        match self.rng.below(120) {
            0..8 => cluster.link = false,
            8..22 => cluster.link = true,
            22..26 => cluster.agent.restart(time),
            26 => cluster.agent.wipe(time),
            27 => cluster.up = !cluster.up,
            28 => self.world.relabel(&uid(n), "ring", "canary"),
            29 => {
                let app = *self.rng.pick(&["yes", "yes", "no"]);
                self.world.relabel(&uid(n), "app", app);
            }
            30 if self.clusters < CLUSTERS_MAX => self.join(),
            31 if n > 1 && self.rng.chance(30) => self.world.delete(&uid(n)),
            32..36 => self.commit(),
            36..52 => self.verb(),
            52 => {
                let minutes = *self.rng.pick(&[10, 10, -7, 180]);
                self.world.jump(SignedDuration::from_mins(minutes));
            }
            53 => self.world.hub.up = false,
            54..60 if !self.world.hub.up => {
                self.world.hub.up = true;
                self.world.crash();
            }
            60 if self.world.hub.up && self.rng.chance(50) => self.world.fail_over(),
            61 => self.world.stale = None,
            62 => cluster.broken = self.rng.chance(40),
            63..76 => self.outside(n),
            _ => {}
        }
    }

    fn outside(&mut self, n: u64) {
        let scope = *self.rng.pick(&["fleet", "app/web"]);
        let mark = Mark {
            scope: scope.to_owned(),
            by: "ann".to_owned(),
            reason: "because".to_owned(),
            until: None,
        };
        let on = self.rng.chance(35);
        let of = vec![uid(n)];
        let what = match self.rng.below(9) {
            0 => Outside::Freeze(mark, on),
            1 => Outside::Blocker("sev1".to_owned(), on),
            2 | 3 => {
                let answers = [Some(Answer::Pass), Some(Answer::Fail), Some(Answer::Hold), None];
                Outside::Measures(*self.rng.pick(&answers))
            }
            4 => Outside::Cordon(of, mark, on),
            5 => Outside::Pin(of, mark, on),
            6 => Outside::Busy(of, u32::try_from(self.rng.below(4)).unwrap()),
            7 => Outside::GrantsLeft(on.then(|| u32::try_from(self.rng.below(2)).unwrap())),
            _ => {
                let some: Vec<_> =
                    self.everybody().into_iter().filter(|_| self.rng.chance(70)).collect();
                let settled = self.rng.chance(60);
                return self.depend(settled, &some);
            }
        };
        self.world.outside(&what);
        if self.rng.chance(5) {
            let two = self.rng.chance(50);
            self.world.outside(&Outside::TwoPeople(two));
        }
    }

    fn verb(&mut self) {
        if !self.world.hub.up {
            return;
        }
        let n = uid(1 + self.rng.below(self.clusters));
        let release =
            self.rng.chance(50).then(|| commit_id(1 + self.rng.below(self.commits)).to_string());
        let gates = [Gate::Soak, Gate::Window, Gate::Analysis, Gate::Approval, Gate::Unhealthy];
        let waves = [None, None, Some("canary"), Some("early"), Some("rest")];
        let wave = self.rng.pick(&waves).map(str::to_owned);
        let verb = match self.rng.below(27) {
            0 => Verb::Start,
            1..4 => Verb::Pause,
            4..7 => Verb::Resume { accept: self.rng.chance(50) },
            7 => Verb::Abort,
            8..10 => Verb::Rollback,
            10 => Verb::Retry { cluster: None },
            11 => Verb::Retry { cluster: Some(n) },
            12 => Verb::Skip { cluster: n },
            13..18 => Verb::Approve { wave },
            18 => Verb::Reject { wave },
            19 => Verb::Revoke { wave, of: self.rng.chance(50).then(|| "bob".to_owned()) },
            20 => Verb::Override { wave, gate: self.rng.pick(&gates).clone() },
            21 => Verb::Promote { wave },
            22 => Verb::Expedite { divisor: 2 + u32::try_from(self.rng.below(9)).unwrap() },
            23 => Verb::Tolerate { wave, failures: u32::try_from(self.rng.below(4)).unwrap() },
            24 => Verb::Condemn { release },
            25 => Verb::Absolve { release },
            _ => Verb::Restart,
        };
        let name: &str = self.rng.pick::<&str>(&["ann", "bob", "alice", "eve"]);
        let mut by = actor(name, "because");
        by.role = *self.rng.pick(&[Role::Admin, Role::Admin, Role::Operator, Role::Viewer]);
        if self.rng.chance(60) {
            by.groups.insert("sre".to_owned());
        }
        // A refusal is an answer, too; it must have changed nothing.
        let before = self.world.log.len();
        if let Err(refusal) = self.world.command(&verb, &by) {
            assert!(!refusal.fix.is_empty() && !refusal.why.is_empty(), "{refusal:?}");
            assert_eq!(self.world.log.len(), before);
        }
    }
}

fn short(event: &Event) -> String {
    let mut text = format!("{event:?}");
    text.truncate(300);
    text
}
