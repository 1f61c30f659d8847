//! `tidegate targets app/X`: which clusters, from which rule, in which wave; needs no hub.

use std::path::PathBuf;

use ::rollout::Members;
use model::{Selector, api::List};
use render::{App, FleetCluster, Placement, Tree, place};
use serde::Serialize;

use super::offline;
use crate::{
    checkout,
    connect::Hub,
    error::{Error, Exit},
    output::{Format, Output, Table, safe},
};

/// Which App.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The App, as `app/NAME`
    app: String,
    /// Root of the fleet repository
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Say clause by clause why this cluster is selected, or why not
    #[arg(long, value_name = "CLUSTER")]
    explain: Option<String>,
    /// The clusters that are not selected instead
    #[arg(long)]
    unmatched: bool,
    #[command(flatten)]
    offline: offline::Args,
}

#[derive(Debug, Serialize)]
struct Item {
    cluster: String,
    selected: bool,
    wave: Option<String>,
}

/// A clause of a rule and what it says of one cluster.
#[derive(Debug, Serialize)]
struct Clause {
    /// `select`, `exclude` or `wave`.
    rule: &'static str,
    /// Which wave.
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<String>,
    #[serde(rename = "clause")]
    text: String,
    holds: bool,
    why: Option<String>,
    file: String,
    line: Option<usize>,
}

/// Runs it: 1 when the App cannot go out as it is. `--explain` answers 0 when the cluster is selected and 1 when it is not.
pub(crate) fn run(args: &Args, hub: Option<&Hub>, output: Output) -> Result<Exit, Error> {
    let tree = checkout::working(&args.path)?;
    let app = offline::app(&*tree, &offline::app_name(&args.app)?)?;
    let clusters = args.offline.need_clusters(hub)?;
    let bench = args.offline.bench()?;
    let placed = place(&bench.kit(), &app, &*tree, &clusters);
    if let Some(name) = &args.explain {
        let cluster = clusters.iter().find(|c| c.name.as_str() == name).ok_or_else(|| {
            Error::new(Exit::NotFound, format!("there is no cluster `{name}` in the fleet"))
        })?;
        return explain(&*tree, &app, &placed, cluster, output);
    }
    for fault in &placed.faults {
        output.say(&fault.to_string());
    }
    let item = |cluster: &FleetCluster| {
        let selected = placed.targets.iter().any(|target| target.uid == cluster.uid);
        let wave = placed.wave_of(&cluster.uid).map(|spec| spec.name.to_string());
        Item { cluster: cluster.name.to_string(), selected, wave }
    };
    let items: Vec<_> =
        clusters.iter().map(item).filter(|i| i.selected != args.unmatched).collect();
    let count = items.len();
    match output.format {
        Format::Json => Output::json(&List::new(items))?,
        Format::Name => {
            let names: Vec<_> = items.into_iter().map(|item| item.cluster).collect();
            Output::data(&names.join("\n"))?;
        }
        Format::Table => {
            let mut table = Table::new(&["CLUSTER", "WAVE"]);
            for item in items {
                table.row(&[item.cluster, item.wave.unwrap_or_else(|| "-".to_owned())]);
            }
            Output::data(&table.to_string())?;
        }
    }
    let what = if args.unmatched { "not selected" } else { "selected" };
    output.say(&format!("{count} of {} clusters {what}", clusters.len()));
    // Who would be in which wave cannot be told of an App that cannot go out.
    let refused = placed.faults.iter().any(render::Diagnostic::is_error);
    Ok(if refused { Exit::No } else { Exit::Fine })
}

fn explain(
    tree: &dyn Tree,
    app: &App,
    placed: &Placement<'_>,
    cluster: &FleetCluster,
    output: Output,
) -> Result<Exit, Error> {
    let selected = app.targets.selects(&cluster.labels, &cluster.facts);
    let wave = placed.wave_of(&cluster.uid).map(|spec| spec.name.to_string());
    let text = tree.read(&app.file).unwrap_or_default();
    let rules = Rules { app, cluster, text: &String::from_utf8_lossy(&text) };
    let mut clauses = rules.of_targets();
    let yes = selected == Ok(true);
    if yes {
        clauses.extend(rules.of_waves(wave.as_deref()));
    }
    let faults: Vec<_> = placed.faults.iter().map(ToString::to_string).collect();
    if output.format == Format::Json {
        let document = serde_json::json!({
            "apiVersion": model::api::API_VERSION,
            "app": app.name, "cluster": cluster.name, "selected": yes, "wave": wave,
            "clauses": clauses, "faults": faults,
        });
        Output::json(&document)?;
    } else {
        let not = if yes { "" } else { "not " };
        let place = match (&wave, yes) {
            (Some(wave), _) => format!(", in wave {wave}"),
            (None, true) => ", in no wave".to_owned(),
            (None, false) => String::new(),
        };
        let mut lines = vec![format!("{} on {}: {not}selected{place}", app.name, cluster.name)];
        lines.extend(clauses.iter().map(Clause::line));
        if let Err(error) = &selected {
            lines.push(format!("  {error}"));
        }
        if yes && wave.is_none() {
            lines.extend(faults.iter().map(|fault| format!("  {fault}")));
        }
        Output::data(&safe(&lines.join("\n")))?;
    }
    Ok(if yes { Exit::Fine } else { Exit::No })
}

impl Clause {
    /// `yes  select  labels.app == 'yes'   (labels.app is `yes`)   apps/web/app.yaml:7`.
    fn line(&self) -> String {
        let mark = if self.holds { "yes" } else { "no " };
        let rule = self.wave.as_ref().map_or(self.rule.to_owned(), |wave| format!("wave {wave}"));
        let why = self.why.as_ref().map(|why| format!("   ({why})")).unwrap_or_default();
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("  {mark}  {rule:<12}{}{why}   {}{line}", self.text, self.file)
    }
}

/// What decides about one cluster, with its places in the file.
struct Rules<'a> {
    app: &'a App,
    cluster: &'a FleetCluster,
    text: &'a str,
}

impl Rules<'_> {
    fn of_targets(&self) -> Vec<Clause> {
        let targets = &self.app.targets;
        let line = self.line_of(0, "select:", targets.select.as_str());
        let mut clauses = self.clauses("select", None, &targets.select, line);
        if let Some(exclude) = &targets.exclude {
            let line = self.line_of(0, "exclude:", exclude.as_str());
            clauses.extend(self.clauses("exclude", None, exclude, line));
        }
        clauses
    }

    /// The waves up to the one that takes the cluster: the first that matches does.
    fn of_waves(&self, own: Option<&str>) -> Vec<Clause> {
        let mut clauses = Vec::new();
        let begin = self.line_of(0, "waves:", "").unwrap_or_default();
        for spec in &self.app.strategy.waves {
            let name = spec.name.as_str();
            let step = |own: &str| {
                own.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            let is_own = own == Some(name) || !spec.ramp.is_empty() && own.is_some_and(step);
            let at = self.line_of(begin, "name:", name);
            let said = |text: String, why: Option<&str>| Clause {
                rule: "wave",
                wave: Some(name.to_owned()),
                text,
                holds: is_own,
                why: why.map(str::to_owned),
                file: self.app.file.clone(),
                line: at,
            };
            match &spec.members {
                Members::Select(selector) => {
                    let line = self.line_of(at.unwrap_or(1) - 1, "select:", selector.as_str());
                    clauses.extend(self.clauses("wave", Some(name), selector, line.or(at)));
                }
                Members::Take { select, count, .. } => {
                    if let Some(selector) = select {
                        clauses.extend(self.clauses("wave", Some(name), selector, at));
                    }
                    let why = (!is_own).then_some("others come first, by the order of the App");
                    clauses.push(said(format!("takes {count}"), why));
                }
                Members::Rest => clauses.push(said("takes the rest".to_owned(), None)),
            }
            if is_own {
                break;
            }
        }
        clauses
    }

    /// The clauses of a selector, each asked alone.
    fn clauses(
        &self,
        rule: &'static str,
        wave: Option<&str>,
        selector: &Selector,
        line: Option<usize>,
    ) -> Vec<Clause> {
        let FleetCluster { labels, facts, .. } = self.cluster;
        let one = |text: &str| {
            let clause = Selector::parse(text).ok()?;
            Some(Clause {
                rule,
                wave: wave.map(str::to_owned),
                text: text.to_owned(),
                holds: clause.matches(labels, facts).unwrap_or(false),
                why: speaks_of(text, self.cluster),
                file: self.app.file.clone(),
                line,
            })
        };
        split(selector.as_str()).into_iter().filter_map(one).collect()
    }

    /// The first line from `from` on (counted from 0) that has the key and the value; from 1.
    fn line_of(&self, from: usize, key: &str, value: &str) -> Option<usize> {
        let mut lines = self.text.lines().enumerate().skip(from);
        let has = |line: &str| line.contains(key) && line.contains(value);
        lines.find(|(_, line)| has(line)).map(|(number, _)| number + 1)
    }
}

/// What the labels are that a clause speaks of.
fn speaks_of(clause: &str, cluster: &FleetCluster) -> Option<String> {
    let named = |part: &str| -> String {
        part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut said = Vec::new();
    for label in clause.split("labels.").skip(1).map(named) {
        said.push(match cluster.labels.get(&label) {
            Some(value) => format!("labels.{label} is `{value}`"),
            None => format!("labels.{label} is missing"),
        });
    }
    said.dedup();
    (!said.is_empty()).then(|| said.join(", "))
}

/// The parts that `&&` joins at the top.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth, mut quote) = (Vec::new(), 0, 0_i32, None);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        match quote {
            Some(open) if byte == open => quote = None,
            None if byte == b'\'' || byte == b'"' => quote = Some(byte),
            None if b"([{".contains(&byte) => depth += 1,
            None if b")]}".contains(&byte) => depth -= 1,
            // An `||` or `?` beside it binds less: then the whole is one clause.
            None if depth == 0 && (byte == b'?' || bytes[at..].starts_with(b"||")) => {
                return vec![text.trim()];
            }
            None if depth == 0 && bytes[at..].starts_with(b"&&") => {
                parts.push(text[begin..at].trim());
                begin = at + 2;
                at += 1;
            }
            Some(_) | None => {}
        }
        at += 1;
    }
    parts.push(text[begin..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_split_where_it_says_and() {
        assert_eq!(split("a && b&&c"), ["a", "b", "c"]);
        assert_eq!(split("(a && b) && 'x && y' == c"), ["(a && b)", "'x && y' == c"]);
        assert_eq!(split("a && b || c"), ["a && b || c"]);
    }
}
