//! Rules of users: told where they are wrong, bounded, laid over the library, and never louder than Unknown.

use model::Health;
use plan::{HealthContext, RuleFault, RuleSet, Verdict, health, health_with};
use serde_json::{Value, json};

fn judge(rules: &str, object: &Value) -> Verdict {
    let rules = RuleSet::parse("rules.yaml", rules).unwrap();
    health_with(object, &HealthContext::timeless(), &rules)
}

fn thing(status: Value) -> Value {
    json!({"apiVersion": "a.example/v1", "kind": "Thing", "metadata": {"name": "t"}, "status": status})
}

fn rule(clauses: &str) -> String {
    format!("rules:\n- {{group: a.example, kinds: [Thing], judge: [{clauses}]}}")
}

fn faults(text: &str) -> Vec<RuleFault> {
    RuleSet::parse("rules.yaml", text).unwrap_err()
}

#[test]
fn every_fault_of_a_file_is_told_with_its_line() {
    let text = "rules:
- group: a.example
  kinds: [Thing]
  judge:
  - Healthy: is(\"Ready\"
  - Well: is(\"Ready\")
- group: a.example
  judge: [{Healthy: 'true'}]
- {apiVersion: v1, kind: Pod, current: phase == 'Running'}
- {apiVersion: v1, kind: Pod, current: isnt('Ready')}
";
    let found: Vec<(u64, String)> = faults(text).into_iter().map(|f| (f.line, f.message)).collect();
    let lines: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [6, 7, 9, 10], "{found:?}");
    assert!(found[2].1.contains("`phase` is unknown"), "{found:?}");
    assert!(found[3].1.contains("function `isnt` is unknown"), "{found:?}");
    let one = faults(
        "rules:\n- group: a.example\n  kinds: [Thing]\n  judge:\n  - Healthy: is(\"Ready\"\n",
    );
    assert_eq!((one.len(), one[0].line), (1, 5), "{one:?}");
    assert!(one[0].to_string().starts_with("rules.yaml:5: "), "{one:?}");
    assert_eq!(faults("rules: [")[0].file, "rules.yaml");
    assert_eq!(faults("rulez: []")[0].line, 1);
}

#[test]
fn a_rule_that_errs_makes_the_object_unknown_and_says_where() {
    let verdict = judge(&rule("{Healthy: status.phase == 'Up'}"), &thing(json!({"state": "Up"})));
    assert_eq!(verdict.health, Health::Unknown);
    assert!(
        verdict.message.contains("rules.yaml:2") && verdict.message.contains("`phase`"),
        "{verdict:?}"
    );
    let verdict = judge(&rule("{Healthy: text('status.phase')}"), &thing(json!({"phase": "Up"})));
    assert_eq!(verdict.health, Health::Unknown);
    assert!(verdict.message.contains("string, not true or false"), "{verdict:?}");
    // What has no status yet is on its way, not in error.
    let verdict = judge(&rule("{Healthy: status.phase == 'Up'}"), &thing(json!({})));
    assert_eq!(verdict.health, Health::Progressing);
}

#[test]
fn a_rule_of_a_user_outranks_the_library_and_kubernetes_own() {
    let pvc = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {}, "status": {"phase": "Lost"}});
    let fleet =
        "rules: [{apiVersion: v1, kind: PersistentVolumeClaim, judge: [{Healthy: 'true'}]}]";
    let app =
        "rules: [{apiVersion: v1, kind: PersistentVolumeClaim, judge: [{Suspended: 'true'}]}]";
    assert_eq!(health(&pvc, &HealthContext::timeless()).health, Health::Degraded);
    assert_eq!(judge(fleet, &pvc).health, Health::Healthy);
    let [fleet, app] = [fleet, app].map(|text| RuleSet::parse("r", text).unwrap());
    let both = fleet.overlaid(&app);
    assert_eq!(health_with(&pvc, &HealthContext::timeless(), &both).health, Health::Suspended);
    let deleted = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    assert_eq!(
        judge("rules: [{apiVersion: v1, kind: PersistentVolumeClaim, ready: 'true'}]", &deleted)
            .health,
        Health::Progressing
    );
}

#[test]
fn three_questions_are_asked_in_their_order() {
    let rules = "rules: [{apiVersion: a.example/v1, kind: Thing, inProgress: status.phase == 'Busy', failed: status.phase == 'Bad', current: \"status.phase in ['Up', 'Busy']\"}]";
    let of = |phase: &str| judge(rules, &thing(json!({"phase": phase}))).health;
    assert_eq!(
        [of("Busy"), of("Bad"), of("Up"), of("?")],
        [Health::Progressing, Health::Degraded, Health::Healthy, Health::Progressing]
    );
}

#[test]
fn what_could_run_for_long_or_deep_or_grow_is_refused() {
    let refused = |expression: &str| {
        let text = format!(
            "rules:\n- group: a.example\n  kinds: [Thing]\n  judge:\n  - Healthy: {}\n",
            json!(expression)
        );
        faults(&text).remove(0).message
    };
    assert!(refused(&format!("text('{}') == ''", "a".repeat(3000))).contains("longer than"));
    assert!(refused(&format!("{}true{}", "(".repeat(60), ")".repeat(60))).contains("brackets"));
    assert!(refused(&vec!["true"; 200].join("&&")).contains("operators"));
    let nested = "conditions.all(a, conditions.all(b, conditions.all(c, conditions.all(d, a == b && c == d))))";
    assert!(refused(nested).contains("loops in each other"));
    let growing = "[text('a')].map(x, x+x+x).map(x, x+x+x+x) == []";
    assert!(refused(growing).contains("without end"));
    // What is bearable for a short list is not for a long one: said, not run.
    let pairs = rule("{Healthy: 'status.l.all(a, status.l.all(b, a == b))'}");
    assert_eq!(judge(&pairs, &thing(json!({"l": vec![1; 50]}))).health, Health::Healthy);
    let verdict = judge(&pairs, &thing(json!({"l": vec![1; 50_000]})));
    assert_eq!(verdict.health, Health::Unknown);
    assert!(verdict.message.contains("too costly"), "{verdict:?}");
}

#[test]
fn a_verdict_speaks_the_objects_own_words() {
    let rules = rule(
        "{Degraded: 'isNot(\"Ready\")'}, {Suspended: 'low(\"status.phase\") == \"paused\"'}, {Healthy: 'true', say: '\"up to \" + text(\"status.n\")'}",
    );
    let not_ready = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Broke", "message": "no disk"}]});
    assert_eq!(judge(&rules, &thing(not_ready)).message, "Ready=False (Broke): no disk");
    let paused = judge(&rules, &thing(json!({"phase": "Paused", "message": "by hand"})));
    assert_eq!(
        (paused.health, paused.message.as_str()),
        (Health::Suspended, "phase Paused: by hand")
    );
    let well = judge(&rules, &thing(json!({"n": 3})));
    assert_eq!((well.health, well.message.as_str()), (Health::Healthy, "up to 3"));
}

#[test]
fn a_condition_about_an_older_generation_is_neither_true_nor_false() {
    let rules = rule(
        "{Healthy: 'is(\"Ready\")'}, {Degraded: 'isNot(\"Ready\")'}, {Unknown: 'unsure(\"Ready\")'}",
    );
    let of = |status: &str, observed: u64| {
        let mut object = thing(
            json!({"conditions": [{"type": "Ready", "status": status, "observedGeneration": observed}]}),
        );
        object["metadata"]["generation"] = json!(3);
        judge(&rules, &object).health
    };
    assert_eq!([of("True", 3), of("False", 3)], [Health::Healthy, Health::Degraded]);
    assert_eq!([of("True", 2), of("False", 2), of("Maybe", 3)], [Health::Unknown; 3]);
}
