//! The use cases of the control plane: what callers do to keys, workspaces and catalogues, and the
//! rules that hold while they do.
//!
//! Whether the caller may do it at all was asked before, of its [`Caller`](crate::domain::Caller) and,
//! about the person that it acts for, of [`Actors`].

mod actors;
mod catalogs;
mod entropy;
mod error;
mod identifiers;
mod keys;
mod members;
mod network_sets;
mod operator;
mod vault;
mod workspaces;

pub use actors::Actors;
pub use catalogs::{Catalogs, ListedCatalog, NamedCatalog};
pub use entropy::{EntropyError, new_secret};
pub use error::{Error, Precondition, Resource, Violation};
pub use identifiers::{IdentifierDraft, Identifiers};
pub use keys::{CreatedKey, KeyDraft, KeyPage, Keys};
pub use members::Members;
pub use network_sets::{ListedNetworkSet, NetworkSets};
pub use operator::{initialize, is_initialized, reset_operator_key};
pub use vault::{Rotated, check_vault, forget_unknown_secrets, rotate_encryption_key};
pub use workspaces::{CreatedWorkspace, PolicyPatch, WorkspaceDraft, WorkspacePatch, Workspaces};

/// Cuts what was read, one item more than fits on a page, to the page, and says whether there is more.
fn cut_page<T>(mut read: Vec<T>, page_size: usize) -> (Vec<T>, bool) {
    let more = read.len() > page_size;
    read.truncate(page_size);
    (read, more)
}
