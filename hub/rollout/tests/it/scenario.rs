//! Stories in text files: what happens, line by line, and what must be seen. `tests/scenarios/README` of the
//! language stands at [`Stage::line`].
//!
//! A line that begins with `|` is expected output of the command above it. To write them anew after a
//! wanted change: `UPDATE_SCENARIOS=1 cargo test -p rollout scenario`, then read the difference.

use std::{collections::BTreeMap, time::Duration};

use model::{Digest, Selector, WaveName};
use rollout::{
    Amount, Expect, MemberState, Members, Offline, OnFailure, OnNewRelease, Outcome, Retry,
    RolloutState, StartMode, Strategy, Verb, WaveSettings, WaveSpec, WaveState,
};

use jiff::SignedDuration;
use model::{ClusterName, Labels};
use rollout::{
    Targets,
    sim::{Behaviour, Commitment, World, actor, commit_id, digest, lines},
};

/// One file of `tests/scenarios` as a test.
macro_rules! scenarios {
    ($($name:ident = $file:literal;)*) => {
        $(#[test]
        fn $name() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios/", $file);
            play(path, include_str!(concat!("../scenarios/", $file)));
        })*
    };
}
pub(crate) use scenarios;

/// Plays a file and compares what is seen with what it says.
pub(crate) fn play(path: &str, text: &str) {
    let mut stage = Stage::new();
    let mut seen = String::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('|') {
            continue;
        }
        seen.push_str(line);
        seen.push('\n');
        let line = line.split(" //").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("{path}:{}: {line}", number + 1);
        let output = stage.line(line).unwrap_or_else(|fault| panic!("{place}\n{fault}"));
        for out in output {
            seen.push_str("| ");
            seen.push_str(&out);
            seen.push('\n');
        }
        let broken = stage.world.violations.first();
        assert_eq!(broken, None, "{place}");
    }
    if option_env!("UPDATE_SCENARIOS").is_some() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test that writes its own expectation on demand"
        )]
        std::fs::write(path, seen).unwrap();
    } else {
        assert!(seen == text, "{path} would read\n{seen}");
    }
}

struct Stage {
    world: World,
    strategy: Strategy,
    expect: Expect,
    commits: u64,
    logged: usize,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

type Lines = Result<Vec<String>, String>;

impl Stage {
    fn new() -> Stage {
        Stage {
            world: World::new(1),
            strategy: Strategy { waves: Vec::new(), rollback: settings(), ..Strategy::default() },
            expect: Expect::default(),
            commits: 0,
            logged: 0,
        }
    }

    /// One command:
    ///
    /// ```text
    /// clusters NAME… [LABEL=VALUE…]          they join; all carry app=yes
    /// wave NAME select EXPR|take N|rest [with KEY=VALUE…]
    /// strategy KEY=VALUE…
    /// content NAME healthy|stuck|fails|cuts|regresses [after TIME] [on CLUSTER…]
    /// commit CONTENT [CLUSTER=CONTENT…]
    /// run TIME [step TIME]
    /// cut|heal|hold|release|restart|wipe|delete|relabel CLUSTER…
    /// pause|resume [accept]|abort|rollback|retry [CLUSTER]|skip CLUSTER|start
    /// crash | down | up | jump TIME
    /// log | why [CLUSTER] | waves            prints
    /// expect CLUSTER STATE | expect wave NAME STATE | expect rollout N STATE | expect runs CLUSTER CONTENT
    /// ```
    fn line(&mut self, line: &str) -> Lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (verb, rest) = words.split_first().unwrap();
        match *verb {
            "clusters" => self.clusters(rest),
            "wave" => self.wave(line),
            "strategy" => self.edit_strategy(rest),
            "content" => self.content(rest)?,
            "commit" => self.commit(rest),
            "run" => self.run(rest),
            "cut" | "heal" | "hold" | "release" | "restart" | "wipe" | "delete" | "relabel" => {
                self.touch(verb, rest);
            }
            "crash" => self.world.crash(),
            "down" => self.world.hub.up = false,
            "up" => {
                self.world.hub.up = true;
                self.world.crash();
            }
            "jump" => self.world.hub.wall_jump += SignedDuration::try_from(time(rest[0])).unwrap(),
            "log" => return Ok(self.log()),
            "why" => return Ok(self.why(rest)),
            "waves" => return Ok(self.waves()),
            "expect" => self.check(rest)?,
            _ => return self.person(verb, rest),
        }
        Ok(Vec::new())
    }

    fn clusters(&mut self, words: &[&str]) {
        let (labels, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|w| w.contains('='));
        for name in names {
            let mut all = vec![("app", "yes")];
            all.extend(labels.iter().filter_map(|l| l.split_once('=')));
            let number = 1 + self.world.clusters.len() as u64;
            let labels: Labels =
                all.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            self.world.join(number, ClusterName::parse(name).unwrap(), labels);
        }
    }

    fn wave(&mut self, line: &str) {
        let (line, settings_text) = line.split_once(" with ").unwrap_or((line, ""));
        let mut words = line.split_whitespace().skip(1);
        let name = WaveName::parse(words.next().unwrap()).unwrap();
        let kind = words.next().unwrap();
        let value = words.collect::<Vec<_>>().join(" ");
        let members = match kind {
            "select" => Members::Select(Selector::parse(&value).unwrap()),
            "take" => Members::Take { select: None, count: amount(&value), min: 0, largest: 0 },
            _ => Members::Rest,
        };
        let mut spec = WaveSpec::new(name, members, settings());
        for (key, value) in settings_text.split_whitespace().filter_map(|w| w.split_once('=')) {
            if key == "allowEmpty" {
                spec.allow_empty = true;
            } else {
                set(&mut spec.settings, key, value);
            }
        }
        self.strategy.waves.push(spec);
    }

    fn edit_strategy(&mut self, words: &[&str]) {
        for (key, value) in words.iter().filter_map(|w| w.split_once('=')) {
            let strategy = &mut self.strategy;
            match (key, value) {
                ("onFailure", "rollback") => strategy.on_failure = OnFailure::Rollback,
                ("onNewRelease", "queue") => strategy.on_new_release = OnNewRelease::Queue,
                ("onNewRelease", "supersede") => strategy.on_new_release = OnNewRelease::Supersede,
                ("start", "manual") => strategy.start = StartMode::Manual,
                ("probe", n) => strategy.probe = n.parse().unwrap(),
                ("expectMin", n) => self.expect.min = n.parse().ok(),
                ("maxChange", n) => self.expect.max_change = Some(amount(n)),
                ("rollbackInFlight", n) => strategy.rollback.max_in_flight = amount(n),
                _ => panic!("no strategy `{key}={value}`"),
            }
        }
    }

    fn content(&mut self, words: &[&str]) -> Result<(), String> {
        let on = words.iter().position(|w| *w == "on").unwrap_or(words.len());
        let after =
            words.iter().position(|w| *w == "after").map_or(20 * SECOND, |i| time(words[i + 1]));
        let behaviour = match words[1] {
            "healthy" => Behaviour::Good(after),
            "stuck" => Behaviour::Stuck,
            "fails" => Behaviour::Terminal(after),
            "cuts" => Behaviour::CutsNetwork,
            "regresses" => Behaviour::Regresses { healthy: 20 * SECOND, lasts: after },
            other => return Err(format!("no behaviour `{other}`")),
        };
        let mut named: Vec<_> =
            words.iter().skip(on + 1).map(|n| self.world.find(n).unwrap()).collect();
        if named.is_empty() {
            named = self.world.clusters.keys().cloned().collect();
        }
        let all = self.world.contents.entry(digest(words[0])).or_default();
        all.on.extend(named.into_iter().map(|uid| (uid, behaviour)));
        Ok(())
    }

    fn commit(&mut self, words: &[&str]) {
        self.commits += 1;
        let own = words[1..].iter().filter_map(|w| w.split_once('='));
        let own = own.map(|(name, content)| (self.world.find(name).unwrap(), content.to_owned()));
        self.world.commit(Commitment {
            author: "alice".to_owned(),
            targets: Targets { expect: self.expect, ..World::targets() },
            commit: commit_id(self.commits),
            subject: words[0].to_owned(),
            strategy: self.strategy.clone(),
            content: words[0].to_owned(),
            own: own.collect::<BTreeMap<_, _>>(),
            hard_to_undo: Vec::new(),
        });
        self.world.wake();
    }

    fn run(&mut self, words: &[&str]) {
        let step = words.get(2).map_or(10 * SECOND, |w| time(w));
        self.world.run(time(words[0]), step);
    }

    fn touch(&mut self, verb: &str, words: &[&str]) {
        let (labels, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|w| w.contains('='));
        let now = self.world.time;
        for name in names {
            let uid = self.world.find(name).unwrap();
            match verb {
                "hold" => drop(self.world.held.insert(uid.clone())),
                "release" => drop(self.world.held.remove(&uid)),
                _ => {}
            }
            let cluster = self.world.clusters.get_mut(&uid).unwrap();
            match verb {
                "cut" => cluster.link = false,
                "heal" => cluster.link = true,
                "restart" => cluster.agent.restart(now),
                "wipe" => cluster.agent.wipe(now),
                "delete" => self.world.delete(&uid),
                "relabel" => {
                    for (key, value) in labels.iter().filter_map(|l| l.split_once('=')) {
                        self.world.relabel(&uid, key, value);
                    }
                }
                _ => {}
            }
        }
    }

    fn person(&mut self, verb: &str, words: &[&str]) -> Lines {
        let named = words.first().filter(|w| **w != "accept").map(|n| self.world.find(n).unwrap());
        let verb = match verb {
            "start" => Verb::Start,
            "pause" => Verb::Pause,
            "resume" => Verb::Resume { accept: words.contains(&"accept") },
            "abort" => Verb::Abort,
            "rollback" => Verb::Rollback,
            "retry" => Verb::Retry { cluster: named },
            "skip" => Verb::Skip { cluster: named.unwrap() },
            other => return Err(format!("no command `{other}`")),
        };
        match self.world.command(&verb, &actor("ann", "told so")) {
            Ok(()) => Ok(Vec::new()),
            Err(refusal) => Ok(vec![
                format!("refused: {} {refusal}", refusal.reason.code()),
                format!("hint: {}", refusal.fix),
            ]),
        }
    }

    fn log(&mut self) -> Vec<String> {
        let lines = lines(&self.world, self.logged);
        self.logged = self.world.log.len();
        lines
    }

    fn why(&self, words: &[&str]) -> Vec<String> {
        let (world, obs) = (&self.world, self.world.obs());
        let say = |status: &model::Status| {
            let code = status.reason().map_or("ready", model::Reason::code);
            format!("{code} {}", status.message())
        };
        if let Some(name) = words.first() {
            let uid = world.find(name).unwrap();
            return vec![say(&rollout::explain_cluster(world.app(), &uid, world.now(), obs))];
        }
        let blockers = rollout::explain(world.app(), world.now(), obs);
        blockers.iter().map(|b| say(&b.status)).collect()
    }

    fn waves(&self) -> Vec<String> {
        let view = rollout::view::app(self.world.app(), self.world.now(), self.world.obs());
        let newest = view.rollouts.first();
        let waves = newest.into_iter().flat_map(|r| &r.waves);
        waves
            .map(|w| {
                let c = &w.clusters;
                format!(
                    "{} {}: {} of {} ready, {} failed",
                    w.name, w.phase, c.ready, c.total, c.failed
                )
            })
            .collect()
    }

    fn check(&self, words: &[&str]) -> Result<(), String> {
        let app = self.world.app();
        let (wanted, found) = match words {
            ["wave", name, wanted] => {
                let rollout = app.active.as_ref().or(app.past.first()).ok_or("no rollout")?;
                let wave = rollout.waves.iter().find(|w| w.spec.name.as_str() == *name);
                (*wanted, wave_word(wave.ok_or("no such wave")?.state).to_owned())
            }
            ["rollout", number, wanted] => {
                let id = model::RolloutId(number.parse().unwrap());
                let rollout = app.rollout(id).ok_or("no such rollout")?;
                (*wanted, rollout_word(&rollout.state).to_owned())
            }
            ["runs", name, content] => {
                let held = self.world.clusters[&self.world.find(name).unwrap()].agent.digest;
                let short = |d: Option<Digest>| d.map_or("nothing".to_owned(), |d| d.short());
                let wanted = (*content != "nothing").then(|| digest(content));
                return if held == wanted {
                    Ok(())
                } else {
                    Err(format!("{name} runs {}, not {}", short(held), short(wanted)))
                };
            }
            [name, wanted] => {
                let rollout = app.active.as_ref().or(app.past.first()).ok_or("no rollout")?;
                let member =
                    rollout.members.get(&self.world.find(name).unwrap()).ok_or("no member")?;
                (*wanted, member_word(&member.state).to_owned())
            }
            _ => return Err("expect what?".to_owned()),
        };
        if wanted == found { Ok(()) } else { Err(format!("expected {wanted}, found {found}")) }
    }
}

fn member_word(state: &MemberState) -> &'static str {
    match state {
        MemberState::Queued => "Queued",
        MemberState::Updating { .. } => "Updating",
        MemberState::Verifying => "Verifying",
        MemberState::Recalling { .. } => "Recalling",
        MemberState::Updated => "Updated",
        MemberState::Failed { .. } => "Failed",
        MemberState::Deferred { .. } => "Deferred",
        MemberState::Unchanged => "Unchanged",
        MemberState::Skipped => "Skipped",
        MemberState::Departed => "Departed",
    }
}

fn wave_word(state: WaveState) -> &'static str {
    match state {
        WaveState::Locked => "Locked",
        WaveState::Gated => "Gated",
        WaveState::Open => "Open",
        WaveState::Proving => "Proving",
        WaveState::Passed { .. } => "Passed",
        WaveState::Skipped => "Skipped",
    }
}

fn rollout_word(state: &RolloutState) -> &'static str {
    match state {
        RolloutState::Planned => "Planned",
        RolloutState::Progressing => "Progressing",
        RolloutState::Paused { .. } => "Paused",
        RolloutState::Halted { .. } => "Halted",
        RolloutState::Ended { outcome, .. } => match outcome {
            Outcome::Completed { .. } => "Completed",
            Outcome::RolledBack { .. } => "RolledBack",
            Outcome::Superseded { .. } => "Superseded",
            Outcome::Aborted => "Aborted",
        },
    }
}

/// Short times, so that a story stays short.
fn settings() -> WaveSettings {
    WaveSettings {
        max_in_flight: Amount::Count(1),
        max_failures: Amount::Count(0),
        min_healthy: 30 * SECOND,
        progress_deadline: 5 * MINUTE,
        offline: Offline { grace: 2 * MINUTE, stale_after: MINUTE },
        evidence_min: Amount::Count(1),
        timeout: 60 * MINUTE,
        retry: Retry { limit: 0, backoff: MINUTE },
        soak: Duration::ZERO,
    }
}

fn set(settings: &mut WaveSettings, key: &str, value: &str) {
    match key {
        "maxInFlight" => settings.max_in_flight = amount(value),
        "maxFailures" => settings.max_failures = amount(value),
        "evidence" => settings.evidence_min = amount(value),
        "soak" => settings.soak = time(value),
        "timeout" => settings.timeout = time(value),
        "retry" => settings.retry.limit = value.parse().unwrap(),
        _ => panic!("no setting `{key}`"),
    }
}

fn amount(text: &str) -> Amount {
    match text.strip_suffix('%') {
        Some(percent) => Amount::Percent(percent.parse().unwrap()),
        None => Amount::Count(text.parse().unwrap()),
    }
}

fn time(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u32 = number.parse().unwrap_or_else(|_| panic!("no time `{text}`"));
    number
        * match unit {
            "s" => SECOND,
            "m" => MINUTE,
            "h" => 60 * MINUTE,
            _ => 24 * 60 * MINUTE,
        }
}
