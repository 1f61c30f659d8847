//! What the demo deploys.

/// Three waves with short times, so that the story is told in a minute.
pub(super) const APP: &str = "\
apiVersion: tidegate.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: manifests}
  targets:
    select: \"labels.ring in ['canary', 'early', 'prod']\"
    expect: {min: 12}
  rollout:
    onFailure: halt
    defaults: {minHealthy: 1s, progressDeadline: 20s}
    waves:
      - {name: canary, select: \"labels.ring == 'canary'\", maxInFlight: 1, after: {soak: 2s}}
      - {name: early, select: \"labels.ring == 'early'\", maxInFlight: 2, after: {soak: 2s}}
      - {name: prod, rest: true, maxInFlight: 50%}
";

/// A small web application at a tag.
pub(super) fn web(tag: &str) -> String {
    format!(
        "\
apiVersion: v1
kind: Namespace
metadata: {{name: shop}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: web, namespace: shop}}
data: {{greeting: hello, version: \"{tag}\"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: web
          image: registry.example/web:{tag}
          ports: [{{containerPort: 8080, protocol: TCP}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec:
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080, protocol: TCP}}]
"
    )
}
