//! Three products on one server, side by side.

mod support;

use claviger::proto::{Policy, Reason, Role};
use support::builders::{a_key, a_question};
use support::products::{self, BRAZE, CODAT, KLAVIYO};
use support::status::refusal;
use tonic::Code;

#[tokio::test]
async fn three_products_live_on_one_server_each_by_its_own_policy() {
    let server = products::with_products().await;
    let operator = server.operator();
    let braze = products::dashboard(&server, BRAZE, Role::Viewer).await;
    let codat = products::dashboard(&server, CODAT, Role::Developer).await;
    let klaviyo = products::dashboard(&server, KLAVIYO, Role::Owner).await;
    let products = [
        (BRAZE, &braze, "users.track", "braze_"),
        (CODAT, &codat, "api", "codat_"),
        (KLAVIYO, &klaviyo, "lists:read", "pk_"),
    ];
    let mut keys = Vec::new();
    for (workspace, dashboard, permission, prefix) in products {
        let key = a_key("k").permissions(&[permission]).build();
        let created = dashboard.create_key(workspace, key).await.unwrap();
        assert!(created.secret.starts_with(prefix));
        keys.push((workspace, permission, created));
    }
    // A key is worth something at its own product only.
    for (workspace, permission, created) in &keys {
        for (asked, ..) in products {
            let question = a_question(&created.secret).workspace(asked).permission(permission);
            let response = operator.authorize(question.build()).await.unwrap();
            let expected =
                if asked == *workspace { Reason::Allowed } else { Reason::WorkspaceMismatch };
            assert_eq!(response.reason(), expected, "{workspace} at {asked}");
        }
        // What another product calls a permission is none here.
        for (_, other, _) in keys.iter().filter(|(other, ..)| other != workspace) {
            let question = a_question(&created.secret).permission(other).build();
            let response = operator.authorize(question).await.unwrap();
            assert_eq!(response.reason(), Reason::PermissionUnknown);
        }
    }
    // Each by its own policy: revealed or not, limited or not, by whom, and whether the last goes.
    let name = |index: usize| keys[index].2.key.as_ref().unwrap().name.clone();
    assert_eq!(braze.reveal_key(&name(0)).await.unwrap().secret, keys[0].2.secret);
    assert_eq!(codat.reveal_key(&name(1)).await.unwrap().secret, keys[1].2.secret);
    let once = (Code::FailedPrecondition, "SECRET_SHOWN_ONCE".to_owned());
    assert_eq!(refusal(klaviyo.reveal_key(&name(2)).await), once);
    let limits: Vec<Option<i64>> = {
        let mut limits = Vec::new();
        for (_, permission, created) in &keys {
            let question = a_question(&created.secret).permission(permission).build();
            let response = operator.authorize(question).await.unwrap();
            limits.push(response.rate_limit.map(|state| state.limit));
        }
        limits
    };
    assert_eq!(limits, [Some(250_000), None, None]);
    let viewer = products::dashboard(&server, CODAT, Role::Viewer).await;
    assert_eq!(refusal(viewer.list_keys(CODAT).await).1, "ACTOR_ROLE");
    for (dashboard, index, last_stays) in
        [(&braze, 0, false), (&codat, 1, true), (&klaviyo, 2, false)]
    {
        let (workspace, ..) = products[index];
        let mut outcome = Ok(());
        for key in dashboard.list_keys(workspace).await.unwrap() {
            outcome = dashboard.delete_key(&key.name).await.map(drop);
        }
        assert_eq!(outcome.is_err(), last_stays, "{workspace}");
    }
    // A dashboard of one product cannot act on another.
    let refused = (Code::PermissionDenied, "CONTROL_KEY_SCOPE".to_owned());
    assert_eq!(refusal(braze.list_keys(CODAT).await), refused);
}

#[tokio::test]
async fn a_policy_that_becomes_narrower_breaks_no_key() {
    let server = products::with_products().await;
    let operator = server.operator();
    let mut secrets = Vec::new();
    for _ in 0..4 {
        let key = a_key("k").permissions(&["*"]).build();
        secrets.push(operator.create_key(KLAVIYO, key).await.unwrap());
    }
    let narrower = Policy { max_keys: 2, keep_last_key: true, ..Policy::default() };
    operator.set_policy(KLAVIYO, narrower).await.unwrap();
    for created in &secrets {
        let question = a_question(&created.secret).permission("lists:read").build();
        assert!(operator.authorize(question).await.unwrap().allowed);
    }
    let full = (Code::FailedPrecondition, "MAX_KEYS_REACHED".to_owned());
    let mut delete = secrets.iter().map(|created| created.key.as_ref().unwrap().name.clone());
    let key = || a_key("one more").permissions(&["*"]).build();
    for _ in 0..3 {
        assert_eq!(refusal(operator.create_key(KLAVIYO, key()).await), full);
        operator.delete_key(&delete.next().unwrap()).await.unwrap();
    }
    operator.create_key(KLAVIYO, key()).await.unwrap();
    assert_eq!(refusal(operator.create_key(KLAVIYO, key()).await), full);
}
