pub(super) fn step(_pass: &mut super::pass::Pass<'_>) {}
