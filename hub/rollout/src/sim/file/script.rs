//! What happens, when: the `timeline` of a scenario. Each step is a line of words, as on a command line.

use std::{collections::BTreeMap, time::Duration};

use model::{ClusterName, Facts, Labels};
use serde_saphyr::Spanned;

use super::{
    AppSpec, Cast, Faulty, Habit, Member, Share,
    act::{Act, HINT, No, RawStep, no, several, time},
    habits, people, texts,
};

/// Who commits when nobody is named.
const AUTHOR: &str = "alice";

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
        "restart" if names.is_empty() => people::act(text, verb, &names, step, cast),
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
        _ => people::act(text, verb, &names, step, cast),
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
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
    let mut hard_to_undo = Vec::new();
    for (key, value) in pairs {
        if *key == "unsafe" {
            hard_to_undo.push((*value).to_owned());
            continue;
        }
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
    Ok(Act::Commit { content: (*content).to_owned(), own, app, author, hard_to_undo })
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
