//! Reading: metadata alone, selectors, pages, versions.

use serde_json::{Value, json};

use super::apply::config_map;
use super::target::{METADATA, METADATA_LIST};
use super::{Answer, Target, same_on_both};

/// Four labelled objects.
async fn populate(target: &Target) {
    for (name, app) in [("a", "web"), ("b", "web"), ("c", "db"), ("d", "")] {
        let mut body = config_map(name, &json!({"k": name}));
        if !app.is_empty() {
            body["metadata"]["labels"] = json!({"app": app, "name": name});
        }
        target.apply("one", &target.config_map(name), &body).await.expect(201);
    }
}

fn names(answer: &Answer) -> Vec<String> {
    let items = answer.at("/items");
    let names = items.as_array().into_iter().flatten().map(|each| each["metadata"]["name"].clone());
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn metadata_alone_is_read_and_listed() {
    same_on_both("metadata", async |target| {
        populate(target).await;
        target.record("get", target.get_as(&target.config_map("a"), METADATA).await.expect(200));
        let list = target.at("v1", "configmaps?labelSelector=app");
        target.record("list", target.get_as(&list, METADATA_LIST).await.expect(200));
        let accept = format!("{METADATA_LIST},application/json");
        target.record("list or more", target.get_as(&list, &accept).await.expect(200));
        target.record("absent", target.get_as(&target.config_map("x"), METADATA).await.expect(404));
        target.record("whole list", target.get(&list).await.expect(200));
        let empty = target.at("v1", "secrets?labelSelector=nothing");
        target.record("empty list", target.get(&empty).await.expect(200));
        let elsewhere = "/apis/apps/v1/deployments?labelSelector=nothing";
        target.record(
            "empty metadata list",
            target.get_as(elsewhere, METADATA_LIST).await.expect(200),
        );
        let odd = "application/json;as=Sonnet;g=meta.k8s.io;v=v1";
        let odd = target.get_as(&target.config_map("a"), odd).await;
        target.note("odd form", &json!([odd.code, odd.at("/reason")]));
    })
    .await;
}

#[tokio::test]
async fn an_apply_may_be_answered_with_metadata_alone() {
    same_on_both("metadata-apply", async |target| {
        let path = format!("{}?fieldManager=one", target.config_map("a"));
        let headers = [("content-type", "application/apply-patch+yaml"), ("accept", METADATA)];
        let body = config_map("a", &json!({"k": "1"})).to_string();
        target.record(
            "apply",
            target.send(http::Method::PATCH, &path, &headers, &body).await.expect(201),
        );
    })
    .await;
}

#[tokio::test]
async fn selectors_choose() {
    same_on_both("selectors", async |target| {
        populate(target).await;
        for selector in [
            "app",
            "!app",
            "app=web",
            "app==db",
            "app!=web",
            "app%20in%20(web,db)",
            "app%20notin%20(web)",
            "app,name=b",
        ] {
            let found = target
                .get(&target.at("v1", &format!("configmaps?labelSelector={selector}")))
                .await
                .expect(200);
            let mut found = names(&found);
            found.retain(|name| name != "kube-root-ca.crt");
            target.note(selector, &json!(found));
        }
        let by_name = target
            .get(&target.at("v1", "configmaps?fieldSelector=metadata.name=c"))
            .await
            .expect(200);
        target.note("by name", &json!(names(&by_name)));
        for wrong in ["labelSelector=a=b=c", "fieldSelector=data.k=a"] {
            target.record(
                wrong,
                target.get(&target.at("v1", &format!("configmaps?{wrong}"))).await.expect(400),
            );
        }
        let wide = format!(
            "/api/v1/configmaps?labelSelector=app&fieldSelector=metadata.namespace={}",
            target.namespace
        );
        target.note("wide", &json!(names(&target.get(&wide).await.expect(200))));
    })
    .await;
}

#[tokio::test]
async fn a_list_comes_in_pages_of_one_moment() {
    same_on_both("pages", async |target| {
        populate(target).await;
        let page =
            |rest: &str| target.at("v1", &format!("configmaps?labelSelector=app&limit=1{rest}"));
        let unselected = |rest: &str| target.at("v1", &format!("secrets?limit=2{rest}"));
        let first = target.record("first", target.get(&page("")).await.expect(200));
        let token = first.text("/metadata/continue");
        target
            .apply("one", &target.config_map("bb"), &{
                let mut body = config_map("bb", &json!({}));
                body["metadata"]["labels"] = json!({"app": "late"});
                body
            })
            .await
            .expect(201);
        let second = target.get(&page(&format!("&continue={token}"))).await.expect(200);
        let token = target.record("second", second).text("/metadata/continue");
        let third = target.get(&page(&format!("&continue={token}"))).await.expect(200);
        // Something that the selector leaves out comes behind: the server offers a page, and it is empty.
        let token = target.record("third", third).text("/metadata/continue");
        let fourth = target.get(&page(&format!("&continue={token}"))).await.expect(200);
        target.record("fourth", fourth);
        for name in ["a", "b", "c"] {
            let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
            target.create(&target.at("v1", "secrets"), &body).await.expect(201);
        }
        let counted = target.record("counted", target.get(&unselected("")).await.expect(200));
        let rest = target
            .get(&unselected(&format!("&continue={}", counted.text("/metadata/continue"))))
            .await;
        target.record("rest", rest.expect(200));
        target
            .record("wrong token", target.get(&unselected("&continue=nonsense")).await.expect(400));
        let as_metadata = target.get_as(&unselected(""), METADATA_LIST).await.expect(200);
        target.record_parts(
            "metadata page",
            as_metadata,
            &["/kind", "/metadata/remainingItemCount"],
        );
    })
    .await;
}

#[tokio::test]
async fn versions_of_lists_are_honoured() {
    same_on_both("list-versions", async |target| {
        populate(target).await;
        let list = |rest: &str| target.at("v1", &format!("configmaps?labelSelector=app{rest}"));
        let now = target.get(&list("")).await.expect(200).version();
        for (label, rest) in [
            ("any", "&resourceVersion=0".to_owned()),
            ("not older", format!("&resourceVersion={now}&resourceVersionMatch=NotOlderThan")),
            ("exact", format!("&resourceVersion={now}&resourceVersionMatch=Exact")),
            ("match without version", "&resourceVersionMatch=Exact".to_owned()),
            ("exact zero", "&resourceVersion=0&resourceVersionMatch=Exact".to_owned()),
            ("no number", "&resourceVersion=soon".to_owned()),
        ] {
            let answer = target.get(&list(&rest)).await;
            if answer.code == 200 {
                target.note(label, &json!(names(&answer)));
            } else {
                target.record(label, answer);
            }
        }
        let future = target.get(&list("&resourceVersion=99999999999")).await;
        target.note(
            "future",
            &Value::from(vec![
                json!(future.code),
                future.at("/reason"),
                future.at("/details/causes"),
            ]),
        );
    })
    .await;
}
