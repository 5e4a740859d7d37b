//! Where the operator key comes from and goes to, outside the database.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::domain::{KeyPrefix, Secret};
use crate::manage::{EntropyError, new_secret};

/// The shortest operator key that is taken from a file, in characters.
const MIN_LENGTH: usize = 32;

/// Where an operator key is handed over.
#[derive(Clone, Debug)]
pub enum Handover {
    /// Read from this file if it exists, else written there.
    File(PathBuf),
    /// Shown to a person, once: the key, the address of the server, and whether it speaks TLS.
    Person(fn(&Secret, SocketAddr, bool)),
}

/// A secret for the operator key, and where it came from.
#[derive(Debug)]
pub struct Obtained {
    /// The secret.
    pub secret: Secret,
    /// The file that was written to hand it over, if one was.
    pub written: Option<PathBuf>,
}

/// Why there is no operator key.
#[derive(Debug, thiserror::Error)]
pub enum OperatorKeyError {
    /// The file cannot be read or written.
    #[error("the operator key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file holds no key.
    #[error(
        "the operator key file {} must hold one line of at least {MIN_LENGTH} visible ASCII characters",
        path.display()
    )]
    Invalid {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl Handover {
    /// A secret for the operator key. If it goes to a file, it is there when this returns.
    ///
    /// # Errors
    /// See [`OperatorKeyError`].
    pub fn obtain(&self) -> Result<Obtained, OperatorKeyError> {
        let Self::File(path) = self else {
            return Ok(Obtained { secret: new_secret(&KeyPrefix::control())?, written: None });
        };
        if let Some(secret) = read(path)? {
            return Ok(Obtained { secret, written: None });
        }
        let io = |source| OperatorKeyError::Io { path: path.clone(), source };
        let secret = new_secret(&KeyPrefix::control())?;
        let temporary = write_beside(path, &secret).map_err(io)?;
        // Unlike a rename, a link never takes the place of the file of a server that starts at the
        // same moment.
        let linked = fs::hard_link(&temporary, path);
        fs::remove_file(&temporary).map_err(io)?;
        match linked {
            Ok(()) => {
                sync_directory(path).map_err(io)?;
                Ok(Obtained { secret, written: Some(path.clone()) })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.obtain(),
            Err(error) => Err(io(error)),
        }
    }

    /// A new secret, in place of the one that a file may hold.
    ///
    /// # Errors
    /// See [`OperatorKeyError`].
    pub fn renew(&self) -> Result<Secret, OperatorKeyError> {
        let secret = new_secret(&KeyPrefix::control())?;
        if let Self::File(path) = self {
            write_beside(path, &secret)
                .and_then(|temporary| fs::rename(temporary, path))
                .and_then(|()| sync_directory(path))
                .map_err(|source| OperatorKeyError::Io { path: path.clone(), source })?;
        }
        Ok(secret)
    }
}

fn read(path: &Path) -> Result<Option<Secret>, OperatorKeyError> {
    let text = match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OperatorKeyError::Io { path: path.to_owned(), source }),
    };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let secret = line.parse::<Secret>().ok().filter(|_| line.len() >= MIN_LENGTH);
    secret.map(Some).ok_or_else(|| OperatorKeyError::Invalid { path: path.to_owned() })
}

/// Writes the key, for nobody but this user, into a new file beside `path`: under its own name it is
/// to appear whole or not at all.
fn write_beside(path: &Path, secret: &Secret) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory_of(path))?;
    let temporary = path.with_added_extension(format!("new.{}", std::process::id()));
    // What lies there is left over, or was laid there by somebody to be written into.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{}", secret.expose())?;
    file.sync_all()?;
    Ok(temporary)
}

fn directory_of(path: &Path) -> &Path {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    directory.unwrap_or(Path::new("."))
}

/// Only then is the name on disk, too.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_written_once_and_then_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/directory/operator.key");
        let handover = Handover::File(path.clone());
        let written = handover.obtain().unwrap();
        assert_eq!(written.written.as_ref(), Some(&path));
        let written = written.secret;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = handover.obtain().unwrap();
        assert_eq!((read.secret, read.written), (written.clone(), None));
        // What somebody else laid there is not written into.
        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        std::os::unix::fs::symlink(
            &elsewhere,
            path.with_added_extension(format!("new.{}", std::process::id())),
        )
        .unwrap();
        assert_ne!(handover.renew().unwrap(), written);
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_holds_no_key_is_refused_and_not_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("operator.key");
        let secret = Handover::Person(|_, _, _| {}).obtain().unwrap().secret;
        let mistyped = format!("{}x", &secret.expose()[..secret.expose().len() - 1]);
        for text in ["", "short", "two\nlines-that-are-long-enough-for-a-key\n", &mistyped] {
            fs::write(&path, text).unwrap();
            let error = Handover::File(path.clone()).obtain().unwrap_err().to_string();
            assert!(error.contains("must hold one line"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }
}
