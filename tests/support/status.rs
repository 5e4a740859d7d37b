//! What an error says.

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The reason of an error's `ErrorInfo`.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map(|info| {
        assert_eq!(info.domain, "claviger");
        info.reason
    })
    .unwrap_or_default()
}

/// The fields that an error complains about.
pub fn fields(status: &Status) -> Vec<String> {
    let bad_request = status.get_details_bad_request();
    bad_request.map_or_else(Vec::new, |bad_request| {
        bad_request.field_violations.into_iter().map(|violation| violation.field).collect()
    })
}

/// Code and reason of what must be an error.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("was not refused");
    (status.code(), reason(&status))
}
