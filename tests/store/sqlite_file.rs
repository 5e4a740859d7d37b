//! What only SQLite has: a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use claviger::store::{DatabaseUrl, OpenError, Store};

use super::builders::{a_workspace, workspace_id};
use super::database::Database;
use crate::support::database::Engine;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Opens a database as a server does.
async fn open(url: &DatabaseUrl) -> Result<Store, OpenError> {
    let store = Store::open(url).await?;
    store.migrate().await?;
    Ok(store)
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let database = Database::create(Engine::Sqlite).await;
    let DatabaseUrl::Sqlite(file) = database.url() else { panic!("{}", database.url()) };
    let second = open(&database.url()).await;
    assert!(
        matches!(&second, Err(OpenError::InUse { path }) if *path == file.canonicalize().unwrap()),
        "{second:?}"
    );
    // The first does not notice, and when it is gone another may come.
    database.add_workspaces(&["acme"]).await;
    let database = database.reopen().await;
    let second = open(&database.url()).await;
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    assert!(database.store.workspaces().find(&workspace_id("acme")).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = b"This is a letter, and no database at all. ".repeat(100);
    let torn = [b"SQLite format 3\0".as_slice(), &[0xFF; 4_080]].concat();
    for (name, content) in [("letter", text), ("two bytes", b"xy".to_vec()), ("torn", torn)] {
        let file = directory.path().join(name);
        fs::write(&file, &content).unwrap();
        let opened = open(&DatabaseUrl::Sqlite(file.clone())).await;
        assert!(matches!(opened, Err(OpenError::Database(_))), "{name}: {opened:?}");
        assert!(fs::read(&file).unwrap() == content, "{name} was changed");
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    for path in [directory.path().to_owned(), file.join("claviger.db")] {
        let opened = open(&DatabaseUrl::Sqlite(path.clone())).await;
        assert!(matches!(opened, Err(OpenError::Io { .. })), "{}: {opened:?}", path.display());
    }
}

/// Digests and names are in there, and who can open the lock can hold it.
#[tokio::test]
async fn nobody_else_may_read_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new").join("data");
    let store = open(&DatabaseUrl::Sqlite(data.join("claviger.db"))).await.unwrap();
    for directory in [data.parent().unwrap(), &data] {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    for name in ["claviger.db", "claviger.db-wal", "claviger.db-shm", "claviger.db.lock"] {
        assert_eq!(format!("{:o}", mode(&data.join(name))), "600", "{name}");
    }
    let count = fs::read_dir(&data).unwrap().count();
    assert_eq!(count, 4, "a file whose mode was not looked at");
    drop(store);
}

/// What is a letter in a path is none in a URL.
#[tokio::test]
async fn the_database_is_the_very_file_that_was_named() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a b", "100%25", "what?mode=memory", "a#b", "é", "e\u{301}", ":memory:", "file:x"]
    {
        let file = directory.path().join(name).join("claviger.db");
        let url = DatabaseUrl::Sqlite(file.clone());
        open(&url).await.unwrap().close().await;
        assert!(fs::read(&file).unwrap().starts_with(b"SQLite format 3\0"), "{name}");
    }
}

#[tokio::test]
async fn a_committed_change_is_in_the_file_once_the_store_is_closed() {
    let database = Database::create(Engine::Sqlite).await;
    database.add_workspaces(&["acme"]).await;
    database.store.close().await;
    let copy = database.directory().join("copy.db");
    let DatabaseUrl::Sqlite(file) = database.url() else { panic!("{}", database.url()) };
    fs::copy(&file, &copy).unwrap();
    let copy = open(&DatabaseUrl::Sqlite(copy)).await.unwrap();
    let found = copy.workspaces().find(&workspace_id("acme")).await.unwrap();
    assert_eq!(found, Some(a_workspace("acme").build()));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let database = Database::create(Engine::Sqlite).await;
    database.store.close().await;
    assert!(database.store.metadata().is_initialized().await.is_err());
    let refused = database.try_add_workspace(&a_workspace("acme").build()).await.unwrap_err();
    assert!(refused.is_of_database(), "{refused:?}");
}

#[test]
fn urls() {
    for (url, path) in [
        ("sqlite:/var/lib/claviger/claviger.db", "/var/lib/claviger/claviger.db"),
        ("sqlite:///var/lib/claviger.db", "/var/lib/claviger.db"),
        ("sqlite:claviger.db", "claviger.db"),
        ("sqlite:a b%20c#d", "a b%20c#d"),
    ] {
        assert_eq!(url.parse(), Ok(DatabaseUrl::Sqlite(path.into())), "{url}");
    }
    for bad in [
        "",
        "sqlite",
        "sqlite:",
        "sqlite://",
        "sqlite::memory:",
        "sqlite:a?mode=ro",
        "SQLITE:a",
        "/a",
    ] {
        assert!(bad.parse::<DatabaseUrl>().is_err(), "{bad}");
    }
}
