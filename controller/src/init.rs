//! `flota-controller init`: a data folder with a fleet CA, a database, settings, and the first administrator.

use std::path::{Path, PathBuf};

use flota_model::audit::AuditEntry;
use flota_model::{Clock, Digest, Role};
use flota_store::{OperatorRecord, OperatorStore};
use flota_store_sqlite::SqliteStore;
use serde_json::json;

use crate::ca::{CaError, FleetCa};
use crate::files::{self, FileError};
use crate::peer::is_operator_name;
use crate::releases;
use crate::settings::{self, BadSettings, Settings};

/// Name of the database in the data folder.
pub const DATABASE: &str = "flota.db";

/// What a new controller is to be.
#[derive(Debug)]
pub struct NewController {
    /// Its data folder; must be empty or not there.
    pub data_dir: PathBuf,
    /// Name of the fleet, for certificates and contexts.
    pub fleet: String,
    /// DNS names and addresses under which it is reached.
    pub names: Vec<String>,
    /// Where hosts enrol.
    pub enrollment_listen: String,
    /// Where hosts and operators connect.
    pub fleet_listen: String,
    /// PEM file of the TPM vendors' roots; copied.
    pub ek_roots: PathBuf,
    /// First root of the release metadata; copied. None: it comes later.
    pub release_root: Option<PathBuf>,
    /// Name of the first administrator.
    pub admin: String,
}

/// Why there is no controller, or no operator.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Something is there already.
    #[error("{} holds a controller already: choose an empty folder", .0.display())]
    AlreadyThere(PathBuf),
    /// A name that cannot be one.
    #[error("`{0}` cannot be an operator's name: 1 to 40 of a-z, 0-9, `-`, `.`, `_`")]
    OperatorName(String),
    /// An operator of that name is there.
    #[error("there is an operator `{0}` already")]
    OperatorExists(String),
    /// There is none of that name.
    #[error("there is no operator `{0}`")]
    NoOperator(String),
    /// Files.
    #[error(transparent)]
    File(#[from] FileError),
    /// Certificates.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The database.
    #[error(transparent)]
    Store(#[from] flota_store::StoreError),
    /// The first root of the release metadata.
    #[error("{} is no release root", path.display())]
    ReleaseRoot {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: flota_release::TrustError,
    },
    /// The settings that were just written, or those of an existing controller.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The trust roots.
    #[error("{} is no bundle of TPM vendor roots", path.display())]
    EkRoots {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: flota_attest::ek_chain::TrustRootsError,
    },
}

/// Makes a controller; returns the administrator's folder.
pub async fn create(new: &NewController, clock: &dyn Clock) -> Result<PathBuf, InitError> {
    let data_dir = new.data_dir.as_path();
    if data_dir.join(settings::FILE_NAME).exists() || data_dir.join("ca-key.pem").exists() {
        return Err(InitError::AlreadyThere(new.data_dir.clone()));
    }
    if !is_operator_name(&new.admin) {
        return Err(InitError::OperatorName(new.admin.chars().take(60).collect()));
    }
    let roots = files::read_text(&new.ek_roots)?;
    flota_attest::ek_chain::TrustRoots::from_pem(roots.as_bytes())
        .map_err(|source| InitError::EkRoots { path: new.ek_roots.clone(), source })?;
    files::private_folder(data_dir)?;
    FleetCa::create(data_dir, &new.fleet, clock.now())?;
    if let Some(root) = &new.release_root {
        let bytes = files::read_text(root)?;
        flota_release::check_root(bytes.as_bytes())
            .map_err(|source| InitError::ReleaseRoot { path: root.clone(), source })?;
        files::create(&data_dir.join(releases::ROOT), 0o644, bytes.as_bytes())?;
    }
    files::create(&data_dir.join("ek-roots.pem"), 0o644, roots.as_bytes())?;
    SqliteStore::open(&data_dir.join(DATABASE)).await?;
    files::create(&data_dir.join(settings::FILE_NAME), 0o600, settings_text(new).as_bytes())?;
    add_operator(data_dir, &new.admin, Role::Admin, clock).await
}

/// Adds an operator: certificate, key and context in a folder of its own, to be handed over.
pub async fn add_operator(data_dir: &Path, name: &str, role: Role, clock: &dyn Clock) -> Result<PathBuf, InitError> {
    if !is_operator_name(name) {
        return Err(InitError::OperatorName(name.chars().take(60).collect()));
    }
    let settings = Settings::load(data_dir)?;
    let ca = FleetCa::load(data_dir)?;
    let store = SqliteStore::open(&data_dir.join(DATABASE)).await?;
    let now = clock.now();
    let issued = ca.issue_operator(name, now)?;
    let operator =
        OperatorRecord { name: name.to_owned(), role, certificate: Digest::of(&issued.certificate), created_at: now };
    let audit = AuditEntry {
        at: now,
        actor: "controller".into(),
        action: "operator.add".into(),
        object: format!("operator/{name}"),
        outcome: "ok".into(),
        details_json: json!({ "role": role, "certificate": operator.certificate }).to_string(),
    };
    // The files come first: an operator in the database whose key was never written could not be added again. Aside at
    // first: the folder of an operator of that name holds the only copy of its key.
    let destination = data_dir.join("operators").join(name);
    let folder = data_dir.join("operators").join(format!(".{name}.new"));
    files::private_folder(&folder)?;
    files::replace(&folder.join("ca.pem"), 0o644, ca.pem().as_bytes())?;
    files::replace(&folder.join("cert.pem"), 0o644, issued.certificate_pem.as_bytes())?;
    files::replace(&folder.join("key.pem"), 0o600, issued.key_pem.as_bytes())?;
    let endpoint = endpoint(&settings, settings.fleet_listen.port());
    files::replace(&folder.join("contexts.toml"), 0o600, context_text(&endpoint).as_bytes())?;
    if destination.exists() || !store.add_operator(&operator, &audit).await? {
        files::remove_folder(&folder)?;
        return Err(InitError::OperatorExists(name.to_owned()));
    }
    files::rename(&folder, &destination)?;
    Ok(destination)
}

/// Removes an operator: its certificate is worth nothing from the next request on.
pub async fn remove_operator(data_dir: &Path, name: &str, clock: &dyn Clock) -> Result<(), InitError> {
    Settings::load(data_dir)?;
    let store = SqliteStore::open(&data_dir.join(DATABASE)).await?;
    let audit = AuditEntry {
        at: clock.now(),
        actor: "controller".into(),
        action: "operator.remove".into(),
        object: format!("operator/{name}"),
        outcome: "ok".into(),
        details_json: json!({}).to_string(),
    };
    if !is_operator_name(name) || !store.remove_operator(name, &audit).await? {
        return Err(InitError::NoOperator(name.chars().take(60).collect()));
    }
    // Handed over or not, the key in it is worth nothing; it would be in the way of a new operator of that name.
    let folder = data_dir.join("operators").join(name);
    if folder.exists() {
        files::remove_folder(&folder)?;
    }
    Ok(())
}

/// Where the controller is reached from elsewhere.
pub fn endpoint(settings: &Settings, port: u16) -> String {
    let name = settings.names.first().map_or("localhost", String::as_str);
    format!("https://{name}:{port}")
}

/// A context for `flota`; its paths are relative to the file.
pub fn context_text(endpoint: &str) -> String {
    format!(
        "current = \"fleet\"\n\n[contexts.fleet]\nendpoint = \"{endpoint}\"\nca_file = \"ca.pem\"\n\
         cert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n"
    )
}

fn settings_text(new: &NewController) -> String {
    let names: Vec<String> = new.names.iter().map(|name| format!("{name:?}")).collect();
    format!(
        "# Settings of this controller; see docs/configuration.md. Restart it after a change.\n\
         enrollment_listen = {:?}\nfleet_listen = {:?}\nnames = [{}]\n\
         # TPM vendors whose hosts may enrol (PEM, roots and intermediates)\nek_roots = \"ek-roots.pem\"\n",
        new.enrollment_listen,
        new.fleet_listen,
        names.join(", "),
    )
}
