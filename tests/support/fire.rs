//! Many calls at once against the limits of a workspace.

use std::future::Future;

use claviger::proto::{DeleteKeyRequest, ListKeysRequest, Policy};
use futures_util::future::join_all;
use tonic::{Code, Status};

use super::builders::a_key;
use super::server::{Client, TestServer};

/// Calls at once.
const CALLS: usize = 64;

/// Ten rounds: 64 concurrent creates and clones against `max_keys = 10` give exactly 10, and 64 concurrent
/// deletes of the last 8 under `keep_last_key` leave exactly one; the calls are dealt to all servers.
pub async fn limits_hold_under_fire(servers: &[&TestServer]) {
    let operator = |call: usize| servers[call % servers.len()].operator();
    for round in 0..10 {
        let id = format!("round-{round}");
        let parent = format!("workspaces/{id}");
        let policy = Policy {
            max_keys: 10,
            keep_last_key: true,
            provision_first_key: true,
            ..Policy::default()
        };
        let created = operator(0).create_workspace(&id, "catalogs/small", policy).await.unwrap();
        let first = created.first_key.unwrap().key.unwrap().name;

        fire(|call| {
            let (operator, parent, first) = (operator(call), parent.clone(), first.clone());
            let key = a_key("k").permissions(&["*"]).build();
            async move {
                if call % 4 < 2 {
                    operator.create_key(&parent, key).await.map(drop)
                } else {
                    operator.clone_key(&first).await.map(drop)
                }
            }
        })
        .await;
        let names = list(&operator(0), &parent).await;
        assert_eq!(names.len(), 10);
        let (spare, names) = names.split_at(2);
        for name in spare {
            operator(0).delete_key(name).await.unwrap();
        }

        fire(|call| {
            let (mut keys, name) = (operator(call).keys, names[call % names.len()].clone());
            async move { keys.delete_key(DeleteKeyRequest { name }).await.map(drop) }
        })
        .await;
        assert_eq!(list(&operator(0), &parent).await.len(), 1);
    }
}

/// Makes all calls at once, again and again until none was `UNAVAILABLE`: on a busy machine the
/// database may not answer all of them in time, and such a call may or may not have had its effect.
/// Any other refusal must be one of the limit's.
async fn fire<F: Future<Output = Result<(), Status>>>(call: impl Fn(usize) -> F) {
    let mut overloaded = true;
    while overloaded {
        overloaded = false;
        for status in join_all((0..CALLS).map(&call)).await.into_iter().filter_map(Result::err) {
            match status.code() {
                Code::FailedPrecondition | Code::NotFound => {}
                Code::Unavailable => overloaded = true,
                other => panic!("{other:?}: {status}"),
            }
        }
    }
}

async fn list(operator: &Client, parent: &str) -> Vec<String> {
    let parent = parent.to_owned();
    let request = ListKeysRequest { parent, page_size: 1_000, ..ListKeysRequest::default() };
    let page = operator.keys.clone().list_keys(request).await.unwrap().into_inner();
    page.keys.into_iter().map(|key| key.name).collect()
}
