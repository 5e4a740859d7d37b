//! TLS: the server speaks it, and then nothing else.

mod support;

use std::path::Path;
use std::process::Stdio;

use claviger::clock::SystemClock;
use claviger::config::Settings;
use claviger::operator_key::Handover;
use claviger::server::Server;
use support::builders::{a_key, a_question};
use support::process::program;
use support::repository;
use support::server::Client;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

/// Writes a certificate for `localhost` and returns it.
fn certificate(directory: &Path) -> String {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), signed.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), signed.signing_key.serialize_pem()).unwrap();
    signed.cert.pem()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_speaks_tls_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let pem = certificate(directory.path());
    let settings = Settings {
        listen: Some(([127, 0, 0, 1], 0).into()),
        data_dir: Some(directory.path().join("data")),
        tls_certificate_file: Some(directory.path().join("cert.pem")),
        tls_private_key_file: Some(directory.path().join("key.pem")),
        ..Settings::default()
    };
    let config = settings.resolve().unwrap();
    let handover = Handover::File(directory.path().join("operator.key"));
    let clock = std::sync::Arc::new(SystemClock);
    let server = Server::start(&config, &handover, clock).await.unwrap();
    let port = server.address().port();
    let serving = tokio::spawn(server.serve(std::future::pending()));
    let key = handover.obtain().unwrap().secret;

    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    let endpoint = Channel::from_shared(format!("https://localhost:{port}")).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let operator = Client::new(&channel, Some(key.expose()));
    assert!(operator.authorize(a_question("some-key").build()).await.is_ok());
    // The address of the caller is known through TLS, too.
    let elsewhere = a_key("c").permissions(&["*"]).allowed_ips(&["203.0.113.0/24"]).build();
    let elsewhere = operator.create_key("workspaces/claviger", elsewhere).await.unwrap().secret;
    let refused = Client::new(&channel, Some(&elsewhere)).authorize(a_question("x").build()).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);

    let clear = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let answer = match clear.connect().await {
        Ok(channel) => Client::new(&channel, Some(key.expose()))
            .authorize(a_question("some-key").build())
            .await
            .map_err(|_| ()),
        Err(_) => Err(()),
    };
    assert!(answer.is_err(), "clear text was answered");

    // The command line speaks it as well, and trusts nobody it was not told to.
    for (trust, success) in [(true, true), (false, false)] {
        let mut command = program();
        command.args(["catalog", "apply", "--server", &format!("https://localhost:{port}")]);
        if trust {
            command.arg("--tls-ca-file").arg(directory.path().join("cert.pem"));
        }
        let status = command
            .arg(repository("examples/catalogs/braze.yaml"))
            .env("CLAVIGER_CONTROL_KEY", key.expose())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert_eq!(status.unwrap().success(), success);
    }
    serving.abort();
}
