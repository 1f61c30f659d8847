//! What people do: verbs about a rollout, and marks that they set.

use model::AppName;

use super::{
    Cast,
    act::{Act, HINT, No, Order, RawStep, no, several, time},
};
use crate::{Answer, DependencyObs, Gate, Mark, Role, Verb, sim::world::Outside};

/// Who asks when nobody is named.
const SOMEBODY: &str = "ann";
/// Why, when nothing is said.
const BECAUSE: &str = "told so";

/// One line of a person.
pub(super) fn act(
    text: &str,
    verb: &str,
    words: &[&str],
    step: &RawStep,
    cast: &Cast,
) -> Result<Act, No> {
    let by = step.by.clone().unwrap_or_else(|| SOMEBODY.to_owned());
    let reason = step.reason.clone().unwrap_or_else(|| BECAUSE.to_owned());
    let mark = |scope: &str| Mark {
        scope: scope.to_owned(),
        by: by.clone(),
        reason: reason.clone(),
        until: None,
    };
    if let Some(what) = outside(verb, words, &mark, cast)? {
        return Ok(Act::Outside { words: text.to_owned(), by, what });
    }
    let role = match step.role.as_ref().map(|role| role.value.as_str()) {
        Some("viewer") => Role::Viewer,
        Some("operator") => Role::Operator,
        Some("admin") | None => Role::Admin,
        Some(other) => {
            return Err(no(format!("no role `{other}`"), "write viewer, operator or admin"));
        }
    };
    let saw = step.saw.as_ref().map(|text| time(&text.value)).transpose()?;
    let verb = person(verb, words, cast)?;
    let groups = step.groups.clone();
    Ok(Act::Person(Order { words: text.to_owned(), verb, by, reason, role, groups, saw }))
}

/// Marks, and what other systems say.
fn outside(
    verb: &str,
    words: &[&str],
    mark: &dyn Fn(&str) -> Mark,
    cast: &Cast,
) -> Result<Option<Outside>, No> {
    Ok(Some(match (verb, words) {
        ("freeze" | "unfreeze", [scope @ ("fleet" | "app")]) => {
            let scope = if *scope == "app" { "app/web" } else { scope };
            Outside::Freeze(mark(scope), verb == "freeze")
        }
        ("block" | "unblock", [name]) => Outside::Blocker((*name).to_owned(), verb == "block"),
        ("cordon" | "uncordon", names) => {
            Outside::Cordon(several(names, cast)?, mark("cluster"), verb == "cordon")
        }
        ("pin" | "unpin", names) => {
            Outside::Pin(several(names, cast)?, mark("cluster"), verb == "pin")
        }
        ("dependency", [app, is, names @ ..]) => {
            let app = AppName::parse(app).map_err(|_| no(format!("no App name `{app}`"), HINT))?;
            let ready = if names.is_empty() { Vec::new() } else { several(names, cast)? };
            let settled = match *is {
                "settled" => true,
                "moving" | "ready" => false,
                other => return Err(no(format!("`{other}` is no state of an App"), HINT)),
            };
            let is = DependencyObs { settled, ready: ready.into_iter().collect() };
            Outside::Dependency(app, is)
        }
        ("measure", [answer]) => Outside::Measures(match *answer {
            "pass" => Some(Answer::Pass),
            "fail" => Some(Answer::Fail),
            "hold" => Some(Answer::Hold),
            "silent" => None,
            other => return Err(no(format!("`{other}` is no answer"), HINT)),
        }),
        ("busy", [name, others]) => Outside::Busy(several(&[*name], cast)?, number(others)?),
        ("grants-left", ["any"]) => Outside::GrantsLeft(None),
        ("grants-left", [left]) => Outside::GrantsLeft(Some(number(left)?)),
        ("two-people", []) => Outside::TwoPeople(true),
        _ => return Ok(None),
    }))
}

fn number(text: &str) -> Result<u32, No> {
    text.parse().map_err(|_| no(format!("`{text}` is not a number"), "write a whole number"))
}

fn person(verb: &str, words: &[&str], cast: &Cast) -> Result<Verb, No> {
    let cluster = |name: &str| {
        let found = cast.find(name);
        found.ok_or_else(|| no(format!("no cluster `{name}`"), "name one of `clusters`"))
    };
    let wave = |name: Option<&&str>| name.map(|n| (*n).to_owned());
    let gate = |text: &str| Gate::parse(text).map_err(|why| no(why, "name a gate"));
    Ok(match (verb, words) {
        ("start", []) => Verb::Start,
        ("restart", []) => Verb::Restart,
        ("pause", []) => Verb::Pause,
        ("resume", []) => Verb::Resume { accept: false },
        ("resume", ["accept"]) => Verb::Resume { accept: true },
        ("abort", []) => Verb::Abort,
        ("rollback", []) => Verb::Rollback,
        ("retry", []) => Verb::Retry { cluster: None },
        ("retry", [name]) => Verb::Retry { cluster: Some(cluster(name)?) },
        ("skip", [name]) => Verb::Skip { cluster: cluster(name)? },
        ("approve", [] | [_]) => Verb::Approve { wave: wave(words.first()) },
        ("reject", [] | [_]) => Verb::Reject { wave: wave(words.first()) },
        ("revoke", [] | [_]) => Verb::Revoke { wave: wave(words.first()), of: None },
        ("revoke", [name, "of", of]) => {
            Verb::Revoke { wave: Some((*name).to_owned()), of: Some((*of).to_owned()) }
        }
        ("override", [name]) => Verb::Override { wave: None, gate: gate(name)? },
        ("override", [name, of]) => {
            Verb::Override { wave: Some((*of).to_owned()), gate: gate(name)? }
        }
        ("promote", [] | [_]) => Verb::Promote { wave: wave(words.first()) },
        ("expedite", [divisor]) => Verb::Expedite { divisor: number(divisor)? },
        ("tolerate", [failures]) => Verb::Tolerate { wave: None, failures: number(failures)? },
        ("tolerate", [name, failures]) => {
            Verb::Tolerate { wave: Some((*name).to_owned()), failures: number(failures)? }
        }
        ("condemn", [] | [_]) => Verb::Condemn { release: wave(words.first()) },
        ("absolve", [] | [_]) => Verb::Absolve { release: wave(words.first()) },
        _ => {
            let all = std::iter::once(verb).chain(words.iter().copied());
            let what = format!("`{}` is not understood", all.collect::<Vec<_>>().join(" "));
            return Err(no(what, HINT));
        }
    })
}
