//! The section `app` of a scenario as a whole `app.yaml` in which each line keeps its number.

use serde_json::Value;
use serde_saphyr::Spanned;

/// Of an App that says nothing: every cluster, the documented defaults.
pub(super) const NOTHING: &str = "apiVersion: tidegate.dev/v1alpha1\nkind: App\n\
     metadata: {name: web}\nspec: {targets: {select: \"true\"}}\n";

/// What stands at `app`, as the `spec` of a document.
pub(super) fn document(text: &str, app: &Spanned<Value>) -> String {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let first = number(app.referenced.line()).saturating_sub(1);
    let column = number(app.referenced.column()).saturating_sub(1);
    let lines: Vec<&str> = text.lines().collect();
    let Some(line) = lines.get(first) else { return NOTHING.to_owned() };
    let indent = |line: &str| line.len() - line.trim_start().len();
    // In block style the value begins its line; in flow style the key stands before it.
    let block = indent(line) == column;
    let outer = if block { column.saturating_sub(1) } else { indent(line) };
    let inside = |line: &&&str| {
        line.trim().is_empty() || line.trim().starts_with('#') || indent(line) > outer
    };
    let rest = lines.iter().skip(first + 1).take_while(inside);
    let mut out = "\n".repeat(if block { first.saturating_sub(1) } else { first });
    if block {
        out.push_str("spec:\n");
        out.push_str(line);
    } else {
        out.push_str("spec: ");
        out.push_str(line.get(column..).unwrap_or_default());
    }
    for more in rest {
        out.push('\n');
        out.push_str(more);
    }
    if block && app.value.get("targets").is_none() {
        out.push_str(&format!("\n{}targets: {{select: \"true\"}}", " ".repeat(column)));
    }
    out.push_str("\napiVersion: tidegate.dev/v1alpha1\nkind: App\nmetadata: {name: web}\n");
    out
}
