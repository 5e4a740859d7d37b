//! Members.

use claviger::domain::{Email, Member, MemberName, Role};
use uuid::Uuid;

use super::builders::{at, workspace_id};
use super::database::{Database, Failure};

conformance! {
    a_member_is_read_back_as_they_were,
    an_address_is_one_member_of_a_workspace,
    members_are_listed_by_address_in_pages,
    members_are_deleted_one_by_one_and_all_of_a_workspace,
}

fn email(text: &str) -> Email {
    text.parse().unwrap()
}

fn a_member(number: u128, workspace: &str, address: &str, role: Role) -> Member {
    Member {
        name: MemberName { workspace: workspace_id(workspace), id: Uuid::from_u128(number) },
        email: email(address),
        role,
        create_time: at(7),
    }
}

async fn add(database: &Database, member: &Member) -> Result<(), Failure> {
    database
        .transact(member.clone(), |member, tx| {
            Box::pin(async move { Ok(tx.members().insert(member).await?) })
        })
        .await
}

async fn find(database: &Database, workspace: &str, address: &str) -> Option<Member> {
    let members = database.store.members();
    members.find_by_email(&workspace_id(workspace), &email(address)).await.unwrap()
}

async fn a_member_is_read_back_as_they_were(database: Database) {
    database.add_workspaces(&["acme"]).await;
    let longest = format!("{}@example.com", "j".repeat(242));
    let roles = [Role::Owner, Role::Admin, Role::Developer, Role::Viewer];
    let addresses = ["a@b", "jane+keys@acme.com", "o'brien%_\\@x", longest.as_str()];
    for (number, (role, address)) in (1..).zip(roles.into_iter().zip(addresses)) {
        let member = a_member(number, "acme", address, role);
        add(&database, &member).await.unwrap();
        assert_eq!(find(&database, "acme", address).await, Some(member));
    }
    assert_eq!(find(&database, "acme", "a@c").await, None);
    assert_eq!(find(&database, "other", "a@b").await, None);
}

async fn an_address_is_one_member_of_a_workspace(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    add(&database, &a_member(1, "acme", "a@b", Role::Owner)).await.unwrap();
    assert!(add(&database, &a_member(2, "acme", "a@b", Role::Viewer)).await.is_err());
    add(&database, &a_member(3, "other", "a@b", Role::Viewer)).await.unwrap();
    // Nobody is a member of a workspace that is not there.
    assert!(add(&database, &a_member(4, "none", "a@b", Role::Viewer)).await.is_err());
}

async fn members_are_listed_by_address_in_pages(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    for (number, address) in (1..).zip(["c@x", "a@x", "b@x", "a-b@x"]) {
        add(&database, &a_member(number, "acme", address, Role::Viewer)).await.unwrap();
    }
    add(&database, &a_member(9, "other", "aa@x", Role::Viewer)).await.unwrap();
    let list = async |after: Option<&str>, limit| -> Vec<String> {
        let after = after.map(email);
        let acme = workspace_id("acme");
        let page = database.store.members().list(&acme, after.as_ref(), limit).await.unwrap();
        page.into_iter().map(|member| member.email.to_string()).collect()
    };
    // Byte by byte: a hyphen comes before the at sign.
    assert_eq!(list(None, 10).await, ["a-b@x", "a@x", "b@x", "c@x"]);
    assert_eq!(list(None, 2).await, ["a-b@x", "a@x"]);
    assert_eq!(list(Some("a@x"), 2).await, ["b@x", "c@x"]);
    assert_eq!(list(Some("c@x"), 2).await, [""; 0]);
}

async fn members_are_deleted_one_by_one_and_all_of_a_workspace(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    let member = a_member(1, "acme", "a@x", Role::Viewer);
    let other = a_member(2, "other", "a@x", Role::Viewer);
    for member in [&member, &other, &a_member(3, "acme", "b@x", Role::Viewer)] {
        add(&database, member).await.unwrap();
    }
    let delete = async |name: MemberName| {
        let delete = database.transact(name, |name, tx| {
            Box::pin(async move { Ok(tx.members().delete(name).await?) })
        });
        delete.await.unwrap()
    };
    // By its whole name only.
    let elsewhere = MemberName { workspace: workspace_id("other"), ..member.name.clone() };
    assert!(!delete(elsewhere).await);
    assert!(delete(member.name.clone()).await);
    assert!(!delete(member.name).await);
    let all = database.transact(workspace_id("acme"), |id, tx| {
        Box::pin(async move { Ok(tx.members().delete_all(id).await?) })
    });
    all.await.unwrap();
    assert_eq!(find(&database, "acme", "b@x").await, None);
    assert_eq!(find(&database, "other", "a@x").await, Some(other));
}
