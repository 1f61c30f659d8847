//! One rule, ready to judge: clauses in order, the first that holds is the verdict.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use model::{Health, Reason};
use serde_json::Value;

use super::super::Verdict;
use super::super::view::View;
use super::expression::{Expression, Failure};
use super::facts::Facts;

/// The language, made once.
static LANGUAGE: LazyLock<Arc<cel::Env>> = LazyLock::new(|| Arc::new(cel::Env::stdlib()));

/// Clauses and what they read.
#[derive(Debug)]
pub(in super::super) struct Rule {
    clauses: Vec<Clause>,
    observed: Observed,
    reads: BTreeSet<String>,
    /// Whether `Degraded` for a condition that is false because of `Creating` and its like is taken for
    /// `Progressing`: so in the library, where no rule lists all such reasons; users mean what they write.
    lenient: bool,
}

/// When it holds, the object is that healthy.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) health: Health,
    pub(super) when: Expression,
    pub(super) say: Option<Expression>,
}

/// Where an object says which generation its status is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Observed {
    /// `status.observedGeneration`, when it is there.
    Usual,
    /// At a place of its own.
    At(String),
    /// It says so nowhere, or not reliably.
    Nowhere,
}

impl Observed {
    /// From the word in a file.
    pub(super) fn read(word: Option<&str>) -> Observed {
        match word {
            None => Observed::Usual,
            Some("none") => Observed::Nowhere,
            Some(path) => Observed::At(format!("/{}", path.replace('.', "/"))),
        }
    }
}

impl Rule {
    pub(super) fn new(clauses: Vec<Clause>, observed: Observed) -> Rule {
        let expressions = clauses.iter().flat_map(|c| std::iter::once(&c.when).chain(&c.say));
        let reads = expressions.flat_map(|e| e.reads().iter().cloned()).collect();
        Rule { clauses, observed, reads, lenient: false }
    }

    /// The same rule, for the library.
    pub(super) fn lenient(self) -> Rule {
        Rule { lenient: true, ..self }
    }

    /// Whether the status is about an older generation than the object.
    pub(in super::super) fn is_stale(&self, view: View<'_>) -> Option<String> {
        let place = match &self.observed {
            Observed::Usual => "/status/observedGeneration",
            Observed::At(place) => place,
            Observed::Nowhere => return None,
        };
        let seen = whole(view.at(place)?)?;
        let generation = view.generation();
        // What has only ever had one generation can say nothing about an older one.
        if generation <= 1 && view.conditions().next().is_some() {
            return None;
        }
        // A controller that gives up may write a condition about this generation and stop there.
        let mentioned = view.conditions().any(|c| c.observed() == Some(generation));
        (seen < generation && !mentioned)
            .then(|| format!("generation {generation}, controller has seen {seen}"))
    }

    /// Whether the object says which generation its status is about.
    pub(in super::super) fn says_generation(&self, view: View<'_>) -> bool {
        match &self.observed {
            Observed::Usual => {
                view.at("/status/observedGeneration").is_some()
                    || view.conditions().any(|c| c.observed().is_some())
            }
            Observed::At(place) => view.at(place).is_some(),
            Observed::Nowhere => false,
        }
    }

    /// Judges; `name` is what the rule is called in messages. And whether the clause that held heard no word
    /// of the object: what it says is so as long as the object says nothing else.
    pub(in super::super) fn judge(&self, view: View<'_>, name: &str) -> (Verdict, bool) {
        let facts = Arc::new(Facts::of(view, self.observed == Observed::Nowhere));
        let mut context = cel::Context::with_env(Arc::clone(&LANGUAGE));
        facts.teach(&mut context);
        for variable in &self.reads {
            match facts.variable(variable) {
                Ok(value) => context.add_variable_from_value(variable.as_str(), value),
                Err(error) => return (unknown(name, &error), false),
            }
        }
        let widest = facts.widest();
        let lacks_status = facts.lacks_status();
        for clause in &self.clauses {
            facts.quiet();
            match clause.when.run(&context, widest) {
                Ok(cel::Value::Bool(true)) => {
                    let lenient = self.lenient && clause.health == Health::Degraded;
                    if lenient && facts.is_under_way() {
                        return (Verdict::progressing(facts.words()), false);
                    }
                    let deaf = facts.heard_nothing();
                    return (clause.verdict(&facts, &context, widest), deaf);
                }
                Ok(cel::Value::Bool(false)) => {}
                // A question about a status that does not exist yet is not answered with yes.
                Err(Failure::Absent(_)) if lacks_status => {}
                Ok(other) => {
                    let kind = format!("{:?}", other.type_of()).to_lowercase();
                    let why = format!("its expression gives {kind}, not true or false");
                    return (unknown(name, &why), false);
                }
                Err(Failure::Absent(field)) => {
                    let hint = "ask with `has(…)` first";
                    let why = format!("there is no field `{field}`; {hint}");
                    return (unknown(name, &why), false);
                }
                Err(Failure::Other(error)) => return (unknown(name, &error), false),
            }
        }
        if lacks_status {
            return (Verdict::progressing("no status published yet"), false);
        }
        facts.quiet();
        let verdict = match facts.words() {
            words if words.is_empty() => Verdict::progressing("its status does not say yet"),
            words => Verdict::progressing(words),
        };
        (verdict, false)
    }
}

impl Clause {
    fn verdict(&self, facts: &Facts, context: &cel::Context<'_, '_>, widest: u64) -> Verdict {
        let words = facts.words();
        let said = self.say.as_ref().map(|say| say.run(context, widest));
        let said = match said {
            Some(Ok(cel::Value::String(said))) => Some(said.to_string()),
            Some(Ok(_) | Err(_)) | None => None,
        };
        match (self.health, said) {
            (Health::Healthy, None) => Verdict::healthy(),
            (Health::Healthy, Some(said)) => Verdict::healthy().note(said),
            (health, said) => Verdict::new(health, reason(health), said.unwrap_or(words)),
        }
    }
}

fn reason(health: Health) -> Reason {
    match health {
        Health::Suspended => Reason::Suspended,
        Health::Healthy | Health::Progressing => Reason::Progressing,
        Health::Missing => Reason::Missing,
        Health::Degraded => Reason::Degraded,
        Health::Unknown => Reason::HealthUnknown,
    }
}

/// The rule itself is at fault.
pub(in super::super) fn unknown(name: &str, why: &str) -> Verdict {
    Verdict::new(Health::Unknown, Reason::HealthUnknown, format!("health rule {name}: {why}"))
}

/// A whole number, also when written as text, as some controllers do.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
