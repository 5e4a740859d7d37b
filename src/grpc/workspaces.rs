//! `WorkspaceService`.

use tonic::{Request, Response, Status};

use super::caller::caller;
use super::{convert, page_token};
use crate::domain::{ControlPermission, WorkspaceId};
use crate::manage::{Violation, Workspaces};
use crate::proto::workspace_service_server::WorkspaceService;
use crate::proto::{
    CreateWorkspaceRequest, CreateWorkspaceResponse, DeleteWorkspaceRequest,
    DeleteWorkspaceResponse, GetWorkspaceRequest, GetWorkspaceResponse, ListWorkspacesRequest,
    ListWorkspacesResponse, UpdateWorkspaceRequest, UpdateWorkspaceResponse,
};

#[derive(Debug)]
pub(super) struct WorkspaceServer(pub(super) Workspaces);

#[tonic::async_trait]
impl WorkspaceService for WorkspaceServer {
    async fn create_workspace(
        &self,
        request: Request<CreateWorkspaceRequest>,
    ) -> Result<Response<CreateWorkspaceResponse>, Status> {
        let caller = caller(&request)?;
        caller.require(ControlPermission::WorkspacesWrite)?;
        let request = request.into_inner();
        let id = WorkspaceId::from_id(&request.workspace_id);
        if let Ok(id) = &id {
            caller.require_scope(id)?;
        }
        let draft = convert::create_workspace(request, id)?;
        let created = self.0.create(&caller, draft).await?;
        Ok(Response::new(convert::create_workspace_response(created)))
    }

    async fn get_workspace(
        &self,
        request: Request<GetWorkspaceRequest>,
    ) -> Result<Response<GetWorkspaceResponse>, Status> {
        let caller = caller(&request)?;
        caller.require(ControlPermission::WorkspacesRead)?;
        let GetWorkspaceRequest { name } = request.into_inner();
        let id: WorkspaceId = name.parse().map_err(|error| Violation::new("name", error))?;
        caller.require_scope(&id)?;
        let workspace = self.0.get(&id).await?;
        Ok(Response::new(GetWorkspaceResponse { workspace: Some(workspace.into()) }))
    }

    async fn list_workspaces(
        &self,
        request: Request<ListWorkspacesRequest>,
    ) -> Result<Response<ListWorkspacesResponse>, Status> {
        let caller = caller(&request)?;
        caller.require(ControlPermission::WorkspacesRead)?;
        let ListWorkspacesRequest { page_size, page_token } = request.into_inner();
        let query = ListWorkspacesRequest::default();
        let page_size = convert::page_size(page_size)?;
        let after = page_token::decode::<WorkspaceId>(&query, &page_token)?;
        let (workspaces, more) = self.0.list(&caller, after.as_ref(), page_size).await?;
        let last = workspaces.last().filter(|_| more);
        let next_page_token =
            last.map(|last| page_token::encode(&query, &last.id)).unwrap_or_default();
        Ok(Response::new(ListWorkspacesResponse {
            workspaces: workspaces.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn update_workspace(
        &self,
        request: Request<UpdateWorkspaceRequest>,
    ) -> Result<Response<UpdateWorkspaceResponse>, Status> {
        let caller = caller(&request)?;
        caller.require(ControlPermission::WorkspacesWrite)?;
        let request = request.into_inner();
        let name = request.workspace.as_ref().map(|workspace| workspace.name.as_str());
        let id = name.unwrap_or_default().parse::<WorkspaceId>();
        if let Ok(id) = &id {
            caller.require_scope(id)?;
        }
        let (id, patch) = convert::update_workspace(request, id)?;
        let workspace = self.0.update(&caller, id, patch).await?;
        Ok(Response::new(UpdateWorkspaceResponse { workspace: Some(workspace.into()) }))
    }

    async fn delete_workspace(
        &self,
        request: Request<DeleteWorkspaceRequest>,
    ) -> Result<Response<DeleteWorkspaceResponse>, Status> {
        let caller = caller(&request)?;
        caller.require(ControlPermission::WorkspacesWrite)?;
        let DeleteWorkspaceRequest { name, force } = request.into_inner();
        let id: WorkspaceId = name.parse().map_err(|error| Violation::new("name", error))?;
        caller.require_scope(&id)?;
        self.0.delete(&caller, id, force).await?;
        Ok(Response::new(DeleteWorkspaceResponse {}))
    }
}
