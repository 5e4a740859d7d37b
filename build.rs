//! Compiles the contract in `proto/`, without protoc.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

const PROTO_ROOTS: [&str; 2] = ["proto", "third_party/proto"];
const SERVICES: [&str; 4] = [
    "claviger/v1/authorization_service.proto",
    "claviger/v1/catalog_service.proto",
    "claviger/v1/key_service.proto",
    "claviger/v1/workspace_service.proto",
];
/// Messages that carry a secret get no derived `Debug`: `src/proto.rs` has one that prints none.
const SECRET_BEARING: [&str; 6] = [
    ".claviger.v1.AuthorizeRequest",
    ".claviger.v1.CloneKeyResponse",
    ".claviger.v1.CreateKeyResponse",
    ".claviger.v1.CreateWorkspaceResponse",
    ".claviger.v1.FirstKey",
    ".claviger.v1.RevealKeyResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    for root in PROTO_ROOTS {
        println!("cargo::rerun-if-changed={root}");
    }
    let mut compiler = protox::Compiler::new(PROTO_ROOTS)?;
    compiler.include_imports(true).include_source_info(true).open_files(SERVICES)?;

    // What reflection serves: with comments, and with the options that prost does not know.
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("claviger.binpb");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        .skip_debug(SECRET_BEARING)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
