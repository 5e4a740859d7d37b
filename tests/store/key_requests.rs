//! The calls of `CreateKey` that may be repeated.

use claviger::domain::Timestamp;
use claviger::store::KeyRequest;
use uuid::Uuid;

use super::builders::{at, workspace_id};
use super::database::{Database, Failure};

conformance! {
    a_request_is_read_back_as_it_was,
    a_request_belongs_to_one_workspace,
    requests_are_forgotten_by_age,
    all_requests_of_a_workspace_are_forgotten,
}

fn a_request(number: u128, create_time: Timestamp) -> KeyRequest {
    KeyRequest {
        id: Uuid::from_u128(number),
        fingerprint: [0xFF; 32],
        key_id: Uuid::from_u128(u128::MAX - number),
        create_time,
    }
}

async fn insert(database: &Database, workspace: &str, request: &KeyRequest) -> Result<(), Failure> {
    let insert = database.transact(
        (workspace_id(workspace), request.clone()),
        |(workspace, request), tx| {
            Box::pin(async move { Ok(tx.key_requests().insert(workspace, request).await?) })
        },
    );
    insert.await
}

async fn find(database: &Database, workspace: &str, id: Uuid) -> Option<KeyRequest> {
    let find = database.transact((workspace_id(workspace), id), |(workspace, id), tx| {
        Box::pin(async move { Ok(tx.key_requests().find(workspace, *id).await?) })
    });
    find.await.unwrap()
}

async fn a_request_is_read_back_as_it_was(database: Database) {
    database.add_workspaces(&["acme"]).await;
    for request in [
        a_request(0, at(1)),
        KeyRequest { fingerprint: [0; 32], ..a_request(1, Timestamp::MIN) },
        KeyRequest {
            fingerprint: std::array::from_fn(|index| index as u8),
            ..a_request(u128::MAX, Timestamp::MAX)
        },
    ] {
        insert(&database, "acme", &request).await.unwrap();
        assert_eq!(find(&database, "acme", request.id).await, Some(request));
    }
    assert_eq!(find(&database, "acme", Uuid::from_u128(2)).await, None);
}

async fn a_request_belongs_to_one_workspace(database: Database) {
    database.add_workspaces(&["acme", "other", "third"]).await;
    let of_acme = a_request(1, at(1));
    let of_other = KeyRequest { fingerprint: [1; 32], ..a_request(1, at(2)) };
    insert(&database, "acme", &of_acme).await.unwrap();
    assert_eq!(find(&database, "other", of_acme.id).await, None);
    insert(&database, "other", &of_other).await.unwrap();
    let refused = insert(&database, "acme", &of_other).await.unwrap_err();
    assert!(refused.is_of_database(), "{refused:?}");
    for (workspace, expected) in
        [("acme", Some(of_acme)), ("other", Some(of_other)), ("third", None)]
    {
        assert_eq!(find(&database, workspace, Uuid::from_u128(1)).await, expected, "{workspace}");
    }
}

/// Adds to `acme` and to `other` one request for each of these instants, has `acme` forget, and says
/// which are left in `acme`.
async fn left_after(
    database: &Database,
    instants: &[Timestamp],
    until: Option<Timestamp>,
) -> Vec<u128> {
    database.add_workspaces(&["acme", "other"]).await;
    let requests: Vec<KeyRequest> =
        (0..).zip(instants).map(|(number, instant)| a_request(number, *instant)).collect();
    for request in &requests {
        insert(database, "acme", request).await.unwrap();
        insert(database, "other", request).await.unwrap();
    }
    let forget = database.transact((workspace_id("acme"), until), |(workspace, until), tx| {
        Box::pin(async move {
            match until {
                Some(until) => tx.key_requests().forget_before(workspace, *until).await?,
                None => tx.key_requests().forget_all(workspace).await?,
            }
            Ok(())
        })
    });
    forget.await.unwrap();
    let mut left = Vec::new();
    for request in requests {
        if find(database, "acme", request.id).await.is_some() {
            left.push(request.id.as_u128());
        }
        assert_eq!(find(database, "other", request.id).await, Some(request));
    }
    left
}

async fn requests_are_forgotten_by_age(database: Database) {
    // One of the very instant stays.
    let instants = [at(-1), at(0), at(1), Timestamp::MIN, Timestamp::MAX];
    assert_eq!(left_after(&database, &instants, Some(at(0))).await, [1, 2, 4]);
}

async fn all_requests_of_a_workspace_are_forgotten(database: Database) {
    let instants = [at(0), Timestamp::MIN, Timestamp::MAX];
    assert_eq!(left_after(&database, &instants, None).await, [0; 0]);
}
