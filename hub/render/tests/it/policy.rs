//! What the fleet allows, whatever a repository says.

use model::SourceName;
use render::{Policy, render_all};

use super::*;

const POLICY: &str = r#"
apiVersion: tidegate.dev/v1alpha1
kind: Policy
rules:
  - name: no-cluster-roles
    kinds: {deny: ["ClusterRole*", "*.admissionregistration.k8s.io"]}
  - name: prod-images
    clusters: "labels.env == 'prod'"
    registries: {allow: ["registry.acme.dev/*"]}
  - name: small
    sources: ["team-*"]
    namespaces: {allow: [shop]}
    objects:
      - kinds: [Deployment]
        expect: "object.spec.replicas <= 3"
        message: at most three replicas
      - kinds: [Deployment]
        expect: "object.spec.template.spec.containers.all(c, has(c.resources))"
tenants:
  - {name: shop, sources: [team-shop], clusters: "labels.env == 'prod'", namespaces: ["shop", "shop-*"], clusterKinds: [Namespace]}
  - {name: platform, sources: [fleet]}
"#;

fn deployment(image: &str, replicas: u32, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec:\n  \
         replicas: {replicas}\n  template: {{spec: {{containers: [{{image: {image}{more}}}]}}}}\n"
    )
}

fn refused(source: &str, env: &str, manifest: &str) -> Vec<String> {
    let policy = Policy::parse("policy.yaml", POLICY).unwrap();
    let source = SourceName::parse(source).unwrap();
    let kit = Kit { policy: Some(&policy), source: Some(&source), ..Kit::plain() };
    let (uid, name) = cluster(1);
    let cluster = FleetCluster { uid, name, labels: labels(&[("env", env)]), facts: Facts::Null };
    let tree = tree(&[("a.yaml", manifest)]);
    let variants = render_all(&kit, &app("m"), &tree, [(&cluster).into()]);
    let codes = |fault: &Diagnostic| format!("{} {}", fault.reason.code(), fault.message);
    variants.faults.iter().map(codes).collect()
}

#[test]
fn what_no_rule_forbids_goes_through() {
    let good = deployment("registry.acme.dev/web:1", 3, ", resources: {}");
    assert_eq!(refused("team-shop", "prod", &good), [""; 0]);
    assert_eq!(refused("fleet", "dev", &deployment("nginx", 99, "")), [""; 0]);
}

#[test]
fn each_rule_names_itself_the_object_and_what_is_wrong() {
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: all}\n";
    assert_eq!(
        refused("fleet", "dev", role),
        ["RND-216 rule `no-cluster-roles`: ClusterRoleBinding all: kind \
          `ClusterRoleBinding.rbac.authorization.k8s.io` is not allowed"]
    );
    assert_eq!(
        refused("fleet", "prod", &deployment("nginx", 1, "")),
        [
            "RND-216 rule `prod-images`: Deployment shop/web: image `docker.io/library/nginx` is not from an \
          allowed registry"
        ]
    );
    assert_eq!(
        refused("team-shop", "prod", &deployment("registry.acme.dev/web:1", 4, "")),
        [
            "RND-216 rule `small`: Deployment shop/web: at most three replicas",
            "RND-216 rule `small`: Deployment shop/web: `object.spec.template.spec.containers.all(c, \
             has(c.resources))` does not hold"
        ]
    );
}

#[test]
fn a_tenant_stays_on_its_clusters_and_in_its_namespaces() {
    let good = deployment("registry.acme.dev/web:1", 3, ", resources: {}");
    assert_eq!(
        refused("team-shop", "dev", &good),
        ["RND-222 tenant `shop` may not use cluster k1"]
    );
    let elsewhere = good.replace("namespace: shop", "namespace: kube-system");
    assert_eq!(
        refused("team-shop", "prod", &elsewhere),
        [
            "RND-216 rule `small`: Deployment kube-system/web: namespace `kube-system` is not allowed",
            "RND-222 tenant `shop` may not hold Deployment kube-system/web in namespace `kube-system`"
        ]
    );
    let global = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: disk}\n";
    assert_eq!(
        refused("team-shop", "prod", global),
        ["RND-222 tenant `shop` may not hold PersistentVolume disk without a namespace"]
    );
    let allowed = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop-1}\n";
    assert_eq!(refused("team-shop", "prod", allowed), [""; 0]);
    assert_eq!(
        refused("stranger", "prod", &good),
        ["RND-222 source `stranger` belongs to no tenant, and the policy has tenants"]
    );
}

#[test]
fn a_policy_that_is_wrong_is_refused_whole() {
    for (text, want) in [
        ("kind: Policy\n", "`apiVersion` is missing"),
        ("apiVersion: tidegate.dev/v1alpha1\nkind: Policy\nrule: []\n", "unknown field `rule`"),
        (
            "apiVersion: tidegate.dev/v1alpha1\nkind: Policy\nrules: [{name: x, objects: [{expect: \"object.\"}]}]\n",
            "`expect`",
        ),
        (
            "apiVersion: tidegate.dev/v1alpha1\nkind: Policy\nrules: [{name: x, objects: [{expect: \"1 + 1\"}]}]\n",
            "not true or false",
        ),
        (
            "apiVersion: tidegate.dev/v1alpha1\nkind: Policy\nrules: [{name: x, objects: [{expect: \"labels.a == 'b'\"}]}]\n",
            "`labels` is unknown",
        ),
        (
            "apiVersion: tidegate.dev/v1alpha1\nkind: Policy\ntenants: [{name: x}]\n",
            "`tenants.sources` is missing",
        ),
    ] {
        let faults = Policy::parse("policy.yaml", text).unwrap_err();
        assert!(texts(&faults).iter().any(|t| t.contains(want)), "{text}: {:?}", texts(&faults));
    }
}
