//! Findings as code-review tools read them: SARIF 2.1.0.

use std::collections::BTreeMap;

use model::Reason;
use render::Diagnostic;
use serde_json::{Value, json};

/// One run with these findings.
pub(crate) fn sarif(found: &[Diagnostic]) -> Value {
    let rules: BTreeMap<&str, Reason> = found.iter().map(|d| (d.reason.code(), d.reason)).collect();
    let rules: Vec<_> = rules
        .into_values()
        .map(|reason| {
            json!({
                "id": reason.code(),
                "name": reason.name(),
                "shortDescription": { "text": reason.title() },
                "fullDescription": { "text": reason.explanation() },
                "help": { "text": reason.next_step() },
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "tidegate",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "results": found.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(fault: &Diagnostic) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": fault.file } });
    if let Some(at) = fault.position {
        place["region"] = json!({ "startLine": at.line, "startColumn": at.column });
    }
    json!({
        "ruleId": fault.reason.code(),
        "level": if fault.is_error() { "error" } else { "warning" },
        "message": { "text": fault.sentence() },
        "locations": [{ "physicalLocation": place }],
    })
}
