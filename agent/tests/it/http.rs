//! What the kubelet and Prometheus see.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{World, config_map, namespace};

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let code = text.split(' ').nth(1).unwrap().parse().unwrap();
    (code, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_ready_once_it_is_enrolled_and_stays_so_without_its_hub() {
    let world = World::new().await;
    world.hub.book.lock().unwrap().lose_replies = u32::MAX;
    let mut config = world.config();
    config.http = Some(([127, 0, 0, 1], 0).into());
    let agent = agent::start(config, agent::Deps::default()).await.unwrap();
    let address = agent.http().unwrap();
    assert_eq!(get(address, "/healthz").await.0, 200);
    let (code, text) = get(address, "/readyz").await;
    assert_eq!(code, 503);
    assert!(text.contains("not enrolled yet"), "{text}");
    world.hub.book.lock().unwrap().lose_replies = 0;
    world.hub.grant("web", 1, &[namespace(), config_map("web", "one")]);
    world.hub.healthy("web", 1).await;
    let known = world.hub.until("facts", |b| (!b.facts.is_empty()).then(|| b.facts.clone())).await;
    let known: serde_json::Value = serde_json::from_slice(&known).unwrap();
    assert!(known["clusterUid"].is_string() && known["kubernetesVersion"].is_string(), "{known}");
    world.hub.stop();
    let (code, text) = get(address, "/readyz").await;
    assert_eq!(code, 200, "{text}");
    let (code, text) = get(address, "/metrics").await;
    assert_eq!(code, 200);
    let line = r#"tidegate_agent_objects{app="web",state="Healthy"} 2"#;
    assert!(text.contains(line), "{text}");
}
