//! `WorkspaceService`.

use tonic::{Request, Response, Status};

use super::caller::{caller, caller_with};
use super::{convert, page_token};
use crate::domain::{Caller, ControlPermission, Email, IdentifierName, MemberName, WorkspaceId};
use crate::manage::{Actors, Identifiers, Members, Violation, Workspaces};
use crate::proto::workspace_service_server::WorkspaceService;
use crate::proto::{
    AddMemberRequest, AddMemberResponse, CreateIdentifierRequest, CreateIdentifierResponse,
    CreateWorkspaceRequest, CreateWorkspaceResponse, DeleteIdentifierRequest,
    DeleteIdentifierResponse, DeleteWorkspaceRequest, DeleteWorkspaceResponse, GetWorkspaceRequest,
    GetWorkspaceResponse, ListIdentifiersRequest, ListIdentifiersResponse, ListMembersRequest,
    ListMembersResponse, ListWorkspacesRequest, ListWorkspacesResponse, RemoveMemberRequest,
    RemoveMemberResponse, UpdateWorkspaceRequest, UpdateWorkspaceResponse,
};
use crate::store::Committed;

#[derive(Debug)]
pub(super) struct WorkspaceServer {
    pub(super) workspaces: Workspaces,
    pub(super) members: Members,
    pub(super) identifiers: Identifiers,
    pub(super) actors: Actors,
}

impl WorkspaceServer {
    /// Finds out who calls, and whether they hold this permission and may act on this workspace.
    /// `None` is a workspace whose name did not parse.
    async fn admit<T>(
        &self,
        request: &Request<T>,
        permission: ControlPermission,
        workspace: Option<&WorkspaceId>,
    ) -> Result<Caller, Status> {
        let caller = caller(request)?;
        caller.require(permission)?;
        if let Some(workspace) = workspace {
            caller.require_scope(workspace.as_str())?;
            self.actors.check(&caller, workspace).await?;
        }
        Ok(caller)
    }
}

#[tonic::async_trait]
impl WorkspaceService for WorkspaceServer {
    async fn create_workspace(
        &self,
        request: Request<CreateWorkspaceRequest>,
    ) -> Result<Response<CreateWorkspaceResponse>, Status> {
        let caller = caller_with(&request, ControlPermission::WorkspacesWrite)?;
        let request = request.into_inner();
        let id = WorkspaceId::from_id(&request.workspace_id);
        if let Ok(id) = &id {
            caller.require_scope(id.as_str())?;
        }
        let draft = convert::create_workspace(request, id)?;
        let created = self.workspaces.create(&caller, draft).await?;
        Ok(Response::new(convert::create_workspace_response(created)))
    }

    async fn get_workspace(
        &self,
        request: Request<GetWorkspaceRequest>,
    ) -> Result<Response<GetWorkspaceResponse>, Status> {
        let id = request.get_ref().name.parse::<WorkspaceId>();
        self.admit(&request, ControlPermission::WorkspacesRead, id.as_ref().ok()).await?;
        let id = id.map_err(|error| Violation::new("name", error))?;
        let workspace = self.workspaces.get(&id).await?;
        Ok(Response::new(GetWorkspaceResponse { workspace: Some(workspace.into()) }))
    }

    async fn list_workspaces(
        &self,
        request: Request<ListWorkspacesRequest>,
    ) -> Result<Response<ListWorkspacesResponse>, Status> {
        let caller = caller_with(&request, ControlPermission::WorkspacesRead)?;
        let ListWorkspacesRequest { page_size, page_token } = request.into_inner();
        let query = ListWorkspacesRequest::default();
        let page_size = convert::page_size(page_size)?;
        let after = page_token::decode::<WorkspaceId>(&query, &page_token)?;
        let (workspaces, more) = self.workspaces.list(&caller, after.as_ref(), page_size).await?;
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
        let workspace = request.get_ref().workspace.as_ref();
        let name = workspace.map(|workspace| workspace.name.as_str());
        let id = name.unwrap_or_default().parse::<WorkspaceId>();
        let caller =
            self.admit(&request, ControlPermission::WorkspacesWrite, id.as_ref().ok()).await?;
        let (id, patch) = convert::update_workspace(request.into_inner(), id)?;
        let Committed { output, revision } = self.workspaces.update(&caller, id, patch).await?;
        let (workspace, revision_token) = (Some(output.into()), convert::token(revision));
        Ok(Response::new(UpdateWorkspaceResponse { workspace, revision_token }))
    }

    async fn delete_workspace(
        &self,
        request: Request<DeleteWorkspaceRequest>,
    ) -> Result<Response<DeleteWorkspaceResponse>, Status> {
        let id = request.get_ref().name.parse::<WorkspaceId>();
        let caller =
            self.admit(&request, ControlPermission::WorkspacesWrite, id.as_ref().ok()).await?;
        let id = id.map_err(|error| Violation::new("name", error))?;
        let DeleteWorkspaceRequest { name: _, force } = request.into_inner();
        let Committed { output: (), revision } = self.workspaces.delete(&caller, id, force).await?;
        let revision_token = convert::token(revision);
        Ok(Response::new(DeleteWorkspaceResponse { revision_token }))
    }

    async fn add_member(
        &self,
        request: Request<AddMemberRequest>,
    ) -> Result<Response<AddMemberResponse>, Status> {
        let parent = request.get_ref().parent.parse::<WorkspaceId>();
        let caller =
            self.admit(&request, ControlPermission::MembersWrite, parent.as_ref().ok()).await?;
        let (workspace, email, role) = convert::add_member(request.into_inner(), parent)?;
        let added = self.members.add(&caller, workspace, email, role).await?;
        let (member, revision_token) = (Some(added.output.into()), convert::token(added.revision));
        Ok(Response::new(AddMemberResponse { member, revision_token }))
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let parent = request.get_ref().parent.parse::<WorkspaceId>();
        self.admit(&request, ControlPermission::MembersRead, parent.as_ref().ok()).await?;
        let workspace = parent.map_err(|error| Violation::new("parent", error))?;
        let ListMembersRequest { parent, page_size, page_token } = request.into_inner();
        let query = ListMembersRequest { parent, ..ListMembersRequest::default() };
        let page_size = convert::page_size(page_size)?;
        let after = page_token::decode::<Email>(&query, &page_token)?;
        let (members, more) = self.members.list(&workspace, after.as_ref(), page_size).await?;
        let last = members.last().filter(|_| more);
        let next_page_token =
            last.map(|last| page_token::encode(&query, &last.email)).unwrap_or_default();
        Ok(Response::new(ListMembersResponse {
            members: members.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn remove_member(
        &self,
        request: Request<RemoveMemberRequest>,
    ) -> Result<Response<RemoveMemberResponse>, Status> {
        let name = request.get_ref().name.parse::<MemberName>();
        let workspace = name.as_ref().ok().map(|name| &name.workspace);
        let caller = self.admit(&request, ControlPermission::MembersWrite, workspace).await?;
        let name = name.map_err(|error| Violation::new("name", error))?;
        let Committed { output: (), revision } = self.members.remove(&caller, name).await?;
        let revision_token = convert::token(revision);
        Ok(Response::new(RemoveMemberResponse { revision_token }))
    }

    async fn create_identifier(
        &self,
        request: Request<CreateIdentifierRequest>,
    ) -> Result<Response<CreateIdentifierResponse>, Status> {
        let parent = request.get_ref().parent.parse::<WorkspaceId>();
        let permission = ControlPermission::IdentifiersWrite;
        let caller = self.admit(&request, permission, parent.as_ref().ok()).await?;
        let draft = convert::create_identifier(request.into_inner(), parent)?;
        let Committed { output, revision } = self.identifiers.create(&caller, draft).await?;
        let (identifier, revision_token) = (Some(output.into()), convert::token(revision));
        Ok(Response::new(CreateIdentifierResponse { identifier, revision_token }))
    }

    async fn list_identifiers(
        &self,
        request: Request<ListIdentifiersRequest>,
    ) -> Result<Response<ListIdentifiersResponse>, Status> {
        let parent = request.get_ref().parent.parse::<WorkspaceId>();
        self.admit(&request, ControlPermission::IdentifiersRead, parent.as_ref().ok()).await?;
        let convert::ListIdentifiers { workspace, filter, page_size, after, query } =
            convert::list_identifiers(request.into_inner(), parent)?;
        let (identifiers, more) =
            self.identifiers.list(&workspace, &filter, after.as_ref(), page_size).await?;
        let last = identifiers.last().filter(|_| more);
        let next_page_token =
            last.map(|last| page_token::encode(&query, &last.name.id)).unwrap_or_default();
        Ok(Response::new(ListIdentifiersResponse {
            identifiers: identifiers.into_iter().map(Into::into).collect(),
            next_page_token,
        }))
    }

    async fn delete_identifier(
        &self,
        request: Request<DeleteIdentifierRequest>,
    ) -> Result<Response<DeleteIdentifierResponse>, Status> {
        let name = request.get_ref().name.parse::<IdentifierName>();
        let workspace = name.as_ref().ok().map(|name| &name.workspace);
        let caller = self.admit(&request, ControlPermission::IdentifiersWrite, workspace).await?;
        let name = name.map_err(|error| Violation::new("name", error))?;
        let Committed { output: (), revision } = self.identifiers.delete(&caller, name).await?;
        let revision_token = convert::token(revision);
        Ok(Response::new(DeleteIdentifierResponse { revision_token }))
    }
}
