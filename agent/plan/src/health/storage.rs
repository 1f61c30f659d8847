//! Volumes and claims.

use super::Verdict;
use super::view::View;

pub(super) fn claim(view: View<'_>) -> Verdict {
    match view.text("/status/phase") {
        "Bound" => match view.condition("FileSystemResizePending").filter(|c| c.is_true()) {
            Some(_) => Verdict::healthy().note("the file system grows when a pod mounts it"),
            None => Verdict::healthy(),
        },
        "Lost" => Verdict::degraded("the volume it was bound to is gone"),
        _ if view.context.waits_for_consumer => {
            Verdict::healthy().note("is bound when the first pod uses it")
        }
        "" => Verdict::progressing("not looked at yet"),
        phase => Verdict::progressing(format!("phase {phase}")),
    }
}

pub(super) fn volume(view: View<'_>) -> Verdict {
    match view.text("/status/phase") {
        "Available" | "Bound" | "Released" => Verdict::healthy(),
        "Failed" => Verdict::degraded(format!("failed: {}", view.text("/status/message"))),
        "" => Verdict::progressing("not looked at yet"),
        phase => Verdict::progressing(format!("phase {phase}")),
    }
}
