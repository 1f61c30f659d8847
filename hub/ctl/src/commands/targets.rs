//! `tidegate targets app/X`: which clusters, from which rule, in which wave; needs no hub.

use std::path::PathBuf;

use ::rollout::Members;
use model::{Selector, api::List};
use render::{App, FleetCluster, place};
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

/// A clause of a selector and what it says of one cluster.
#[derive(Debug, Serialize)]
struct Clause {
    rule: &'static str,
    #[serde(rename = "clause")]
    text: String,
    holds: bool,
    why: Option<String>,
}

/// Runs it. `--explain` answers 0 when the cluster is selected and 1 when it is not.
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
        let wave = placed.wave_of(&cluster.uid).map(|spec| spec.name.to_string());
        return explain(&app, cluster, wave, output);
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
    Ok(Exit::Fine)
}

fn explain(
    app: &App,
    cluster: &FleetCluster,
    wave: Option<String>,
    output: Output,
) -> Result<Exit, Error> {
    let selected = app.targets.selects(&cluster.labels, &cluster.facts);
    let mut clauses = clauses("select", &app.targets.select, cluster);
    if let Some(exclude) = &app.targets.exclude {
        clauses.extend(self::clauses("exclude", exclude, cluster));
    }
    for spec in &app.strategy.waves {
        if let Members::Select(selector) | Members::Take { select: Some(selector), .. } =
            &spec.members
            && wave.as_deref() == Some(spec.name.as_str())
        {
            clauses.extend(self::clauses("wave", selector, cluster));
        }
    }
    let yes = selected == Ok(true);
    if output.format == Format::Json {
        let document = serde_json::json!({
            "apiVersion": model::api::API_VERSION,
            "app": app.name, "cluster": cluster.name, "selected": yes, "wave": wave,
            "clauses": clauses,
        });
        Output::json(&document)?;
    } else {
        let not = if yes { "" } else { "not " };
        let place = wave.map(|wave| format!(", in wave {wave}")).unwrap_or_default();
        let mut lines = vec![format!("{} on {}: {not}selected{place}", app.name, cluster.name)];
        for clause in clauses {
            let mark = if clause.holds { "yes" } else { "no " };
            let why = clause.why.map(|why| format!("   ({why})")).unwrap_or_default();
            lines.push(format!("  {mark}  {:<8}{}{why}", clause.rule, clause.text));
        }
        if let Err(error) = &selected {
            lines.push(format!("  {error}"));
        }
        Output::data(&safe(&lines.join("\n")))?;
    }
    Ok(if yes { Exit::Fine } else { Exit::No })
}

/// The clauses of a selector, each asked alone.
fn clauses(rule: &'static str, selector: &Selector, cluster: &FleetCluster) -> Vec<Clause> {
    let one = |text: &str| {
        let clause = Selector::parse(text).ok()?;
        let holds = clause.matches(&cluster.labels, &cluster.facts).unwrap_or(false);
        Some(Clause { rule, text: text.to_owned(), holds, why: speaks_of(text, cluster) })
    };
    split(selector.as_str()).into_iter().filter_map(one).collect()
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
