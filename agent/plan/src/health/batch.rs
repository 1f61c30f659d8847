//! Jobs.

use model::{Health, Reason};

use super::Verdict;
use super::view::View;

/// `SuccessCriteriaMet` and `FailureTarget` announce an end and are none.
pub(super) fn job(view: View<'_>) -> Verdict {
    let holds = |kind: &str| view.condition(kind).filter(|c| c.is_true());
    if holds("Complete").is_some() {
        Verdict::healthy()
    } else if let Some(failed) = holds("Failed") {
        Verdict::new(Health::Degraded, Reason::JobFailed, failed.say()).finally()
    } else if view.flag("/spec/suspend") {
        Verdict::suspended("suspended")
    } else {
        let count = |name: &str| view.count(&format!("/status/{name}"));
        Verdict::progressing(format!(
            "{} active, {} succeeded, {} failed",
            count("active"),
            count("succeeded"),
            count("failed")
        ))
    }
}

pub(super) fn cron_job(view: View<'_>) -> Verdict {
    if view.flag("/spec/suspend") { Verdict::suspended("suspended") } else { Verdict::healthy() }
}
