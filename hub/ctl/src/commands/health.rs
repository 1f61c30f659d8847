//! `tidegate health -f FILE`: how well live objects are, judged by the rules that the agents judge by. Needs
//! no hub, no cluster and no clock: the same object always gets the same answer.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use model::{Health, Reason, api::List};
use plan::{HealthContext, RuleSet, Verdict};
use serde::Serialize;
use serde_json::Value;

use crate::{
    error::{Error, Exit},
    output::{Format, Output, Table},
};

/// Largest input, in bytes: a list of ten thousand large objects.
const INPUT_BYTES_MAX: u64 = 512 << 20;
/// Deepest nesting of a YAML document; an API server refuses deeper objects.
const DEPTH_MAX: usize = 100;
/// Most values of one YAML document, aliases included; some 500 MB of memory.
const VALUES_MAX: usize = 5_000_000;
/// Most bytes of text of one YAML document, aliases included.
const TEXT_BYTES_MAX: usize = 512 << 20;

/// What to judge.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File with live objects, `-` for stdin; may be given several times. YAML with any number of documents, JSON,
    /// and lists (`kubectl get … -o json`)
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// File with health rules of your own; may be given several times, and later ones outrank earlier ones
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
}

/// The answer for one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    health: Health,
    reason: Option<Reason>,
    message: String,
}

/// Runs it.
pub(crate) fn run(args: &Args, output: Output) -> Result<Exit, Error> {
    let rules = rules(&args.rules)?;
    let mut all = Vec::new();
    for file in &args.files {
        let text = read(file)?;
        for found in documents(&file.display().to_string(), &text) {
            judge(found, &rules, &mut all);
        }
    }
    let mut counts: BTreeMap<Health, usize> = BTreeMap::new();
    for one in &all {
        *counts.entry(one.health).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(health, n)| format!("{n} {health}")).collect();
    let counts = format!("{} objects: {}", all.len(), counts.join(", "));
    match output.format {
        Format::Json => Output::json(&List::new(all))?,
        Format::Name => {
            let lines: Vec<String> = all.iter().map(Judged::path).collect();
            Output::data(&crate::output::safe(&lines.join("\n")))?;
        }
        Format::Table => {
            let mut table = Table::new(&["NAMESPACE", "KIND", "NAME", "HEALTH", "MESSAGE"]);
            for one in &all {
                let health = one.health.to_string();
                let cells = [&one.namespace, &one.kind, &one.name, &health, &one.message];
                table.row(&cells.map(|cell| cell.replace('\n', " ")));
            }
            Output::data(&table.to_string())?;
        }
    }
    output.say(&counts);
    Ok(Exit::Fine)
}

impl Judged {
    fn path(&self) -> String {
        let parts = [&self.kind, &self.namespace, &self.name].map(String::as_str);
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }
}

fn rules(files: &[PathBuf]) -> Result<RuleSet, Error> {
    let mut rules = RuleSet::new();
    for file in files {
        let text = read(file)?;
        let more = RuleSet::parse(&file.display().to_string(), &text).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let message = format!("the health rules are wrong\n{}", lines.join("\n"));
            Error::because(Exit::Usage, Reason::BadRequest, crate::output::safe(&message))
                .hint("correct the lines named above")
        })?;
        rules = rules.overlaid(&more);
    }
    Ok(rules)
}

fn read(file: &Path) -> Result<String, Error> {
    let fault = |why: String| {
        let message = format!("`{}`: {why}", file.display());
        Error::because(Exit::Usage, Reason::BadRequest, message)
            .hint("give a file that can be read, or `-` for stdin")
    };
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(fs::File::open(file).map_err(|e| fault(e.to_string()))?)
    };
    source.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| fault(e.to_string()))?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(fault(format!("larger than {INPUT_BYTES_MAX} bytes")));
    }
    // Half a character in a message is no reason not to judge.
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

/// Every document of a file: a value, or why there is none.
fn documents(file: &str, text: &str) -> Vec<Result<Value, String>> {
    if text.trim_start().starts_with(['{', '[']) {
        let stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let mut all: Vec<_> = Vec::new();
        for document in stream {
            let broken = document.is_err();
            all.push(document.map_err(|error| format!("{file}: {error}")));
            if broken {
                break;
            }
        }
        // A flow mapping of YAML begins like JSON.
        if !matches!(all.as_slice(), [Err(_)]) {
            return all;
        }
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: DEPTH_MAX,
            max_nodes: VALUES_MAX,
            max_events: 4 * VALUES_MAX,
            max_total_scalar_bytes: TEXT_BYTES_MAX,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
        with_snippet: false,
    };
    let read = |(line, part): (usize, &str)| {
        serde_saphyr::from_str_with_options::<Value>(part, options.clone()).map_err(|error| {
            let within = error.location().map_or(1, |at| at.line());
            let message = error.without_snippet().to_string();
            let end = message.find(" at line ").unwrap_or(message.len());
            format!("{file}:{}: {}", line as u64 + within, &message[..end])
        })
    };
    parts(text).into_iter().map(read).filter(|found| !matches!(found, Ok(Value::Null))).collect()
}

/// The documents of a YAML file, each with the number of lines before it.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut begin, mut begin_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let mark = ["---", "..."].iter().find_map(|mark| line.strip_prefix(mark));
        if mark.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            parts.push((begin_line, &text[begin..offset]));
            // What follows the mark on its line belongs to the document.
            (begin, begin_line) = (offset + "---".len(), number);
        }
        offset += line.len();
    }
    parts.push((begin_line, &text[begin.min(offset)..]));
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with(['#', '%']);
    parts.retain(|(_, part)| part.lines().any(says));
    parts
}

/// Judges a document: an object, or all of a list.
fn judge(document: Result<Value, String>, rules: &RuleSet, all: &mut Vec<Judged>) {
    let unknown = |object: &Value, why: String| {
        answer(object, Verdict::new(Health::Unknown, Reason::HealthUnknown, why))
    };
    let object = match document {
        Ok(Value::Array(list)) => {
            return list.into_iter().for_each(|one| judge(Ok(one), rules, all));
        }
        Ok(object) => object,
        Err(why) => return all.push(unknown(&Value::Null, format!("it cannot be read: {why}"))),
    };
    let (api_version, kind) = (text(&object, "/apiVersion"), text(&object, "/kind"));
    if !object.is_object() {
        all.push(unknown(&object, "it is no Kubernetes object, but a plain value".to_owned()));
    } else if let (Some(of), Some(items)) = (kind.strip_suffix("List"), object.get("items")) {
        let (api_version, of) = (api_version.to_owned(), of.to_owned());
        let items = items.as_array().cloned().unwrap_or_default();
        for item in items {
            judge(Ok(typed(item, &api_version, &of)), rules, all);
        }
    } else if kind.is_empty() || api_version.is_empty() {
        all.push(unknown(&object, "it has no `apiVersion` or no `kind`".to_owned()));
    } else {
        let verdict = plan::health_with(&object, &HealthContext::timeless(), rules);
        all.push(answer(&object, verdict));
    }
}

/// An item of a list of one kind need not repeat its kind.
fn typed(mut item: Value, api_version: &str, kind: &str) -> Value {
    if let Value::Object(map) = &mut item
        && !kind.is_empty()
    {
        map.entry("apiVersion").or_insert_with(|| api_version.into());
        map.entry("kind").or_insert_with(|| kind.into());
    }
    item
}

fn answer(object: &Value, verdict: Verdict) -> Judged {
    let owned = |pointer: &str| text(object, pointer).to_owned();
    Judged {
        api_version: owned("/apiVersion"),
        kind: owned("/kind"),
        namespace: owned("/metadata/namespace"),
        name: owned("/metadata/name"),
        health: verdict.health,
        reason: verdict.reason,
        message: verdict.message,
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use Health::{Degraded, Healthy, Unknown};

    use super::*;

    fn judged(text: &str) -> Vec<Judged> {
        let mut all = Vec::new();
        for document in documents("f", text) {
            judge(document, &RuleSet::new(), &mut all);
        }
        all
    }

    #[test]
    fn lists_documents_and_json_are_all_answered_in_order() {
        let pvc = r#"{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"a"},"status":{"phase":"Lost"}}"#;
        let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{pvc},7,{{}}]}} {pvc}"#);
        let health = |all: Vec<Judged>| all.iter().map(|one| one.health).collect::<Vec<_>>();
        assert_eq!(health(judged(&list)), [Degraded, Unknown, Unknown, Degraded]);
        let typed =
            r#"{"apiVersion":"v1","kind":"ConfigMapList","items":[{"metadata":{"name":"a"}}]}"#;
        assert_eq!(health(judged(typed)), [Healthy]);
        let yaml = "# c\n---\napiVersion: v1\nkind: ConfigMap\n---\n---\nkind: [\n---\n- 3\n--- {apiVersion: v1, kind: Secret}\n";
        let all = judged(yaml);
        assert_eq!(health(judged(yaml)), [Healthy, Unknown, Unknown, Healthy]);
        assert!(all[1].message.starts_with("it cannot be read: f:"), "{}", all[1].message);
    }

    #[test]
    fn odd_objects_get_an_answer_and_break_nothing() {
        for odd in [
            "null",
            "3",
            "[]",
            "{}",
            "{\"kind\":\"List\"}",
            "{\"kind\":\"List\",\"items\":3}",
            "{",
            "\u{0}",
            ": :",
            "&a [*a]",
        ] {
            for one in judged(odd) {
                assert_ne!(one.health, Health::Healthy, "{odd}");
            }
        }
        let status =
            r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":7,"spec":[],"status":"x"}"#;
        assert_eq!(judged(status).len(), 1);
    }
}
