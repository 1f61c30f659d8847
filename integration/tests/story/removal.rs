//! A cluster that the selector no longer names: it keeps what it runs, or gives it up when the App asks for that.

use serde_json::json;

use crate::world::{SOON, World, app};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_selected_any_more_keeps_the_app_or_gives_it_up_when_asked_to() {
    let world = World::start().await;
    let (stage, repository) = (&world.stage, world.stage.repository());
    let targets = |name: &str, rules: &str| {
        let old = "targets: {select: \"true\"}";
        let new = format!(
            "targets: {{select: \"labels.side == 'east'\", expect: {{maxChange: 50%}}{rules}}}"
        );
        let text = app(name, "true").replace(old, &new);
        assert!(text.contains(&new), "the App is written otherwise now: {text}");
        repository.write(&format!("apps/{name}/app.yaml"), &text).unwrap();
    };
    targets("other", "");
    targets("web", ", onUntarget: prune");
    repository.commit("only in the east").unwrap();

    let one = Some("1".to_owned());
    let gone = || async {
        let now = world.values("web");
        Ok(if now == [one.clone(), None] { Ok(()) } else { Err(format!("{now:?}")) })
    };
    stage.wait("west to give web up", SOON, gone).await.unwrap();
    let removal = |item: &serde_json::Value| item["kind"] == "removal";
    let ended = || async {
        let last = stage.rollout("web").await?.unwrap_or_default();
        let so = removal(&last) && last["state"] == "Completed";
        Ok(if so { Ok(()) } else { Err(format!("{last:#}")) })
    };
    stage.wait("the removal to complete", SOON, ended).await.unwrap();
    assert_eq!(world.values("other"), vec![one.clone(); 2], "an App that retains was removed");

    // The selector takes it in again.
    repository.write("apps/web/app.yaml", &app("web", "true")).unwrap();
    repository.commit("everywhere again").unwrap();
    let back = || async {
        let now = world.values("web");
        Ok(if now == vec![one.clone(); 2] { Ok(()) } else { Err(format!("{now:?}")) })
    };
    stage.wait("west to have web again", SOON, back).await.unwrap();
    let items = stage.items("rollouts").await.unwrap();
    assert!(!items.iter().any(|r| r["app"] == json!("other") && removal(r)), "{items:#?}");
}
