//! `Authorize`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use claviger::proto::Reason;
use tonic::Code;

use super::support::builders::{a_key, a_question};
use super::support::server::TestServer;
use super::{assert_refused, invalid, refused};

#[tokio::test]
async fn what_the_calling_service_got_wrong() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let question = || a_question("some-key");
    let address = || invalid(&["client_ip"]);
    for (row, request, expected) in [
        ("a host name", question().from("localhost").build(), address()),
        ("an address with a port", question().from("203.0.113.9:443").build(), address()),
        ("brackets", question().from("[2001:db8::1]").build(), address()),
        ("a zone", question().from("fe80::1%eth0").build(), address()),
        ("a leading zero", question().from("203.0.113.09").build(), address()),
        ("a network", question().from("203.0.113.0/24").build(), address()),
        ("two addresses", question().from("203.0.113.9, 10.0.0.1").build(), address()),
        ("a blank", question().from(" ").build(), address()),
        ("an id for a workspace", question().workspace("acme").build(), invalid(&["workspace"])),
        (
            "a key for a workspace",
            question().workspace("workspaces/acme/keys/x").build(),
            invalid(&["workspace"]),
        ),
        (
            "both",
            question().workspace("acme").from("x").build(),
            invalid(&["client_ip", "workspace"]),
        ),
        ("no instance's name", question().instance("eu 01").build(), invalid(&["instance"])),
        (
            "an instance's name that is too long",
            question().instance(&"x".repeat(129)).build(),
            invalid(&["instance"]),
        ),
        (
            "no identifiers",
            question().identifiers(&["app-1", "", "a/b", "é"]).build(),
            invalid(&["identifiers[1]", "identifiers[2]", "identifiers[3]"]),
        ),
        (
            "too many identifiers",
            question().identifiers(&["app-1"; 101]).build(),
            invalid(&["identifiers"]),
        ),
    ] {
        assert_refused(row, operator.authorize(request).await, &expected);
    }
    let unscoped = refused(Code::PermissionDenied, "CONTROL_KEY_PERMISSION_MISSING");
    let caller = server.caller_with(&["claviger.keys.read"]).await;
    // Authorised before validated.
    let request = question().from("localhost").build();
    assert_refused("not authorised", caller.authorize(request).await, &unscoped);
}

#[tokio::test]
async fn what_is_wrong_with_the_credential() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = a_key("k").permissions(&["*"]).build();
    let created = operator.create_key("workspaces/acme", key).await.unwrap();
    let secret = created.secret.as_str();
    let base64 = |text: &str| BASE64_STANDARD.encode(text);
    let mut typo = secret.to_owned();
    let last = if typo.pop() == Some('x') { 'y' } else { 'x' };
    typo.push(last);
    let other_form = format!("key_{}", &secret[5..]);
    let header = |value: &str| a_question("").header(value).build();
    for (row, request, reason) in [
        ("nothing", a_question("").no_credential().build(), Reason::KeyMissing),
        ("an empty key", a_question("").build(), Reason::KeyMissing),
        ("an empty header", header(""), Reason::KeyMissing),
        ("a key of seven characters", a_question("1234567").build(), Reason::KeyMalformed),
        ("a key of 513 characters", a_question(&"x".repeat(513)).build(), Reason::KeyMalformed),
        ("a blank in a key", a_question("not one-key").build(), Reason::KeyMalformed),
        (
            "a newline behind a key",
            a_question(&format!("{secret}\n")).build(),
            Reason::KeyMalformed,
        ),
        ("a letter beyond ASCII", a_question("schlüssel").build(), Reason::KeyMalformed),
        ("NUL in a key", a_question("nul\0nul-nul").build(), Reason::KeyMalformed),
        ("a typing error", a_question(&typo).build(), Reason::KeyMalformed),
        ("the right form, never issued", a_question("some-other-key").build(), Reason::KeyUnknown),
        (
            "a character too few",
            a_question(&secret[..secret.len() - 1]).build(),
            Reason::KeyUnknown,
        ),
        ("a digit dropped", a_question(&other_form).build(), Reason::KeyUnknown),
        ("Bearer alone", header("Bearer"), Reason::KeyMalformed),
        ("Bearer and blanks", header("Bearer   "), Reason::KeyMalformed),
        ("two values", header(&format!("Bearer {secret}, Bearer {secret}")), Reason::KeyMalformed),
        ("bad Base64", header("Basic !!!!"), Reason::KeyMalformed),
        ("Base64 cut off", header("Basic YWJjZGVmZ2hp_"), Reason::KeyMalformed),
        ("a newline", header(&format!("Bearer {secret}\n")), Reason::KeyMalformed),
        (
            "Basic and an empty user",
            header(&format!("Basic {}", base64(":"))),
            Reason::KeyMalformed,
        ),
        (
            "Basic with a password",
            header(&format!("Basic {}", base64(&format!("{secret}:secret")))),
            Reason::KeyUnknown,
        ),
        ("another scheme", header(&format!("Digest {secret}")), Reason::KeyMalformed),
        ("no scheme", header(secret), Reason::KeyMalformed),
        ("a tab", header(&format!("Bearer\t{secret}")), Reason::KeyMalformed),
        ("a key that is good", a_question(secret).build(), Reason::Allowed),
    ] {
        let answer = operator.authorize(request).await.unwrap();
        assert_eq!(answer.reason(), reason, "{row}");
        assert_eq!(answer.allowed, reason == Reason::Allowed, "{row}");
    }
}
