//! Requests to gateways: what comes is verified here, before anybody believes it.

use std::{sync::Arc, time::Duration};

use blocks::dag::{self, BlockFault, CarDecoder, CarFault, CarItem, MAX_BLOCK_BYTES};
use bytes::{Bytes, BytesMut};
use cid::Cid;
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};
use thiserror::Error;
use tokio::sync::mpsc;

use super::{
    gateways::GatewayFault,
    link::{Link, may_lead},
    names::Names,
    plan::{Ask, Ending, Form},
};

/// Redirects followed for one request.
const REDIRECTS: usize = 5;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(8);
/// Longest chain of causes told of a failure.
const CAUSES: usize = 4;

/// Something about a request, for who drives the plan.
#[derive(Debug)]
pub(super) enum Event {
    /// Bytes came.
    Heard {
        /// Of this request.
        id: u64,
        /// How many.
        bytes: u64,
    },
    /// A block came; its bytes have its name.
    Block {
        /// Of this request.
        id: u64,
        /// Its name.
        cid: Cid,
        /// Its bytes.
        bytes: Bytes,
    },
    /// It ended.
    Ended {
        /// This request.
        id: u64,
        /// How.
        ending: Ending,
    },
}

/// No requests can be made on this machine.
#[derive(Debug, Error)]
#[error("cannot make requests to gateways: {0}")]
pub struct HttpError(#[source] reqwest::Error);

/// Gateways, ready to be asked.
#[derive(Clone, Debug)]
pub struct Http {
    // Each with connections of its own: a name must not mean for one what it means for another.
    gateways: Arc<[(Link, Client)]>,
}

impl Http {
    /// To ask these gateways; offline, none leads away from this machine.
    ///
    /// # Errors
    /// When the machine has no TLS to be used.
    pub fn new(links: Vec<Link>, is_offline: bool) -> Result<Self, HttpError> {
        // The same provider as everywhere here; installed already is just as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let gateways = links.into_iter().map(|link| {
            // A machine without certificates of authorities can still read from its neighbour;
            // who comes with a certificate is then refused.
            let trusting = client(&link, is_offline, Authorities::OfThisMachine);
            let client = trusting.or_else(|_| client(&link, is_offline, Authorities::None))?;
            Ok((link, client))
        });
        Ok(Self {
            gateways: gateways.collect::<Result<_, HttpError>>()?,
        })
    }

    /// URL of a gateway.
    pub fn text(&self, gateway: usize) -> String {
        self.gateways[gateway].0.text()
    }

    /// How many gateways there are.
    pub fn count(&self) -> usize {
        self.gateways.len()
    }

    /// A request to a gateway for something below its URL.
    pub fn of_gateway(&self, gateway: usize, method: Method, path: &str) -> RequestBuilder {
        let (link, client) = &self.gateways[gateway];
        client.request(method, link.below(path))
    }

    /// Sends a request and tells what comes of it. Stops when nobody listens.
    pub(super) async fn ask(self, ask: Ask, events: mpsc::Sender<Event>) {
        let id = ask.id;
        if let Some(ending) = self.answer(ask, &events).await {
            // Nobody may be there to hear of the end.
            let _ = events.send(Event::Ended { id, ending }).await;
        }
    }

    /// None when nobody listens any more.
    async fn answer(&self, ask: Ask, events: &mpsc::Sender<Event>) -> Option<Ending> {
        let accept = match ask.form {
            Form::Raw => "application/vnd.ipld.raw",
            Form::Car => "application/vnd.ipld.car; version=1; order=dfs; dups=n",
        };
        let (link, client) = &self.gateways[ask.gateway];
        let url = link.request(&ask.cid, ask.form);
        let sent = client.get(url).header(ACCEPT, accept).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => return Some(broken(&error)),
        };
        if let Some(ending) = refusal(&response, ask.form) {
            return Some(ending);
        }
        match ask.form {
            Form::Raw => raw(ask, response, events).await,
            // A sign-in page of some network on the way, or a gateway for people alone.
            Form::Car if is_text(&response) => {
                let what = "it sends a page instead of a CAR".to_owned();
                Some(Ending::Fault(GatewayFault::Nonsense(what), None))
            }
            Form::Car => car(ask, response, events).await,
        }
    }
}

/// Whose certificates are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authorities {
    OfThisMachine,
    None,
}

fn client(link: &Link, is_offline: bool, believed: Authorities) -> Result<Client, HttpError> {
    let policy = Policy::custom(move |attempt| {
        let from = attempt.previous().last();
        let may = from.is_some_and(|from| may_lead(from, attempt.url(), is_offline));
        if attempt.previous().len() > REDIRECTS || !may {
            attempt.stop()
        } else {
            attempt.follow()
        }
    });
    let mut builder = Client::builder()
        .redirect(policy)
        .dns_resolver(Names::of(link))
        .connect_timeout(CONNECT)
        .no_proxy()
        .referer(false)
        .user_agent(concat!("datt/", env!("CARGO_PKG_VERSION")));
    if believed == Authorities::None {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(HttpError)
}

fn is_text(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/"))
}

/// What an answer without bytes says; none for one with bytes.
fn refusal(response: &Response, form: Form) -> Option<Ending> {
    let status = response.status();
    let pause_ms = || {
        let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        seconds.parse::<u64>().ok()?.checked_mul(1_000)
    };
    match status {
        StatusCode::OK => None,
        // datt says 504 of what it doesn't hold, and 412 stands for a cache without it.
        StatusCode::NOT_FOUND
        | StatusCode::GONE
        | StatusCode::PRECONDITION_FAILED
        | StatusCode::GATEWAY_TIMEOUT
        | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => Some(Ending::Lacking),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Some(Ending::Fault(GatewayFault::Busy, pause_ms()))
        }
        StatusCode::BAD_REQUEST
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::NOT_IMPLEMENTED
            if form == Form::Car =>
        {
            Some(Ending::NoCar)
        }
        status => {
            let what = format!("it answers with status {}", status.as_u16());
            Some(Ending::Fault(GatewayFault::Broken(what), None))
        }
    }
}

/// One block, bounded.
async fn raw(ask: Ask, mut response: Response, events: &mpsc::Sender<Event>) -> Option<Ending> {
    let too_much = Ending::Fault(GatewayFault::TooMuch, None);
    let limit = MAX_BLOCK_BYTES as u64;
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Some(too_much);
    }
    let mut block = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if block.len() + chunk.len() > MAX_BLOCK_BYTES => {
                return Some(too_much);
            }
            Ok(Some(chunk)) => {
                block.extend_from_slice(&chunk);
                heard(ask.id, chunk.len(), events).await?;
            }
            Ok(None) => break,
            Err(error) => return Some(broken(&error)),
        }
    }
    let bytes = block.freeze();
    if dag::verify(&ask.cid, &bytes).is_err() {
        return Some(Ending::Fault(GatewayFault::Lie { block: ask.cid }, None));
    }
    block_came(ask.id, ask.cid, bytes, events).await?;
    Some(Ending::Whole)
}

/// The blocks of a CAR as they come.
async fn car(ask: Ask, mut response: Response, events: &mpsc::Sender<Event>) -> Option<Ending> {
    let mut decoder = CarDecoder::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(chunk) => chunk,
            Err(error) => return Some(broken(&error)),
        };
        let Some(chunk) = chunk else {
            return Some(match decoder.end() {
                Ok(()) => Ending::Whole,
                Err(fault) => car_fault(fault),
            });
        };
        decoder.push(&chunk);
        heard(ask.id, chunk.len(), events).await?;
        loop {
            match decoder.next() {
                Ok(None) => break,
                Ok(Some(CarItem::Header { .. })) => {}
                Ok(Some(CarItem::Block { cid, bytes })) => {
                    block_came(ask.id, cid, bytes, events).await?;
                }
                Err(fault) => return Some(car_fault(fault)),
            }
        }
    }
}

fn car_fault(fault: CarFault) -> Ending {
    let fault = match fault {
        CarFault::Block { cid, source, .. } if matches!(*source, BlockFault::Mismatch { .. }) => {
            GatewayFault::Lie { block: cid }
        }
        CarFault::Version { .. } => return Ending::NoCar,
        // A gateway that lacks a block, or is cut off, can only end like this.
        CarFault::Truncated { .. } => GatewayFault::Broken("its answer was cut off".to_owned()),
        fault => GatewayFault::Nonsense(fault.to_string()),
    };
    Ending::Fault(fault, None)
}

fn broken(error: &reqwest::Error) -> Ending {
    // The cause says what happened; the error itself only where.
    let mut cause: &dyn std::error::Error = error;
    for _ in 0..CAUSES {
        match cause.source() {
            Some(source) => cause = source,
            None => break,
        }
    }
    let what = match error.is_connect() || error.is_timeout() {
        true => format!("it can't be reached ({cause})"),
        false => format!("its answer broke off ({cause})"),
    };
    Ending::Fault(GatewayFault::Broken(what), None)
}

async fn heard(id: u64, bytes: usize, events: &mpsc::Sender<Event>) -> Option<()> {
    let bytes = bytes as u64;
    events.send(Event::Heard { id, bytes }).await.ok()
}

async fn block_came(id: u64, cid: Cid, bytes: Bytes, events: &mpsc::Sender<Event>) -> Option<()> {
    events.send(Event::Block { id, cid, bytes }).await.ok()
}
