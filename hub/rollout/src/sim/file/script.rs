//! What happens, when: the `timeline` of a scenario. Each step is a line of words, as on a command line.

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;
use model::{ClusterName, ClusterUid, Facts, Labels};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    AppSpec, Cast, Faulty, Habit, Member, Share, duration, habits,
    texts::{self, Texts},
};
use crate::Verb;

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
    },
    /// A content does something else from now on.
    Content(String, Habit),
    /// A person asks for something.
    Person(Order),
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
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStep {
    at: Spanned<String>,
    #[serde(rename = "do")]
    acts: Spanned<Texts>,
    by: Option<String>,
    reason: Option<String>,
}

/// Who asks when nobody is named.
const SOMEBODY: &str = "ann";
/// Who commits when nobody is named.
const AUTHOR: &str = "alice";
/// Why, when nothing is said.
const BECAUSE: &str = "told so";

pub(super) fn read(
    raw: &[Spanned<RawStep>],
    apps: &BTreeMap<String, AppSpec>,
    cast: &mut Cast,
    timeline: &mut Vec<(Duration, Act)>,
    faults: &mut Faulty<'_>,
) {
    let mut last = Duration::ZERO;
    for entry in raw {
        let step = &entry.value;
        let Some(at) = faults.time(&step.at) else { continue };
        if at < last {
            let hint = "write the steps in the order in which they happen";
            faults.add(step.at.referenced.line(), "this is earlier than the step above", hint);
        }
        last = at;
        for (line, text) in texts::each(&step.acts) {
            match act(text, step, apps, cast) {
                Ok(act) => timeline.push((at, act)),
                Err((what, hint)) => faults.add(line, what, hint),
            }
        }
    }
}

/// What is wrong, and what to do.
type No = (String, String);

const HINT: &str = "write `commit CONTENT [CLUSTER=CONTENT…] [app=NAME]`, `content NAME BEHAVIOUR`, a verb of a person, \
     `cut|heal|hold|release|break|repair|restart|wipe|delete CLUSTER…`, `relabel CLUSTER… KEY=VALUE…`, \
     `join CLUSTER [KEY=VALUE…]`, `crash`, `down`, `up`, `jump TIME`, `fail-over` or `old-hub-ends`";

fn act(
    text: &str,
    step: &RawStep,
    apps: &BTreeMap<String, AppSpec>,
    cast: &mut Cast,
) -> Result<Act, No> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some((verb, rest)) = words.split_first() else {
        return Err(("nothing is done".to_owned(), HINT.to_owned()));
    };
    let (pairs, names): (Vec<&str>, Vec<&str>) = rest.iter().partition(|w| w.contains('='));
    let pairs: Vec<(&str, &str)> = pairs.iter().filter_map(|w| w.split_once('=')).collect();
    match *verb {
        "commit" => commit(&names, &pairs, step, apps, cast),
        "content" => content(&names, &pairs, cast),
        "join" => join(&names, &pairs, cast),
        "crash" => Ok(Act::Crash),
        "down" => Ok(Act::Hub { up: false }),
        "up" => Ok(Act::Hub { up: true }),
        "fail-over" => Ok(Act::FailOver),
        "old-hub-ends" => Ok(Act::StaleEnds),
        "jump" => {
            let by = rest.first().and_then(|text| text.parse().ok());
            by.map(Act::Jump)
                .ok_or_else(|| no("`jump` needs a time", "write `jump 3h` or `jump -1h`"))
        }
        "cut" | "heal" | "hold" | "release" | "break" | "repair" | "restart" | "wipe"
        | "delete" | "relabel" => {
            let of = several(&names, cast)?;
            Ok(match *verb {
                "cut" | "heal" => Act::Link { of, up: *verb == "heal" },
                "hold" | "release" => Act::Held { of, held: *verb == "hold" },
                "break" | "repair" => Act::Broken { of, broken: *verb == "break" },
                "restart" => Act::Restart(of),
                "wipe" => Act::Wipe(of),
                "delete" => Act::Delete(of),
                _ => Act::Relabel(of, labels(&pairs)),
            })
        }
        _ => Ok(Act::Person(Order {
            words: text.to_owned(),
            verb: person(verb, &names, cast)?,
            by: step.by.clone().unwrap_or_else(|| SOMEBODY.to_owned()),
            reason: step.reason.clone().unwrap_or_else(|| BECAUSE.to_owned()),
        })),
    }
}

fn no(what: impl Into<String>, hint: impl Into<String>) -> No {
    (what.into(), hint.into())
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn several(names: &[&str], cast: &Cast) -> Result<Vec<ClusterUid>, No> {
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

fn commit(
    names: &[&str],
    pairs: &[(&str, &str)],
    step: &RawStep,
    apps: &BTreeMap<String, AppSpec>,
    cast: &Cast,
) -> Result<Act, No> {
    let [content] = names else {
        return Err(no("`commit` needs the name of one content", "write `commit r1`"));
    };
    let mut own = BTreeMap::new();
    let mut app = String::new();
    for (key, value) in pairs {
        if *key == "app" {
            (*value).clone_into(&mut app);
            continue;
        }
        for uid in several(&[*key], cast)? {
            own.insert(uid, (*value).to_owned());
        }
    }
    if !apps.contains_key(&app) && !app.is_empty() {
        return Err(no(format!("no app `{app}`"), "write it below `apps:`"));
    }
    let author = step.by.clone().unwrap_or_else(|| AUTHOR.to_owned());
    Ok(Act::Commit { content: (*content).to_owned(), own, app, author })
}

fn content(names: &[&str], pairs: &[(&str, &str)], cast: &Cast) -> Result<Act, No> {
    let hint =
        "write `content r1 healthy|stuck|fails|cutsNetwork|regresses [after=TIME] [CLUSTER…]`";
    let (Some(name), Some(does)) = (names.first(), names.get(1)) else {
        return Err(no("`content` needs a name and what it does", hint));
    };
    let after = pairs.iter().find(|(key, _)| *key == "after").map(|(_, text)| time(text));
    let does = habits::behaviour(does, after.transpose()?).ok_or_else(|| no("not known", hint))?;
    let on = match names.get(2..).unwrap_or_default() {
        [] => Share::All,
        some => Share::Named(several(some, cast)?),
    };
    Ok(Act::Content((*name).to_owned(), Habit { does, on }))
}

fn join(names: &[&str], pairs: &[(&str, &str)], cast: &mut Cast) -> Result<Act, No> {
    let [name] = names else {
        return Err(no("`join` needs one name", "write `join k9 ring=prod`"));
    };
    let Ok(parsed) = ClusterName::parse(name) else {
        return Err(no(format!("`{name}` is no cluster name"), "use a-z, 0-9 and `-`"));
    };
    let (uid, facts) = (cast.enter(name), Facts::Null);
    Ok(Act::Join(Member { uid, name: parsed, labels: labels(pairs), facts, slow: 100 }))
}

/// Verbs of people.
fn person(verb: &str, words: &[&str], cast: &Cast) -> Result<Verb, No> {
    let cluster = |name: &str| {
        let found = cast.find(name);
        found.ok_or_else(|| no(format!("no cluster `{name}`"), "name one of `clusters`"))
    };
    Ok(match (verb, words) {
        ("start", []) => Verb::Start,
        ("pause", []) => Verb::Pause,
        ("resume", []) => Verb::Resume { accept: false },
        ("resume", ["accept"]) => Verb::Resume { accept: true },
        ("abort", []) => Verb::Abort,
        ("rollback", []) => Verb::Rollback,
        ("retry", []) => Verb::Retry { cluster: None },
        ("retry", [name]) => Verb::Retry { cluster: Some(cluster(name)?) },
        ("skip", [name]) => Verb::Skip { cluster: cluster(name)? },
        _ => {
            let all = std::iter::once(verb).chain(words.iter().copied());
            let what = format!("`{}` is not understood", all.collect::<Vec<_>>().join(" "));
            return Err(no(what, HINT));
        }
    })
}

fn time(text: &str) -> Result<Duration, No> {
    duration(text).ok_or_else(|| no(format!("`{text}` is not a time"), "write `90s` or `1h30m`"))
}
