//! Rate limits under fire: never one more than the limit in a window.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use claviger::proto::{AuthorizeResponse, Policy, Reason};
use futures_util::future::join_all;
use support::builders::{a_key, a_question};
use support::server::{Client, TestServer};
use tonic::Code;

const CALLERS: usize = 8;

/// An answer; `None` if a busy machine's database did not give one in time: that counts nowhere.
async fn ask(operator: &Client, secret: &str) -> Option<AuthorizeResponse> {
    let question = a_question(secret).permission("users.track").build();
    match operator.authorize(question).await {
        Ok(response) => Some(response),
        Err(status) => {
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            None
        }
    }
}

/// What so many concurrent callers are told, each of whom asks until it is refused once.
async fn fire(server: &TestServer, secret: &str) -> (usize, Vec<i64>) {
    let caller = |_| {
        let operator = server.operator();
        async move {
            let mut remaining = Vec::new();
            loop {
                let Some(response) = ask(&operator, secret).await else { continue };
                let state = response.rate_limit.unwrap();
                match response.reason() {
                    Reason::Allowed => remaining.push(state.remaining),
                    Reason::RateLimited => {
                        assert_eq!(state.remaining, 0);
                        assert!(!response.allowed && state.retry_delay.is_some());
                        return remaining;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    let mut remaining: Vec<i64> =
        join_all((0..CALLERS).map(caller)).await.into_iter().flatten().collect();
    remaining.sort_unstable();
    (remaining.len(), remaining)
}

#[tokio::test(flavor = "multi_thread")]
async fn b12_exactly_so_many_are_allowed_in_each_window() {
    const LIMIT: i64 = 200;
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let policy = Policy { requests_per_hour: LIMIT, ..Policy::default() };
    operator.set_policy("workspaces/acme", policy).await.unwrap();
    let key = a_key("k").permissions(&["*"]).build();
    let secret = operator.create_key("workspaces/acme", key).await.unwrap().secret;
    for window in 0..3 {
        let (allowed, remaining) = fire(&server, &secret).await;
        assert_eq!(allowed, 200, "window {window}");
        // Each of them was told another number: none was counted twice, and none not at all.
        assert_eq!(remaining, (0..LIMIT).collect::<Vec<_>>());
        // Right up to the end of the window there is no more.
        server.clock.advance(Duration::from_secs(3_599));
        let (allowed, _) = fire(&server, &secret).await;
        assert_eq!(allowed, 0, "window {window}");
        server.clock.advance(Duration::from_secs(1));
    }
}

/// The clock moves on while everybody asks.
#[tokio::test(flavor = "multi_thread")]
async fn b12_no_window_counts_one_more_when_it_ends_under_fire() {
    const LIMIT: i64 = 100;
    const WINDOWS: usize = 5;
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let policy = Policy { requests_per_hour: LIMIT, ..Policy::default() };
    operator.set_policy("workspaces/acme", policy).await.unwrap();
    let key = a_key("k").permissions(&["*"]).build();
    let secret = operator.create_key("workspaces/acme", key).await.unwrap().secret;
    let used_up = AtomicUsize::new(0);
    let caller = |_| {
        let (operator, secret, used_up, server) = (server.operator(), &secret, &used_up, &server);
        async move {
            let mut allowed = Vec::new();
            while used_up.load(Ordering::SeqCst) < WINDOWS {
                let before = used_up.load(Ordering::SeqCst);
                let Some(response) = ask(&operator, secret).await else { continue };
                let window = response.rate_limit.unwrap().reset_time.unwrap().seconds;
                if response.allowed {
                    allowed.push(window);
                    continue;
                }
                // Whoever finds it used up first lets the next one begin.
                let first = used_up.compare_exchange(
                    before,
                    before + 1,
                    Ordering::SeqCst,
                    Ordering::SeqCst,
                );
                if first.is_ok() {
                    server.clock.advance(Duration::from_secs(3_600));
                }
            }
            allowed
        }
    };
    let allowed = join_all((0..CALLERS).map(caller)).await.into_iter().flatten();
    let mut windows: HashMap<i64, i64> = HashMap::new();
    for window in allowed {
        *windows.entry(window).or_default() += 1;
    }
    assert!(windows.len() >= 2, "{windows:?}");
    assert!(windows.values().all(|counted| *counted <= LIMIT), "{windows:?}");
    assert!(windows.values().any(|counted| *counted == LIMIT), "{windows:?}");
}
