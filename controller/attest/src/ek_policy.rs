//! Which endorsement keys may enrol, beyond having a certificate that leads to a trusted root.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::ek_chain::EkCertificate;

/// What an operator allows and takes back. The empty policy allows every key with a trusted certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EkPolicy {
    /// Values of tpmManufacturer (2.23.133.2.1), such as `id:49465800`; empty: every one.
    pub manufacturers: BTreeSet<String>,
    /// Values of tpmModel (2.23.133.2.2); empty: every one.
    pub models: BTreeSet<String>,
    /// SHA-256 of the SubjectPublicKeyInfo of keys that are not trusted any more.
    pub revoked: BTreeSet<[u8; 32]>,
}

/// Why an endorsement key may not enrol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EkPolicyProblem {
    /// It is on the list of keys that were taken back.
    #[error("this endorsement key is revoked (ek_revoked)")]
    Revoked,
    /// Its manufacturer is none of those allowed.
    #[error("TPMs of the manufacturer {0} may not enrol (ek_manufacturers)")]
    Manufacturer(String),
    /// Its model is none of those allowed.
    #[error("TPMs of the model {0} may not enrol (ek_models)")]
    Model(String),
}

impl EkPolicyProblem {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Revoked => "ek_revoked",
            Self::Manufacturer(_) => "ek_manufacturer",
            Self::Model(_) => "ek_model",
        }
    }
}

impl EkPolicy {
    /// Checks what a verified certificate says.
    pub fn check(&self, certificate: &EkCertificate) -> Result<(), EkPolicyProblem> {
        if self.revoked.contains::<[u8; 32]>(&Sha256::digest(&certificate.spki_der).into()) {
            return Err(EkPolicyProblem::Revoked);
        }
        let allows = |allowed: &BTreeSet<String>, value: &str| allowed.is_empty() || allowed.contains(value);
        if !allows(&self.manufacturers, &certificate.manufacturer) {
            return Err(EkPolicyProblem::Manufacturer(certificate.manufacturer.clone()));
        }
        if !allows(&self.models, &certificate.model) {
            return Err(EkPolicyProblem::Model(certificate.model.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> EkCertificate {
        EkCertificate {
            spki_der: b"key".to_vec(),
            serial: vec![1],
            issuer: "CN=vendor".into(),
            manufacturer: "id:49465800".into(),
            model: "SLB9670".into(),
            version: "id:00070055".into(),
        }
    }

    fn one(value: &str) -> BTreeSet<String> {
        [value.to_owned()].into()
    }

    #[test]
    fn each_list_refuses_what_it_does_not_name_and_an_empty_one_nothing() {
        let check = |policy: &EkPolicy| policy.check(&certificate()).map_err(|problem| problem.code());
        let empty = EkPolicy::default();
        assert_eq!(check(&empty), Ok(()));
        assert_eq!(check(&EkPolicy { manufacturers: one("id:49465800"), ..empty.clone() }), Ok(()));
        assert_eq!(check(&EkPolicy { manufacturers: one("id:494E5443"), ..empty.clone() }), Err("ek_manufacturer"));
        assert_eq!(check(&EkPolicy { models: one("SLB9670"), ..empty.clone() }), Ok(()));
        assert_eq!(check(&EkPolicy { models: one("SLB9665"), ..empty.clone() }), Err("ek_model"));
        assert_eq!(
            check(&EkPolicy { revoked: [Sha256::digest(b"key").into()].into(), ..empty.clone() }),
            Err("ek_revoked")
        );
        assert_eq!(check(&EkPolicy { revoked: [Sha256::digest(b"other").into()].into(), ..empty }), Ok(()));
    }
}
