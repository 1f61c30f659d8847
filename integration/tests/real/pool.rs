//! The pool itself: what it promises to every other test here.

use std::io::BufRead as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use integration::kubernetes::{Options, Pool};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::config::KubeConfigOptions;
use kube::{Api, Client};

fn marker(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    }
}

async fn names(client: &Client) -> Vec<String> {
    let found = Api::<ConfigMap>::namespaced(client.clone(), "default")
        .list(&ListParams::default())
        .await
        .expect("an administrator may list");
    found
        .items
        .into_iter()
        .filter_map(|each| each.metadata.name)
        .filter(|name| name.starts_with("marker"))
        .collect()
}

#[tokio::test]
async fn clusters_of_a_pool_do_not_see_each_other_and_survive_a_power_failure_of_their_api_server()
{
    let pool = Pool::start(2, Options::default()).await.unwrap();
    let (first, second) =
        (pool.cluster(0).client().await.unwrap(), pool.cluster(1).client().await.unwrap());
    Api::namespaced(first.clone(), "default")
        .create(&PostParams::default(), &marker("marker-1"))
        .await
        .unwrap();
    assert_eq!((names(&first).await, names(&second).await), (vec!["marker-1".to_owned()], vec![]));

    pool.cluster(0).stop_api().await.unwrap();
    assert!(first.apiserver_version().await.is_err());
    pool.cluster(0).restart_api().await.unwrap();
    assert_eq!(names(&first).await, ["marker-1"]);
}

#[tokio::test]
async fn a_limited_user_may_not_read_what_the_administrator_may() {
    let pool = Pool::start(1, Options::default()).await.unwrap();
    let config =
        kube::config::Kubeconfig::from_yaml(&pool.cluster(0).limited_kubeconfig()).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    let limited = Client::try_from(config).unwrap();
    let refused = Api::<ConfigMap>::namespaced(limited, "default")
        .list(&ListParams::default())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("User \"limited\" cannot list resource \"configmaps\""),
        "{refused}"
    );
}

/// A pod with controllers and kwok behind it, in the state that its image stands for.
async fn pod_state(client: &Client, name: &str, image: &str, wanted: &str) {
    let pod: Pod = serde_json::from_value(serde_json::json!({
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }))
    .expect("a Pod");
    let pods = Api::<Pod>::namespaced(client.clone(), "default");
    pods.create(&PostParams::default(), &pod).await.expect("created");
    let started = Instant::now();
    loop {
        let status = pods.get(name).await.expect("it was created").status;
        let seen = serde_json::to_string(&status).expect("it was JSON");
        if seen.contains(wanted) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "no `{wanted}` in 30 s: {seen}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn with_controllers_a_pod_runs_and_one_with_a_broken_image_does_not_also_after_an_outage() {
    let pool = Pool::start(1, Options::with_controllers()).await.unwrap();
    let client = pool.cluster(0).client().await.unwrap();
    pod_state(&client, "good", "registry.test/web:1", "\"phase\":\"Running\"").await;
    pod_state(&client, "bad", "registry.test/web:broken", "\"reason\":\"ImagePullBackOff\"").await;
    pool.cluster(0).restart_api().await.unwrap();
    pod_state(&client, "late", "registry.test/web:1", "\"phase\":\"Running\"").await;
}

/// Processes with the folder of a run on their command line: all of its programs and their supervisors.
fn processes_of(folder: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    all.filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok())
        .filter(|command| command.contains(folder))
        .collect()
}

#[tokio::test]
async fn nothing_survives_the_sudden_death_of_the_process_that_started_it() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "pool::the_victim"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines =
        std::io::BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let folder = lines.find_map(|line| line.split_once("running in ").map(|(_, it)| it.to_owned()));
    let folder = folder.expect("the victim says where it runs");
    assert!(processes_of(&folder).len() >= 4, "etcd, an API server, a supervisor of each");

    victim.kill().unwrap();
    victim.wait().unwrap();
    let started = Instant::now();
    while !processes_of(&folder).is_empty() || std::fs::exists(&folder).unwrap() {
        assert!(started.elapsed() < Duration::from_secs(20), "left: {:?}", processes_of(&folder));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
#[ignore = "started and killed by `nothing_survives_the_sudden_death_of_the_process_that_started_it`"]
async fn the_victim() {
    let pool = Pool::start(1, Options::default()).await.unwrap();
    let folder = pool.cluster(0).folder();
    #[expect(clippy::print_stdout, reason = "it is how the parent learns the folder")]
    {
        println!("running in {}", folder.parent().expect("the folder of the run").display());
    }
    // Longer than the parent needs, and no hang for whoever runs ignored tests by hand.
    tokio::time::sleep(Duration::from_mins(1)).await;
}
