//! Every call that there is, by its name.

use claviger::proto::{
    AddMemberRequest, ApplyCatalogRequest, ApplyNetworkSetRequest, BatchAuthorizeRequest,
    CreateIdentifierRequest, CreateKeyRequest, CreateWorkspaceRequest, DeleteCatalogRequest,
    DeleteIdentifierRequest, DeleteNetworkSetRequest, DeleteWorkspaceRequest, GetCatalogRequest,
    GetNetworkSetRequest, GetWorkspaceRequest, ListCatalogsRequest, ListIdentifiersRequest,
    ListMembersRequest, ListNetworkSetsRequest, ListWorkspacesRequest, RemoveMemberRequest,
    StreamAuthorizeRequest, UpdateWorkspaceRequest, Workspace,
};
use tonic::Status;

use super::builders::a_question;
use super::server::Client;

/// Makes a call, on `workspaces/acme` if it acts on one, or on the reserved one if its name goes on with
/// `of claviger`. It comes to something harmless, if there is a key in `acme`, once it is admitted.
pub async fn call(client: &Client, rpc: &str) -> Result<(), Status> {
    let (method, workspace) = match rpc.split_once(" of ") {
        None => (rpc, "workspaces/acme".to_owned()),
        Some((method, id)) => (method, format!("workspaces/{id}")),
    };
    if method.ends_with("Authorize") {
        authorization(client, method).await
    } else if ["CreateKey", "CloneKey", "RevealKey", "GetKey", "ListKeys", "DeleteKey"]
        .contains(&method)
    {
        keys(client, method, &workspace).await
    } else if ["Catalog", "NetworkSet"].iter().any(|kind| method.contains(kind)) {
        catalogs(client, method).await
    } else {
        workspaces(client, method, workspace).await
    }
}

async fn authorization(client: &Client, method: &str) -> Result<(), Status> {
    let mut authorization = client.authorization.clone();
    match method {
        "Authorize" => client.authorize(a_question("some-key").build()).await.map(drop),
        "BatchAuthorize" => {
            authorization.batch_authorize(BatchAuthorizeRequest::default()).await.map(drop)
        }
        "StreamAuthorize" => {
            let nothing = futures_util::stream::empty::<StreamAuthorizeRequest>();
            authorization.stream_authorize(nothing).await.map(drop)
        }
        other => panic!("no such call: {other}"),
    }
}

async fn keys(client: &Client, method: &str, parent: &str) -> Result<(), Status> {
    let name = format!("{parent}/keys/0198a1b2-0000-7000-8000-00000000000a");
    match method {
        "CreateKey" => {
            let parent = parent.to_owned();
            let request = CreateKeyRequest { parent, ..CreateKeyRequest::default() };
            client.keys.clone().create_key(request).await.map(drop)
        }
        "CloneKey" => client.clone_key(&name).await.map(drop),
        "RevealKey" => client.reveal_key(&name).await.map(drop),
        "GetKey" => client.get_key(&name).await.map(drop),
        "ListKeys" => client.list_keys(parent).await.map(drop),
        "DeleteKey" => client.delete_key(&name).await.map(drop),
        other => panic!("no such call: {other}"),
    }
}

async fn catalogs(client: &Client, method: &str) -> Result<(), Status> {
    let mut catalogs = client.catalogs.clone();
    let small = || "catalogs/small".to_owned();
    let none = || "networkSets/not-there".to_owned();
    match method {
        "GetCatalog" => catalogs.get_catalog(GetCatalogRequest { name: small() }).await.map(drop),
        "ListCatalogs" => catalogs.list_catalogs(ListCatalogsRequest::default()).await.map(drop),
        "ApplyCatalog" => {
            catalogs.apply_catalog(ApplyCatalogRequest { catalog: None }).await.map(drop)
        }
        "DeleteCatalog" => {
            catalogs.delete_catalog(DeleteCatalogRequest { name: small() }).await.map(drop)
        }
        "ApplyNetworkSet" => {
            let request = ApplyNetworkSetRequest { network_set: None };
            catalogs.apply_network_set(request).await.map(drop)
        }
        "GetNetworkSet" => {
            catalogs.get_network_set(GetNetworkSetRequest { name: none() }).await.map(drop)
        }
        "ListNetworkSets" => {
            catalogs.list_network_sets(ListNetworkSetsRequest::default()).await.map(drop)
        }
        "DeleteNetworkSet" => {
            catalogs.delete_network_set(DeleteNetworkSetRequest { name: none() }).await.map(drop)
        }
        other => panic!("no such call: {other}"),
    }
}

async fn workspaces(client: &Client, method: &str, name: String) -> Result<(), Status> {
    let mut workspaces = client.workspaces.clone();
    let parent = name.clone();
    match method {
        "CreateWorkspace" => {
            workspaces.create_workspace(CreateWorkspaceRequest::default()).await.map(drop)
        }
        "GetWorkspace" => workspaces.get_workspace(GetWorkspaceRequest { name }).await.map(drop),
        "ListWorkspaces" => {
            workspaces.list_workspaces(ListWorkspacesRequest::default()).await.map(drop)
        }
        "UpdateWorkspace" => {
            let workspace = Some(Workspace { name, ..Workspace::default() });
            let request = UpdateWorkspaceRequest { workspace, update_mask: None };
            workspaces.update_workspace(request).await.map(drop)
        }
        "DeleteWorkspace" => {
            let request = DeleteWorkspaceRequest { name, force: false };
            workspaces.delete_workspace(request).await.map(drop)
        }
        "AddMember" => {
            workspaces.add_member(AddMemberRequest { parent, member: None }).await.map(drop)
        }
        "ListMembers" => {
            let request = ListMembersRequest { parent, ..ListMembersRequest::default() };
            workspaces.list_members(request).await.map(drop)
        }
        "RemoveMember" => {
            let name = format!("{name}/members/0198a1b2-0000-7000-8000-00000000000a");
            workspaces.remove_member(RemoveMemberRequest { name }).await.map(drop)
        }
        "CreateIdentifier" => {
            let request = CreateIdentifierRequest { parent, ..Default::default() };
            workspaces.create_identifier(request).await.map(drop)
        }
        "ListIdentifiers" => {
            let request = ListIdentifiersRequest { parent, ..Default::default() };
            workspaces.list_identifiers(request).await.map(drop)
        }
        "DeleteIdentifier" => {
            let name = format!("{name}/identifiers/not-there");
            workspaces.delete_identifier(DeleteIdentifierRequest { name }).await.map(drop)
        }
        other => panic!("no such call: {other}"),
    }
}
