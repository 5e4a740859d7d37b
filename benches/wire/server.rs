//! Servers in processes of their own.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use claviger::proto::AuthorizeResponse;
use prost::Message;

use crate::data::Data;
use crate::{AUTHORIZE, load, question, stock};

/// A server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Read to its end, so that the server never waits for somebody to read.
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Claviger as it is shipped, on the core of the caller.
    pub(crate) fn claviger(directory: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claviger"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]);
        command.arg(directory);
        // Its log comes on standard error.
        let log = std::fs::File::create(directory.join("log.jsonl"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        Self::wait_for(child, || {
            let log = std::fs::read_to_string(directory.join("log.jsonl")).ok()?;
            let (_, rest) = log.split_once("\"message\":\"listening\",\"address\":\"")?;
            rest.split('"').next()?.parse().ok()
        })
    }

    /// Stock tonic with a handler that returns this constant, on the core of the caller.
    pub(crate) fn stock(reply: &AuthorizeResponse) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([stock::MODE, &stock::to_hex(&reply.encode_to_vec())]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse()?, _output: output })
    }

    fn wait_for(
        mut child: Child,
        address: impl Fn() -> Option<SocketAddr>,
    ) -> Result<Self, Box<dyn Error>> {
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        loop {
            if let Some(address) = address() {
                return Ok(Self { child, address, _output: output });
            }
            if let Some(status) = child.try_wait()? {
                return Err(format!("the server ended: {status}").into());
            }
            std::thread::yield_now();
        }
    }

    /// How much memory it has, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<usize, Box<dyn Error>> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
        Ok(kilobytes.parse::<usize>()? * 1024)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What Claviger answers to a question, so that stock tonic can answer the same.
pub(crate) fn ask_once(server: &Server, data: &Data) -> Result<AuthorizeResponse, Box<dyn Error>> {
    let answer = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = std::rc::Rc::clone(&answer);
    let body = load::grpc_frame(&question(&crate::data::secret(0)).encode_to_vec());
    let mut plan = load::Plan::new(server.address, AUTHORIZE, vec![body]);
    plan.headers = vec![("authorization".to_owned(), data.authorization())];
    plan.length = load::Length::Requests(1);
    plan.warm_up = std::time::Duration::ZERO;
    plan.check = Box::new(move |_, message| {
        seen.replace(message.to_vec());
        true
    });
    let outcome = load::unary(&plan)?;
    let answer = AuthorizeResponse::decode(answer.borrow().as_slice())?;
    if outcome.wrong > 0 || !answer.allowed {
        return Err(format!("the first answer is wrong: {outcome:?} {answer:?}").into());
    }
    Ok(answer)
}
