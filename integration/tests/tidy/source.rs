//! Reads the tree: files of a crate, what `mod` reaches, which modules use which.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A Rust file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The same from the root of the repository.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) text: String,
}

impl File {
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    pub(crate) fn stem(&self) -> &str {
        self.path.file_stem().and_then(|s| s.to_str()).unwrap_or_default()
    }

    pub(crate) fn is_test(&self) -> bool {
        self.name.contains("/tests/") || self.name.contains("/examples/") || self.stem() == "tests"
    }

    pub(crate) fn is_build_script(&self) -> bool {
        self.path.file_name().is_some_and(|n| n == "build.rs")
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("integration lies below the root")
        .to_owned()
}

/// All Rust files of a crate; crates nested in its folder are their own.
pub(crate) fn files(folder: &str) -> Vec<File> {
    let mut found = Vec::new();
    let base = root().join(folder);
    walk(&base, &base, &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("below the root").display().to_string();
        let text = fs::read_to_string(&path).expect("a source file is text");
        File { path, name, text }
    };
    found.into_iter().map(read).collect()
}

fn walk(base: &Path, dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder of the repository can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            let nested = dir == base && path.join("Cargo.toml").is_file();
            let skipped =
                path.file_name().is_some_and(|n| n == "target" || n == "bin" && dir == root());
            if !nested && !skipped {
                walk(base, &path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Files that some `mod` reaches from a root of compilation.
pub(crate) fn reached(folder: &Path) -> BTreeSet<PathBuf> {
    let mut done = BTreeSet::new();
    let mut open =
        vec![folder.join("src/lib.rs"), folder.join("src/main.rs"), folder.join("build.rs")];
    for dir in ["tests", "examples", "benches", "src/bin"] {
        for entry in fs::read_dir(folder.join(dir)).into_iter().flatten().flatten() {
            let path = entry.path();
            open.push(if path.is_dir() { path.join("main.rs") } else { path });
        }
    }
    while let Some(file) = open.pop() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        if !done.insert(file.clone()) {
            continue;
        }
        let here = module_folder(&file);
        for module in modules(&text) {
            open.push(here.join(format!("{module}.rs")));
            open.push(here.join(&module).join("mod.rs"));
        }
    }
    done
}

/// Where the submodules of a file are.
fn module_folder(file: &Path) -> PathBuf {
    let parent = file.parent().expect("a file is in a folder").to_owned();
    let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let is_root = ["lib", "main", "mod"].contains(&stem)
        || parent.file_name().is_some_and(|n| ["tests", "examples", "bin"].iter().any(|d| n == *d));
    if is_root { parent } else { parent.join(stem) }
}

/// Names in `mod NAME;` in the order of the file.
fn modules(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let line = line.trim();
        let rest = line
            .strip_prefix("pub ")
            .or_else(|| line.strip_prefix("pub(crate) "))
            .or_else(|| line.strip_prefix("pub(super) "))
            .unwrap_or(line);
        rest.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    };
    text.lines().filter_map(name).collect()
}

/// Whether a file stands beside a module of that name, so that the name means the module.
pub(crate) fn has_sibling(file: &File, module: &str) -> bool {
    let folder = file.path.parent().expect("a file is in a folder");
    folder.join(format!("{module}.rs")).is_file() || folder.join(module).join("mod.rs").is_file()
}

/// Uses of a module that is listed above the user, in the list of their common parent.
pub(crate) fn upward(folder: &Path) -> Vec<String> {
    let lib = folder.join("src/lib.rs");
    let Ok(text) = fs::read_to_string(&lib) else { return Vec::new() };
    let order = modules(&text);
    let mut faults = Vec::new();
    for (place, module) in order.iter().enumerate() {
        for file in files_of(folder, module) {
            let text = fs::read_to_string(&file).expect("a source file is text");
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            for above in &order[..place] {
                if uses(product, above) {
                    let file = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
                    faults.push(format!(
                        "{file} (`{module}`) uses `crate::{above}`, which is listed above it"
                    ));
                }
            }
        }
    }
    faults
}

fn files_of(folder: &Path, module: &str) -> Vec<PathBuf> {
    let single = folder.join("src").join(format!("{module}.rs"));
    if single.is_file() {
        return vec![single];
    }
    let mut found = Vec::new();
    let dir = folder.join("src").join(module);
    if dir.is_dir() {
        walk(folder, &dir, &mut found);
    }
    found.retain(|f| f.file_stem().is_none_or(|s| s != "tests"));
    found
}

/// Whether a text names `crate::MODULE`, alone or in a list after `use crate::{`.
fn uses(text: &str, module: &str) -> bool {
    let code: String =
        text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let direct =
        [format!("crate::{module}::"), format!("crate::{module};"), format!("crate::{module}}}")];
    if direct.iter().any(|d| code.contains(d.as_str())) {
        return true;
    }
    code.split("use crate::{").skip(1).any(|rest| {
        let mut depth = 1;
        let mut item = String::new();
        let mut items = Vec::new();
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => items.push(std::mem::take(&mut item)),
                _ if depth == 1 => item.push(c),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        items.push(item);
        items
            .iter()
            .any(|i| i.trim().split("::").next().is_some_and(|first| first.trim() == module))
    })
}
