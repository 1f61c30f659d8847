//! What a change would do, for people: plain text, and Markdown for a pull request.

use render::{AppChange, Change, ChangeKind, Group, Preview};

use super::count;

/// Longest diff that stands in a comment, in bytes; forges cut comments at 64 KiB.
const DIFF_BYTES_MAX: usize = 4 << 10;

/// Clusters of a group that are named.
const NAMED_MAX: usize = 3;

/// For a terminal. `lines` shows the lines of every object too.
pub(crate) fn text(found: &Preview, lines: bool) -> String {
    if found.is_empty() {
        return "nothing changes".to_owned();
    }
    let mut out = vec![summary(found)];
    out.extend(found.diagnostics.iter().map(ToString::to_string));
    for app in &found.apps {
        out.push(format!("\nApp {}: {}", app.app, headline(app)));
        for group in &app.groups {
            out.push(format!("  {}: {}", who(group), what(group)));
            for change in &group.changes {
                out.push(format!("    {}", one(change)));
                out.extend(warnings(change).into_iter().map(|line| format!("      ! {line}")));
                if lines {
                    out.extend(change.diff.lines().map(|line| format!("      {line}")));
                }
            }
        }
        out.extend(membership(app).into_iter().map(|line| format!("  {line}")));
        out.extend(waves(app).into_iter().map(|line| format!("  {line}")));
        out.extend(app.faults.iter().chain(&app.notes).map(|fault| format!("  {fault}")));
    }
    out.join("\n")
}

/// For a comment at a pull request.
pub(crate) fn markdown(found: &Preview, base: &str, head: &str) -> String {
    let mut out = vec![format!("### Tidegate preview: `{base}` → `{head}`\n")];
    if found.is_empty() {
        out.push("Nothing changes on any cluster.".to_owned());
        return out.join("\n");
    }
    out.push(summary(found));
    out.extend(
        found.diagnostics.iter().map(|fault| format!("- ❌ {}", escaped(&fault.to_string()))),
    );
    for app in &found.apps {
        out.push(format!("\n#### `{}`: {}\n", app.app, headline(app)));
        out.extend(app.faults.iter().map(|fault| format!("- ❌ {}", escaped(&fault.to_string()))));
        for group in &app.groups {
            out.push(format!("<details><summary>{}: {}</summary>\n", who(group), what(group)));
            for change in &group.changes {
                out.push(format!("- {}", escaped(&marked(change))));
                let warned = warnings(change).into_iter();
                out.extend(warned.map(|line| format!("  - ⚠️ {}", escaped(&line))));
                if !change.diff.is_empty() {
                    out.push(fenced(&change.diff));
                }
            }
            out.push("\n</details>".to_owned());
        }
        out.extend(membership(app).into_iter().map(|line| format!("- {line}")));
        out.extend(waves(app).into_iter().map(|line| format!("- {line}")));
        out.extend(app.notes.iter().map(|note| format!("- ⚠️ {}", escaped(&note.to_string()))));
    }
    out.join("\n")
}

fn summary(found: &Preview) -> String {
    let changed: usize =
        found.apps.iter().flat_map(|app| &app.groups).map(|group| group.clusters.len()).sum();
    let refused = found.apps.iter().filter(|app| !app.faults.is_empty()).count();
    let apps = match found.apps.len() {
        0 => "no App of the repository changes".to_owned(),
        1 => "1 App of the repository changes".to_owned(),
        many => format!("{many} Apps of the repository change"),
    };
    let refused = match refused {
        0 => String::new(),
        refused => format!("; {refused} cannot go out"),
    };
    let pairs = count(changed, "(App, cluster) pair");
    format!("{apps}, {pairs}{refused}")
}

fn headline(app: &AppChange) -> String {
    if app.removed {
        return "its `app.yaml` is gone; clusters keep what they run".to_owned();
    }
    if !app.faults.is_empty() {
        return "cannot go out; clusters keep what they run".to_owned();
    }
    let changed: usize = app.groups.iter().map(|group| group.clusters.len()).sum();
    format!("{changed} of {} change", count(app.clusters, "cluster"))
}

fn who(group: &Group) -> String {
    let names = group.clusters.iter().take(NAMED_MAX).map(ToString::to_string);
    let names = names.collect::<Vec<_>>().join(", ");
    match group.clusters.len() {
        many if many > NAMED_MAX => format!("{many} clusters ({names}, …)"),
        few => format!("{} ({names})", count(few, "cluster")),
    }
}

fn what(group: &Group) -> String {
    let of = |kind| group.changes.iter().filter(|change| change.kind == kind).count();
    let lines: usize = group.changes.iter().map(|change| change.added.max(change.removed)).sum();
    let mut parts = Vec::new();
    for (kind, word) in [
        (ChangeKind::Removed, "removed"),
        (ChangeKind::Changed, "changed"),
        (ChangeKind::Added, "added"),
    ] {
        if of(kind) > 0 {
            parts.push(format!("{} {word}", count(of(kind), "object")));
        }
    }
    let any = |is: fn(&Change) -> bool| group.changes.iter().any(is);
    let mut marks = String::new();
    for (is, mark) in [
        (any(|change| change.grave), ", data may be lost"),
        (any(|change| !change.grave && !change.hard_to_undo.is_empty()), ", hard to undo"),
        (any(|change| !change.immutable.is_empty()), ", refused by API servers"),
    ] {
        marks.push_str(if is { mark } else { "" });
    }
    let same = if group.clusters.len() > 1 { "the same " } else { "" };
    format!("{same}{}{marks} ({})", count(lines, "line"), parts.join(", "))
}

/// What is to be known of a change before it goes out.
fn warnings(change: &Change) -> Vec<String> {
    let mut lines: Vec<String> =
        change.hard_to_undo.iter().map(|what| format!("cannot simply be undone: {what}")).collect();
    if !change.immutable.is_empty() {
        lines.push(format!(
            "cannot change on a live object: {}; `tidegate.dev/recreate: \"true\"` replaces it",
            change.immutable.join(", ")
        ));
    }
    lines
}

/// As [`one`], where a sign at the beginning would make a list of it.
fn marked(change: &Change) -> String {
    let word = match change.kind {
        ChangeKind::Added => "added",
        ChangeKind::Changed => "changed",
        ChangeKind::Removed => "**removed**",
    };
    format!("{word} {}", one(change).trim_start_matches(['+', '~', '-', ' ']))
}

fn one(change: &Change) -> String {
    let sign = match change.kind {
        ChangeKind::Added => "+",
        ChangeKind::Changed => "~",
        ChangeKind::Removed => "-",
    };
    let grave = if change.grave { "   deletes data or all that is in it" } else { "" };
    format!("{sign} {}  (+{} -{}){grave}", change.object, change.added, change.removed)
}

fn membership(app: &AppChange) -> Vec<String> {
    let mut lines = Vec::new();
    for (names, word) in [
        (&app.joining, "selected now and not before"),
        (&app.leaving, "not selected any more, and keep what they run"),
    ] {
        if !names.is_empty() {
            let shown: Vec<_> = names.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = if names.len() > NAMED_MAX { ", …" } else { "" };
            let clusters = count(names.len(), "cluster");
            lines.push(format!("{clusters} {word}: {}{more}", shown.join(", ")));
        }
    }
    lines
}

fn waves(app: &AppChange) -> Vec<String> {
    let changing = |wave: &&render::WaveChange| wave.changing > 0;
    let line = |wave: &render::WaveChange| {
        let of = count(wave.clusters, "cluster");
        format!("wave {}: {} of {of} change; {}", wave.name, wave.changing, wave.gates.join(", "))
    };
    app.waves.iter().filter(changing).map(line).collect()
}

/// Text of a repository as text: no tag, no link of its making.
fn escaped(text: &str) -> String {
    crate::output::safe(text).replace('<', "&lt;").replace('@', "@\u{200b}")
}

/// A fence that is longer than any in the text.
fn fenced(diff: &str) -> String {
    let longest = diff.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let mut text = diff.to_owned();
    if text.len() > DIFF_BYTES_MAX {
        let end = (0..=DIFF_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n… cut; `tidegate diff` shows all\n");
    }
    format!("{fence}diff\n{}\n{fence}", crate::output::safe(text.trim_end()))
}
