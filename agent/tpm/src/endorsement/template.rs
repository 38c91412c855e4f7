//! The templates, and the policies under which the keys they make may be used (TCG EK Credential Profile 2.5, annex B).

use tss_esapi::Context;
use tss_esapi::abstraction::ek::create_ek_public_from_default_template_2;
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, KeyCustomization};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::handles::{AuthHandle, SessionHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    Digest, DigestList, EccPoint, Nonce, Public, PublicBuilder, PublicKeyRsa, SymmetricDefinition,
};

use crate::EndorsementKind;

/// PolicyA, "who knows the endorsement hierarchy's password" (B.6.2), in SHA-256.
const POLICY_A_SHA256: &str = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
/// PolicyC, "what a policy in NV says" (B.6.4), in SHA-256. No agent takes this branch.
const POLICY_C_SHA256: &str = "3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde";
/// PolicyB, "A or C" (B.6.5), in SHA-256.
const POLICY_B_SHA256: &str = "ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0";
/// PolicyA in SHA-384.
const POLICY_A_SHA384: &str =
    "8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53";
/// PolicyC in SHA-384.
const POLICY_C_SHA384: &str =
    "d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165";

/// A session that satisfies the policy of every template: PolicySecret for the low range, and for the high range a
/// PolicyOR after it.
///
/// The high range could also be used with the key's own password, which is empty. But if it is not, the attempt counts
/// towards the TPM's lockout; the hierarchy's password does not.
pub(super) fn authorised<T>(
    context: &mut Context,
    kind: EndorsementKind,
    command: impl FnOnce(&mut Context, AuthSession) -> Result<T, tss_esapi::Error>,
) -> Result<T, tss_esapi::Error> {
    let symmetric = SymmetricDefinition::AES_128_CFB;
    let session = context.start_auth_session(None, None, None, SessionType::Policy, symmetric, kind.hash())?;
    let Some(session) = session else {
        return Err(tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm));
    };
    context.execute_with_temporary_object(SessionHandle::from(session).into(), |context, _| {
        let policy = PolicySession::try_from(session)?;
        let (nonce, hierarchy) = (Nonce::default(), AuthHandle::Endorsement);
        context.execute_with_session(Some(AuthSession::Password), |context| {
            context.policy_secret(policy, hierarchy, nonce, Digest::default(), Nonce::default(), None)
        })?;
        if let Some(branches) = kind.policy_branches()? {
            context.execute_without_session(|context| context.policy_or(policy, branches))?;
        }
        command(context, session)
    })
}

impl EndorsementKind {
    /// NV index of the certificate (EK Credential Profile 2.5, 2.2.1.4 and 2.2.1.5).
    pub(super) const fn certificate_index(self) -> u32 {
        match self {
            Self::Rsa2048 => 0x01C0_0002,
            Self::P256 => 0x01C0_000A,
            Self::HighRsa2048 => 0x01C0_0012,
            Self::HighP256 => 0x01C0_0014,
            Self::P384 => 0x01C0_0016,
            Self::Rsa3072 => 0x01C0_001C,
            Self::Rsa4096 => 0x01C0_001E,
        }
    }

    /// What a TPM makes the key from; the same TPM always makes the same key.
    pub(super) fn template(self) -> Result<Public, tss_esapi::Error> {
        create_ek_public_from_default_template_2(self.algorithm(), Range(self))
    }

    /// The kind of a key by its type, size and range; `None` if no template has such a key.
    pub(crate) fn of(public: &Public) -> Option<Self> {
        let (algorithm, attributes) = match public {
            Public::Rsa { object_attributes, parameters, .. } => {
                (AsymmetricAlgorithmSelection::Rsa(parameters.key_bits()), object_attributes)
            }
            Public::Ecc { object_attributes, parameters, .. } => {
                (AsymmetricAlgorithmSelection::Ecc(parameters.ecc_curve()), object_attributes)
            }
            _ => return None,
        };
        Self::PREFERENCE
            .into_iter()
            .find(|kind| kind.algorithm() == algorithm && kind.is_high_range() == attributes.user_with_auth())
    }

    const fn algorithm(self) -> AsymmetricAlgorithmSelection {
        match self {
            Self::Rsa2048 | Self::HighRsa2048 => AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048),
            Self::Rsa3072 => AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa3072),
            Self::Rsa4096 => AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa4096),
            Self::P256 | Self::HighP256 => AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256),
            Self::P384 => AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP384),
        }
    }

    /// Attributes 0x000300F2 and PolicyB, where the low range has 0x000300B2 and PolicyA.
    const fn is_high_range(self) -> bool {
        !matches!(self, Self::Rsa2048 | Self::P256)
    }

    /// Hash of Name and policy.
    const fn hash(self) -> HashingAlgorithm {
        match self {
            Self::P384 | Self::Rsa3072 | Self::Rsa4096 => HashingAlgorithm::Sha384,
            Self::Rsa2048 | Self::P256 | Self::HighRsa2048 | Self::HighP256 => HashingAlgorithm::Sha256,
        }
    }

    fn policy_branches(self) -> Result<Option<DigestList>, tss_esapi::Error> {
        let branches = match (self.is_high_range(), self.hash()) {
            (false, _) => return Ok(None),
            (true, HashingAlgorithm::Sha384) => [POLICY_A_SHA384, POLICY_C_SHA384],
            (true, _) => [POLICY_A_SHA256, POLICY_C_SHA256],
        };
        let mut list = DigestList::new();
        for branch in branches {
            list.add(digest(branch)?)?;
        }
        Ok(Some(list))
    }
}

/// The binding knows the high range's larger keys, and takes its smaller ones for those of the low range.
struct Range(EndorsementKind);

impl KeyCustomization for Range {
    fn attributes(&self, builder: ObjectAttributesBuilder) -> ObjectAttributesBuilder {
        builder.with_user_with_auth(self.0.is_high_range())
    }

    fn template(&self, builder: PublicBuilder) -> PublicBuilder {
        let Ok(policy) = digest(POLICY_B_SHA256) else { return builder };
        match self.0 {
            EndorsementKind::HighRsa2048 => {
                builder.with_auth_policy(policy).with_rsa_unique_identifier(PublicKeyRsa::default())
            }
            EndorsementKind::HighP256 => {
                builder.with_auth_policy(policy).with_ecc_unique_identifier(EccPoint::default())
            }
            _ => builder,
        }
    }
}

fn digest(hex: &str) -> Result<Digest, tss_esapi::Error> {
    let digits = hex.as_bytes().chunks_exact(2).map(|pair| {
        let text = std::str::from_utf8(pair).unwrap_or_default();
        u8::from_str_radix(text, 16).unwrap_or_default()
    });
    Digest::try_from(digits.collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256, Sha384};
    use tss_esapi::traits::Marshall as _;

    use super::*;

    /// PolicyB is TPM2_PolicyOR (0x171) of A and C on an empty policy (part 3, 23.6); PolicyA is TPM2_PolicySecret
    /// (0x151) of the endorsement hierarchy (0x4000000B) without policyRef (part 3, 23.4).
    #[test]
    fn the_policies_are_what_their_definitions_give() {
        let bytes = |hex: &str| digest(hex).unwrap().value().to_vec();
        let secret = [0, 0, 1, 0x51, 0x40, 0, 0, 0x0B];
        let or = [0, 0, 1, 0x71];

        let first = Sha256::digest([&[0; 32][..], &secret].concat());
        assert_eq!(bytes(POLICY_A_SHA256), Sha256::digest(first).as_slice(), "the reference, empty, is hashed after");
        let either = [&[0; 32][..], &or, &bytes(POLICY_A_SHA256), &bytes(POLICY_C_SHA256)].concat();
        assert_eq!(bytes(POLICY_B_SHA256), Sha256::digest(either).as_slice());

        let first = Sha384::digest([&[0; 48][..], &secret].concat());
        assert_eq!(bytes(POLICY_A_SHA384), Sha384::digest(first).as_slice());
        let either = [&[0; 48][..], &or, &bytes(POLICY_A_SHA384), &bytes(POLICY_C_SHA384)].concat();
        let Public::Ecc { auth_policy, .. } = EndorsementKind::P384.template().unwrap() else { panic!("a curve") };
        assert_eq!(auth_policy.value(), Sha384::digest(either).as_slice());
    }

    #[test]
    fn a_template_has_the_attributes_of_its_range_and_is_recognised() {
        for kind in EndorsementKind::PREFERENCE {
            let template = kind.template().unwrap();
            let bytes = template.marshall().unwrap();
            let expected: u32 = if kind.is_high_range() { 0x0003_00F2 } else { 0x0003_00B2 };
            assert_eq!(bytes[4..8], expected.to_be_bytes(), "{kind}");
            assert_eq!(EndorsementKind::of(&template), Some(kind));
        }
    }
}
