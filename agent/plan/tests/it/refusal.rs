//! What an API server says, and what it means. The texts are those of a kube-apiserver.

use std::time::Duration;

use model::{ObjectKey, Reason};
use plan::{
    Answer, Asked, Class, Failure, Resolution, Verb, classify, conflict_causes, conflict_policy,
    probe_body, probe_verdict, resolve, yield_field,
};
use serde_json::{Value, json};

use super::world::key;

const WEB: &str = "apps/Deployment/shop/web";

fn judge(
    id: &str,
    verb: Verb,
    planned: bool,
    code: u16,
    status: Option<&Value>,
    text: &str,
) -> Failure {
    let key: ObjectKey = key(id);
    let asked = Asked { verb, key: &key, namespace_planned: planned, definition_planned: planned };
    let retry_after = (code == 429).then(|| Duration::from_secs(7));
    classify(&asked, &Answer { code, status, text, retry_after })
}

fn status(reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "reason": reason, "message": message})
}

/// One row: id, code, reason, message → class, reason of ours, terminal.
type Row = (&'static str, u16, &'static str, &'static str, &'static str, Reason, bool);

const ROWS: &[Row] = &[
    (
        WEB,
        422,
        "Invalid",
        "Deployment.apps \"web\" is invalid: spec.selector: Required value",
        "Invalid",
        Reason::Invalid,
        true,
    ),
    (
        WEB,
        400,
        "BadRequest",
        "strict decoding error: unknown field \"spec.replica\"",
        "Invalid",
        Reason::Invalid,
        true,
    ),
    (
        WEB,
        409,
        "Conflict",
        "Operation cannot be fulfilled: the object has been modified",
        "Race",
        Reason::Applying,
        false,
    ),
    (
        WEB,
        409,
        "AlreadyExists",
        "deployments.apps \"web\" already exists",
        "Race",
        Reason::Applying,
        false,
    ),
    (
        WEB,
        403,
        "Forbidden",
        "deployments.apps \"web\" is forbidden: unable to create new content in namespace shop because it is being terminated",
        "WaitTerminating",
        Reason::NamespaceTerminating,
        false,
    ),
    (
        "a.example/Thing/shop/t",
        403,
        "Forbidden",
        "create not allowed while custom resource definition is terminating",
        "WaitTerminating",
        Reason::ObjectTerminating,
        false,
    ),
    (
        "/Pod/shop/p",
        403,
        "Forbidden",
        "pods \"p\" is forbidden: exceeded quota: small, requested: pods=1",
        "Quota",
        Reason::QuotaExceededOnApply,
        false,
    ),
    (
        "/Pod/shop/p",
        403,
        "Forbidden",
        "pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\"",
        "Policy",
        Reason::PolicyDenied,
        true,
    ),
    (
        WEB,
        403,
        "",
        "admission webhook \"a.b\" denied the request: no",
        "Policy",
        Reason::PolicyDenied,
        true,
    ),
    (
        WEB,
        400,
        "",
        "admission webhook \"a.b\" denied the request: no",
        "Policy",
        Reason::PolicyDenied,
        true,
    ),
    (
        WEB,
        403,
        "Forbidden",
        "deployments.apps \"web\" is forbidden: User \"x\" cannot patch resource \"deployments\" in API group \"apps\" in the namespace \"shop\"",
        "Forbidden",
        Reason::Forbidden,
        false,
    ),
    (
        "rbac.authorization.k8s.io/Role/shop/r",
        403,
        "Forbidden",
        "roles \"r\" is forbidden: user \"x\" is attempting to grant RBAC permissions not currently held",
        "Forbidden",
        Reason::Forbidden,
        false,
    ),
    (
        WEB,
        404,
        "NotFound",
        "namespaces \"shop\" not found",
        "MissingNamespace",
        Reason::NamespaceMissing,
        false,
    ),
    (
        "rbac.authorization.k8s.io/RoleBinding/shop/b",
        404,
        "NotFound",
        "rolebindings.rbac.authorization.k8s.io \"b\" not found",
        "RetryAfterRoles",
        Reason::DependencyFailed,
        false,
    ),
    (
        "rbac.authorization.k8s.io/RoleBinding/shop/b",
        404,
        "NotFound",
        "namespaces \"shop\" not found",
        "MissingNamespace",
        Reason::NamespaceMissing,
        false,
    ),
    (
        WEB,
        405,
        "MethodNotAllowed",
        "the server does not allow this method",
        "NoSsa",
        Reason::SchemaRejected,
        true,
    ),
    (
        WEB,
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format",
        "NoSsa",
        Reason::SchemaRejected,
        true,
    ),
    (
        WEB,
        413,
        "RequestEntityTooLarge",
        "limit is 3145728",
        "TooLarge",
        Reason::ObjectTooLarge,
        true,
    ),
    (WEB, 500, "", "etcdserver: request is too large", "TooLarge", Reason::ObjectTooLarge, true),
    (
        WEB,
        500,
        "",
        "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.template.spec.containers[name=\"a\"].env: duplicate entries for key [name=\"X\"]",
        "Schema",
        Reason::SchemaRejected,
        true,
    ),
    (
        WEB,
        500,
        "",
        "failed to create typed patch object: .spec.replica: field not declared in schema",
        "Schema",
        Reason::SchemaRejected,
        true,
    ),
    (
        WEB,
        500,
        "InternalError",
        "Internal error occurred: failed calling webhook \"a.b\": failed to call webhook: Post \"https://s.n.svc:443\": no endpoints available",
        "Webhook(\"a.b\")",
        Reason::WebhookFailed,
        false,
    ),
    (
        "a.example/Thing/shop/t",
        500,
        "InternalError",
        "conversion webhook for a.example/v1, Kind=Thing failed: Post \"https://s\": EOF",
        "Webhook(\"https://s\")",
        Reason::WebhookFailed,
        false,
    ),
    (
        WEB,
        500,
        "InternalError",
        "etcdserver: leader changed",
        "Server",
        Reason::ApiServerUnreachable,
        false,
    ),
    (
        "metrics.example/Thing/shop/t",
        503,
        "ServiceUnavailable",
        "the server is currently unable to handle the request",
        "ApiService",
        Reason::ApiServerUnreachable,
        false,
    ),
    (
        WEB,
        503,
        "ServiceUnavailable",
        "apiserver not ready",
        "Server",
        Reason::ApiServerUnreachable,
        false,
    ),
    (
        WEB,
        504,
        "Timeout",
        "request did not complete within requested timeout",
        "Ambiguous",
        Reason::Applying,
        false,
    ),
    (WEB, 0, "", "", "Ambiguous", Reason::Applying, false),
    (WEB, 401, "Unauthorized", "Unauthorized", "Server", Reason::ApiServerUnreachable, false),
];

#[test]
fn every_refusal_is_understood() {
    for (id, code, reason, message, class, ours, terminal) in ROWS {
        let status = status(reason, message);
        let failure = judge(id, Verb::Apply, false, *code, Some(&status), "");
        assert_eq!(
            (format!("{:?}", failure.class).as_str(), failure.reason, failure.terminal),
            (*class, *ours, *terminal),
            "{code} {message}"
        );
        assert!(
            failure.message.len() <= 256
                && message.starts_with(failure.message.trim_end_matches('…'))
        );
    }
}

#[test]
fn a_kind_that_is_not_served_is_told_by_plain_text() {
    let failure =
        judge("a.example/Thing/shop/t", Verb::Apply, false, 404, None, "404 page not found\n");
    assert_eq!((failure.class, failure.reason), (Class::UnknownKind, Reason::KindMissing));
    let planned =
        judge("a.example/Thing/shop/t", Verb::Apply, true, 404, None, "404 page not found\n");
    assert_eq!(planned.reason, Reason::DependencyFailed);
    assert!(!planned.terminal);
}

#[test]
fn a_missing_namespace_of_the_same_app_is_waited_for() {
    let status = status("NotFound", "namespaces \"shop\" not found");
    let failure = judge(WEB, Verb::Apply, true, 404, Some(&status), "");
    assert_eq!(failure.reason, Reason::DependencyFailed);
}

#[test]
fn what_is_gone_is_gone_to_a_delete() {
    let status = status("NotFound", "deployments.apps \"web\" not found");
    assert_eq!(judge(WEB, Verb::Delete, false, 404, Some(&status), "").class, Class::Gone);
    assert_eq!(judge(WEB, Verb::Read, false, 404, Some(&status), "").class, Class::Gone);
}

#[test]
fn a_throttled_request_waits_as_long_as_told() {
    let failure = judge(WEB, Verb::Apply, false, 429, None, "Too many requests");
    assert_eq!(failure.class, Class::Throttled(Some(Duration::from_secs(7))));
    assert_eq!(failure.retry, Some(Duration::from_secs(7)));
}

#[test]
fn a_terminating_namespace_is_told_by_its_cause_too() {
    let mut status = status("Forbidden", "forbidden");
    status["details"] =
        json!({"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]});
    assert_eq!(
        judge(WEB, Verb::Apply, false, 403, Some(&status), "").class,
        Class::WaitTerminating
    );
}

fn conflict(manager: &str, field: &str) -> Value {
    json!({"kind": "Status", "reason": "Conflict", "message": "Apply failed with 1 conflict",
        "details": {"causes": [{"reason": "FieldManagerConflict",
            "message": format!("conflict with \"{manager}\" using apps/v1"), "field": field}]}})
}

#[test]
fn a_conflict_names_manager_and_field() {
    let status = conflict("kubectl-edit", ".spec.replicas");
    let failure = judge(WEB, Verb::Apply, false, 409, Some(&status), "");
    assert_eq!(failure.reason, Reason::FieldConflict);
    assert_eq!(failure.message, "`.spec.replicas` is owned by `kubectl-edit`");
    let causes = conflict_causes(&status);
    assert_eq!(
        (causes[0].manager.as_str(), causes[0].field.as_str()),
        ("kubectl-edit", ".spec.replicas")
    );
    let other = conflict("tidegate-agent/db", ".metadata.labels.tidegate.dev/app");
    assert_eq!(
        judge(WEB, Verb::Apply, false, 409, Some(&other), "").reason,
        Reason::OwnedByAnotherApp
    );
}

#[test]
fn the_conflict_policy_is_the_table() {
    use Resolution::{Fail, Force, Yield};
    let rows = [
        ("kubectl-edit", ".spec.replicas", false, Force),
        ("kubectl-client-side-apply", ".data.k", false, Force),
        ("before-first-apply", ".data.k", false, Force),
        ("dashboard", ".data.k", false, Force),
        ("kube-controller-manager", ".spec.replicas", true, Yield),
        ("kubectl", ".spec.replicas", true, Yield),
        ("keda-operator", ".spec.replicas", false, Yield),
        ("vpa-updater", ".spec.replicas", false, Yield),
        ("keda-operator", ".data.k", false, Force),
        ("argocd-controller", ".data.k", false, Fail),
        ("kustomize-controller", ".data.k", false, Fail),
        ("helm", ".data.k", false, Fail),
        ("fleetagent", ".data.k", false, Fail),
        ("tidegate-agent/db", ".data.k", false, Fail),
    ];
    for (manager, field, through_scale, expected) in rows {
        assert_eq!(conflict_policy(manager, field, through_scale), expected, "{manager} {field}");
    }
}

#[test]
fn one_field_that_must_fail_fails_all_and_shared_fields_leave_the_body() {
    let cause = |message: &str, field: &str| {
        let status = json!({"details": {"causes": [
            {"reason": "FieldManagerConflict", "message": message, "field": field}]}});
        conflict_causes(&status).remove(0)
    };
    let scaled = cause(
        "conflict with \"kube-controller-manager\" with subresource \"scale\" using apps/v1 at 2026-01-01T12:00:00Z",
        ".spec.replicas",
    );
    let edited = cause("conflict with \"kubectl-edit\" using apps/v1", ".spec.paused");
    let helm = cause("conflict with \"helm\"", ".spec.paused");
    assert!(scaled.through_scale && !edited.through_scale);
    assert_eq!(resolve(std::slice::from_ref(&edited)), Resolution::Force);
    assert_eq!(resolve(&[edited.clone(), scaled.clone()]), Resolution::Yield);
    assert_eq!(resolve(&[edited, scaled, helm]), Resolution::Fail);
    assert_eq!(resolve(&[]), Resolution::Fail);
    let mut body = json!({"spec": {"replicas": 3, "paused": true}});
    assert!(yield_field(&mut body, ".spec.replicas"));
    assert_eq!(body, json!({"spec": {"paused": true}}));
    assert!(!yield_field(&mut body, ".spec.containers[name=\"a\"].image"));
}

#[test]
fn a_field_within_a_list_item_is_yielded_and_its_neighbours_stay() {
    let mut body = json!({"spec": {"containers": [
        {"name": "a", "image": "1", "ports": [{"containerPort": 80, "protocol": "TCP", "name": "h"}]},
        {"name": "b", "image": "2"}]}, "metadata": {"finalizers": ["x", "y"]}});
    assert!(yield_field(&mut body, ".spec.containers[name=\"b\"].image"));
    let port = ".spec.containers[name=\"a\"].ports[containerPort=80,protocol=\"TCP\"].name";
    assert!(yield_field(&mut body, port));
    assert!(yield_field(&mut body, ".metadata.finalizers[=\"x\"]"));
    assert_eq!(
        body,
        json!({"spec": {"containers": [
        {"name": "a", "image": "1", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
        {"name": "b"}]}, "metadata": {"finalizers": ["y"]}})
    );
    for none in
        ["", "spec", ".spec.containers[name=\"c\"].image", ".spec.containers[", ".spec[9].x"]
    {
        assert!(!yield_field(&mut body, none), "{none}");
    }
}

#[test]
fn the_probe_tells_a_wrong_change_from_a_wrong_manifest() {
    let status = status("Invalid", "field is immutable");
    let failure = judge(WEB, Verb::Apply, false, 422, Some(&status), "");
    let immutable = probe_verdict(failure.clone(), 201);
    assert_eq!((immutable.class, immutable.reason), (Class::Immutable, Reason::Immutable));
    for code in [422, 403, 500, 0] {
        assert_eq!(probe_verdict(failure.clone(), code), failure);
    }
}

#[test]
fn the_probe_has_another_name_and_nothing_that_is_taken() {
    let service = json!({"kind": "Service", "metadata": {"name": "s", "uid": "u"},
        "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "nodePort": 30080}]}});
    let probe = probe_body(&service, "probe-1");
    assert_eq!(
        probe,
        json!({"kind": "Service", "metadata": {"name": "s-probe-1"}, "spec": {"ports": [{"port": 80}]}})
    );
    let headless =
        json!({"kind": "Service", "metadata": {"name": "s"}, "spec": {"clusterIP": "None"}});
    assert_eq!(probe_body(&headless, "x")["spec"]["clusterIP"], json!("None"));
    let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": {"volumeName": "v"}});
    assert_eq!(probe_body(&claim, "x")["spec"], json!({}));
}
