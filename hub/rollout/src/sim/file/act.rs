//! What can happen in a scenario.

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;
use model::{ClusterUid, Labels};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Cast, Habit, Member, duration, texts::Texts};
use crate::{Role, Verb, sim::world::Outside};

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Act {
    /// HEAD moves.
    Commit {
        /// Content of every cluster without one of its own.
        content: String,
        /// Content of single clusters.
        own: BTreeMap<ClusterUid, String>,
        /// Which of the Apps of the file.
        app: String,
        /// Who wrote it.
        author: String,
        /// What of it cannot simply be undone.
        hard_to_undo: Vec<String>,
    },
    /// A content does something else from now on.
    Content(String, Habit),
    /// A person asks for something.
    Person(Order),
    /// Something changes outside the fleet.
    Outside {
        /// As it was written.
        words: String,
        /// By whom.
        by: String,
        /// What.
        what: Outside,
    },
    /// Links are cut or healed.
    Link {
        /// Of these.
        of: Vec<ClusterUid>,
        /// Healed.
        up: bool,
    },
    /// Messages of the hub to clusters wait in the network, or go on.
    Held {
        /// To these.
        of: Vec<ClusterUid>,
        /// They wait.
        held: bool,
    },
    /// Clusters break, whatever they run, or are repaired.
    Broken {
        /// These.
        of: Vec<ClusterUid>,
        /// They break.
        broken: bool,
    },
    /// Agents start again.
    Restart(Vec<ClusterUid>),
    /// Agents are installed anew: what they stored is gone.
    Wipe(Vec<ClusterUid>),
    /// A person deletes clusters.
    Delete(Vec<ClusterUid>),
    /// Labels change.
    Relabel(Vec<ClusterUid>, Labels),
    /// A cluster joins.
    Join(Member),
    /// The hub process dies and another one starts.
    Crash,
    /// The hub process is stopped or, anew, started.
    Hub {
        /// Started.
        up: bool,
    },
    /// The hub's wall clock jumps.
    Jump(SignedDuration),
    /// Another process takes the lease; the old one lives on.
    FailOver,
    /// The process that lost its lease ends.
    StaleEnds,
}

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct Order {
    /// As it was written.
    pub words: String,
    /// What.
    pub verb: Verb,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What they may do.
    pub role: Role,
    /// Groups they belong to.
    pub groups: Vec<String>,
    /// When they looked, if they say so.
    pub saw: Option<Duration>,
}

/// A step as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStep {
    pub(super) at: Spanned<String>,
    #[serde(rename = "do")]
    pub(super) acts: Spanned<Texts>,
    pub(super) by: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) role: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    pub(super) saw: Option<Spanned<String>>,
}

/// What is wrong, and what to do.
pub(super) type No = (String, String);

pub(super) const HINT: &str = "write `commit CONTENT [CLUSTER=CONTENT…] [app=NAME]`, `content NAME BEHAVIOUR`, a verb of a person, \
     `cut|heal|hold|release|break|repair|restart|wipe|delete CLUSTER…`, `relabel CLUSTER… KEY=VALUE…`, \
     `join CLUSTER [KEY=VALUE…]`, `freeze|unfreeze fleet|app`, `block|unblock NAME`, \
     `cordon|uncordon|pin|unpin CLUSTER…`, `dependency APP settled|moving|ready CLUSTER…`, \
     `measure pass|fail|hold|silent`, `busy CLUSTER N`, `grants-left N|any`, `two-people`, `crash`, `down`, `up`, `jump TIME`, `fail-over` or `old-hub-ends`";

pub(super) fn no(what: impl Into<String>, hint: impl Into<String>) -> No {
    (what.into(), hint.into())
}

pub(super) fn several(names: &[&str], cast: &Cast) -> Result<Vec<ClusterUid>, No> {
    let mut all = Vec::new();
    for name in names {
        let found = cast.matching(name);
        if found.is_empty() {
            return Err(no(format!("no cluster `{name}`"), "name one of `clusters`, or `p*`"));
        }
        all.extend(found);
    }
    if all.is_empty() { Err(no("no cluster is named", HINT)) } else { Ok(all) }
}

pub(super) fn time(text: &str) -> Result<Duration, No> {
    duration(text).ok_or_else(|| no(format!("`{text}` is not a time"), "write `90s` or `1h30m`"))
}
