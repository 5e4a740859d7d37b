//! `KeyService`.

use tonic::{Request, Response, Status};

use super::caller::caller;
use super::{convert, page_token};
use crate::domain::{Access, KeyName, WorkspaceId};
use crate::manage::{Keys, Violation};
use crate::proto::key_service_server::KeyService;
use crate::proto::{
    CreateKeyRequest, CreateKeyResponse, DeleteKeyRequest, DeleteKeyResponse, GetKeyRequest,
    GetKeyResponse, ListKeysRequest, ListKeysResponse,
};

#[derive(Debug)]
pub(super) struct KeyServer(pub(super) Keys);

#[tonic::async_trait]
impl KeyService for KeyServer {
    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let parent = request.parent.parse::<WorkspaceId>();
        caller.require_keys(Access::Write, parent.as_ref().ok())?;
        let convert::CreateKey { workspace, draft, request_id } =
            convert::create_key(request, parent)?;
        let created = self.0.create(&caller, workspace, draft, request_id).await?;
        Ok(Response::new(convert::create_key_response(created)))
    }

    async fn get_key(
        &self,
        request: Request<GetKeyRequest>,
    ) -> Result<Response<GetKeyResponse>, Status> {
        let caller = caller(&request)?;
        let GetKeyRequest { name } = request.into_inner();
        let name = name.parse::<KeyName>();
        caller.require_keys(Access::Read, name.as_ref().ok().map(|name| &name.workspace))?;
        let name = name.map_err(|error| Violation::new("name", error))?;
        let key = self.0.get(&name).await?;
        Ok(Response::new(GetKeyResponse { key: Some(key.into()) }))
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let parent = request.parent.parse::<WorkspaceId>();
        caller.require_keys(Access::Read, parent.as_ref().ok())?;
        let convert::ListKeys { workspace, filter, page_size, after, query } =
            convert::list_keys(request, parent)?;
        let page = self.0.list(&workspace, &filter, after, page_size).await?;
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
        let caller = caller(&request)?;
        let DeleteKeyRequest { name } = request.into_inner();
        let name = name.parse::<KeyName>();
        caller.require_keys(Access::Write, name.as_ref().ok().map(|name| &name.workspace))?;
        let name = name.map_err(|error| Violation::new("name", error))?;
        self.0.delete(&caller, name).await?;
        Ok(Response::new(DeleteKeyResponse {}))
    }
}
