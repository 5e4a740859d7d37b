//! `CatalogService`.

use tonic::{Request, Response, Status};

use super::caller::caller_without_actor;
use super::{convert, page_token};
use crate::domain::{CatalogId, ControlPermission};
use crate::manage::{Catalogs, Violation};
use crate::proto::catalog_service_server::CatalogService;
use crate::proto::{
    ApplyCatalogRequest, ApplyCatalogResponse, DeleteCatalogRequest, DeleteCatalogResponse,
    GetCatalogRequest, GetCatalogResponse, ListCatalogsRequest, ListCatalogsResponse,
};

#[derive(Debug)]
pub(super) struct CatalogServer(pub(super) Catalogs);

#[tonic::async_trait]
impl CatalogService for CatalogServer {
    async fn apply_catalog(
        &self,
        request: Request<ApplyCatalogRequest>,
    ) -> Result<Response<ApplyCatalogResponse>, Status> {
        let caller = caller_without_actor(&request)?;
        caller.require(ControlPermission::CatalogsWrite)?;
        caller.require_all_workspaces()?;
        let (id, catalog) = convert::apply_catalog(request.into_inner())?;
        let applied = self.0.apply(&caller, id, catalog).await?;
        Ok(Response::new(ApplyCatalogResponse { catalog: Some(applied.into()) }))
    }

    async fn get_catalog(
        &self,
        request: Request<GetCatalogRequest>,
    ) -> Result<Response<GetCatalogResponse>, Status> {
        let caller = caller_without_actor(&request)?;
        caller.require(ControlPermission::CatalogsRead)?;
        let GetCatalogRequest { name } = request.into_inner();
        let id: CatalogId = name.parse().map_err(|error| Violation::new("name", error))?;
        let catalog = self.0.get(&id).await?;
        Ok(Response::new(GetCatalogResponse { catalog: Some(catalog.into()) }))
    }

    async fn list_catalogs(
        &self,
        request: Request<ListCatalogsRequest>,
    ) -> Result<Response<ListCatalogsResponse>, Status> {
        let caller = caller_without_actor(&request)?;
        caller.require(ControlPermission::CatalogsRead)?;
        let ListCatalogsRequest { page_size, page_token } = request.into_inner();
        let query = ListCatalogsRequest::default();
        let page_size = convert::page_size(page_size)?;
        let after = page_token::decode::<CatalogId>(&query, &page_token)?;
        let (catalogs, more) = self.0.list(after.as_ref(), page_size).await?;
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
        let caller = caller_without_actor(&request)?;
        caller.require(ControlPermission::CatalogsWrite)?;
        caller.require_all_workspaces()?;
        let DeleteCatalogRequest { name } = request.into_inner();
        let id: CatalogId = name.parse().map_err(|error| Violation::new("name", error))?;
        self.0.delete(&caller, id).await?;
        Ok(Response::new(DeleteCatalogResponse {}))
    }
}
