//! What an observation proves, and what it does not.
//!
//! A report is evidence only when it is fresh and names the very epoch and digest that was granted. Silence
//! proves nothing: neither success nor, before exposure, failure.

use std::time::Duration;

use jiff::Timestamp;
use model::{ClusterName, ClusterUid, Epoch, Phase, Report};

use crate::{
    bug::Bug,
    obs::{ClusterObs, Now, Obs},
    state::{App, FailureWhy, Holding, Member, MemberState, Rollout},
};

/// A cluster that was healthy may be unhealthy for this long before it counts: rolling updates and node
/// changes flicker. By the agent's clock.
pub(crate) const FLAP: Duration = Duration::from_mins(2);

/// State, time and observation of one decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    /// What is remembered.
    pub(crate) app: &'a App,
    /// The time.
    pub(crate) now: Now,
    /// What was observed.
    pub(crate) obs: &'a Obs,
}

impl<'a> Look<'a> {
    /// A cluster that is registered.
    pub(crate) fn cluster(&self, uid: &ClusterUid) -> Option<&'a ClusterObs> {
        self.obs.clusters.get(uid).filter(|c| !c.deleted)
    }

    /// Its name, for people; a cluster that is only known by its uid is called that.
    pub(crate) fn name(&self, uid: &ClusterUid) -> ClusterName {
        let known = self.cluster(uid).map(|c| c.name.clone());
        let held = || self.app.holding(uid).map(|h| h.name.clone());
        known.or_else(held).unwrap_or_else(|| {
            ClusterName::parse(&uid.to_string()).expect("a hyphenated UUID is a DNS label")
        })
    }

    /// Wall-clock time since `then`; none when the clock went back behind it.
    pub(crate) fn since(&self, then: Timestamp) -> Duration {
        Duration::try_from(self.now.wall.duration_since(then)).unwrap_or_default()
    }

    /// Whether a person deleted it. An unknown cluster is silent, not deleted.
    pub(crate) fn is_deleted(&self, uid: &ClusterUid) -> bool {
        self.obs.clusters.get(uid).is_some_and(|c| c.deleted)
    }

    /// How long it was not heard, since it was or since the hub started.
    pub(crate) fn silence(&self, uid: &ClusterUid) -> Duration {
        self.now.mono.saturating_sub(self.silent_since(uid))
    }

    fn silent_since(&self, uid: &ClusterUid) -> Duration {
        self.cluster(uid).and_then(|c| c.last_heard).unwrap_or_default()
    }

    /// Heard, and recently.
    pub(crate) fn is_fresh(&self, uid: &ClusterUid, stale_after: Duration) -> bool {
        let heard = self.cluster(uid).is_some_and(|c| c.last_heard.is_some());
        heard && self.silence(uid) <= stale_after
    }

    /// Dark: silent for so long that it means something. Neither fresh nor dark is a cluster that a hub
    /// which just started has not heard yet.
    pub(crate) fn is_dark(&self, uid: &ClusterUid, stale_after: Duration) -> bool {
        self.silence(uid) > stale_after
    }

    /// Dark time since the newest grant: what was recorded, and the present silence.
    pub(crate) fn dark_time(&self, uid: &ClusterUid, stale_after: Duration) -> Duration {
        let clock = self.app.holding(uid).map(|h| h.dark).unwrap_or_default();
        clock.spent + self.dark_unrecorded(uid, stale_after)
    }

    /// The part of the present silence that is not recorded yet.
    pub(crate) fn dark_unrecorded(&self, uid: &ClusterUid, stale_after: Duration) -> Duration {
        let since = self.silent_since(uid);
        let stretch = self.silence(uid).saturating_sub(stale_after);
        match self.app.holding(uid).and_then(|h| h.dark.mark) {
            Some((term, start, counted)) if term == self.now.term && start == since => {
                stretch.saturating_sub(counted)
            }
            _ => stretch,
        }
    }

    /// When the present silence began and how much of it is dark, as [`crate::Event::Dark`] records it.
    pub(crate) fn dark_mark(
        &self,
        uid: &ClusterUid,
        stale_after: Duration,
    ) -> (Duration, Duration) {
        (self.silent_since(uid), self.silence(uid).saturating_sub(stale_after))
    }

    /// Newest report, of whatever age: enough for promises (epoch, fence), never for health.
    pub(crate) fn report(&self, uid: &ClusterUid) -> Option<&'a Report> {
        self.cluster(uid)?.report.as_ref()
    }

    /// The report of a member, if it is evidence about the grant that this rollout gave.
    pub(crate) fn evidence(
        &self,
        rollout: &Rollout,
        uid: &ClusterUid,
        member: &Member,
    ) -> Option<&'a Report> {
        let stale_after = stale_after(rollout, member);
        let report = self.report(uid).filter(|_| self.is_fresh(uid, stale_after))?;
        if self.app.has(Bug::StaleSuccess) {
            return Some(report);
        }
        let holding = self.app.holding(uid)?;
        let given = holding.confirmed.as_ref()?;
        let proves = member.granted == Some(report.epoch)
            && given.grant.epoch == report.epoch
            && report.digest == Some(given.grant.digest);
        proves.then_some(report)
    }

    /// Healthy for at least that long, proven.
    pub(crate) fn healthy_for(
        &self,
        rollout: &Rollout,
        uid: &ClusterUid,
        member: &Member,
    ) -> Option<Duration> {
        let report = self.evidence(rollout, uid, member)?;
        (report.phase == Phase::Healthy).then_some(report.healthy_for)
    }

    /// A member that counts as failed for its silence and now, back, is still working on the release.
    pub(crate) fn is_late(&self, rollout: &Rollout, uid: &ClusterUid, member: &Member) -> bool {
        let settings = &rollout.waves[member.wave].spec.settings;
        let dark =
            matches!(member.state, MemberState::Failed { why: FailureWhy::DarkAfterGrant, .. });
        dark && self.evidence(rollout, uid, member).is_some_and(|report| {
            report.phase == Phase::Applying && report.applying_for <= settings.progress_deadline
        })
    }

    /// The agent holds an epoch that this hub never gave: the hub was restored from an old backup.
    pub(crate) fn is_ahead(&self, uid: &ClusterUid) -> bool {
        // A uid to which this App never granted anything is a new registration, though its agent may bring
        // state from an older one: nothing of ours can be older than what it holds.
        let Some(holding) = self.app.holding(uid) else { return false };
        self.report(uid).is_some_and(|report| report.epoch > holding.issued)
    }

    /// The agent holds another digest than the one granted under its epoch.
    pub(crate) fn is_forked(&self, uid: &ClusterUid) -> bool {
        let given = |h: &Holding, report: &Report| {
            h.confirmed
                .iter()
                .chain(&h.outstanding)
                .any(|g| g.grant.epoch == report.epoch && report.digest != Some(g.grant.digest))
        };
        let holding = self.app.holding(uid);
        holding.zip(self.report(uid)).is_some_and(|(h, report)| given(h, report))
    }

    /// The next epoch for a cluster: above all that was issued, above what its agent promised to refuse,
    /// and above what it brought along from an older registration.
    pub(crate) fn next_epoch(&self, uid: &ClusterUid) -> Epoch {
        let issued = self.app.holding(uid).map_or(Epoch::NONE, |h| h.issued);
        let known = self.report(uid).map_or(Epoch::NONE, |report| report.fence.max(report.epoch));
        issued.max(known).next()
    }
}

/// How old a report of this member may be.
pub(crate) fn stale_after(rollout: &Rollout, member: &Member) -> Duration {
    rollout.waves[member.wave].spec.settings.offline.stale_after
}
