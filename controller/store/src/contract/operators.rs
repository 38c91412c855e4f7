//! Operators.

use flota_model::{Digest, Role};

use super::fixtures::{entry, logged, second};
use crate::{OperatorRecord, Store};

fn operator(name: &str, certificate: &[u8]) -> OperatorRecord {
    OperatorRecord {
        name: name.into(),
        role: Role::Approver,
        certificate: Digest::of(certificate),
        created_at: second(3),
    }
}

/// Each RPC begins with this look-up.
pub async fn an_operator_is_found_by_its_certificate(store: &dyn Store) {
    let anna = operator("anna", b"anna's");
    assert!(store.add_operator(&anna, &entry("operator.add", "operator/anna")).await.unwrap());
    assert_eq!(store.operator_by_certificate(&anna.certificate).await.unwrap(), Some(anna));
    assert_eq!(store.operator_by_certificate(&Digest::of(b"eve's")).await.unwrap(), None);
}

/// Otherwise an entry of the log would not name one person.
pub async fn a_name_and_a_certificate_belong_to_one_operator(store: &dyn Store) {
    let anna = operator("anna", b"anna's");
    let audit = entry("operator.add", "operator/anna");
    assert!(store.add_operator(&anna, &audit).await.unwrap());
    for other in [operator("anna", b"another"), operator("eve", b"anna's")] {
        assert!(!store.add_operator(&other, &audit).await.unwrap());
    }
    assert_eq!(store.operator_by_certificate(&anna.certificate).await.unwrap(), Some(anna));
    assert_eq!(store.operator_by_certificate(&Digest::of(b"another")).await.unwrap(), None);
    assert_eq!(logged(store).await, 1);
}
