//! A server in this process, on a database and a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use claviger::config::Settings;
use claviger::domain::Secret;
use claviger::operator_key::Handover;
use claviger::proto::authorization_service_client::AuthorizationServiceClient;
use claviger::proto::catalog_service_client::CatalogServiceClient;
use claviger::proto::key_service_client::KeyServiceClient;
use claviger::proto::workspace_service_client::WorkspaceServiceClient;
use claviger::proto::{
    AddMemberRequest, ApplyCatalogRequest, ApplyNetworkSetRequest, AuthorizeRequest,
    AuthorizeResponse, CloneKeyRequest, CloneKeyResponse, CreateIdentifierRequest,
    CreateKeyRequest, CreateKeyResponse, CreateWorkspaceRequest, CreateWorkspaceResponse,
    DeleteKeyRequest, GetKeyRequest, Identifier, Key, ListKeysRequest, Member, NetworkSet, Policy,
    RevealKeyRequest, RevealKeyResponse, Role, UpdateWorkspaceRequest, Workspace,
};
use claviger::server::Server;
use claviger::store::DatabaseUrl;
use sea_orm::DatabaseConnection;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::builders::small_catalog;
use super::clock::FakeClock;
use super::database::{Engine, TestDatabase};

/// Presents a control key with every call, and names the person that it is made for.
#[derive(Clone)]
pub struct Credentials {
    control_key: Option<MetadataValue<Ascii>>,
    actors: Vec<MetadataValue<Ascii>>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.control_key {
            request.metadata_mut().insert("authorization", value.clone());
        }
        for actor in &self.actors {
            request.metadata_mut().append("claviger-actor", actor.clone());
        }
        Ok(request)
    }
}

type Authenticated = InterceptedService<Channel, Credentials>;

/// The services as one caller sees them.
#[derive(Clone)]
pub struct Client {
    pub keys: KeyServiceClient<Authenticated>,
    pub authorization: AuthorizationServiceClient<Authenticated>,
    pub workspaces: WorkspaceServiceClient<Authenticated>,
    pub catalogs: CatalogServiceClient<Authenticated>,
}

impl Client {
    /// A caller with this control key; `None`: with none at all.
    pub fn new(channel: &Channel, control_key: Option<&str>) -> Self {
        Self::acting_for(channel, control_key, &[])
    }

    /// A caller with this control key that names these people; there should be one.
    pub fn acting_for(channel: &Channel, control_key: Option<&str>, actors: &[&str]) -> Self {
        let credentials = Credentials {
            control_key: control_key.map(|key| format!("Bearer {key}").parse().unwrap()),
            actors: actors.iter().map(|actor| actor.parse().unwrap()).collect(),
        };
        let service = || InterceptedService::new(channel.clone(), credentials.clone());
        Self {
            keys: KeyServiceClient::new(service()),
            authorization: AuthorizationServiceClient::new(service()),
            workspaces: WorkspaceServiceClient::new(service()),
            catalogs: CatalogServiceClient::new(service()),
        }
    }

    pub async fn create_key(&self, parent: &str, key: Key) -> Result<CreateKeyResponse, Status> {
        let parent = parent.to_owned();
        let request = CreateKeyRequest { parent, key: Some(key), request_id: String::new() };
        Ok(self.keys.clone().create_key(request).await?.into_inner())
    }

    pub async fn authorize(&self, request: AuthorizeRequest) -> Result<AuthorizeResponse, Status> {
        Ok(self.authorization.clone().authorize(request).await?.into_inner())
    }

    pub async fn create_workspace(
        &self,
        id: &str,
        catalog: &str,
        policy: Policy,
    ) -> Result<CreateWorkspaceResponse, Status> {
        let workspace = Workspace {
            display_name: id.to_owned(),
            catalog: catalog.to_owned(),
            policy: Some(policy),
            ..Workspace::default()
        };
        let workspace_id = id.to_owned();
        let request = CreateWorkspaceRequest { workspace_id, workspace: Some(workspace) };
        Ok(self.workspaces.clone().create_workspace(request).await?.into_inner())
    }

    pub async fn get_key(&self, name: &str) -> Result<Key, Status> {
        let request = GetKeyRequest { name: name.to_owned() };
        Ok(self.keys.clone().get_key(request).await?.into_inner().key.unwrap())
    }

    /// The keys of a workspace, a thousand at the most.
    pub async fn list_keys(&self, parent: &str) -> Result<Vec<Key>, Status> {
        let parent = parent.to_owned();
        let request = ListKeysRequest { parent, page_size: 1_000, ..ListKeysRequest::default() };
        Ok(self.keys.clone().list_keys(request).await?.into_inner().keys)
    }

    /// Deletes a key, and returns the revision token.
    pub async fn delete_key(&self, name: &str) -> Result<String, Status> {
        let request = DeleteKeyRequest { name: name.to_owned() };
        Ok(self.keys.clone().delete_key(request).await?.into_inner().revision_token)
    }

    pub async fn clone_key(&self, name: &str) -> Result<CloneKeyResponse, Status> {
        let request = CloneKeyRequest { name: name.to_owned(), request_id: String::new() };
        Ok(self.keys.clone().clone_key(request).await?.into_inner())
    }

    pub async fn reveal_key(&self, name: &str) -> Result<RevealKeyResponse, Status> {
        let request = RevealKeyRequest { name: name.to_owned() };
        Ok(self.keys.clone().reveal_key(request).await?.into_inner())
    }

    pub async fn apply_network_set(&self, name: &str, networks: &[&str]) -> Result<(), Status> {
        let networks = networks.iter().map(ToString::to_string).collect();
        let set = NetworkSet { name: name.to_owned(), networks, ..NetworkSet::default() };
        let request = ApplyNetworkSetRequest { network_set: Some(set) };
        self.catalogs.clone().apply_network_set(request).await.map(drop)
    }

    pub async fn create_identifier(
        &self,
        workspace: &str,
        id: &str,
        kind: &str,
        display_name: &str,
    ) -> Result<Identifier, Status> {
        let identifier = Identifier {
            kind: kind.to_owned(),
            display_name: display_name.to_owned(),
            ..Identifier::default()
        };
        let request = CreateIdentifierRequest {
            parent: workspace.to_owned(),
            identifier_id: id.to_owned(),
            identifier: Some(identifier),
        };
        let created = self.workspaces.clone().create_identifier(request).await?;
        Ok(created.into_inner().identifier.unwrap())
    }

    pub async fn add_member(
        &self,
        workspace: &str,
        email: &str,
        role: Role,
    ) -> Result<Member, Status> {
        let member = Member { email: email.to_owned(), role: role.into(), ..Member::default() };
        let request = AddMemberRequest { parent: workspace.to_owned(), member: Some(member) };
        let added = self.workspaces.clone().add_member(request).await?;
        Ok(added.into_inner().member.unwrap())
    }

    /// Writes the policy anew, whole.
    pub async fn set_policy(&self, workspace: &str, policy: Policy) -> Result<Workspace, Status> {
        let workspace =
            Workspace { name: workspace.to_owned(), policy: Some(policy), ..Workspace::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["policy".to_owned()] });
        let request = UpdateWorkspaceRequest { workspace: Some(workspace), update_mask };
        let updated = self.workspaces.clone().update_workspace(request).await?;
        Ok(updated.into_inner().workspace.unwrap())
    }
}

/// A server that is running.
pub struct TestServer {
    pub address: SocketAddr,
    pub clock: Arc<FakeClock>,
    pub operator_key: Secret,
    pub channel: Channel,
    database: TestDatabase,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl TestServer {
    /// A server on an empty database.
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// The same with some settings of one's own.
    pub async fn start_with(settings: Settings) -> Self {
        let database = TestDatabase::create(Engine::of_this_run()).await;
        Self::start_on(database, Arc::default(), settings).await
    }

    /// A server on this database.
    pub async fn start_on(
        database: TestDatabase,
        clock: Arc<FakeClock>,
        settings: Settings,
    ) -> Self {
        let settings = Settings {
            listen: Some(([127, 0, 0, 1], 0).into()),
            data_dir: Some(database.directory().to_owned()),
            database_url: Some(database.url.clone()),
            ..settings
        };
        let config = settings.resolve().unwrap();
        let handover = Handover::File(database.directory().join("operator.key"));
        let server = Server::start(&config, &handover, clock.clone()).await.unwrap();
        let address = server.address();
        let operator_key = handover.obtain().unwrap().secret;
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            server.serve(async { stopped.await.unwrap_or(()) }).await.unwrap();
        });
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self { address, clock, operator_key, channel, database, stop: Some(stop), serving }
    }

    /// Another server on the same database, at the same time.
    pub async fn beside(other: &Self) -> Self {
        let database = other.database.again();
        let server = Self::start_on(database, other.clock.clone(), Settings::default()).await;
        Self { operator_key: other.operator_key.clone(), ..server }
    }

    /// Another server on the same database, reached by another URL, with some settings of its own.
    pub async fn beside_by(other: &Self, url: String, settings: Settings) -> Self {
        let database = other.database.by(url);
        let server = Self::start_on(database, Arc::default(), settings).await;
        Self { operator_key: other.operator_key.clone(), ..server }
    }

    /// A server with the small catalogue as `catalogs/small`, and `workspaces/acme` on it.
    pub async fn with_acme() -> Self {
        let server = Self::start().await;
        server.add_acme().await;
        server
    }

    /// Adds the small catalogue as `catalogs/small`, and `workspaces/acme` on it.
    pub async fn add_acme(&self) {
        let operator = self.operator();
        let catalog = Some(small_catalog());
        operator.catalogs.clone().apply_catalog(ApplyCatalogRequest { catalog }).await.unwrap();
        operator.create_workspace("acme", "catalogs/small", Policy::default()).await.unwrap();
    }

    /// The caller that may do everything.
    pub fn operator(&self) -> Client {
        self.caller(self.operator_key.expose())
    }

    /// A caller with this control key.
    pub fn caller(&self, control_key: &str) -> Client {
        Client::new(&self.channel, Some(control_key))
    }

    /// A caller with a new control key that holds these permissions.
    pub async fn caller_with(&self, permissions: &[&str]) -> Client {
        self.caller(&self.control_key(permissions).await)
    }

    /// A new control key that holds these permissions.
    pub async fn control_key(&self, permissions: &[&str]) -> String {
        let key = super::builders::a_key("caller").permissions(permissions).build();
        self.operator().create_key("workspaces/claviger", key).await.unwrap().secret
    }

    /// A caller with this control key that acts for this person.
    pub fn dashboard(&self, control_key: &str, actor: &str) -> Client {
        Client::acting_for(&self.channel, Some(control_key), &[actor])
    }

    /// Where the server's database is.
    pub fn database_url(&self) -> DatabaseUrl {
        self.database.database_url()
    }

    /// The same, as it is written in a configuration.
    pub fn database_url_text(&self) -> String {
        self.database.url.clone()
    }

    /// A connection of somebody else's to the server's database.
    pub async fn intruder(&self) -> DatabaseConnection {
        self.database.intruder().await
    }

    /// Tells the server to shut down.
    pub fn begin_shutdown(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }

    /// Shuts the server down and waits until it is.
    pub async fn stop(mut self) -> (TestDatabase, Arc<FakeClock>) {
        self.begin_shutdown();
        self.serving.await.unwrap();
        (self.database, self.clock)
    }

    /// Shuts the server down and starts another on the same files.
    pub async fn restart(self) -> Self {
        self.restart_with(Settings::default()).await
    }

    /// The same with some settings of one's own.
    pub async fn restart_with(self, settings: Settings) -> Self {
        let (database, clock) = self.stop().await;
        Self::start_on(database, clock, settings).await
    }
}
