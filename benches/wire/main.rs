//! What a decision costs over the wire, next to what an empty handler costs on stock tonic.
//!
//! Server and load each have a core of their own from birth. All that is compared is measured in turn,
//! round after round, in one run: these machines are noisy, and only ratios of one run mean something.
//! `docs/performance.md` explains every row.

#![allow(clippy::cast_precision_loss, reason = "no count here is that large")]

mod data;
#[allow(dead_code, unreachable_pub, unused_imports, reason = "its tests are run by tests/load.rs")]
mod load;
mod server;
mod stock;
mod table;

use std::error::Error;
use std::time::{Duration, Instant};

use claviger::proto::authorize_request::{Action, Credential};
use claviger::proto::{
    AuthorizeRequest, BatchAuthorizeRequest, HttpRequest, StreamAuthorizeRequest,
};
use data::{Data, Special};
use load::{Length, Outcome, Pick, Plan, grpc_frame};
use prost::Message;
use server::Server;
use table::{Row, Table};

/// The core of the servers, and the core of the load.
const CORES: [usize; 2] = [0, 1];
const AUTHORIZE: &str = "/claviger.v1.AuthorizationService/Authorize";
const BATCH: &str = "/claviger.v1.AuthorizationService/BatchAuthorize";
const STREAM: &str = "/claviger.v1.AuthorizationService/StreamAuthorize";
/// How many questions a batch holds.
const BATCH_SIZE: usize = 32;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Keys in the database, and how many of them are in use.
    pub(crate) keys: usize,
    pub(crate) hot: usize,
    rounds: usize,
    warm_up: Duration,
    length: Duration,
}

impl Scale {
    const FULL: Self = Self {
        keys: 1_000_000,
        hot: 100_000,
        rounds: 5,
        warm_up: Duration::from_millis(300),
        length: Duration::from_secs(2),
    };
    /// Enough to see that everything still works.
    const SHORT: Self = Self {
        keys: 2_000,
        hot: 500,
        rounds: 1,
        warm_up: Duration::from_millis(50),
        length: Duration::from_millis(200),
    };
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, reply] = arguments.as_slice()
        && mode == stock::MODE
    {
        return stock::serve(reply);
    }
    let short = arguments.iter().any(|argument| argument == "--short");
    let scale = if short { Scale::SHORT } else { Scale::FULL };
    run(scale)
}

fn run(scale: Scale) -> Result<(), Box<dyn Error>> {
    let data = Data::prepare(scale.keys)?;
    load::pin_to(CORES[0])?;
    let started = Instant::now();
    let ours = Server::claviger(&data.directory)?;
    load::pin_to(CORES[1])?;
    let reply = server::ask_once(&ours, &data)?;
    println!("first answer {} ms after the start", started.elapsed().as_millis());
    load::pin_to(CORES[0])?;
    let stock = Server::stock(&reply)?;
    load::pin_to(CORES[1])?;

    let bench = Bench { scale, data: &data, ours: &ours, stock: &stock };
    bench.remember_all()?;
    let mut table = Table::default();
    for round in 0..scale.rounds {
        println!("round {} of {}", round + 1, scale.rounds);
        bench.round(&mut table)?;
    }
    table.finish(scale.rounds)?;
    bench.storm()
}

struct Bench<'a> {
    scale: Scale,
    data: &'a Data,
    ours: &'a Server,
    stock: &'a Server,
}

impl Bench<'_> {
    /// Has every key looked up once: what is measured is what comes after.
    fn remember_all(&self) -> Result<(), Box<dyn Error>> {
        let mut plan = self.plan(self.ours, AUTHORIZE, framed(&questions(0..self.scale.keys)));
        plan.pick = Pick::RoundRobin;
        plan.warm_up = Duration::ZERO;
        plan.length = Length::Requests(self.scale.keys as u64);
        let before = self.ours.resident_bytes()?;
        let outcome = good(load::unary(&plan)?)?;
        println!("{} keys looked up for the first time: {:.0}/s", outcome.answered, outcome.rate());
        let grown = self.ours.resident_bytes()?.saturating_sub(before);
        println!("resident memory grew by {} bytes a key", grown / self.scale.keys);
        Ok(())
    }

    fn round(&self, table: &mut Table) -> Result<(), Box<dyn Error>> {
        let Self { scale, data, ours, stock } = self;
        let hot = || questions(0..scale.hot);
        table.add(self.unary(Row::Stock, stock, &hot())?);
        table.add(self.unary(Row::Hit, ours, &hot())?);
        table.add(self.unary(Row::OneKey, ours, &questions(0..1))?);
        table.add(self.unary(Row::AllKeys, ours, &questions(0..scale.keys))?);
        for (row, special) in [
            (Row::ManyNetworks, Special::ManyNetworks),
            (Row::AllPermissions, Special::AllPermissions),
            (Row::Denied, Special::Denied),
            (Row::Unknown, Special::Unknown),
        ] {
            table.add(self.unary(row, ours, &[question(data.special(special))])?);
        }
        table.add(self.batch()?);
        table.add(self.stream()?);
        for (row, server) in [(Row::StockLatency, stock), (Row::HitLatency, ours)] {
            let mut plan = self.plan(server, AUTHORIZE, framed(&hot()));
            (plan.connections, plan.in_flight, plan.spin) = (1, 1, true);
            table.add((row, good(load::unary(&plan)?)?, 1));
        }
        Ok(())
    }

    /// Has as many keys looked up that nobody has as there are keys, each followed by one that is in use,
    /// and says what that did to memory, and to those in use.
    fn storm(&self) -> Result<(), Box<dyn Error>> {
        let Self { scale, ours, .. } = self;
        let hot = questions(0..scale.hot);
        let before = self.unary(Row::Hit, ours, &hot)?.1.rate();
        let memory = ours.resident_bytes()?;

        let pairs = (0..scale.keys).flat_map(|number| {
            [question(&format!("nobody-has-{number:07}")), hot[number % hot.len()].clone()]
        });
        let mut plan = self.plan(ours, AUTHORIZE, framed(&pairs.collect::<Vec<_>>()));
        let (known, unknown) = (Row::Hit.check(), Row::Unknown.check());
        plan.check = Box::new(move |index, message| match index % 2 {
            0 => unknown(index, message),
            _ => known(index, message),
        });
        plan.pick = Pick::RoundRobin;
        plan.warm_up = Duration::ZERO;
        plan.length = Length::Requests(2 * scale.keys as u64);
        let storm = good(load::unary(&plan)?)?;

        let grown = ours.resident_bytes()?.saturating_sub(memory);
        let after = self.unary(Row::Hit, ours, &hot)?.1.rate();
        println!(
            "{} unknown keys at {:.0}/s between known ones: resident memory grew by {} kB; \
             hot keys after that: {:.2} of before",
            scale.keys,
            storm.rate() / 2.0,
            grown / 1024,
            after / before
        );
        Ok(())
    }

    fn unary(
        &self,
        row: Row,
        server: &Server,
        questions: &[AuthorizeRequest],
    ) -> Result<(Row, Outcome, usize), Box<dyn Error>> {
        let mut plan = self.plan(server, AUTHORIZE, framed(questions));
        plan.check = row.check();
        Ok((row, good(load::unary(&plan)?)?, 1))
    }

    fn batch(&self) -> Result<(Row, Outcome, usize), Box<dyn Error>> {
        let questions = questions(0..self.scale.hot);
        let batches = questions.chunks_exact(BATCH_SIZE).map(|some| {
            let batch = BatchAuthorizeRequest { requests: some.to_vec() };
            grpc_frame(&batch.encode_to_vec())
        });
        let plan = self.plan(self.ours, BATCH, batches.collect());
        Ok((Row::Batch, good(load::unary(&plan)?)?, BATCH_SIZE))
    }

    fn stream(&self) -> Result<(Row, Outcome, usize), Box<dyn Error>> {
        let questions = questions(0..self.scale.hot).into_iter().map(|request| {
            let question = StreamAuthorizeRequest { request: Some(request) };
            grpc_frame(&question.encode_to_vec())
        });
        let mut plan = self.plan(self.ours, STREAM, questions.collect());
        plan.in_flight = 1_024;
        Ok((Row::Stream, good(load::stream(&plan, 64)?)?, 1))
    }

    fn plan(&self, server: &Server, path: &str, bodies: Vec<Vec<u8>>) -> Plan {
        let mut plan = Plan::new(server.address, path, bodies);
        plan.headers = vec![("authorization".to_owned(), self.data.authorization())];
        (plan.connections, plan.in_flight) = (8, 32);
        plan.pick = Pick::Random { seed: 7 };
        plan.warm_up = self.scale.warm_up;
        plan.length = Length::For(self.scale.length);
        plan.observe = Some(server.pid());
        plan
    }
}

fn questions(keys: std::ops::Range<usize>) -> Vec<AuthorizeRequest> {
    keys.map(|key| question(&data::secret(key))).collect()
}

/// A question in which everything is checked.
pub(crate) fn question(secret: &str) -> AuthorizeRequest {
    let (method, path) = ("POST".to_owned(), "/users/track".to_owned());
    AuthorizeRequest {
        credential: Some(Credential::ApiKey(secret.to_owned())),
        action: Some(Action::HttpRequest(HttpRequest { method, path })),
        client_ip: "203.0.113.9".to_owned(),
        workspace: "workspaces/bench".to_owned(),
        ..AuthorizeRequest::default()
    }
}

fn framed(questions: &[AuthorizeRequest]) -> Vec<Vec<u8>> {
    questions.iter().map(|question| grpc_frame(&question.encode_to_vec())).collect()
}

/// An outcome without a single wrong answer.
fn good(outcome: Outcome) -> Result<Outcome, Box<dyn Error>> {
    if outcome.wrong > 0 || outcome.lost_connections > 0 || outcome.answered == 0 {
        return Err(format!("not every answer was right: {outcome:?}").into());
    }
    Ok(outcome)
}
