//! Turns the files of `health/` into a table that is part of the binary: groups, kinds, expressions.
//! Cases stay out; a file that cannot be read stops the build with its place.

#![expect(clippy::disallowed_methods, reason = "reading and writing files is what it is for")]

#[path = "src/health/rules/document.rs"]
mod document;

use std::{collections::BTreeSet, env, error::Error, fs, path::Path};

use document::{About, Document, RULES_MAX, Wrong};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=health");
    println!("cargo:rerun-if-changed=src/health/rules/document.rs");
    let mut files: Vec<_> = fs::read_dir("health")?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let mut rows = String::new();
    let mut count = 0;
    let mut taken = BTreeSet::new();
    for file in files {
        count += rules(&file.path(), &mut rows, &mut taken)?;
    }
    let out = format!("static LIBRARY: [Row; {count}] = [\n{rows}];\n");
    let target = Path::new(&env::var("OUT_DIR")?).join("library.rs");
    Ok(fs::write(target, out)?)
}

/// Appends the rows of one file, and counts them.
fn rules(
    path: &Path,
    out: &mut String,
    taken: &mut BTreeSet<(String, String, Vec<String>)>,
) -> Result<usize, Box<dyn Error>> {
    let name = path.display();
    let text = fs::read_to_string(path)?;
    let document: Document =
        serde_saphyr::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let project = document.project.ok_or(format!("{name}: `project` is missing"))?;
    if document.rules.len() > RULES_MAX {
        return Err(format!("{name}: more than {RULES_MAX} rules").into());
    }
    let count = document.rules.len();
    for mut rule in document.rules {
        let line = rule.referenced.line();
        let at = |wrong: Wrong| format!("{name}:{}: {}", wrong.line.unwrap_or(line), wrong.message);
        let About { groups, kinds, versions } = rule.value.about().map_err(at)?;
        for (group, kind) in groups.iter().flat_map(|g| kinds.iter().map(move |k| (g, k))) {
            if !taken.insert((group.clone(), kind.clone(), versions.clone())) {
                return Err(format!("{name}:{line}: {group}/{kind} has a rule already").into());
            }
        }
        if rule.value.name.is_some() {
            return Err(format!("{name}:{line}: a rule of the library goes by its file").into());
        }
        let observed = rule.value.observed.take();
        out.push_str(&format!(
            "Row {{ project: {project:?}, line: {line}, groups: &{groups:?}, kinds: &{kinds:?}, \
             versions: &{versions:?}, observed: {observed:?}, clauses: &["
        ));
        for clause in rule.value.clauses().map_err(at)? {
            let say = clause.say.map(|say| say.value);
            let (word, when) = (clause.word, clause.when.value);
            out.push_str(&format!("(Health::{word}, {when:?}, {say:?}), "));
        }
        out.push_str("], compiled: OnceLock::new() },\n");
    }
    Ok(count)
}
