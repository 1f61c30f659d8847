//! Landlock: the files that the tool may open, and no others.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::Plan;

/// The newest version whose rights we name; an older kernel takes what it knows of them.
const KNOWN: ABI = ABI::V6;

/// Takes all other files away; whether this kernel did.
pub(super) fn only(plan: &Plan) -> Result<bool, String> {
    let fault = |error: &dyn std::fmt::Display| format!("lock files: {error}");
    let all = AccessFs::from_all(KNOWN);
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules: Vec<(PathBuf, BitFlags<AccessFs>)> = Vec::new();
    rules.extend(plan.read.iter().map(|path| (path.clone(), look)));
    rules.extend(plan.run.iter().map(|path| (path.clone(), look | AccessFs::Execute)));
    rules.extend(plan.program.iter().map(|path| (path.clone(), look | AccessFs::Execute)));
    rules.extend(plan.home.iter().map(|path| (path.clone(), all & !AccessFs::Execute)));
    rules.push((PathBuf::from("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile));
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(|r| r.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(|r| r.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create);
    let mut ruleset = ruleset.map_err(|e| fault(&e))?;
    for (path, access) in rules {
        let fd =
            PathFd::new(&path).map_err(|e| format!("lock files: `{}`: {e}", path.display()))?;
        let about = std::fs::metadata(&path).map_err(|e| fault(&e))?;
        let access = if about.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
        ruleset = ruleset.add_rule(PathBeneath::new(fd, access)).map_err(|e| fault(&e))?;
    }
    let status = ruleset.restrict_self().map_err(|e| fault(&e))?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
