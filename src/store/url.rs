//! Where a database is.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use sea_orm::sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use zeroize::Zeroizing;

/// Where the database is. Printed without its password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(Remote),
    /// A MariaDB or MySQL server.
    MySql(Remote),
}

/// A database that a server keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    url: Zeroizing<String>,
    /// The URL without user, password and parameters.
    shown: String,
}

impl Remote {
    /// The whole URL, with the password.
    pub(super) fn expose(&self) -> &str {
        &self.url
    }
}

/// Why a text is not the URL of a database. Does not repeat it: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// No engine that is known.
    #[error(
        "must begin with `sqlite:`, `postgres:` or `mysql:`, as in `sqlite:/var/lib/claviger/claviger.db`"
    )]
    Scheme,
    /// Not the path of a file.
    #[error("must be `sqlite:` and the path of a file")]
    Path,
    /// Not the URL of a server.
    #[error("must be a URL such as `postgres://user:password@host:5432/database`")]
    Form,
    /// A server beyond loopback, and nothing said of encryption, or only that it would be nice.
    #[error(
        "is of the server `{host}`, beyond loopback, and would fall back to clear text: add \
         `{parameter}={verified}`, or `{parameter}={clear}` if something else encrypts"
    )]
    ClearText {
        /// The host.
        host: String,
        /// The parameter of the URL.
        parameter: &'static str,
        /// Its safest value.
        verified: &'static str,
        /// Its value for clear text.
        clear: &'static str,
    },
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(url: &str) -> Result<Self, InvalidDatabaseUrl> {
        let (scheme, rest) = url.split_once(':').ok_or(InvalidDatabaseUrl::Scheme)?;
        let names_a_host = rest.starts_with("//");
        match scheme {
            "sqlite" => sqlite(rest).map(Self::Sqlite),
            "postgres" | "postgresql" if names_a_host => postgres(url).map(Self::Postgres),
            "mysql" | "mariadb" if names_a_host => mysql(url).map(Self::MySql),
            "postgres" | "postgresql" | "mysql" | "mariadb" => Err(InvalidDatabaseUrl::Form),
            _ => Err(InvalidDatabaseUrl::Scheme),
        }
    }
}

fn sqlite(path: &str) -> Result<PathBuf, InvalidDatabaseUrl> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.starts_with(':') || path.contains('?') {
        return Err(InvalidDatabaseUrl::Path);
    }
    Ok(path.into())
}

fn postgres(url: &str) -> Result<Remote, InvalidDatabaseUrl> {
    let options = PgConnectOptions::from_str(url).map_err(|_| InvalidDatabaseUrl::Form)?;
    let database = options.get_database().ok_or(InvalidDatabaseUrl::Form)?;
    let host = options.get_host();
    let falls_back = matches!(options.get_ssl_mode(), PgSslMode::Allow | PgSslMode::Prefer);
    if falls_back && options.get_socket().is_none() && !is_local(host) {
        let (parameter, verified, clear) = ("sslmode", "verify-full", "disable");
        return Err(InvalidDatabaseUrl::ClearText {
            host: host.into(),
            parameter,
            verified,
            clear,
        });
    }
    let shown = format!("postgres://{host}:{}/{database}", options.get_port());
    Ok(Remote { url: Zeroizing::new(url.to_owned()), shown })
}

fn mysql(url: &str) -> Result<Remote, InvalidDatabaseUrl> {
    let url = url.replacen("mariadb:", "mysql:", 1);
    let options = MySqlConnectOptions::from_str(&url).map_err(|_| InvalidDatabaseUrl::Form)?;
    let database = options.get_database().ok_or(InvalidDatabaseUrl::Form)?;
    let host = options.get_host();
    let falls_back = matches!(options.get_ssl_mode(), MySqlSslMode::Preferred);
    if falls_back && options.get_socket().is_none() && !is_local(host) {
        let (parameter, verified, clear) = ("ssl-mode", "VERIFY_IDENTITY", "DISABLED");
        return Err(InvalidDatabaseUrl::ClearText {
            host: host.into(),
            parameter,
            verified,
            clear,
        });
    }
    let shown = format!("mysql://{host}:{}/{database}", options.get_port());
    Ok(Remote { url: Zeroizing::new(url), shown })
}

/// Whether what is sent to this host stays on this machine. A path is a socket of PostgreSQL's.
fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost"
        || host.starts_with('/')
        || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(remote) | Self::MySql(remote) => f.write_str(&remote.shown),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_without_its_password() {
        for (url, shown) in [
            ("sqlite:/a/b.db", "sqlite:/a/b.db"),
            ("sqlite:///a/b.db", "sqlite:/a/b.db"),
            ("postgres://u:hunter2@localhost/d", "postgres://localhost:5432/d"),
            ("postgresql://u:hunter2@127.0.0.1:9/d", "postgres://127.0.0.1:9/d"),
            ("mysql://u:hunter2@[::1]/d", "mysql://[::1]:3306/d"),
            ("mariadb://u:hunter2@localhost/d", "mysql://localhost:3306/d"),
            (
                "postgres://u:hunter2@db.example.com/d?sslmode=verify-full",
                "postgres://db.example.com:5432/d",
            ),
        ] {
            let parsed: DatabaseUrl = url.parse().unwrap();
            assert_eq!((parsed.to_string(), format!("{parsed:?}")), (shown.into(), shown.into()));
        }
    }

    #[test]
    fn clear_text_beyond_loopback_must_be_asked_for() {
        for url in [
            "postgres://u:hunter2@db.example.com/d",
            "postgres://u:hunter2@192.0.2.1/d?sslmode=prefer",
            "postgres://u:hunter2@192.0.2.1/d?sslmode=allow",
            "mysql://u:hunter2@db.example.com/d",
            "mysql://u:hunter2@db.example.com/d?ssl-mode=PREFERRED",
        ] {
            let error = url.parse::<DatabaseUrl>().unwrap_err();
            assert!(matches!(error, InvalidDatabaseUrl::ClearText { .. }), "{url}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        for url in [
            "postgres://u@db.example.com/d?sslmode=disable",
            "postgres://u@db.example.com/d?sslmode=require",
            "postgres://u@db.example.com/d?sslmode=verify-ca",
            "mysql://u@db.example.com/d?ssl-mode=REQUIRED",
            "mysql://u@db.example.com/d?ssl-mode=DISABLED",
            "mysql://u@db.example.com/d?ssl-mode=VERIFY_IDENTITY",
        ] {
            assert!(url.parse::<DatabaseUrl>().is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_not_repeated() {
        for url in [
            "",
            "hunter2",
            "oracle://u:hunter2@h/d",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:x?mode=ro",
            "postgres://u:hunter2@localhost:x/d",
            "mysql://u:hunter2@localhost",
            "mysql:hunter2",
        ] {
            let error = url.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
