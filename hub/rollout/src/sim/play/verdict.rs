//! Whether what was expected is so.

#![expect(clippy::wildcard_enum_match_arm, reason = "each claim is about the one thing it names")]

use super::{super::file::Claim, Player};
use crate::{
    sim::{digest, words},
    state::Rollout,
};

/// An expectation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Line of the file.
    pub line: u64,
    /// What was expected, and what is so.
    pub text: String,
}

impl Player<'_> {
    pub(super) fn check(&mut self, line: u64, claim: &Claim) {
        if let Err(found) = self.holds(claim) {
            let at = words::time(self.world.time);
            let text = format!("at {at} {found}");
            self.broken.push(Broken { line, text });
        }
    }

    fn newest(&self) -> Result<&Rollout, String> {
        let app = self.world.app();
        app.active.as_ref().or(app.past.first()).ok_or("no rollout was started".to_owned())
    }

    fn holds(&self, claim: &Claim) -> Result<(), String> {
        let same = |what: String, wanted: &str, found: &str| {
            if wanted == found { Ok(()) } else { Err(format!("{what} is {found}, not {wanted}")) }
        };
        match claim {
            Claim::Rollout(id, wanted) => {
                let rollout = self.world.app().rollout(*id).ok_or(format!("there is no {id}"))?;
                same(format!("rollout {id}"), wanted, words::rollout_state(&rollout.state))
            }
            Claim::Wave(name, wanted) => {
                let waves = &self.newest()?.waves;
                let wave = waves.iter().find(|w| w.spec.name.as_str() == name);
                let wave = wave.ok_or(format!("there is no wave `{name}`"))?;
                same(format!("wave {name}"), wanted, words::wave_state(wave.state))
            }
            Claim::Cluster(uid, wanted) => {
                let name = self.names(std::slice::from_ref(uid));
                let member = self.newest()?.members.get(uid);
                let found = member.map_or("no member", |m| words::member_state(&m.state));
                same(name, wanted, found)
            }
            Claim::Runs(uid, content) => {
                let wanted = (content != "nothing").then(|| digest(content));
                if self.runs(uid) == wanted {
                    return Ok(());
                }
                let name = self.names(std::slice::from_ref(uid));
                Err(format!("{name} runs {}, not {content}", self.content_of(uid)))
            }
            Claim::Refused(code) => {
                let found = self.refused.map_or("nothing", |r| r.code());
                same("what the last verb was refused with".to_owned(), code, found)
            }
            Claim::Rollouts(wanted) => {
                let found = self.world.app().last_id.to_string();
                same("the number of rollouts".to_owned(), &wanted.to_string(), &found)
            }
            Claim::Granted(wanted) => {
                let granted = self.newest()?.members.values().filter(|m| m.granted.is_some());
                let found = granted.count().to_string();
                same("the number of clusters with a grant".to_owned(), &wanted.to_string(), &found)
            }
            Claim::Why(_) | Claim::Quiet | Claim::WhyCluster(..) => self.explains(claim),
        }
    }

    fn explains(&self, claim: &Claim) -> Result<(), String> {
        let (now, hub) = (self.world.now(), &self.world.hub);
        let said: Vec<String> = if let Claim::WhyCluster(uid, _) = claim {
            vec![words::status(&crate::explain_cluster(&hub.app, uid, now, &hub.obs))]
        } else {
            let all = crate::explain(&hub.app, now, &hub.obs);
            all.iter().map(|b| words::status(&b.status)).collect()
        };
        let told = match claim {
            Claim::Why(text) | Claim::WhyCluster(_, text) => said.iter().any(|s| s.contains(text)),
            _ => said.is_empty(),
        };
        if told {
            return Ok(());
        }
        let wanted = match claim {
            Claim::Why(text) | Claim::WhyCluster(_, text) => text,
            _ => "nothing",
        };
        Err(format!("the reason is `{}`, not `{wanted}`", said.join("; ")))
    }

    fn content_of(&self, uid: &model::ClusterUid) -> String {
        let Some(found) = self.runs(uid) else { return "nothing".to_owned() };
        let named = self.scenario.timeline.iter().filter_map(|(_, act)| match act {
            super::Act::Commit { content, own, .. } => Some(own.values().chain([content])),
            _ => None,
        });
        let name = named.flatten().find(|name| digest(name) == found);
        name.cloned().unwrap_or_else(|| found.short())
    }
}
