//! The rows of the registry: name, code, state, owner, title, next step, explanation.

use serde::{Deserialize, Serialize};

use super::Owner;
use crate::State;

macro_rules! reasons {
    ($($name:ident = $code:literal, $state:ident, $owner:ident, $title:literal, $next:literal, $text:literal;)*) => {
        /// Why something is not (yet) ready.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Reason {
            $(#[doc = $text] $name,)*
        }

        impl Reason {
            /// All reasons, in the order of the table.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];

            /// The stable code, such as `WAV-501`.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$name => $code,)* }
            }

            /// The name behind the code, such as `WaitingForSoak`.
            pub fn name(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name),)* }
            }

            /// The state that this reason puts a thing into.
            pub fn state(self) -> State {
                match self { $(Reason::$name => State::$state,)* }
            }

            /// Who can lift it.
            pub fn owner(self) -> Owner {
                match self { $(Reason::$name => Owner::$owner,)* }
            }

            /// A few words for a heading.
            pub fn title(self) -> &'static str {
                match self { $(Reason::$name => $title,)* }
            }

            /// What to do about it, one sentence.
            pub fn next_step(self) -> &'static str {
                match self { $(Reason::$name => $next,)* }
            }

            /// What it means, a short paragraph.
            pub fn explanation(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    GitUnreachable = "GIT-101", Failed, Platform, "Git server unreachable",
        "Check the URL and the network of the hub; the last fetched revision stays in force.",
        "The hub could not reach the Git server of a source. Nothing is deleted and nothing changes: the last revision that was fetched stays in force until the server answers again.";
    GitRefNotFound = "GIT-102", Failed, User, "Ref not found",
        "Push the ref, or point the source to one that exists.",
        "The repository answered, but the ref that the source follows does not exist. A missing ref never means that everything was deleted.";
    GitNotARepository = "GIT-103", Failed, User, "Not a Git repository",
        "Correct the URL of the source.",
        "The URL answered with something that is not a Git repository.";
    GitAuthFailed = "GIT-104", Failed, User, "Git refused the credentials",
        "Renew the credentials of the source.",
        "The Git server refused the hub's credentials.";
    GitTimeout = "GIT-105", Failed, Platform, "Git server too slow",
        "Check the Git server; the hub tries again with growing pauses.",
        "The Git server did not finish in time.";
    GitTlsFailed = "GIT-106", Failed, Platform, "Git server's certificate refused",
        "Give the source the CA of its server, or renew the server's certificate.",
        "The TLS connection to the Git server could not be trusted.";
    GitTooLarge = "GIT-107", Failed, User, "Repository or file too large",
        "Split the repository, or raise the limit of the hub.",
        "A pack, tree or file is over a limit of the hub.";
    SourceRateLimited = "GIT-108", Waiting, Platform, "Server asks for a pause",
        "Wait: the hub looks again at the time that the server named. Use a webhook and a longer `--poll` if it comes back.",
        "The server of a source limits how often it may be asked. The hub obeys; the last revision that was fetched stays in force.";
    SourceMoved = "GIT-109", Failed, User, "Repository has moved",
        "Add the source again with the URL that is named.",
        "The server sends to another place. It is not followed, because credentials belong to one server only.";
    GitNotFetchedYet = "GIT-110", Waiting, Us, "Source not fetched yet",
        "Wait for the first fetch.",
        "The source was added and its first fetch has not finished.";
    SourceUnknown = "GIT-111", Failed, User, "Source not known",
        "Add the source, or correct its name.",
        "Something names a source that the hub does not have.";
    SecretUnreadable = "GIT-112", Failed, Platform, "Credentials cannot be read",
        "Put the secret where the source says, or correct the reference.",
        "A source names a file, environment variable or Kubernetes Secret that does not hold what is needed. Nothing was sent to the server.";
    SshHostUnknown = "GIT-113", Failed, Platform, "SSH host is not known",
        "Compare the fingerprint with the one that the server's owner publishes, then add the line to `known_hosts`.",
        "The server showed a host key that is in no line of the source's `known_hosts`. Nothing was sent to it.";
    SshHostChanged = "GIT-114", Failed, Platform, "SSH host key has changed",
        "Ask the server's owner. Only if the key was changed on purpose, replace the line in `known_hosts`.",
        "The server showed another host key than `known_hosts` holds for it: it was changed, or somebody stands in between. Nothing was sent to it.";
    CommitUnsigned = "GIT-115", Failed, User, "Commit is not signed",
        "Sign the commit with a key that the source trusts, and push it; the last release stays in force.",
        "The source asks for signatures and the new commit or tag carries none.";
    SignatureRefused = "GIT-116", Failed, User, "Signature is not accepted",
        "Sign with a key that the source trusts, or add the signer to the source; the last release stays in force.",
        "The commit or tag is signed, but by a key that the source does not trust, outside the time in which it counts, or the signature does not fit.";
    StatusNotTold = "GIT-117", Waiting, User, "Commit status not told",
        "Give the source a token that may write commit statuses; rollouts do not wait for it.",
        "The forge of a source did not take the status of a commit. After some tries the hub gives up until there is something else to say. Nothing else depends on it.";
    OciUnreachable = "OCI-101", Failed, Platform, "Registry unreachable",
        "Check the URL and the network of the hub; the last fetched revision stays in force.",
        "The hub could not reach the registry or chart repository of a source. Nothing is deleted.";
    OciNotFound = "OCI-102", Failed, User, "Artifact not found",
        "Push it, or correct the URL, tag or chart of the source.",
        "The registry or chart repository answered, but has nothing of that name. It never means that everything was deleted.";
    OciAuthFailed = "OCI-103", Failed, User, "Registry refused the credentials",
        "Renew the credentials of the source.",
        "The registry or chart repository refused access.";
    OciInvalid = "OCI-104", Failed, User, "Artifact cannot be used",
        "Push it again with a tool that writes OCI artifacts or Helm charts.",
        "What was fetched is no artifact with a tar archive, or does not fit its digest, or would leave its folder.";
    OciTooLarge = "OCI-105", Failed, User, "Artifact too large",
        "Split the artifact.",
        "The artifact is over a limit of the hub, packed or unpacked.";
    YamlInvalid = "RND-201", Failed, User, "YAML does not parse",
        "Correct the file and line that is named; the last release stays in force.",
        "A file of the App is no valid YAML, or breaks a budget for nodes, depth or aliases.";
    AppInvalid = "RND-202", Failed, User, "app.yaml is not valid",
        "Correct the field that is named; `tidegate lint` shows all errors at once.",
        "An `app.yaml` has an unknown field, a wrong value, or lacks something. The last valid App stays in force.";
    PathMissing = "RND-203", Failed, User, "Path does not exist",
        "Restore the folder, or correct `source.path`; the last release stays in force.",
        "The folder that `source.path` names is not in the commit. A missing folder never means that everything was deleted.";
    RenderEmpty = "RND-204", Failed, User, "Rendered to nothing",
        "Put manifests there, or delete the App on purpose.",
        "The folder holds no object. An empty result is never a deletion: the last release stays in force.";
    VariantMissing = "RND-205", Failed, User, "No variant for a cluster",
        "Add the folder for that cluster, or narrow `targets.select`.",
        "`source.path` depends on labels, and for at least one target the folder it leads to does not exist.";
    ObjectInvalid = "RND-206", Failed, User, "A manifest is not a valid object",
        "Correct the file and line that is named.",
        "A document lacks apiVersion, kind or name, uses `generateName`, or stands twice.";
    RenderTooLarge = "RND-207", Failed, User, "Too many or too large objects",
        "Split the App.",
        "The App is over the limit for objects, bytes of one object, or bytes of the whole.";
    NotSupportedYet = "RND-208", Failed, User, "Not supported yet",
        "Remove the field; it is reserved and would be ignored otherwise.",
        "The file uses a field that this version knows but cannot carry out. It is refused because ignoring it would be a lie.";
    LabelMissing = "RND-209", Failed, User, "A label is missing on a cluster",
        "Set the label with `tidegate cluster label`, or narrow `targets.select`.",
        "`source.path` uses a label that a target cluster does not carry.";
    AppRemoved = "RND-210", Waiting, User, "App no longer in Git",
        "Restore its `app.yaml`; to get rid of the App, delete its objects in the clusters by hand.",
        "The `app.yaml` is gone from the source. Its clusters keep what they run: absence is not a decision.";
    ToolMissing = "RND-211", Failed, Platform, "Renderer not installed",
        "Install the program beside the hub or on its PATH, or name it with `--kustomize` or `--helm`.",
        "The App is for Kustomize or Helm and the program is not there. Other Apps go on; this one keeps its last release.";
    ToolFailed = "RND-212", Failed, User, "Kustomize or Helm refused",
        "Correct what the program names; it says the same when run by hand.",
        "Kustomize or Helm ended with an error. Its words are quoted. The last release stays in force.";
    RenderTooMuch = "RND-213", Failed, User, "Rendering took too much",
        "Make the templates smaller; a template that never ends, or that makes megabytes, is most likely a mistake.",
        "Rendering was stopped because it went over a bound of time, memory or output. The last release stays in force.";
    RenderForbidden = "RND-214", Failed, User, "Rendering asks for what it may not do",
        "Commit what is fetched or computed elsewhere; rendering reads the commit and nothing else.",
        "The App wants a remote base, a plugin, a program, the network or a look into the cluster while it is rendered. All of these are refused, because a repository must not reach beyond itself.";
    SecretInPlain = "RND-215", Failed, User, "Secret in plain text",
        "Encrypt it with SOPS for an age key of the cluster, use External Secrets or Sealed Secrets, or set `spec.secrets: plain` in the App.",
        "A Secret stands readable in Git. Whoever can read the repository can read it, and so can its history.";
    PolicyRefused = "RND-216", Failed, User, "The policy of the fleet says no",
        "Change what the rule names, or ask whoever owns the policy.",
        "A rule of the fleet forbids a kind, a namespace, a registry or a value in what was rendered. The last release stays in force.";
    NotReproducible = "RND-217", Failed, User, "Every render gives something else",
        "Take random values and the time out of the templates; give such values in `values`, or make them in the cluster.",
        "Two renders of the same commit differ, so each would be a new release and roll through the fleet for nothing.";
    ObjectClaimedTwice = "RND-218", Failed, User, "Two Apps claim one object",
        "Remove the object from one of the two Apps, or let them select different clusters.",
        "Two Apps hold the same object on the same cluster. They would undo each other's work for ever, so the second is refused.";
    SandboxFailed = "RND-219", Failed, Platform, "The sandbox of rendering fails",
        "Look into the log of the hub; Kustomize and Helm are not run without their sandbox.",
        "The process that locks itself in before it runs Kustomize or Helm did not start. Nothing is run outside of it.";
    SandboxWeak = "RND-220", Waiting, Platform, "The sandbox of rendering is weaker than it could be",
        "Run the hub on a kernel with Landlock and user namespaces, or render only repositories that you trust.",
        "This kernel lacks Landlock or namespaces. Rendering goes on behind the layers that are left.";
    DependencyMissing = "RND-221", Failed, User, "A chart lacks a dependency",
        "Run `helm dependency build` and commit the folder `charts`.",
        "A Helm chart names a dependency that is not in the commit and that may not be fetched. The hub fetches those of repositories that an administrator named with `tidegate source add --charts`, in the version of `Chart.lock`; the tool itself fetches nothing.";
    TenantRefused = "RND-222", Failed, User, "Outside of what the source may do",
        "Narrow `targets.select` or the namespaces of the App, or ask whoever owns the policy.",
        "The policy binds this source to some clusters and namespaces, and the App reaches beyond them.";
    NotImported = "RND-223", Waiting, User, "Not imported from another tool",
        "Write it by hand where the report says so.",
        "A field of another tool's file has no counterpart in an `app.yaml`, or one that means something else. The App is written without it.";
    SecretSealed = "RND-224", Waiting, User, "Encrypted Secret that agents do not open",
        "Encrypt it with SOPS for an age key of each cluster (`sops updatekeys`), or use a kind that an operator in the cluster opens.",
        "A Secret is encrypted with SOPS and for no age key. Agents open what is encrypted for an age key that they hold; no other key is ever on the hub or with an agent.";
    DependencyUnfetched = "RND-225", Waiting, Platform, "A chart's dependency is not fetched yet",
        "Look at the server that is named; the hub tries again by itself.",
        "A Helm chart depends on another one that the hub has to fetch first. Until it is there the last release stays in force.";
    DependencyRefused = "RND-226", Failed, User, "A chart's dependency is refused",
        "Correct name and version, or ask whoever keeps that repository what became of it.",
        "A chart that another one depends on does not exist in that version, does not fit its digest, is no chart, or has other bytes than when it was fetched first: a version never changes.";
    NoTargets = "ROL-601", Failed, User, "Selector matches no cluster",
        "Correct `targets.select`, or label a cluster.",
        "No registered cluster matches the App's selector. Clusters that run the App keep it.";
    WaveEmpty = "ROL-602", Failed, User, "A wave is empty",
        "Correct the wave's selector, or set `allowEmpty: true`.",
        "A wave selects no target. An empty canary would let a release pass unproven, so the plan is refused.";
    TargetInNoWave = "ROL-603", Failed, User, "A target is in no wave",
        "Add a last wave with `rest: true`.",
        "At least one target matches no wave.";
    TargetsTooFew = "ROL-604", Failed, User, "Fewer targets than expected",
        "Check labels and selector, or lower `targets.expect.min`.",
        "The App says how many clusters it expects at least, and fewer match.";
    TargetsChangedTooMuch = "ROL-605", Failed, User, "Targets changed too much",
        "Check labels and selector, or raise `targets.expect.maxChange`.",
        "More of the target set changed at once than the App allows.";
    RolloutNotStarted = "ROL-610", Waiting, User, "Planned, not started",
        "Start it with `tidegate rollout start`.",
        "The rollout is planned and waits for a person, or for the rollout before it.";
    RolloutPaused = "ROL-611", Paused, User, "Paused by a person",
        "Resume it with `tidegate rollout resume`.",
        "A person paused the rollout. No new grant leaves; clusters keep what they run and drift is still repaired.";
    RolloutAborted = "ROL-612", Failed, User, "Aborted by a person",
        "Push a new commit, or roll back.",
        "A person ended the rollout. Clusters that were reached keep the new release; the others keep the old one.";
    RolloutSuperseded = "ROL-613", Waiting, Us, "Superseded by a newer rollout",
        "Follow the newer rollout.",
        "A newer release took over before this one was complete.";
    RolloutRolledBack = "ROL-614", Failed, User, "Rolled back",
        "Push a fix; the same content is condemned and will not be rolled out again.",
        "The release was rolled back on every cluster it had reached.";
    NothingToRollBackTo = "ROL-616", Failed, User, "Nothing to roll back to",
        "Push a fix; nothing older is proven for the clusters that are named.",
        "There is no proven release to return to.";
    RollbackFailed = "ROL-617", Failed, Platform, "Rollback failed on some clusters",
        "Look at the clusters that are named, then retry or push a fix.",
        "At least one cluster did not become healthy on the release it was returned to.";
    RollbackUnsafe = "ROL-618", Failed, User, "Cannot simply be undone",
        "Read what is named; then roll back by hand, or push a fix.",
        "The release failed, and the automatic rollback was not started because the release brought something that cannot simply be undone, such as a new stored version of a kind.";
    ReleaseQueued = "ROL-620", Waiting, Us, "Release waits for the active rollout",
        "Wait, or supersede with `tidegate rollout start --now`.",
        "A newer release arrived while the active rollout gets to finish.";
    HeadCondemned = "ROL-630", Waiting, User, "HEAD was rolled back",
        "Push a fix.",
        "The newest commit has the content of a release that was rolled back, so it is not rolled out.";
    ReleaseUnchanged = "ROL-640", Waiting, Us, "Nothing changed",
        "Nothing to do.",
        "The commit renders to what the clusters already run.";
    RolloutProgressing = "ROL-641", Progressing, Us, "Rolling out",
        "Wait, or watch with `tidegate rollout watch`.",
        "Waves are being worked through and nothing blocks them.";
    NotRolledOut = "ROL-642", Waiting, Us, "Not rolled out here yet",
        "Wait for the rollout to reach it.",
        "The App targets the cluster and no release has been granted to it yet.";
    CatchingUp = "ROL-650", Progressing, Us, "Catching up",
        "Wait.",
        "The cluster joined, came back or was left out, and is being brought to the proven release.";
    CatchUpFailed = "ROL-651", Failed, Platform, "Catching up failed",
        "Look at the cluster; no rollout is concerned.",
        "The cluster did not become healthy on the proven release. It has it, and its agent goes on trying.";
    BehindProven = "ROL-652", Waiting, Us, "Behind the proven release",
        "Look at what keeps it.",
        "The cluster is to get the proven release, and something keeps it from that.";
    Untargeted = "ROL-653", Waiting, User, "No longer a target",
        "Nothing to do; select it again to manage it again.",
        "A commit no longer selects the cluster. It keeps what it runs, unless the App says `onUntarget: prune`.";
    RemovalRunning = "ROL-654", Progressing, Us, "Being removed",
        "Wait, or `abort` it.",
        "Clusters that are no longer targets give the App up, because it says `onUntarget: prune`.";
    AbsolutionPending = "ROL-631", Waiting, User, "Waits for a second person",
        "A second admin absolves it, too.",
        "Condemned content may be rolled out again only when two people say so.";
    WaitingForSoak = "WAV-501", Waiting, Us, "Wave is soaking",
        "Wait for the soak to end.",
        "Every member is updated; each must stay healthy for the soak time, by its own agent's clock.";
    ProbeRunning = "WAV-502", Waiting, Us, "Probe of one is running",
        "Wait for the probe.",
        "Until one cluster has proved the release, only the probe is exposed.";
    WaitingForSlot = "WAV-503", Waiting, Us, "Waits for a free slot",
        "Wait, or raise `maxInFlight` for the next rollout.",
        "As many clusters of the wave are in flight as `maxInFlight` allows.";
    WaitingForEarlierWave = "WAV-504", Waiting, Us, "Waits for an earlier wave",
        "Look at the wave before it.",
        "A wave opens when all waves before it have passed.";
    ClusterApplying = "WAV-505", Progressing, Us, "Cluster is applying",
        "Wait; the progress deadline bounds it.",
        "The cluster was granted the release and is not healthy on it yet.";
    ClusterVerifying = "WAV-506", Progressing, Us, "Cluster must stay healthy",
        "Wait for `minHealthy`.",
        "The cluster is healthy on the release, but not for long enough yet.";
    FailureBudgetSpent = "WAV-507", Failed, User, "Failure budget spent",
        "Roll back, or resume after accepting the failures.",
        "More clusters of a wave failed than `maxFailures` allows; the rollout is halted and no further cluster is exposed.";
    WaveTimeout = "WAV-508", Failed, User, "Wave took too long",
        "Look at the clusters that are not updated, then resume or roll back.",
        "The wave did not pass within `timeout`.";
    RecallUnconfirmed = "WAV-509", Waiting, Platform, "Recall not confirmed",
        "Wait for the agent to confirm, or look why it is dark.",
        "A grant was recalled, and the agent has not confirmed yet that it never started it. Its slot stays taken until then.";
    InsufficientEvidence = "WAV-510", Waiting, Platform, "Too few proofs",
        "Bring clusters back online, or roll back.",
        "The wave has no further cluster to try and fewer are updated than `evidence.min` asks for.";
    WaitingForPace = "WAV-512", Waiting, Us, "Waits for the pace",
        "Wait a minute; `pace.grantsPerMinute` is the limit.",
        "As many grants left in this minute as the App or the hub allows, so that registries are not stormed.";
    WaitingForDomain = "WAV-513", Waiting, Us, "Waits for another failure domain",
        "Wait until the domains that are in flight are done.",
        "As many failure domains are in flight as `spread` allows.";
    WaitingForPair = "WAV-514", Waiting, Us, "Waits for its partner",
        "Wait for the other cluster of the pair, or mend it.",
        "The other cluster with the same value of the `separate` label is in flight or unhealthy.";
    ClusterBusy = "WAV-515", Waiting, Us, "Other Apps are in flight here",
        "Wait for them.",
        "As many Apps are in flight on the cluster as may be at once, so that a failure can be told apart.";
    EvidenceStale = "WAV-511", Waiting, Platform, "Waits for a fresh report",
        "Wait for the agent, or look why it is silent.",
        "A cluster was updated, but its last report is older than `staleAfter`; silence is never success.";
    ProgressDeadline = "WAV-520", Failed, User, "Progress deadline passed",
        "Look at the objects that are not healthy.",
        "The cluster did not become healthy on the release within `progressDeadline`.";
    DarkAfterGrant = "WAV-521", Failed, Platform, "Went dark after the grant",
        "Check the cluster's network: a release that breaks it looks just like this.",
        "The agent was not heard from for longer than the grace after it was exposed to the release.";
    Regressed = "WAV-522", Failed, User, "Became unhealthy again",
        "Look at the objects that are not healthy.",
        "The cluster had proved the release and then became unhealthy.";
    FailedWhileVerifying = "WAV-523", Failed, User, "Became unhealthy while verifying",
        "Look at the objects that are not healthy.",
        "The cluster was healthy on the release, but not for `minHealthy`.";
    AgentFailed = "WAV-524", Failed, User, "Agent reported a terminal error",
        "Correct what the agent names.",
        "The agent met an error that waiting does not cure.";
    DarkBefore = "WAV-525", Waiting, Platform, "Dark before the grant",
        "Bring the cluster back; it will catch up.",
        "The cluster was offline before it was exposed; it is deferred and spends no budget.";
    ClusterSkipped = "WAV-526", Waiting, User, "Skipped by a person",
        "Nothing to do.",
        "A person took the cluster out of this rollout.";
    Cordoned = "WAV-527", Waiting, User, "Cordoned by a person",
        "Lift it with `tidegate cluster uncordon`.",
        "A person keeps new releases away from the cluster. It spends no budget; a rollback still reaches it.";
    Pinned = "WAV-528", Waiting, User, "Pinned by a person",
        "Lift it with `tidegate cluster unpin`.",
        "A person keeps the cluster on what it runs. Nothing moves it, not even a rollback.";
    WaveProgressing = "WAV-530", Progressing, Us, "Wave is open",
        "Wait.",
        "Clusters of the wave are being updated.";
    WaveSkipped = "WAV-531", Waiting, Us, "Wave is empty and skipped",
        "Nothing to do.",
        "The wave has no members and `allowEmpty` is set.";
    ApprovalNeeded = "GAT-601", Waiting, User, "Waits for an approval",
        "Approve or reject it.",
        "A person must approve the wave.";
    WindowClosed = "GAT-611", Waiting, User, "Window is closed",
        "Wait for the window.",
        "Grants leave only inside the App's windows.";
    Frozen = "GAT-612", Waiting, User, "Frozen by a person",
        "Lift it with `tidegate unfreeze`; a rollback goes on all the same.",
        "Somebody froze the fleet or the App. No new grant leaves; what is in flight finishes, drift is still repaired, and a rollback is not held up unless the App says `rollback.windows: strict`.";
    ClockUnsteady = "GAT-613", Waiting, Platform, "The hub's clock jumped",
        "Wait five minutes; look after the time service of the hub.",
        "The wall clock of the hub moved against its monotonic clock. Windows and approvals, which go by the wall clock, are not trusted until it has stood still for five minutes.";
    BlockerSet = "GAT-614", Waiting, User, "A blocker is set",
        "Lift the blocker, or override the gate with a reason.",
        "The wave names a blocker, and it is set.";
    BlockerUnknown = "GAT-615", Waiting, Platform, "Nobody has said anything about a blocker",
        "Set or clear it once with `tidegate blocker`, or give it an endpoint to watch.",
        "The wave names a blocker of which the hub never heard. Silence is not consent: it blocks until its producer says that it is clear.";
    DependencyNotReady = "GAT-616", Waiting, Us, "Waits for another App",
        "Look at the App that is named.",
        "The wave waits until another App is proven and healthy, on the same cluster or everywhere.";
    TooManyUnhealthy = "GAT-617", Waiting, Platform, "Too many clusters are unhealthy already",
        "Mend the clusters that are named, or override the gate with a reason.",
        "More members are unhealthy on what they run than `before.maxUnhealthy` allows, so a failure of the release could not be told from theirs.";
    AnalysisPending = "GAT-618", Waiting, Us, "Measurement is not good yet",
        "Wait for enough good answers; `why` shows the last one.",
        "The wave passes only when its measurement has enough answers and the last one is good. No answer, or too little data, is neither good nor bad: it waits.";
    AnalysisFailed = "GAT-619", Failed, User, "Measurement was bad",
        "Roll back, or resume with `--accept` when the measurement was wrong.",
        "The measurement of a wave was bad as many times in a row as `analysis.failures` says. The rollout is halted.";
    WaveRejected = "GAT-620", Failed, User, "Rejected by a person",
        "Push a fix, or resume when the doubt is settled.",
        "A person who was asked to approve said no. The rollout is halted.";
    Applying = "APL-301", Progressing, Us, "Applying",
        "Wait.",
        "The agent is applying objects.";
    Pruning = "APL-302", Progressing, Us, "Removing",
        "Wait.",
        "The agent is removing objects that are no longer desired.";
    FetchingContent = "APL-303", Progressing, Us, "Fetching content",
        "Wait.",
        "The agent is fetching the objects it lacks from the hub.";
    FieldConflict = "APL-310", Failed, User, "Field is owned by another manager",
        "Let one of the two own the field.",
        "Another tool owns a field that the App sets, and the conflict policy is to fail.";
    OwnedByAnotherApp = "APL-311", Failed, User, "Object belongs to another App",
        "Remove it from one of the two Apps.",
        "Two Apps claim the same object. The first owner keeps it, unchanged.";
    Invalid = "APL-312", Failed, User, "API server calls the object invalid",
        "Correct the manifest.",
        "The API server refused the object as invalid.";
    Immutable = "APL-313", Failed, User, "Immutable field changed",
        "Recreate the object on purpose, or undo the change.",
        "The change touches a field that cannot change on a live object.";
    Forbidden = "APL-314", Failed, Platform, "Agent may not do this",
        "Grant the missing rule to the agent.",
        "The API server refused for lack of rights.";
    QuotaExceededOnApply = "APL-315", Failed, Platform, "Quota exceeded",
        "Raise the quota or lower the requests.",
        "A quota refused the object.";
    PolicyDenied = "APL-316", Failed, User, "Admission policy said no",
        "Change the manifest, or the policy.",
        "An admission policy refused the object.";
    WebhookFailed = "APL-317", Progressing, Platform, "Admission webhook does not answer",
        "Repair the webhook that is named.",
        "An admission or conversion webhook could not be called; the agent tries again.";
    NamespaceMissing = "APL-318", Failed, User, "Namespace does not exist",
        "Add the namespace to the App.",
        "The object's namespace does not exist and is not part of the App.";
    NamespaceTerminating = "APL-319", Progressing, Platform, "Namespace is being deleted",
        "See what holds it; the agent goes on by itself afterwards.",
        "The namespace is terminating; the objects are created after it is gone.";
    KindMissing = "APL-320", Failed, User, "Kind is not served",
        "Install its definition, or add it to the App.",
        "The API server does not serve the object's kind.";
    SchemaRejected = "APL-321", Failed, User, "Object does not fit its schema",
        "Correct the path that is named.",
        "The object cannot be merged: duplicate list keys or undeclared fields.";
    ObjectTooLarge = "APL-322", Failed, User, "Object too large",
        "Split the object.",
        "The object is over the limit of the API server.";
    Throttled = "APL-323", Progressing, Platform, "API server throttles",
        "Wait; the agent has slowed down.",
        "The API server asked the agent to slow down.";
    ApiServerUnreachable = "APL-324", Failed, Platform, "API server unreachable",
        "Check the API server and the agent's kubeconfig; nothing is deleted meanwhile.",
        "The agent cannot reach the API server of its cluster.";
    DependencyFailed = "APL-325", Waiting, Us, "Waits for another object",
        "Look at the object it waits for.",
        "An object that this one depends on is not there yet.";
    ObjectTerminating = "APL-326", Progressing, Platform, "Object is being deleted",
        "See which finalizers hold it.",
        "The live object is terminating; it is created again after it is gone.";
    ExistsUnowned = "APL-327", Failed, User, "Object exists and is not ours",
        "Adopt it on purpose, or rename it.",
        "An object of that name exists and belongs to something else.";
    EmptySetBlocked = "APL-330", Failed, User, "Refused: nothing left to run",
        "Delete the App on purpose if that is what you want.",
        "The new release has no object while the cluster runs some. An empty set is never taken as a deletion.";
    NamespaceWipeBlocked = "APL-331", Failed, User, "Refused: would delete every namespace",
        "Allow it for this release on purpose.",
        "The new release drops every namespace of the App while some hold objects.";
    MassPruneBlocked = "APL-332", Failed, User, "Refused: would delete too much",
        "Allow it for this release on purpose, or correct path or selector.",
        "The new release would delete more than 10 objects and more than 30 % of what the App runs.";
    ProtectedBlocked = "APL-333", Failed, User, "Refused: protected object",
        "Remove it from the App.",
        "The App contains an object that no App may touch.";
    ContentInvalid = "APL-334", Failed, User, "Release is not valid",
        "Correct the objects that are named.",
        "The set of objects cannot be applied: duplicates, cycles or missing parts. Nothing was written.";
    ContentCorrupt = "APL-335", Failed, Us, "Content does not match its digest",
        "Nothing to do: the agent fetches it again and keeps what it has.",
        "What arrived does not hash to what was granted; it was thrown away.";
    OrphanKept = "APL-337", Waiting, User, "Kept though no longer desired",
        "Delete it by hand if it is not needed.",
        "The live object asks not to be pruned.";
    PruneBlocked = "APL-338", Waiting, User, "Removal is held back",
        "Remove what holds it.",
        "An object that is no longer desired cannot be removed safely yet.";
    HookFailed = "APL-339", Failed, User, "Hook failed",
        "Read the logs of the hook, mend it, and release again.",
        "A Job or Pod that runs before or after the release ended with a failure, or its end was not seen.";
    Recreating = "APL-340", Progressing, Us, "Replacing an object",
        "Wait; the object is deleted and made again.",
        "A field that cannot change on a live object changed, and its author allowed that the object is replaced.";
    SealKeyMissing = "APL-341", Failed, Platform, "No key to open what is encrypted",
        "Put an age identity that is among the recipients into the Secret `sops-age` of the agent's namespace, or start the agent with `--sops-age-keys FILE`.",
        "An object is encrypted with SOPS and the agent holds no age identity. Nothing of the release was written; it goes on by itself once the key is there.";
    SealKeyWrong = "APL-342", Failed, User, "Encrypted for another key",
        "Add the cluster's recipient to the file (`sops updatekeys`), or give the agent an identity that is among the recipients.",
        "An object is encrypted with SOPS, and for none of the age identities that the agent holds. Nothing of the release was written.";
    SealKeyUnsupported = "APL-343", Failed, User, "Encrypted for no age key",
        "Add an age recipient to the file (`sops updatekeys`); agents open no PGP, KMS or Vault keys.",
        "An object is encrypted with SOPS for keys that agents do not use. Nothing of the release was written.";
    SealBroken = "APL-344", Failed, User, "What is encrypted was changed",
        "Decrypt and encrypt the file again with `sops`, one object in a file; where Kustomize or Helm changes it, with `mac_only_encrypted: true`.",
        "An object that is encrypted with SOPS is not as `sops` wrote it: a value was changed, moved, added or taken away. Nothing of the release was written.";
    Progressing = "HLT-401", Progressing, Us, "Becoming healthy",
        "Wait; the progress deadline bounds it.",
        "The object is on its way.";
    ImagePullBackOff = "HLT-402", Failed, User, "Image cannot be pulled",
        "Correct the image name or tag, or the pull secret.",
        "A container's image cannot be pulled.";
    CrashLoop = "HLT-403", Failed, User, "Container keeps crashing",
        "Look at the container's logs.",
        "A container starts and exits again and again.";
    ContainerConfigError = "HLT-404", Failed, User, "Container cannot be configured",
        "Create the ConfigMap or Secret key that is named.",
        "A container refers to something that does not exist.";
    Unschedulable = "HLT-405", Failed, Platform, "Pod cannot be scheduled",
        "Add capacity, or change the constraints.",
        "No node takes the pod.";
    QuotaExceeded = "HLT-406", Failed, Platform, "Quota blocks pods",
        "Raise the quota or lower the requests.",
        "Pods cannot be created because of a quota.";
    DeadlineExceeded = "HLT-407", Failed, User, "Workload did not progress",
        "Look at its pods.",
        "The workload itself reports that its own progress deadline has passed.";
    Terminating = "HLT-408", Progressing, Platform, "Being deleted",
        "See which finalizers hold it.",
        "The object is being deleted.";
    Missing = "HLT-409", Failed, Platform, "Object is missing",
        "Wait; the agent creates it again.",
        "An object that should exist does not.";
    Degraded = "HLT-410", Failed, User, "Unhealthy",
        "Look at the object's conditions.",
        "The object reports that it is not well.";
    NotObservedYet = "HLT-411", Progressing, Us, "Not observed yet",
        "Wait.",
        "The controller has not seen the newest generation; what its status says is old.";
    HealthUnknown = "HLT-412", Unknown, Us, "Health cannot be told",
        "Look at the object.",
        "The object's health could not be judged.";
    JobFailed = "HLT-413", Failed, User, "Job failed",
        "Look at the Job's pods.",
        "The Job ended without success.";
    Suspended = "HLT-414", Waiting, User, "Suspended",
        "Resume it.",
        "The object is paused or suspended by its own spec.";
    Drifted = "DRF-451", Drifted, User, "Live differs from desired",
        "Wait for the correction, or find who changed it.",
        "Somebody changed a field that the App owns; the agent corrects it.";
    Fighting = "DRF-452", Drifted, User, "Another controller rewrites our fields",
        "Let one of the two own the field.",
        "The same field is changed back again and again; corrections have slowed down.";
    Offline = "AGT-701", Offline, Platform, "Agent not heard from",
        "Check the cluster and its network. It keeps what it runs, drift is still repaired.",
        "The hub has not heard from the agent for longer than `staleAfter`.";
    NoReportYet = "AGT-703", Unknown, Us, "No report yet",
        "Wait for the first report.",
        "The agent has not reported on this grant yet.";
    ClockSkew = "AGT-704", Waiting, Platform, "Clock is off",
        "Set the cluster's clock.",
        "The clocks of hub and agent differ by more than 5 minutes. Timers are not affected; certificates may be.";
    AgentStateUnwritable = "AGT-705", Failed, Platform, "Agent cannot write its state",
        "Free space in the agent's state directory.",
        "The agent cannot store its decisions durably, so it starts nothing new. It keeps and repairs what it runs.";
    ProtocolUnsupported = "AGT-706", Failed, Platform, "Agent and hub speak different versions",
        "Upgrade the older of the two.",
        "Hub and agent share no protocol version.";
    EpochFork = "AGT-707", Failed, Us, "Two contents for one epoch",
        "Restore the newest backup of the hub; nothing is applied meanwhile.",
        "The hub sent another digest for an epoch that the agent already holds. The agent keeps what it has.";
    HubBehindAgents = "AGT-708", Failed, Platform, "Hub is older than its agents",
        "If the hub was restored, restore its newest backup; otherwise delete the cluster, add it again and restart its agent.",
        "An agent holds a newer epoch than the hub has ever granted: the hub was probably restored from an old backup.";
    StaleHub = "AGT-709", Failed, Platform, "An older hub spoke",
        "Stop the older hub.",
        "A hub with an older term sent directives; the agent refused them.";
    SessionReplaced = "AGT-710", Progressing, Us, "Another connection took over",
        "Nothing to do; if it repeats, two agents run with one identity: stop one of them.",
        "The same cluster connected again; only its newest connection is served.";
    SessionEnded = "AGT-711", Progressing, Us, "The hub ended the connection",
        "Nothing to do: the agent connects again by itself.",
        "Connections end at a set age, at the end of a certificate, and when the hub stops.";
    ProtocolBroken = "AGT-712", Failed, Us, "A message breaks the protocol",
        "Upgrade hub and agent to the same version, and report this if it stays.",
        "Hub or agent received a message that it cannot follow; what it names was not done.";
    ClusterSuspended = "AGT-713", Waiting, Platform, "Cluster is suspended",
        "Resume the cluster when it is safe.",
        "The cluster keeps and repairs what it runs and is sent nothing new.";
    ClusterReplaced = "AGT-714", Failed, Platform, "Cluster is not the one that enrolled",
        "Enrol the new cluster with a token of its own, or allow this one on purpose.",
        "The cluster was cloned, restored or made again, and the agent's state speaks of another one. Nothing is written or deleted.";
    TokenUnknown = "JOI-801", Failed, User, "Join token not known",
        "Make a new one with `tidegate cluster token NAME`, or `tidegate cluster add` for a new cluster.",
        "The hub does not know the join token, or its secret is wrong.";
    TokenUsed = "JOI-802", Failed, User, "Join token already used",
        "If it was not you who used it, somebody else did: look at `tidegate why cluster/NAME`. Make a new one with `tidegate cluster token NAME`.",
        "A join token works once. This one was used with another key.";
    TokenExpired = "JOI-803", Failed, User, "Join token expired",
        "Make a new one with `tidegate cluster token NAME`, or `tidegate cluster add` for a new cluster.",
        "Join tokens live for one hour unless asked otherwise.";
    PinMismatch = "JOI-804", Failed, User, "Hub's certificate does not match the pin",
        "Check that the address leads to the hub itself, with nothing in between that opens TLS.",
        "The certificate that answered is not signed by the root that the join token pins.";
    TokenMalformed = "JOI-805", Failed, User, "Join token is damaged",
        "Copy the whole token.",
        "The join token cannot be read: truncated or changed.";
    CsrInvalid = "JOI-806", Failed, User, "Certificate request refused",
        "Use a current agent.",
        "The certificate request is not valid or does not prove possession of its key.";
    ClusterRevoked = "JOI-807", Failed, User, "Cluster is revoked",
        "Add the cluster again if it should come back.",
        "The cluster's registration was revoked or deleted.";
    CertificateNotActive = "JOI-808", Failed, User, "Certificate is not the active one",
        "Let the agent enrol again with a new token.",
        "Only the newest certificate of a cluster is accepted.";
    NeverConnected = "JOI-809", Waiting, User, "Waits for its agent",
        "Start the agent with its join file.",
        "The cluster was added and its agent has never connected.";
    CertificateExpired = "JOI-810", Failed, User, "Agent certificate expired",
        "Make a new join token with `tidegate cluster token NAME`; the agent keeps what it runs.",
        "The agent was away for longer than its certificate lives.";
    TooManyAttempts = "JOI-811", Waiting, User, "Too many attempts to join",
        "Wait a minute and try again.",
        "One address tried to join more often than the hub allows.";
    ProofInvalid = "JOI-812", Failed, User, "Proof of the join is not valid",
        "Start the agent again; check that nothing between agent and hub opens TLS.",
        "The proof was made for another connection, is older than a minute, or is signed with another key.";
    StoreCorrupt = "STO-901", Failed, Platform, "Store is damaged",
        "Restore the newest backup.",
        "A record of the hub's store is not what was written. The hub refuses to guess.";
    DiskFull = "STO-902", Failed, Platform, "Disk is full",
        "Free space; the hub goes on by itself.",
        "The hub cannot store decisions durably, so it takes none. Agents keep what they run.";
    LeaseLost = "STO-903", Failed, Platform, "Another hub took over",
        "Nothing to do: the other hub works.",
        "This hub's lease is older than the store's; its writes are refused.";
    StoreLocked = "STO-904", Failed, Platform, "Store is in use",
        "Stop the other hub, or give this one a data directory of its own.",
        "Another process holds the data directory.";
    NotFound = "API-004", Failed, User, "Not found",
        "Check the name; `tidegate get` lists what exists.",
        "There is no object of that kind and name.";
    BadRequest = "API-001", Failed, User, "Request is not valid",
        "Correct the field that is named.",
        "The request cannot be understood.";
    Unauthorized = "API-002", Failed, User, "Not signed in",
        "Give the admin token with `--token-file`.",
        "The request carries no valid token.";
    Refused = "API-003", Failed, User, "Refused",
        "Look at the state it names.",
        "The request is understood, and the present state does not allow it.";
    AlreadyExists = "API-005", Failed, User, "Exists already",
        "Choose another name, or delete the old one.",
        "An object of that kind and name exists already.";
    StateChanged = "API-006", Failed, User, "State changed meanwhile",
        "Look again, then repeat the command.",
        "The request was made for a state that has changed since.";
    NotAllowed = "API-009", Failed, User, "Not allowed",
        "Ask somebody who may.",
        "The role or the groups of the person are not enough for this.";
    SecondPersonNeeded = "API-010", Waiting, User, "A second person is needed",
        "Ask somebody else to say the same.",
        "This hub wants two people for it, and so far one has spoken.";
    Internal = "API-007", Failed, Us, "Internal error",
        "Report it with the trace id.",
        "The hub met an error of its own.";
    Unavailable = "API-008", Failed, Platform, "Hub is not ready",
        "Wait, and look at `/readyz`.",
        "The hub cannot serve this yet.";
}
