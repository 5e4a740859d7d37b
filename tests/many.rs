//! Many questions at once: `BatchAuthorize` and `StreamAuthorize`.

mod support;

use std::time::{Duration, Instant};

use claviger::proto::authorize_request::Consistency;
use claviger::proto::authorize_result::Result as Outcome;
use claviger::proto::{
    AuthorizeRequest, AuthorizeResult, BatchAuthorizeRequest, Policy, Reason,
    StreamAuthorizeRequest, StreamAuthorizeResponse,
};
use support::builders::{a_key, a_question};
use support::server::{Client, TestServer};
use support::status::{fields, refusal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

/// A result, in short: a reason, or the code of an error.
#[derive(Debug, PartialEq, Eq)]
enum Short {
    Answer(Reason),
    Error(Code),
}

fn short(result: AuthorizeResult) -> Short {
    match result.result.expect("exactly one is set") {
        Outcome::Response(response) => {
            assert_eq!(response.allowed, response.reason() == Reason::Allowed);
            Short::Answer(response.reason())
        }
        Outcome::Error(error) => {
            // It says as much as if it had come alone.
            assert_eq!(error.details.len(), 2, "{error:?}");
            assert!(error.message.contains("client_ip"), "{error:?}");
            Short::Error(error.code.into())
        }
    }
}

/// Questions that are all different, and what becomes of each.
fn questions(secret: &str) -> Vec<(AuthorizeRequest, Short)> {
    let bad = AuthorizeRequest {
        client_ip: "nowhere".to_owned(),
        ..a_question(secret).permission("users.track").build()
    };
    let answer = Short::Answer;
    // Two that are read and found in another way than most.
    let anew = AuthorizeRequest {
        consistency: Some(Consistency::FullyConsistent(true)),
        ..a_question(secret).permission("users.delete").build()
    };
    let of_somebody = AuthorizeRequest {
        identifiers: vec!["nobody".to_owned()],
        ..a_question(secret).permission("users.track").build()
    };
    vec![
        (a_question(secret).permission("users.track").build(), answer(Reason::Allowed)),
        (a_question(secret).permission("users.delete").build(), answer(Reason::PermissionDenied)),
        (bad, Short::Error(Code::InvalidArgument)),
        (a_question("some-other-key").build(), answer(Reason::KeyUnknown)),
        (anew, answer(Reason::PermissionDenied)),
        (AuthorizeRequest::default(), answer(Reason::KeyMissing)),
        (of_somebody, answer(Reason::IdentifierUnknown)),
        (a_question(secret).http("GET", "/nothing").build(), answer(Reason::RouteUnknown)),
        (a_question(secret).build(), answer(Reason::Allowed)),
    ]
}

async fn with_key() -> (TestServer, Client, String) {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = a_key("k").permissions(&["users.track"]).build();
    let secret = operator.create_key("workspaces/acme", key).await.unwrap().secret;
    let caller = server.caller_with(&["claviger.authorize"]).await;
    (server, caller, secret)
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_one_bad_question_harms_no_other() {
    let (_server, caller, secret) = with_key().await;
    let batch = async |requests| {
        let request = BatchAuthorizeRequest { requests };
        Ok::<_, Status>(caller.authorization.clone().batch_authorize(request).await?.into_inner())
    };
    let (requests, expected): (Vec<_>, Vec<_>) = (0..28).flat_map(|_| questions(&secret)).unzip();
    let results = batch(requests).await.unwrap().results;
    assert_eq!(results.into_iter().map(short).collect::<Vec<_>>(), expected);
    assert_eq!(batch(Vec::new()).await.unwrap().results, []);
    let too_many = vec![AuthorizeRequest::default(); 257];
    assert_eq!(fields(&batch(too_many).await.unwrap_err()), ["requests"]);
}

/// Whether all is remembered or some is looked up: each question is decided on once.
#[tokio::test]
async fn b12_a_batch_counts_each_of_its_questions_once() {
    let (server, caller, secret) = with_key().await;
    let policy = Policy { requests_per_hour: 100, ..Policy::default() };
    server.operator().set_policy("workspaces/acme", policy).await.unwrap();
    let mut remaining = Vec::new();
    // Public keys that nobody has: to know that, they have to be looked up.
    for other in [secret.as_str(), "nobody", secret.as_str(), "noone1"] {
        let question = |secret: &str| a_question(secret).permission("users.track").build();
        let requests = vec![question(&secret), question(other)];
        let request = BatchAuthorizeRequest { requests };
        let answer = caller.authorization.clone().batch_authorize(request).await.unwrap();
        for result in answer.into_inner().results {
            let Some(Outcome::Response(response)) = result.result else { panic!("an error") };
            remaining.extend(response.rate_limit.map(|limit| limit.remaining));
        }
    }
    // Those of one batch are counted in any order.
    remaining.sort_unstable();
    assert_eq!(remaining, [94, 95, 96, 97, 98, 99]);
}

/// A stream that questions can be sent to.
struct Asking {
    questions: mpsc::Sender<StreamAuthorizeRequest>,
    answers: Streaming<StreamAuthorizeResponse>,
}

impl Asking {
    async fn by(caller: &Client) -> Result<Self, Status> {
        let (questions, receiver) = mpsc::channel(4);
        let stream = ReceiverStream::new(receiver);
        let answers = caller.authorization.clone().stream_authorize(stream).await?.into_inner();
        Ok(Self { questions, answers })
    }

    async fn ask(&mut self, request: AuthorizeRequest) -> Result<Short, Status> {
        let question = StreamAuthorizeRequest { request: Some(request) };
        self.questions.send(question).await.expect("the stream is open");
        Ok(short(self.answers.message().await?.expect("an answer").result.unwrap()))
    }
}

#[tokio::test]
async fn a_stream_is_answered_in_order_however_far_the_questions_run_ahead() {
    let (_server, caller, secret) = with_key().await;
    let Asking { questions: sender, mut answers } = Asking::by(&caller).await.unwrap();
    let (asked, expected): (Vec<_>, Vec<_>) = (0..100).flat_map(|_| questions(&secret)).unzip();
    let sending = tokio::spawn(async move {
        for request in asked {
            sender.send(StreamAuthorizeRequest { request: Some(request) }).await.unwrap();
        }
    });
    let mut came = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        came.push(short(answer.result.unwrap()));
    }
    sending.await.unwrap();
    assert_eq!(came, expected);
}

#[tokio::test]
async fn p1_a_stream_sees_what_changed_before_the_question() {
    let (server, _, secret) = with_key().await;
    let operator = server.operator();
    let control = a_key("c").permissions(&["claviger.authorize"]).build();
    let control = operator.create_key("workspaces/claviger", control).await.unwrap();
    let mut asking = Asking::by(&server.caller(&control.secret)).await.unwrap();
    let question = || a_question(&secret).build();
    assert_eq!(asking.ask(question()).await.unwrap(), Short::Answer(Reason::Allowed));
    let name = operator.list_keys("workspaces/acme").await.unwrap()[0].name.clone();
    operator.delete_key(&name).await.unwrap();
    assert_eq!(asking.ask(question()).await.unwrap(), Short::Answer(Reason::KeyUnknown));
    // The caller is asked about each time, too.
    operator.delete_key(&control.key.unwrap().name).await.unwrap();
    let ended = refusal(asking.ask(question()).await);
    assert_eq!(ended, (Code::Unauthenticated, "CONTROL_KEY_INVALID".to_owned()));
}

#[tokio::test]
async fn a_stream_ends_with_the_server_and_says_so() {
    let (mut server, caller, secret) = with_key().await;
    let mut asking = Asking::by(&caller).await.unwrap();
    let question = || a_question(&secret).build();
    assert_eq!(asking.ask(question()).await.unwrap(), Short::Answer(Reason::Allowed));
    let began = Instant::now();
    server.begin_shutdown();
    let ended = refusal(asking.answers.message().await);
    assert_eq!(ended, (Code::Unavailable, "DRAINING".to_owned()));
    // Nothing is left that the shutdown would wait for.
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "ten are given to calls under way");
}

/// Nobody but that client waits for it: not even the database is kept from the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_up_no_other() {
    const QUESTIONS: usize = 2_000;
    let server = TestServer::with_acme().await;
    // Large answers, and little room for them: after some hundred of them the stream stands still.
    let key = a_key(&"🔑".repeat(128)).permissions(&["users.track"]).build();
    let secret = server.operator().create_key("workspaces/acme", key).await.unwrap().secret;
    let narrow = Channel::from_shared(format!("http://{}", server.address)).unwrap();
    let narrow = narrow.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let control_key = server.control_key(&["claviger.authorize"]).await;
    let caller = Client::new(&narrow.connect().await.unwrap(), Some(&control_key));
    let Asking { questions, mut answers } = Asking::by(&caller).await.unwrap();
    let question = a_question(&secret).permission("users.track").build();
    let request = question.clone();
    let sending = tokio::spawn(async move {
        for _ in 0..QUESTIONS {
            let question = StreamAuthorizeRequest { request: Some(request.clone()) };
            questions.send(question).await.unwrap();
        }
    });
    // On and on, until long after it stands still.
    let other = server.caller(&control_key);
    let mut unanswered = 0;
    for _ in 0..1_000 {
        match other.authorize(question.clone()).await {
            Ok(response) => assert!(response.allowed),
            // A busy machine's database may fail to answer one in time, and never many.
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                unanswered += 1;
                assert!(unanswered < 10, "{status}");
            }
        }
    }
    let mut came = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        assert_eq!(short(answer.result.unwrap()), Short::Answer(Reason::Allowed));
        came += 1;
    }
    sending.await.unwrap();
    assert_eq!(came, QUESTIONS);
}
