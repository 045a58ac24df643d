//! The plan's hands: looks into the store, sends requests, keeps blocks, watches the clock.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use blocks::{
    ImportError, Intake, IntakeError, QuotaError, StoreError, Taken,
    dag::{self, BlockError, codec},
};
use bytes::Bytes;
use cid::Cid;
use gateway::node::NodeError;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until},
};

use super::{
    Watch,
    gateways::Gateways,
    http::{Event, Http},
    plan::{Held, Plan, PlanError},
};
use crate::{core::Core, denylist::honour};

/// Events that may wait; each block among them has up to two mebibytes.
const EVENTS: usize = 16;
/// Blocks looked for in the store between two looks at what came.
const LOOKS: usize = 64;
/// What came is brought to disk after so many bytes, or so much time.
const FLUSH_BYTES: u64 = 8 << 20;
const FLUSH_AFTER: Duration = Duration::from_secs(2);

/// Where blocks go.
#[derive(Debug)]
pub(super) enum Sink {
    /// Into the intake of a root, begun with the first block.
    Intake(Cid, Option<Box<Intake>>),
    /// One block on a path from a root, into the root's intake: what waits there longer than some
    /// days goes by itself, or with the root.
    Path(Cid, Option<Bytes>),
}

/// Why the plan could not be carried out.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The gateways' fault, or the DAG's.
    Plan(PlanError),
    /// Something here: denied, no room, a local fault.
    Node(NodeError),
}

impl From<NodeError> for Stopped {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}

/// One plan being carried out.
pub(super) struct Drive<'a> {
    core: &'a Arc<Core>,
    http: &'a Http,
    sink: Sink,
    watch: &'a mut dyn Watch,
    began: Instant,
    flushed: Instant,
    unflushed_bytes: u64,
    fetched_bytes: u64,
    held_bytes: u64,
    total_bytes: u64,
}

impl<'a> Drive<'a> {
    pub(super) fn new(
        core: &'a Arc<Core>,
        http: &'a Http,
        sink: Sink,
        watch: &'a mut dyn Watch,
    ) -> Self {
        let now = Instant::now();
        Self {
            core,
            http,
            sink,
            watch,
            began: now,
            flushed: now,
            unflushed_bytes: 0,
            fetched_bytes: 0,
            held_bytes: 0,
            total_bytes: 0,
        }
    }

    /// Who watched, and the block of a path, if it came.
    pub(super) fn into_parts(self) -> (&'a mut dyn Watch, Option<Bytes>) {
        let block = match self.sink {
            Sink::Path(_, block) => block,
            Sink::Intake(..) => None,
        };
        (self.watch, block)
    }

    /// Bytes of blocks that came from gateways.
    pub(super) fn fetched_bytes(&self) -> u64 {
        self.fetched_bytes
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Carries the plan out; gives back what is known of the gateways.
    pub(super) async fn run(&mut self, mut plan: Plan) -> (Gateways, Result<(), Stopped>) {
        let done = self.carry_out(&mut plan).await;
        self.tell(&mut plan);
        (plan.into_gateways(), done)
    }

    async fn carry_out(&mut self, plan: &mut Plan) -> Result<(), Stopped> {
        let (sender, mut events) = mpsc::channel(EVENTS);
        // Dropped with this future: requests end with who wanted them.
        let mut requests = JoinSet::new();
        let mut running: BTreeMap<u64, AbortHandle> = BTreeMap::new();
        loop {
            self.look(plan).await?;
            self.tell(plan);
            for id in plan.take_cancelled() {
                if let Some(request) = running.remove(&id) {
                    request.abort();
                }
            }
            if plan.is_done() {
                return Ok(());
            }
            while let Some(ask) = plan.next_ask(self.now_ms()).map_err(Stopped::Plan)? {
                let request = self.http.clone().ask(ask, sender.clone());
                running.insert(ask.id, requests.spawn(request));
            }
            while requests.try_join_next().is_some() {}
            if plan.next_look().is_none() {
                let next_ms = plan.next_ms(self.now_ms());
                let wake = self.began + Duration::from_millis(next_ms);
                tokio::select! {
                    Some(event) = events.recv() => self.take(plan, &mut running, event).await?,
                    () = sleep_until(wake.min(self.flushed + FLUSH_AFTER)) => {}
                }
            }
            // Everything that waits is heard before anybody is called late.
            while let Ok(event) = events.try_recv() {
                self.take(plan, &mut running, event).await?;
            }
            plan.tick(self.now_ms());
            self.flush_sometimes().await?;
        }
    }

    async fn take(
        &mut self,
        plan: &mut Plan,
        running: &mut BTreeMap<u64, AbortHandle>,
        event: Event,
    ) -> Result<(), Stopped> {
        let now_ms = self.now_ms();
        match event {
            Event::Heard { id, bytes } => plan.heard(id, bytes, now_ms),
            Event::Ended { id, ending } => {
                running.remove(&id);
                plan.ended(id, ending, now_ms);
            }
            Event::Block { id, cid, bytes } => {
                if let Some(cid) = plan.expected(id, &cid, bytes.len(), now_ms) {
                    let links = self.links(&cid, &bytes)?;
                    self.keep(&cid, bytes).await?;
                    plan.taken(id, cid, links);
                }
            }
        }
        Ok(())
    }

    /// Answers what the plan wants to know of the store, some at a time.
    async fn look(&mut self, plan: &mut Plan) -> Result<(), Stopped> {
        if plan.next_look().is_some() && self.unflushed_bytes > 0 {
            // What has come is found again only when it is on disk.
            self.flush().await?;
        }
        for _ in 0..LOOKS {
            let Some(cid) = plan.next_look() else {
                break;
            };
            let held = self.held(&cid).await?;
            plan.looked(held);
        }
        Ok(())
    }

    async fn held(&mut self, cid: &Cid) -> Result<Held, Stopped> {
        if let Some(denial) = self.core.denylist.check(cid, &[]) {
            return Err(honour::refusal(cid, denial).into());
        }
        if let Some(bytes) = dag::inline(cid) {
            return Ok(Held::Links(self.links(cid, &bytes)?));
        }
        let blobs = &self.core.blobs;
        if let Some(file) = blobs.file(cid).await.map_err(index_error)? {
            self.count_held(file.size_bytes);
            return Ok(Held::Links(Vec::new()));
        }
        match blobs.block(cid).await {
            Ok(bytes) => {
                self.note_total(cid, &bytes);
                self.count_held(bytes.len() as u64);
                Ok(Held::Links(self.links(cid, &bytes)?))
            }
            Err(BlockError::NotHeld(_)) => Ok(Held::Missing),
            Err(BlockError::Denied { cid, reason }) => {
                let id = cid.to_string();
                Err(NodeError::Denied { id, reason }.into())
            }
            // Damaged here: another copy is as good.
            Err(BlockError::Fault(fault)) => {
                tracing::warn!(%cid, %fault, "a block that is held is damaged; it is read again");
                Ok(Held::Missing)
            }
            Err(error) => Err(NodeError::local("read a block", error).into()),
        }
    }

    fn links(&self, cid: &Cid, bytes: &Bytes) -> Result<Vec<Cid>, Stopped> {
        let links = dag::links(cid, bytes);
        links.map_err(|fault| NodeError::Invalid(format!("the DAG can't be read: {fault}")).into())
    }

    async fn keep(&mut self, cid: &Cid, bytes: Bytes) -> Result<(), Stopped> {
        let size_bytes = bytes.len() as u64;
        self.note_total(cid, &bytes);
        if let Some(denial) = self.core.denylist.check(cid, &[]) {
            return Err(honour::refusal(cid, denial).into());
        }
        let blobs = &self.core.blobs;
        match &mut self.sink {
            Sink::Path(root, block) => {
                *block = Some(bytes.clone());
                match blobs.intake(*root).await {
                    Ok(mut intake) => {
                        intake.put(cid, bytes).await.map_err(intake_error)?;
                        intake.flush().await.map_err(intake_error)?;
                    }
                    // Who reads all of it keeps this block too.
                    Err(IntakeError::Busy(_)) => {}
                    Err(error) => return Err(intake_error(error).into()),
                }
            }
            Sink::Intake(root, intake) => {
                let intake = match intake {
                    Some(intake) => intake,
                    None => {
                        let begun = blobs.intake(*root).await.map_err(intake_error)?;
                        intake.insert(Box::new(begun))
                    }
                };
                intake.put(cid, bytes).await.map_err(intake_error)?;
                self.unflushed_bytes += size_bytes.max(1);
            }
        }
        self.fetched_bytes += size_bytes;
        self.count_held(size_bytes);
        Ok(())
    }

    async fn flush_sometimes(&mut self) -> Result<(), Stopped> {
        if self.unflushed_bytes >= FLUSH_BYTES || self.flushed.elapsed() >= FLUSH_AFTER {
            self.flush().await?;
        }
        Ok(())
    }

    /// Brings to disk what came.
    pub(super) async fn flush(&mut self) -> Result<(), NodeError> {
        if let Sink::Intake(_, Some(intake)) = &mut self.sink
            && self.unflushed_bytes > 0
        {
            intake.flush().await.map_err(intake_error)?;
        }
        self.unflushed_bytes = 0;
        self.flushed = Instant::now();
        Ok(())
    }

    /// Ends the intake: files become blobs, and all of it is kept.
    pub(super) async fn finish(self) -> Result<Taken, NodeError> {
        let Sink::Intake(root, intake) = self.sink else {
            return Ok(Taken::default());
        };
        let intake = match intake {
            Some(intake) => *intake,
            None => self.core.blobs.intake(root).await.map_err(intake_error)?,
        };
        intake.finish(&[root]).await.map_err(intake_error)
    }

    fn count_held(&mut self, bytes: u64) {
        self.held_bytes += bytes;
        self.watch.progress(self.held_bytes, self.total_bytes);
    }

    /// The first block is the root: it says how much there is below it.
    fn note_total(&mut self, cid: &Cid, bytes: &Bytes) {
        if self.total_bytes > 0 || self.held_bytes > 0 {
            return;
        }
        self.total_bytes = bytes.len() as u64;
        if cid.codec() == codec::DAG_PB
            && let Ok(node) = dag::Node::decode(bytes)
        {
            let below = node.links.iter().map(|link| link.size_bytes);
            let below = below.fold(0_u64, u64::saturating_add);
            self.total_bytes = self.total_bytes.saturating_add(below);
        }
    }

    fn tell(&mut self, plan: &mut Plan) {
        for report in plan.take_reports() {
            let gateway = self.http.text(report.gateway);
            let (cid, fault) = (report.cid, &report.fault);
            tracing::warn!(%gateway, %cid, %fault, "a gateway did something wrong");
            self.watch.fault(&report);
        }
    }
}

fn index_error(error: StoreError) -> Stopped {
    NodeError::local("look into the index", error).into()
}

fn intake_error(error: IntakeError) -> NodeError {
    match error {
        IntakeError::Busy(root) => NodeError::Busy {
            what: format!("{root} is being read already"),
            retry_after_s: 10,
        },
        IntakeError::Quota(QuotaError::Exceeded {
            wanted_bytes,
            used_bytes,
            max_bytes,
        }) => NodeError::QuotaExceeded {
            needed_bytes: wanted_bytes,
            used_bytes,
            max_bytes,
        },
        IntakeError::Import {
            cid,
            source: ImportError::Denied(_),
        } => NodeError::Denied {
            id: cid.to_string(),
            reason: "it is the same bytes as something that is denied".to_owned(),
        },
        error @ IntakeError::TooWide(_) => {
            NodeError::Invalid(format!("the DAG can't be kept: {error}"))
        }
        error => NodeError::local("keep what was read", error),
    }
}
