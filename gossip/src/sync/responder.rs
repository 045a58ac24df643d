//! The side that accepted the stream: answers scopes as they are opened.

use std::collections::BTreeMap;

use super::{
    Answer, Frame, PeerFault, SessionError,
    outline::{self, digest_hash},
    reconcile::Reconcile,
    session::{Desk, News},
};
use crate::{Digest, Fingerprint, Follow, Part, Replica, ReplicaError, Scope, bounds};

#[derive(Debug, Default)]
enum Stage {
    /// Between scopes.
    #[default]
    Idle,
    /// A set is being reconciled, or entries are fetched by id.
    Open(Box<OpenScope>),
    /// The initiator has all it wants; we wait for the last of ours.
    Closing(Scope),
}

#[derive(Debug)]
struct OpenScope {
    scope: Scope,
    /// Made when the first message comes: who only asks by id needs none.
    reconcile: Option<Reconcile>,
    /// Digests by hash, when those are the set.
    digests: BTreeMap<[u8; 32], Digest>,
    /// Whether entries offered are wanted here.
    wanted: bool,
}

/// State of the responder.
#[derive(Debug, Default)]
pub(super) struct Responder {
    stage: Stage,
    counted: (u64, u64),
    opened: usize,
}

impl Responder {
    pub fn is_between_scopes(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    /// Queues what the responder says by itself: that a scope is closed.
    pub fn advance(&mut self, desk: &mut Desk) {
        if !matches!(self.stage, Stage::Closing(_)) || !desk.transfer.is_idle() {
            return;
        }
        if let Stage::Closing(scope) = std::mem::take(&mut self.stage) {
            desk.send(Frame::Closed);
            let (received, sent) = (desk.transfer.received, desk.transfer.sent);
            desk.news.push(News::Done {
                scope,
                received: received - self.counted.0,
                sent: sent - self.counted.1,
                part: Part::Opened,
                unresolved: std::mem::take(&mut desk.transfer.missing)
                    .into_iter()
                    .collect(),
            });
            self.counted = (received, sent);
        }
    }

    pub fn receive(
        &mut self,
        frame: Frame,
        desk: &mut Desk,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        let out_of_turn = PeerFault::OutOfTurn { what: frame.name() };
        match (frame, &mut self.stage) {
            (
                Frame::Open {
                    scope,
                    set,
                    authority,
                },
                Stage::Idle,
            ) => {
                self.open(scope, set, authority, desk, replica)?;
            }
            (Frame::Reconcile { message }, Stage::Open(open)) => {
                let answer = open.reconcile(replica)?.respond(&message)?;
                desk.send(Frame::Reconcile { message: answer });
            }
            (Frame::Want { ids }, Stage::Open(_)) => desk.transfer.on_want(ids, false)?,
            (Frame::Offer { ids }, Stage::Open(open)) => {
                let want = desk.transfer.on_offer(&ids, open.wanted, replica)?;
                desk.send(want);
            }
            (Frame::WantDigests { hashes }, Stage::Open(open)) => {
                let digests = hashes
                    .iter()
                    .filter_map(|hash| open.digests.get(hash).copied())
                    .collect();
                desk.send(Frame::Digests { digests });
            }
            (Frame::Close, Stage::Open(open)) => {
                self.stage = Stage::Closing(open.scope.clone());
            }
            _ => return Err(out_of_turn.into()),
        }
        Ok(())
    }

    fn open(
        &mut self,
        scope: Scope,
        set: Fingerprint,
        authority: Option<Fingerprint>,
        desk: &mut Desk,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        self.opened += 1;
        if self.opened > bounds::SCOPES {
            return Err(PeerFault::Flood { what: "scopes" }.into());
        }
        let (held, wanted) = standing(&scope, replica)?;
        if !held && !wanted {
            desk.send(Frame::Opened(Answer::Refused));
            return Ok(());
        }
        if let Some(theirs) = authority {
            let ours = outline::authorities(&scope, replica)?;
            if outline::of_authorities(&ours) != theirs {
                desk.send(Frame::Opened(Answer::Authorities));
                let list: Vec<_> = ours.into_iter().take(bounds::SCOPE_AUTHORITIES).collect();
                let chunks = list.chunks(bounds::AUTHORITIES);
                let last = chunks.len().saturating_sub(1);
                for (place, chunk) in chunks.enumerate() {
                    desk.send(Frame::Authorities {
                        list: chunk.to_vec(),
                        more: place < last,
                    });
                }
                return Ok(());
            }
        }
        if scope != Scope::Entries && outline::of_set(&scope, replica)? == set {
            desk.send(Frame::Opened(Answer::Same));
            return desk.send_holdings(&scope, replica);
        }
        desk.send(Frame::Opened(Answer::Differs));
        desk.send_holdings(&scope, replica)?;
        let digests = match &scope {
            Scope::Digests(space) => replica
                .digests(*space)?
                .into_iter()
                .map(|digest| (digest_hash(&digest), digest))
                .collect(),
            _ => BTreeMap::new(),
        };
        self.stage = Stage::Open(Box::new(OpenScope {
            scope,
            reconcile: None,
            digests,
            wanted,
        }));
        Ok(())
    }
}

impl OpenScope {
    fn reconcile(&mut self, replica: &dyn Replica) -> Result<&mut Reconcile, SessionError> {
        if self.scope == Scope::Entries {
            return Err(PeerFault::OutOfTurn { what: "Reconcile" }.into());
        }
        if self.reconcile.is_none() {
            let items = outline::items(&self.scope, replica)?;
            self.reconcile = Some(Reconcile::new(items));
        }
        Ok(self
            .reconcile
            .as_mut()
            .expect("a reconciliation was made above"))
    }
}

/// Whether anything of a scope is held, and whether offers in it are wanted.
fn standing(scope: &Scope, replica: &dyn Replica) -> Result<(bool, bool), ReplicaError> {
    Ok(match scope {
        Scope::Authorities(_) => (true, true),
        Scope::Entries => (true, false),
        Scope::Digests(space) => (
            replica.authority_fingerprint(*space)? != Fingerprint::EMPTY,
            replica.followed()?.contains(&Follow::Space(*space)),
        ),
        Scope::Threads { space, roots } => {
            let (mut held, mut wanted, mut all) = (false, false, true);
            for root in roots {
                held |= replica.digest(*root)?.is_some();
                let wants = replica.wants_thread(*space, *root)?;
                wanted |= wants;
                all &= wants;
            }
            // Of a board that is followed for some threads only, others may come with them: then
            // nothing offered is taken, and this side asks for its own threads by itself.
            wanted &= all || replica.followed()?.contains(&Follow::Space(*space));
            (held, wanted)
        }
    })
}
