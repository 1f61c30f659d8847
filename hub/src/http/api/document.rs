//! The OpenAPI document of the routes: schemas come from the very types that the handlers answer with.

use axum::Json;
use model::api;
use utoipa::{
    OpenApi,
    openapi::{
        Content, HttpMethod, Ref, Required,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        response::ResponseBuilder,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

/// The schemas.
#[derive(OpenApi)]
#[openapi(
    info(title = "Tidegate", description = "One API for people, CLI, UI and scripts."),
    components(schemas(
        api::List<api::SourceItem>,
        api::List<api::ClusterItem>,
        api::List<api::AppItem>,
        api::List<api::RolloutItem>,
        api::List<api::WaveItem>,
        api::SourceItem,
        api::ClusterItem,
        api::RolloutItem,
        api::WhyItem,
        api::AddSource,
        api::AddCluster,
        api::AddedCluster,
        api::RolloutAction,
        api::ActedItem,
        api::LogItem,
        api::List<api::PathStep>,
        api::List<api::MarkItem>,
        api::HoldAction,
        api::MarkItem,
        api::List<api::BlockerItem>,
        api::BlockerAction,
        api::BlockerItem,
        api::List<api::TokenItem>,
        api::AddToken,
        api::AddedToken,
        api::TokenItem,
        api::Problem,
    ))
)]
struct Schemas;

/// A route: method, path below `/api/v1`, summary, schema of the body, schema of the answer; an empty name
/// is a free object.
type Route = (HttpMethod, &'static str, &'static str, Option<&'static str>, &'static str);

const ROUTES: &[Route] = &[
    (HttpMethod::Get, "/version", "Version of the hub; open to everybody", None, ""),
    (HttpMethod::Get, "/sources", "List sources", None, "List_SourceItem"),
    (HttpMethod::Post, "/sources", "Follow a Git repository", Some("AddSource"), "SourceItem"),
    (
        HttpMethod::Delete,
        "/sources/{name}",
        "Stop following; clusters keep what they run",
        None,
        "",
    ),
    (HttpMethod::Get, "/clusters", "List clusters", None, "List_ClusterItem"),
    (
        HttpMethod::Post,
        "/clusters",
        "Add a cluster and make its join token",
        Some("AddCluster"),
        "AddedCluster",
    ),
    (HttpMethod::Get, "/clusters/{name}", "One cluster", None, "ClusterItem"),
    (HttpMethod::Delete, "/clusters/{name}", "Remove a cluster from the fleet", None, ""),
    (HttpMethod::Put, "/clusters/{name}/labels", "Replace the labels", Some(""), "ClusterItem"),
    (HttpMethod::Post, "/clusters/{name}/token", "Make a new join token", Some(""), "AddedCluster"),
    (HttpMethod::Post, "/clusters/{name}/resume", "Lift a suspension", Some(""), "ClusterItem"),
    (HttpMethod::Get, "/apps", "List Apps", None, "List_AppItem"),
    (HttpMethod::Get, "/rollouts", "List rollouts by App, newest first", None, "List_RolloutItem"),
    (
        HttpMethod::Post,
        "/rollouts/{app}/actions",
        "Start, pause, resume, abort, roll back, approve, override and so on",
        Some("RolloutAction"),
        "ActedItem",
    ),
    (
        HttpMethod::Get,
        "/rollouts/{app}/log",
        "What was decided, up to `?until=TIME`",
        None,
        "LogItem",
    ),
    (HttpMethod::Get, "/rollouts/{app}/path", "The way to the end", None, "List_PathStep"),
    (
        HttpMethod::Post,
        "/clusters/{name}/hold",
        "Cordon, uncordon, pin or unpin",
        Some("HoldAction"),
        "ClusterItem",
    ),
    (HttpMethod::Get, "/freezes", "Freezes that hold", None, "List_MarkItem"),
    (HttpMethod::Post, "/freezes", "Freeze or unfreeze", Some("HoldAction"), "MarkItem"),
    (HttpMethod::Get, "/blockers", "Blockers", None, "List_BlockerItem"),
    (
        HttpMethod::Post,
        "/blockers/{name}",
        "Set, clear or watch a blocker",
        Some("BlockerAction"),
        "BlockerItem",
    ),
    (HttpMethod::Delete, "/blockers/{name}", "Forget a blocker", None, "BlockerItem"),
    (HttpMethod::Get, "/me", "Whom the hub takes the caller for", None, ""),
    (HttpMethod::Get, "/tokens", "Named tokens, without the tokens", None, "List_TokenItem"),
    (HttpMethod::Post, "/tokens", "Make a named token", Some("AddToken"), "AddedToken"),
    (HttpMethod::Delete, "/tokens/{name}", "Take a token back", None, "TokenItem"),
    (HttpMethod::Get, "/waves", "List waves", None, "List_WaveItem"),
    (HttpMethod::Get, "/audit", "What people did", None, ""),
    (HttpMethod::Get, "/why/{kind}/{name}", "Why something is as it is", None, "WhyItem"),
];

/// OpenAPI of everything below `/api/v1`.
pub(super) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}

fn document() -> utoipa::openapi::OpenApi {
    let mut document = Schemas::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    for (method, path, summary, body, answer) in ROUTES {
        let mut operation = OperationBuilder::new()
            .summary(Some(*summary))
            .response(
                "200",
                ResponseBuilder::new()
                    .description("done")
                    .content("application/json", content(answer)),
            )
            .response(
                "default",
                ResponseBuilder::new()
                    .description("what went wrong (RFC 9457)")
                    .content("application/problem+json", content("Problem")),
            );
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
            operation = operation.parameter(parameter.required(Required::True));
        }
        if let Some(body) = body {
            let body = RequestBodyBuilder::new().content("application/json", content(body));
            operation = operation.request_body(Some(body.required(Some(Required::True)).build()));
        }
        let place = format!("/api/v1{path}");
        document.paths.add_path_operation(place, vec![method.clone()], operation.build());
    }
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("admin", bearer);
    document.security = Some(vec![SecurityRequirement::new("admin", Vec::<String>::new())]);
    document
}

fn content(schema: &str) -> Content {
    if schema.is_empty() {
        return Content::new(None::<utoipa::openapi::RefOr<utoipa::openapi::Schema>>);
    }
    Content::new(Some(Ref::from_schema_name(schema)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_schema_that_a_route_names_is_there() {
        let document = super::document();
        let text = serde_json::to_value(&document).unwrap();
        let schemas = text["components"]["schemas"].as_object().unwrap();
        for (_, path, _, body, answer) in super::ROUTES {
            for name in body.iter().chain([answer]).filter(|name| !name.is_empty()) {
                assert!(
                    schemas.contains_key(*name),
                    "{path} names {name}; there are {:?}",
                    schemas.keys()
                );
            }
            assert!(text["paths"][format!("/api/v1{path}")].is_object(), "{path}");
        }
    }
}
