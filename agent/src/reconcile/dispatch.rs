//! Sorts directives to their Apps, and starts an App's tasks when it is first heard of.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{AppName, Reason};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Shared;
use super::app::App;
use super::intake::Intake;
use super::mirror::Mirror;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::link::{Board, Heard, Puller};
use crate::metrics::Metrics;
use crate::state::{Held, State};

/// All Apps of one agent.
#[derive(Debug)]
pub struct Apps {
    shared: Arc<Shared>,
    mailboxes: BTreeMap<AppName, watch::Sender<Option<Heard>>>,
    tasks: JoinSet<()>,
}

impl Apps {
    /// Takes up what was held before, without waiting for the hub.
    pub async fn open(
        config: &Config,
        cluster: Cluster,
        state: State,
        (board, puller): (Arc<Board>, Puller),
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Apps, crate::state::Error> {
        let held = state.grants().await?;
        let mirror = Mirror::new(cluster.clone(), clock);
        let shared = Arc::new(Shared {
            cluster,
            state,
            board,
            puller,
            metrics,
            clock,
            limits: config.limits,
            namespace: config.namespace.clone(),
            place: super::place::Place::default(),
            handovers: super::handover::Handovers::default(),
            default_account: config.default_service_account.clone(),
            sops_age_keys: config.sops_age_keys.clone(),
            mirror,
            content: tokio::sync::Mutex::new(()),
        });
        let mut apps = Apps { shared, mailboxes: BTreeMap::new(), tasks: JoinSet::new() };
        for (app, held) in held {
            tracing::info!(%app, epoch = %held.stored.epoch, "holds a grant from before");
            apps.start(app, held);
        }
        Ok(apps)
    }

    /// How many Apps there are.
    pub fn len(&self) -> usize {
        self.mailboxes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.mailboxes.is_empty()
    }

    /// Ends all Apps, and waits until nothing of them runs any more.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }

    /// Runs until the line is gone.
    pub async fn run(&mut self, mut heard: mpsc::Receiver<Heard>) {
        while let Some(heard) = heard.recv().await {
            let app = heard.directed.app.clone();
            if !self.mailboxes.contains_key(&app) {
                if !self.shared.board.has_room(&app) {
                    tracing::error!(%app, "too many Apps in one cluster");
                    continue;
                }
                if matches!(heard.directed.directive, model::Directive::Hold) {
                    continue;
                }
                self.start(app.clone(), Held::default());
            }
            if let Some(mailbox) = self.mailboxes.get(&app) {
                mailbox.send_replace(Some(heard));
            }
            while let Some(ended) = self.tasks.try_join_next() {
                if let Err(fault) = ended {
                    tracing::error!(%fault, reason = %Reason::Internal, "a task of an App failed");
                }
            }
        }
    }

    fn start(&mut self, app: AppName, held: Held) {
        let shared = &self.shared;
        shared.board.hold(&app, &held);
        let (mailbox, heard) = watch::channel(None);
        let (held, held_now) = watch::channel(held);
        let intake = Intake {
            app: app.clone(),
            shared: Arc::clone(shared),
            heard,
            held,
            partial: BTreeMap::new(),
        };
        self.tasks.spawn(intake.run());
        let (name, shared) = (app.clone(), Arc::clone(shared));
        self.tasks.spawn(async move { App::open(name, shared, held_now).await.run().await });
        self.mailboxes.insert(app, mailbox);
    }
}
