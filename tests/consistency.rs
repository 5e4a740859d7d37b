//! What changes counts: at once where it was changed, within a bound everywhere else, and at once
//! everywhere for who asks for that.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use claviger::clock::SystemClock;
use claviger::config::Settings;
use claviger::domain::{Revision, Secret};
use claviger::manage::reset_operator_key;
use claviger::proto::{
    ApplyCatalogRequest, AuthorizeRequest, Catalog, DeleteCatalogRequest, DeleteIdentifierRequest,
    DeleteNetworkSetRequest, DeleteWorkspaceRequest, Policy, Reason, RemoveMemberRequest, Role,
};
use claviger::store::Store;
use futures_util::poll;
use sea_orm::ConnectionTrait;
use support::builders::{a_key, a_question, small_catalog};
use support::database::{Engine, TestDatabase};
use support::database_server::{DatabaseServer, Proxy};
use support::eventually;
use support::server::{Client, TestServer};
use support::status::refusal;
use tonic::Code;

const ENGINES: [Engine; 2] = [Engine::Postgres, Engine::MariaDb];
/// What a server's `--max-staleness-milliseconds` is unless it is told otherwise.
const MAX_STALENESS: Duration = Duration::from_secs(2);

async fn start(engine: Engine) -> TestServer {
    let database = TestDatabase::create(engine).await;
    let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
    server.add_acme().await;
    server
}

/// A key for `users.track` in `workspaces/acme`, restricted to the network set `office`.
async fn an_office_key(operator: &Client) -> (String, String) {
    operator.apply_network_set("networkSets/office", &["203.0.113.0/24"]).await.unwrap();
    let key = a_key("k").permissions(&["users.track"]).network_sets(&["networkSets/office"]);
    let created = operator.create_key("workspaces/acme", key.build()).await.unwrap();
    (created.key.unwrap().name, created.secret)
}

fn in_the_office(secret: &str) -> AuthorizeRequest {
    a_question(secret).permission("users.track").from("203.0.113.9").build()
}

type Done<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A change after which the office key is no longer good, and why not.
struct Case {
    name: &'static str,
    make: for<'a> fn(&'a Client, &'a str) -> Done<'a>,
    reason: Reason,
}

const CASES: [Case; 5] = [
    Case {
        name: "the key is deleted",
        make: |operator, key| Box::pin(async { operator.delete_key(key).await.map(drop).unwrap() }),
        reason: Reason::KeyUnknown,
    },
    Case {
        name: "the network set is emptied",
        make: |operator, _| {
            Box::pin(async { operator.apply_network_set("networkSets/office", &[]).await.unwrap() })
        },
        reason: Reason::IpDenied,
    },
    Case {
        name: "the policy gets a limit that is used up",
        make: |operator, _| {
            Box::pin(async {
                let policy = Policy { requests_per_hour: 1, ..Policy::default() };
                operator.set_policy("workspaces/acme", policy).await.unwrap();
            })
        },
        reason: Reason::RateLimited,
    },
    Case {
        name: "the catalogue gives the permission a limit that is used up",
        make: |operator, _| {
            Box::pin(async {
                let mut catalog = small_catalog();
                catalog.permissions[0].requests_per_hour = 1;
                let request = ApplyCatalogRequest { catalog: Some(catalog) };
                operator.catalogs.clone().apply_catalog(request).await.unwrap();
            })
        },
        reason: Reason::RateLimited,
    },
    Case {
        name: "the workspace is deleted",
        make: |operator, _| {
            Box::pin(async {
                let name = "workspaces/acme".to_owned();
                let request = DeleteWorkspaceRequest { name, force: true };
                operator.workspaces.clone().delete_workspace(request).await.unwrap();
            })
        },
        reason: Reason::KeyUnknown,
    },
];

/// Asks until the answer is no longer that the request may go ahead. A limit lets one pass.
async fn denied_with(operator: &Client, secret: &str) -> Reason {
    eventually("the change counts", || async {
        let answer = operator.authorize(in_the_office(secret)).await.unwrap();
        (!answer.allowed).then_some(answer.reason())
    })
    .await
}

#[tokio::test]
async fn p1_every_change_counts_for_the_next_call_on_the_same_server() {
    for case in CASES {
        let server = TestServer::with_acme().await;
        let operator = server.operator();
        let (key, secret) = an_office_key(&operator).await;
        for _ in 0..2 {
            let answer = operator.authorize(in_the_office(&secret)).await.unwrap();
            assert!(answer.allowed, "{}", case.name);
        }
        (case.make)(&operator, &key).await;
        if case.reason == Reason::RateLimited {
            operator.authorize(in_the_office(&secret)).await.unwrap();
        }
        let answer = operator.authorize(in_the_office(&secret)).await.unwrap();
        assert_eq!(answer.reason(), case.reason, "{}", case.name);
    }
}

#[tokio::test]
async fn p1_a_control_key_that_is_deleted_is_refused_at_once() {
    let server = TestServer::with_acme().await;
    let key = a_key("caller").permissions(&["claviger.authorize"]).build();
    let created = server.operator().create_key("workspaces/claviger", key).await.unwrap();
    let caller = server.caller(&created.secret);
    caller.authorize(a_question("some-key").build()).await.unwrap();
    server.operator().delete_key(&created.key.unwrap().name).await.unwrap();
    let refused = caller.authorize(a_question("some-key").build()).await;
    assert_eq!(refusal(refused), (Code::Unauthenticated, "CONTROL_KEY_INVALID".to_owned()));
}

/// Nobody has asked about the key for long, so nothing but what is followed could have said that it is
/// gone.
#[tokio::test]
async fn p2_every_change_counts_on_another_server_within_the_bound() {
    for engine in ENGINES {
        for case in CASES {
            let one = start(engine).await;
            let other = TestServer::beside(&one).await;
            let (key, secret) = an_office_key(&one.operator()).await;
            let answer = other.operator().authorize(in_the_office(&secret)).await.unwrap();
            assert!(answer.allowed, "{engine:?} {}", case.name);
            (case.make)(&one.operator(), &key).await;
            other.clock.advance(MAX_STALENESS);
            if case.reason == Reason::RateLimited {
                other.operator().authorize(in_the_office(&secret)).await.unwrap();
            }
            let answer = other.operator().authorize(in_the_office(&secret)).await.unwrap();
            assert_eq!(answer.reason(), case.reason, "{engine:?} {}", case.name);
        }
    }
}

/// The bound is not reached: the servers tell each other.
#[tokio::test]
async fn p2_every_change_comes_to_another_server_by_itself() {
    for engine in ENGINES {
        for case in CASES {
            let one = start(engine).await;
            let other = TestServer::beside(&one).await;
            let (key, secret) = an_office_key(&one.operator()).await;
            assert!(other.operator().authorize(in_the_office(&secret)).await.unwrap().allowed);
            (case.make)(&one.operator(), &key).await;
            let reason = denied_with(&other.operator(), &secret).await;
            assert_eq!(reason, case.reason, "{engine:?} {}", case.name);
        }
    }
}

#[tokio::test]
async fn p2_whoever_does_not_hear_the_hint_asks_by_itself() {
    let one = start(Engine::Postgres).await;
    let other = TestServer::beside(&one).await;
    let intruder = one.intruder().await;
    let listeners = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let (key, secret) = an_office_key(&one.operator()).await;
    eventually("both listen", || async {
        let ended = intruder.execute_unprepared(listeners).await.unwrap();
        (ended.rows_affected() == 2).then_some(())
    })
    .await;
    assert!(other.operator().authorize(in_the_office(&secret)).await.unwrap().allowed);
    one.operator().delete_key(&key).await.unwrap();
    assert_eq!(denied_with(&other.operator(), &secret).await, Reason::KeyUnknown);
}

/// However far its call had come: the key is as good as it is listed.
#[tokio::test]
async fn p1_a_client_that_hangs_up_leaves_no_key_half_dead() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let (mut steps, mut deleted, mut all) = (0, 0, Vec::new());
    // The first is not even asked for; at last some are answered.
    while deleted < 10 {
        let key = a_key("k").permissions(&["users.track"]).build();
        let created = operator.create_key("workspaces/acme", key).await.unwrap();
        let name = created.key.unwrap().name;
        let question = || a_question(&created.secret).permission("users.track").build();
        assert!(operator.authorize(question()).await.unwrap().allowed);
        let mut delete = Box::pin(operator.delete_key(&name));
        for _ in 0..steps {
            if poll!(&mut delete).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(delete);
        let is_listed = eventually("it is as good as it is listed", || async {
            let is_listed = operator.get_key(&name).await.is_ok();
            let allowed = operator.authorize(question()).await.unwrap().allowed;
            let is_still_listed = operator.get_key(&name).await.is_ok();
            (is_listed == allowed && is_still_listed == allowed).then_some(is_listed)
        })
        .await;
        assert!(steps > 0 || is_listed, "nobody deleted it");
        deleted += usize::from(!is_listed);
        steps += 1 + steps / 8;
        all.push((name, created.secret));
    }
    // Nor did any die later by halves.
    for (name, secret) in all {
        let question = a_question(&secret).permission("users.track").build();
        let allowed = operator.authorize(question).await.unwrap().allowed;
        assert_eq!(operator.get_key(&name).await.is_ok(), allowed, "{name}");
    }
}

/// Where nobody tells it what changes, a server asks, and goes on answering from memory.
#[tokio::test]
async fn p2_whoever_asks_by_itself_keeps_its_memory() {
    for engine in ENGINES {
        let server = start(engine).await;
        let (_, secret) = an_office_key(&server.operator()).await;
        let ask = || async { server.operator().authorize(in_the_office(&secret)).await };
        assert!(ask().await.unwrap().allowed, "{engine:?}");
        // Keys cannot be read any more, and what changes can.
        let hide = "ALTER TABLE api_keys RENAME TO hidden";
        server.intruder().await.execute_unprepared(hide).await.unwrap();
        for _ in 0..3 {
            server.clock.advance(MAX_STALENESS);
            let answer = eventually("it answers from memory", || async { ask().await.ok() }).await;
            assert!(answer.allowed, "{engine:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_server_that_is_cut_off_answers_nothing_from_memory_behind_the_bound() {
    for engine in ENGINES {
        let mut database = DatabaseServer::new(engine);
        database.start().await;
        let proxy = Proxy::to(database.port()).await;
        let at = TestDatabase::at(engine, database.url(database.port()));
        let one = TestServer::start_on(at, Arc::default(), Settings::default()).await;
        one.add_acme().await;
        let other =
            TestServer::beside_by(&one, database.url(proxy.port), Settings::default()).await;
        for _ in 0..3 {
            let (key, secret) = an_office_key(&one.operator()).await;
            let ask = || async { other.operator().authorize(in_the_office(&secret)).await };
            assert!(ask().await.unwrap().allowed, "{engine:?}");
            proxy.set_silent(true);
            one.operator().delete_key(&key).await.unwrap();
            other.clock.advance(MAX_STALENESS);
            for _ in 0..3 {
                let unavailable = (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned());
                assert_eq!(refusal(ask().await), unavailable, "{engine:?}");
            }
            proxy.set_silent(false);
            let reason = eventually("it answers again", || async {
                ask().await.ok().map(|answer| answer.reason())
            })
            .await;
            assert_eq!(reason, Reason::KeyUnknown, "{engine:?}");
        }
    }
}

#[tokio::test]
async fn a_change_counts_at_once_everywhere_for_who_asks_with_its_token() {
    for engine in ENGINES {
        let one = start(engine).await;
        let other = TestServer::beside(&one).await;
        for round in 0..20 {
            let key = a_key("k").permissions(&["users.track"]).build();
            let created = one.operator().create_key("workspaces/acme", key).await.unwrap();
            let question = || a_question(&created.secret).permission("users.track");
            let fresh = question().at_least_as_fresh(&created.revision_token).build();
            assert!(other.operator().authorize(fresh).await.unwrap().allowed, "{engine:?}");
            assert!(other.operator().authorize(question().build()).await.unwrap().allowed);
            let token = one.operator().delete_key(&created.key.unwrap().name).await.unwrap();
            let question = match round % 2 {
                0 => question().at_least_as_fresh(&token),
                _ => question().fully_consistent(),
            };
            let answer = other.operator().authorize(question.build()).await.unwrap();
            assert_eq!(answer.reason(), Reason::KeyUnknown, "{engine:?} {round}");
        }
    }
}

/// An unknown key is remembered, and may be the next operator key all the same.
#[tokio::test]
async fn p2_an_operator_key_that_is_reset_beside_a_server_counts_there() {
    for engine in ENGINES {
        let server = start(engine).await;
        let new = "operator-key-from-a-file";
        let ask = async |key: &str| server.caller(key).authorize(a_question("k").build()).await;
        assert_eq!(refusal(ask(new).await).0, Code::Unauthenticated);
        ask(server.operator_key.expose()).await.unwrap();
        let store = Arc::new(Store::open(&server.database_url()).await.unwrap());
        let secret: Secret = new.parse().unwrap();
        reset_operator_key(&store, &SystemClock, secret).await.unwrap();
        server.clock.advance(MAX_STALENESS);
        ask(new).await.unwrap();
        let refused = refusal(ask(server.operator_key.expose()).await);
        assert_eq!(refused, (Code::Unauthenticated, "CONTROL_KEY_INVALID".to_owned()));
    }
}

/// What changes something that others may remember has a revision of its own.
#[tokio::test]
async fn every_change_returns_a_token_and_later_ones_are_no_older() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let acme = || "workspaces/acme".to_owned();
    let mut tokens: Vec<(&str, bool, String)> = Vec::new();
    let mut note = |what, changes, token| tokens.push((what, changes, token));

    let (mut catalogs, mut workspaces) = (operator.catalogs.clone(), operator.workspaces.clone());
    let catalog = Some(Catalog { name: "catalogs/other".to_owned(), ..small_catalog() });
    for changes in [false, true] {
        let request = ApplyCatalogRequest { catalog: catalog.clone() };
        let applied = catalogs.apply_catalog(request).await.unwrap().into_inner();
        note("ApplyCatalog", changes, applied.revision_token);
    }
    let request = DeleteCatalogRequest { name: "catalogs/other".to_owned() };
    let deleted = catalogs.delete_catalog(request).await.unwrap().into_inner();
    note("DeleteCatalog", true, deleted.revision_token);
    for changes in [false, true] {
        let set = claviger::proto::NetworkSet {
            name: "networkSets/office".to_owned(),
            ..claviger::proto::NetworkSet::default()
        };
        let request = claviger::proto::ApplyNetworkSetRequest { network_set: Some(set) };
        let applied = catalogs.apply_network_set(request).await.unwrap().into_inner();
        note("ApplyNetworkSet", changes, applied.revision_token);
    }
    let request = DeleteNetworkSetRequest { name: "networkSets/office".to_owned() };
    let deleted = catalogs.delete_network_set(request).await.unwrap().into_inner();
    note("DeleteNetworkSet", true, deleted.revision_token);

    let created = operator.create_workspace("other", "catalogs/small", Policy::default()).await;
    note("CreateWorkspace", true, created.unwrap().revision_token);
    let request = claviger::proto::UpdateWorkspaceRequest {
        workspace: Some(claviger::proto::Workspace {
            name: "workspaces/other".to_owned(),
            display_name: "Other".to_owned(),
            ..claviger::proto::Workspace::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".to_owned()] }),
    };
    let updated = workspaces.update_workspace(request).await.unwrap().into_inner();
    note("UpdateWorkspace", true, updated.revision_token);
    let request = DeleteWorkspaceRequest { name: "workspaces/other".to_owned(), force: false };
    let deleted = workspaces.delete_workspace(request).await.unwrap().into_inner();
    note("DeleteWorkspace", true, deleted.revision_token);

    let request = claviger::proto::AddMemberRequest {
        parent: acme(),
        member: Some(claviger::proto::Member {
            email: "jane@acme.com".to_owned(),
            role: Role::Admin.into(),
            ..claviger::proto::Member::default()
        }),
    };
    let added = workspaces.add_member(request).await.unwrap().into_inner();
    note("AddMember", false, added.revision_token);
    let request = RemoveMemberRequest { name: added.member.unwrap().name };
    let removed = workspaces.remove_member(request).await.unwrap().into_inner();
    note("RemoveMember", false, removed.revision_token);
    let request = claviger::proto::CreateIdentifierRequest {
        parent: acme(),
        identifier_id: "ios".to_owned(),
        identifier: Some(claviger::proto::Identifier {
            kind: "app".to_owned(),
            display_name: "iOS".to_owned(),
            ..claviger::proto::Identifier::default()
        }),
    };
    let created = workspaces.create_identifier(request).await.unwrap().into_inner();
    note("CreateIdentifier", false, created.revision_token);
    let request = DeleteIdentifierRequest { name: created.identifier.unwrap().name };
    let deleted = workspaces.delete_identifier(request).await.unwrap().into_inner();
    note("DeleteIdentifier", false, deleted.revision_token);

    let key = a_key("k").permissions(&["*"]).build();
    let created = operator.create_key("workspaces/acme", key).await.unwrap();
    let name = created.key.unwrap().name;
    note("CreateKey", false, created.revision_token);
    note("CloneKey", false, operator.clone_key(&name).await.unwrap().revision_token);
    note("DeleteKey", true, operator.delete_key(&name).await.unwrap());

    let revisions = tokens.iter().map(|(what, changes, token)| {
        (what, *changes, token.parse::<Revision>().unwrap_or_else(|_| panic!("{what}: {token}")))
    });
    let mut last: Option<Revision> = None;
    for (what, changes, revision) in revisions {
        let before = last.replace(revision).unwrap_or(Revision { number: 0, ..revision });
        assert_eq!(revision.epoch, before.epoch, "{what}");
        let is_right = if changes {
            revision.number == before.number + 1
        } else {
            revision.number >= before.number
        };
        assert!(is_right, "{what}: {before} {revision}");
    }
}

#[tokio::test]
async fn a_token_survives_a_restart_and_one_of_another_database_reads_this_one() {
    let server = TestServer::with_acme().await;
    let key = a_key("k").permissions(&["*"]).build();
    let created = server.operator().create_key("workspaces/acme", key).await.unwrap();
    let name = created.key.unwrap().name;
    let token = server.operator().delete_key(&name).await.unwrap();
    let server = server.restart().await;
    let other = Revision { epoch: uuid::Uuid::nil(), number: i64::MAX }.to_string();
    for token in [token, other] {
        let question = a_question(&created.secret).at_least_as_fresh(&token).build();
        let answer = server.operator().authorize(question).await.unwrap();
        assert_eq!(answer.reason(), Reason::KeyUnknown, "{token}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let server = TestServer::with_acme().await;
    for bad in ["", "7", "some-token", "00000000-0000-0000-0000-000000000000.7"] {
        let question = a_question("some-key").at_least_as_fresh(bad).build();
        let refused = refusal(server.operator().authorize(question).await);
        assert_eq!(refused, (Code::InvalidArgument, "INVALID_FIELD".to_owned()), "{bad}");
    }
}
