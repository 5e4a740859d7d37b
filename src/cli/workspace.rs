//! `claviger workspace`.

use std::error::Error;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Deserialize;

use super::client::{Connection, authorized, describe, read_document};
use crate::domain::{Role, SecretVisibility};
use crate::proto;
use crate::proto::workspace_service_client::WorkspaceServiceClient;
use crate::proto::{CreateWorkspaceRequest, FirstKey, Policy, Workspace};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a workspace from a YAML or JSON file
    ///
    /// If its policy provisions a first key, the secret of that is printed, once. The control key is
    /// read from the environment variable CLAVIGER_CONTROL_KEY or, if that is not set, from
    /// standard input.
    Create {
        /// The file, as in examples/workspaces/braze.yaml
        #[arg(long, value_name = "FILE")]
        from: PathBuf,

        #[command(flatten)]
        connection: Connection,
    },
}

/// A workspace as a file holds it: the fields of `CreateWorkspaceRequest`, without nesting.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkspaceFile {
    workspace_id: String,
    display_name: String,
    catalog: String,
    #[serde(default)]
    instance: String,
    #[serde(default)]
    policy: PolicyFile,
}

/// The fields of `Policy`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PolicyFile {
    max_keys: i32,
    keep_last_key: bool,
    secret_visibility: SecretVisibility,
    key_manager_roles: Vec<Role>,
    provision_first_key: bool,
    default_permissions: Vec<String>,
    requests_per_hour: i64,
    key_prefix: String,
}

impl From<PolicyFile> for Policy {
    fn from(file: PolicyFile) -> Self {
        let PolicyFile {
            max_keys,
            keep_last_key,
            secret_visibility,
            key_manager_roles,
            provision_first_key,
            default_permissions,
            requests_per_hour,
            key_prefix,
        } = file;
        Self {
            max_keys,
            keep_last_key,
            secret_visibility: proto::SecretVisibility::from(secret_visibility).into(),
            key_manager_roles: key_manager_roles
                .into_iter()
                .map(|role| proto::Role::from(role).into())
                .collect(),
            provision_first_key,
            default_permissions,
            requests_per_hour,
            key_prefix,
        }
    }
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self::Create { from, connection } = self;
        let WorkspaceFile { workspace_id, display_name, catalog, instance, policy } =
            read_document(&from)?;
        let workspace = Workspace {
            display_name,
            catalog,
            instance,
            policy: Some(policy.into()),
            ..Workspace::default()
        };
        let request =
            authorized(CreateWorkspaceRequest { workspace_id, workspace: Some(workspace) })?;
        let mut client = WorkspaceServiceClient::new(connection.connect().await?);
        let created = client.create_workspace(request).await.map_err(|status| describe(&status))?;
        let created = created.into_inner();
        let Workspace { name, public_key, .. } = created.workspace.unwrap_or_default();
        println!("Created {name}, with the public key {public_key}.");
        if let Some(FirstKey { key, secret, authorization_header }) = created.first_key {
            let key = key.unwrap_or_default();
            println!("Its first key is {}. The secret, and its header:", key.name);
            println!("\n    {secret}\n    Authorization: {authorization_header}");
        }
        Ok(())
    }
}
