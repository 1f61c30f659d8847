//! Errors for people.

/// An error and all its causes, on one line.
pub(crate) fn causes(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut at = fault.source();
    while let Some(cause) = at {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        at = cause.source();
    }
    text
}
