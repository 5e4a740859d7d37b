//! `KeyService`.

use tonic::{Request, Response, Status};

use super::caller::caller;
use super::{convert, page_token};
use crate::domain::{Access, Caller, InvalidName, KeyName, WorkspaceId};
use crate::manage::{Actors, Keys, Violation};
use crate::proto::key_service_server::KeyService;
use crate::proto::{
    CloneKeyRequest, CloneKeyResponse, CreateKeyRequest, CreateKeyResponse, DeleteKeyRequest,
    DeleteKeyResponse, GetKeyRequest, GetKeyResponse, ListKeysRequest, ListKeysResponse,
    RevealKeyRequest, RevealKeyResponse,
};
use crate::store::Committed;

#[derive(Debug)]
pub(super) struct KeyServer {
    pub(super) keys: Keys,
    pub(super) actors: Actors,
}

impl KeyServer {
    /// Finds out who calls, and whether they may look at, or change, the keys of this workspace.
    /// `None` is a workspace whose name did not parse.
    async fn admit<T>(
        &self,
        request: &Request<T>,
        access: Access,
        workspace: Option<&WorkspaceId>,
    ) -> Result<Caller, Status> {
        let caller = caller(request)?;
        caller.require_keys(access, workspace)?;
        if let Some(workspace) = workspace {
            self.actors.require(&caller, workspace).await?;
        }
        Ok(caller)
    }
}

#[tonic::async_trait]
impl KeyService for KeyServer {
    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        let parent = request.get_ref().parent.parse::<WorkspaceId>();
        let caller = self.admit(&request, Access::Write, parent.as_ref().ok()).await?;
        let request = request.into_inner();
        let convert::CreateKey { workspace, draft, request_id } =
            convert::create_key(request, parent)?;
        let created = self.keys.create(&caller, workspace, draft, request_id).await?;
        Ok(Response::new(convert::create_key_response(created)))
    }

    async fn clone_key(
        &self,
        request: Request<CloneKeyRequest>,
    ) -> Result<Response<CloneKeyResponse>, Status> {
        let name = request.get_ref().name.parse::<KeyName>();
        let caller = self.admit(&request, Access::Write, workspace_of(&name)).await?;
        let CloneKeyRequest { name: _, request_id } = request.into_inner();
        let name = name.map_err(|error| Violation::new("name", error))?;
        let request_id = convert::request_id(&request_id)?;
        let created = self.keys.clone(&caller, name, request_id).await?;
        Ok(Response::new(convert::clone_key_response(created)))
    }

    async fn reveal_key(
        &self,
        request: Request<RevealKeyRequest>,
    ) -> Result<Response<RevealKeyResponse>, Status> {
        let name = request.get_ref().name.parse::<KeyName>();
        let caller = self.admit(&request, Access::Reveal, workspace_of(&name)).await?;
        let name = name.map_err(|error| Violation::new("name", error))?;
        let secret = self.keys.reveal(&caller, &name).await?;
        Ok(Response::new(RevealKeyResponse {
            authorization_header: secret.authorization_header(),
            secret: secret.expose().to_owned(),
        }))
    }

    async fn get_key(
        &self,
        request: Request<GetKeyRequest>,
    ) -> Result<Response<GetKeyResponse>, Status> {
        let name = request.get_ref().name.parse::<KeyName>();
        self.admit(&request, Access::Read, workspace_of(&name)).await?;
        let name = name.map_err(|error| Violation::new("name", error))?;
        let key = self.keys.get(&name).await?;
        Ok(Response::new(GetKeyResponse { key: Some(key.into()) }))
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let parent = request.get_ref().parent.parse::<WorkspaceId>();
        self.admit(&request, Access::Read, parent.as_ref().ok()).await?;
        let request = request.into_inner();
        let convert::ListKeys { workspace, filter, page_size, after, query } =
            convert::list_keys(request, parent)?;
        let page = self.keys.list(&workspace, &filter, after, page_size).await?;
        let next = page.next.map(|cursor| page_token::encode(&query, &cursor));
        Ok(Response::new(ListKeysResponse {
            keys: page.keys.into_iter().map(Into::into).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn delete_key(
        &self,
        request: Request<DeleteKeyRequest>,
    ) -> Result<Response<DeleteKeyResponse>, Status> {
        let name = request.get_ref().name.parse::<KeyName>();
        let caller = self.admit(&request, Access::Write, workspace_of(&name)).await?;
        let name = name.map_err(|error| Violation::new("name", error))?;
        let Committed { output: (), revision } = self.keys.delete(&caller, name).await?;
        let revision_token = convert::token(revision);
        Ok(Response::new(DeleteKeyResponse { revision_token }))
    }
}

fn workspace_of(name: &Result<KeyName, InvalidName>) -> Option<&WorkspaceId> {
    name.as_ref().ok().map(|name| &name.workspace)
}
