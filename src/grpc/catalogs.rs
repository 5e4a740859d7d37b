//! `CatalogService`.

use tonic::{Request, Response, Status};

use super::caller::caller_with;
use super::{convert, page_token};
use crate::domain::{CatalogId, ControlPermission, NetworkSetId};
use crate::manage::{Catalogs, NetworkSets, Violation};
use crate::proto::catalog_service_server::CatalogService;
use crate::proto::{
    ApplyCatalogRequest, ApplyCatalogResponse, ApplyNetworkSetRequest, ApplyNetworkSetResponse,
    DeleteCatalogRequest, DeleteCatalogResponse, DeleteNetworkSetRequest, DeleteNetworkSetResponse,
    GetCatalogRequest, GetCatalogResponse, GetNetworkSetRequest, GetNetworkSetResponse,
    ListCatalogsRequest, ListCatalogsResponse, ListNetworkSetsRequest, ListNetworkSetsResponse,
};
use crate::store::Committed;

#[derive(Debug)]
pub(super) struct CatalogServer {
    pub(super) catalogs: Catalogs,
    pub(super) network_sets: NetworkSets,
}

#[tonic::async_trait]
impl CatalogService for CatalogServer {
    async fn apply_catalog(
        &self,
        request: Request<ApplyCatalogRequest>,
    ) -> Result<Response<ApplyCatalogResponse>, Status> {
        let caller = caller_with(&request, ControlPermission::CatalogsWrite)?;
        caller.require_all_workspaces()?;
        let (id, catalog) = convert::apply_catalog(request.into_inner())?;
        let Committed { output, revision } = self.catalogs.apply(&caller, id, catalog).await?;
        let (catalog, revision_token) = (Some(output.into()), convert::token(revision));
        Ok(Response::new(ApplyCatalogResponse { catalog, revision_token }))
    }

    async fn get_catalog(
        &self,
        request: Request<GetCatalogRequest>,
    ) -> Result<Response<GetCatalogResponse>, Status> {
        caller_with(&request, ControlPermission::CatalogsRead)?;
        let GetCatalogRequest { name } = request.into_inner();
        let id: CatalogId = name.parse().map_err(|error| Violation::new("name", error))?;
        let catalog = self.catalogs.get(&id).await?;
        Ok(Response::new(GetCatalogResponse { catalog: Some(catalog.into()) }))
    }

    async fn list_catalogs(
        &self,
        request: Request<ListCatalogsRequest>,
    ) -> Result<Response<ListCatalogsResponse>, Status> {
        caller_with(&request, ControlPermission::CatalogsRead)?;
        let ListCatalogsRequest { page_size, page_token } = request.into_inner();
        let query = ListCatalogsRequest::default();
        let page_size = convert::page_size(page_size)?;
        let after = page_token::decode::<CatalogId>(&query, &page_token)?;
        let (catalogs, more) = self.catalogs.list(after.as_ref(), page_size).await?;
        let last = catalogs.last().filter(|_| more);
        let next_page_token =
            last.map(|(id, ..)| page_token::encode(&query, id)).unwrap_or_default();
        Ok(Response::new(ListCatalogsResponse {
            catalogs: catalogs.into_iter().map(convert::listed_catalog).collect(),
            next_page_token,
        }))
    }

    async fn delete_catalog(
        &self,
        request: Request<DeleteCatalogRequest>,
    ) -> Result<Response<DeleteCatalogResponse>, Status> {
        let caller = caller_with(&request, ControlPermission::CatalogsWrite)?;
        caller.require_all_workspaces()?;
        let DeleteCatalogRequest { name } = request.into_inner();
        let id: CatalogId = name.parse().map_err(|error| Violation::new("name", error))?;
        let Committed { output: (), revision } = self.catalogs.delete(&caller, id).await?;
        let revision_token = convert::token(revision);
        Ok(Response::new(DeleteCatalogResponse { revision_token }))
    }

    async fn apply_network_set(
        &self,
        request: Request<ApplyNetworkSetRequest>,
    ) -> Result<Response<ApplyNetworkSetResponse>, Status> {
        let caller = caller_with(&request, ControlPermission::NetworkSetsWrite)?;
        caller.require_all_workspaces()?;
        let (id, networks) = convert::apply_network_set(request.into_inner())?;
        let Committed { output, revision } = self.network_sets.apply(&caller, id, networks).await?;
        let (network_set, revision_token) = (Some(output.into()), convert::token(revision));
        Ok(Response::new(ApplyNetworkSetResponse { network_set, revision_token }))
    }

    async fn get_network_set(
        &self,
        request: Request<GetNetworkSetRequest>,
    ) -> Result<Response<GetNetworkSetResponse>, Status> {
        caller_with(&request, ControlPermission::NetworkSetsRead)?;
        let GetNetworkSetRequest { name } = request.into_inner();
        let id: NetworkSetId = name.parse().map_err(|error| Violation::new("name", error))?;
        let set = self.network_sets.get(&id).await?;
        Ok(Response::new(GetNetworkSetResponse { network_set: Some(set.into()) }))
    }

    async fn list_network_sets(
        &self,
        request: Request<ListNetworkSetsRequest>,
    ) -> Result<Response<ListNetworkSetsResponse>, Status> {
        caller_with(&request, ControlPermission::NetworkSetsRead)?;
        let ListNetworkSetsRequest { page_size, page_token } = request.into_inner();
        let query = ListNetworkSetsRequest::default();
        let page_size = convert::page_size(page_size)?;
        let after = page_token::decode::<NetworkSetId>(&query, &page_token)?;
        let (sets, more) = self.network_sets.list(after.as_ref(), page_size).await?;
        let last = sets.last().filter(|_| more);
        let next_page_token =
            last.map(|(id, ..)| page_token::encode(&query, id)).unwrap_or_default();
        Ok(Response::new(ListNetworkSetsResponse {
            network_sets: sets.into_iter().map(convert::listed_network_set).collect(),
            next_page_token,
        }))
    }

    async fn delete_network_set(
        &self,
        request: Request<DeleteNetworkSetRequest>,
    ) -> Result<Response<DeleteNetworkSetResponse>, Status> {
        let caller = caller_with(&request, ControlPermission::NetworkSetsWrite)?;
        caller.require_all_workspaces()?;
        let DeleteNetworkSetRequest { name } = request.into_inner();
        let id: NetworkSetId = name.parse().map_err(|error| Violation::new("name", error))?;
        let Committed { output: (), revision } = self.network_sets.delete(&caller, id).await?;
        let revision_token = convert::token(revision);
        Ok(Response::new(DeleteNetworkSetResponse { revision_token }))
    }
}
