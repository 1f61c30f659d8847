//! The HTTP face: a request in, a response out. Faults bite here, requests are counted here.

mod discovery;

mod write;

mod watch;

mod read;

mod access;

mod webhooks;

mod options;

mod route;

mod answer;

mod query;

pub use answer::ResponseBody;
pub(crate) use answer::is_broken;

use crate::{
    faults::{Moment, Partition},
    kinds::Kind,
    shared::Shared,
    status::Status,
};
use answer::{Answer, broken};
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::BodyExt;
use query::Query;
use route::{Objects, Target};
use std::sync::Arc;

/// Largest request body, as on a real server: 3 MiB.
const BODY_LIMIT: usize = 3 << 20;

/// One request as the handlers see it.
struct Ask {
    parts: Parts,
    query: Query,
    body: Bytes,
}

impl Ask {
    fn header(&self, name: http::HeaderName) -> &str {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn is_apply(&self) -> bool {
        content_type(&self.parts).starts_with("application/apply-patch+")
    }

    /// Does the client want metadata only?
    fn wants_partial(&self) -> bool {
        self.header(http::header::ACCEPT).contains("as=PartialObjectMetadata")
    }
}

pub(crate) async fn handle<B>(shared: &Arc<Shared>, request: Request<B>) -> Response<ResponseBody>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let target = route::target(parts.uri.path());
    let (verb, resource) = target.named(&parts.method, &query, content_type(&parts));
    shared.requests().note(verb, &resource);
    let delay = shared.faults.delay();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let struck = shared.faults.struck(verb);
    if !reachable(shared).await {
        return broken();
    }
    let Ok(body) = http_body_util::Limited::new(body, BODY_LIMIT).collect().await else {
        let text = format!("limit is {BODY_LIMIT}");
        return Answer::from(Status::new(413, "RequestEntityTooLarge", text)).respond();
    };
    let body = body.to_bytes();
    if let Some(refusal) = shared.faults.refusal(verb, &resource) {
        return Answer::from(refusal).respond();
    }
    let ask = Ask { parts, query, body };
    let answer = dispatch(shared, &ask, target, verb).unwrap_or_else(Answer::from);
    if struck == Some(Moment::After) {
        shared.faults.partition(Partition::Reset);
        return broken();
    }
    answer.respond()
}

fn content_type(parts: &Parts) -> &str {
    let value = parts.headers.get(http::header::CONTENT_TYPE);
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Waits while the network drops packets; false when it resets connections.
async fn reachable(shared: &Shared) -> bool {
    let mut orders = shared.faults.orders();
    loop {
        match orders.borrow_and_update().partition {
            None => return true,
            Some(Partition::Reset) => return false,
            Some(Partition::Stall) => {}
        }
        if orders.changed().await.is_err() {
            return false;
        }
    }
}

fn dispatch(
    shared: &Arc<Shared>,
    ask: &Ask,
    target: Target,
    verb: &'static str,
) -> Result<Answer, Status> {
    let objects = match target {
        Target::Objects(objects) => objects,
        Target::Unknown => return Ok(Answer::page_not_found()),
        other @ (Target::Version
        | Target::Health
        | Target::Core
        | Target::Groups
        | Target::Group(_)
        | Target::Resources { .. }
        | Target::AccessReview) => return Ok(discovery::answer(shared, ask, &other)),
    };
    let kind = shared.state().kind_at(&objects.group, &objects.version, &objects.plural);
    let Some(kind) = kind.filter(|kind| fits(kind, &objects)) else {
        return unknown(shared, &objects);
    };
    options::acceptable(ask)?;
    if let Some(user) = access::User::of(ask) {
        access::check(&shared.state(), ask, &user, verb, &kind, &objects)?;
    }
    webhooks::check(&shared.state(), ask, verb, &kind, &objects)?;
    match verb {
        "get" => read::get(shared, ask, &kind, &objects),
        "list" => read::list(shared, ask, &kind, &objects),
        "watch" => watch::watch(shared, ask, &kind, &objects),
        "create" => write::create(shared, ask, &kind, &objects),
        "update" => write::update(shared, ask, &kind, &objects),
        "patch" | "apply" => write::patch(shared, ask, &kind, &objects),
        "delete" => write::delete(shared, ask, &kind, &objects),
        "deletecollection" => write::delete_all(shared, ask, &kind, &objects),
        _ => Err(Status::method_not_allowed()),
    }
}

/// In a built-in group the server knows its way, elsewhere it knows nothing.
fn unknown(shared: &Shared, objects: &Objects) -> Result<Answer, Status> {
    let state = shared.state();
    let kind = state.kind_at(&objects.group, &objects.version, &objects.plural);
    if kind.is_none() && discovery::is_silent(&state, &objects.group, &objects.version) {
        return Ok(Answer::text(503, "service unavailable\n"));
    }
    if let (Some(kind), Some(name)) = (kind.filter(|kind| kind.custom.is_some()), &objects.name)
        && !objects.subresource.is_empty()
    {
        return Err(Status::not_found(&kind, name));
    }
    let built_in = |kind: &Arc<Kind>| kind.group == objects.group && kind.custom.is_none();
    if state.kinds().iter().any(built_in) {
        Err(Status::no_resource())
    } else {
        Ok(Answer::page_not_found())
    }
}

/// Is the path one that this kind has: its scope, its subresources?
fn fits(kind: &Kind, objects: &Objects) -> bool {
    let scope = match (kind.namespaced, objects.namespace.is_some()) {
        (true, false) => objects.name.is_none(),
        (namespaced, in_namespace) => namespaced == in_namespace,
    };
    let subresource = match objects.subresource.as_str() {
        "" => true,
        "status" => kind.status,
        "scale" => kind.scale.is_some(),
        "finalize" => kind.is("", "Namespace"),
        _ => false,
    };
    scope && subresource
}
