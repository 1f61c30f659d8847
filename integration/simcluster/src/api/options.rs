//! The parameters of a request: what the server refuses about them, and how it says so.

use super::Ask;
use crate::{
    ops::Write,
    status::{Cause, Status},
    validate::Validation,
};
use http::Method;
use serde_json::json;

/// The options of a write, from its query.
pub(super) fn of_write(ask: &Ask, subresource: &str) -> Result<Write, Status> {
    let options = match ask.parts.method {
        Method::POST => "CreateOptions",
        Method::PUT => "UpdateOptions",
        _ => "PatchOptions",
    };
    let refuse = |cause: Cause| Err(Status::options(options, &cause));
    let validation = match ask.query.get("fieldValidation") {
        "Strict" => Validation::Strict,
        "Ignore" => Validation::Ignore,
        "Warn" | "" => Validation::Warn,
        other => {
            let allowed = ["", "Ignore", "Strict", "Warn"];
            return refuse(Cause::unsupported("fieldValidation", &json!(other), &allowed));
        }
    };
    let dry_run = match ask.query.get("dryRun") {
        "" => false,
        "All" => true,
        other => return refuse(Cause::unsupported("dryRun", &json!([other]), &["All"])),
    };
    let agent = ask.header(http::header::USER_AGENT).split('/').next().unwrap_or_default();
    let manager = match ask.query.get("fieldManager") {
        "" if ask.is_apply() => "",
        "" if agent.is_empty() => "unknown",
        "" => agent,
        name => name,
    };
    if options == "PatchOptions" && !ask.is_apply() && !ask.query.get("force").is_empty() {
        return refuse(Cause::forbidden("force", "may not be specified for non-apply patch"));
    }
    Ok(Write {
        manager: manager.to_owned(),
        dry_run,
        subresource: subresource.to_owned(),
        validation,
        force: ask.query.is_true("force"),
    })
}

fn forbidden(text: &str) -> Status {
    Status::options("ListOptions", &Cause::forbidden("resourceVersionMatch", text))
}

/// What a list or a watch may not combine.
pub(super) fn check_list(ask: &Ask, is_watch: bool) -> Result<(), Status> {
    let (version, how) = (ask.query.get("resourceVersion"), ask.query.get("resourceVersionMatch"));
    let initial = ask.query.get("sendInitialEvents");
    if !initial.is_empty() && is_watch {
        if how != "NotOlderThan" {
            let text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(forbidden(text));
        }
        return Ok(());
    }
    if how.is_empty() {
        return Ok(());
    }
    if is_watch {
        return Err(forbidden(
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ));
    }
    if version.is_empty() {
        return Err(forbidden(
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ));
    }
    if how == "Exact" && version == "0" {
        return Err(forbidden(
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ));
    }
    if how != "Exact" && how != "NotOlderThan" {
        let cause =
            Cause::unsupported("resourceVersionMatch", &json!(how), &["Exact", "NotOlderThan", ""]);
        return Err(Status::options("ListOptions", &cause));
    }
    Ok(())
}

/// The version asked for; zero when none is.
pub(super) fn version(ask: &Ask) -> Result<u64, String> {
    match ask.query.get("resourceVersion") {
        "" => Ok(0),
        text => text.parse().map_err(|_| {
            format!(
                "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": \
                 invalid syntax"
            )
        }),
    }
}

/// Can the answer be given in a form that the client takes?
pub(super) fn acceptable(ask: &Ask) -> Result<(), Status> {
    let accept = ask.header(http::header::ACCEPT);
    let fits = |part: &str| {
        let (media, rest) = part.trim().split_once(';').unwrap_or((part.trim(), ""));
        let form = rest.split(';').find_map(|rest| rest.trim().strip_prefix("as="));
        let known = ["PartialObjectMetadata", "PartialObjectMetadataList", "APIGroupDiscoveryList"];
        (media == "application/json" || media.contains('*'))
            && form.is_none_or(|form| known.contains(&form))
    };
    if accept.is_empty() || accept.split(',').any(fits) {
        return Ok(());
    }
    let text = "only the following media types are accepted: application/json, application/yaml, \
                application/vnd.kubernetes.protobuf";
    Err(Status::new(406, "NotAcceptable", text))
}
