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

/// Who has left the team can do nothing from then on; the name may be given again.
pub async fn an_operator_that_is_removed_is_nobody(store: &dyn Store) {
    let anna = operator("anna", b"anna's");
    assert!(store.add_operator(&anna, &entry("operator.add", "operator/anna")).await.unwrap());
    let audit = entry("operator.remove", "operator/anna");
    assert!(!store.remove_operator("eve", &audit).await.unwrap());
    assert!(store.remove_operator("anna", &audit).await.unwrap());
    assert_eq!(store.operator_by_certificate(&anna.certificate).await.unwrap(), None);
    assert!(!store.remove_operator("anna", &audit).await.unwrap());
    assert_eq!(logged(store).await, 2);
    assert!(store.add_operator(&operator("anna", b"another"), &entry("operator.add", "operator/anna")).await.unwrap());
}
