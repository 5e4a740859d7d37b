//! The three products, each set up by its files in `examples/` and the command line, as an operator does
//! it.

use std::ffi::OsStr;

use claviger::config::Settings;
use claviger::proto::Role;

use super::process::program;
use super::repository;
use super::server::{Client, TestServer};

/// 32 bytes, in Base64.
pub const ENCRYPTION_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

pub const BRAZE: &str = "workspaces/braze-demo";
pub const CODAT: &str = "workspaces/codat-demo";
pub const KLAVIYO: &str = "workspaces/klaviyo-demo";

/// The server that all three run on: it can reveal secrets, and knows two instances.
pub fn settings() -> Settings {
    Settings {
        secret_encryption_key: Some(ENCRYPTION_KEY.parse().unwrap()),
        instance_endpoints: Some(
            "us-01=https://rest.us-01.example.com,eu-01=https://rest.eu-01.example.com".to_owned(),
        ),
        ..Settings::default()
    }
}

/// A server with all three products.
pub async fn with_products() -> TestServer {
    let server = TestServer::start_with(settings()).await;
    for product in ["braze", "codat", "klaviyo"] {
        set_up(&server, product).await;
    }
    server
}

/// Sets one product up, and returns what the command line said when it created the workspace.
pub async fn set_up(server: &TestServer, product: &str) -> String {
    let catalog = format!("examples/catalogs/{product}.yaml");
    run(server, ["catalog", "apply", &catalog]).await;
    if product == "braze" {
        run(server, ["network-set", "apply", "examples/network-sets/braze-platform.yaml"]).await;
    }
    let workspace = format!("examples/workspaces/{product}.yaml");
    run(server, ["workspace", "create", "--from", &workspace]).await
}

/// Runs the command line, as the operator.
pub async fn run<S: AsRef<OsStr>>(
    server: &TestServer,
    arguments: impl IntoIterator<Item = S>,
) -> String {
    let mut command = program();
    command
        .current_dir(repository(""))
        .args(arguments)
        .env("CLAVIGER_CONTROL_KEY", server.operator_key.expose())
        .env("CLAVIGER_SERVER", format!("http://{}", server.address));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// A dashboard of one workspace, which acts for a member of this role, who is added.
pub async fn dashboard(server: &TestServer, workspace: &str, role: Role) -> Client {
    let email = format!("{}@example.com", role.as_str_name().to_ascii_lowercase());
    server.operator().add_member(workspace, &email, role).await.unwrap();
    let permissions = ["claviger.keys.read", "claviger.keys.write", "claviger.keys.reveal"];
    let key = super::builders::a_key("Dashboard")
        .permissions(&permissions)
        .workspace_scope(&[workspace])
        .build();
    let created = server.operator().create_key("workspaces/claviger", key).await.unwrap();
    server.dashboard(&created.secret, &email)
}
