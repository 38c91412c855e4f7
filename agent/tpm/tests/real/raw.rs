//! What somebody at the TPM itself could have it do: commands in bytes (TPM 2.0 part 3), beside the agent.

use flota_swtpm::{Swtpm, SwtpmError};

use crate::bench::sized;

pub(crate) const SHA1: u16 = 0x0004;
pub(crate) const SHA256: u16 = 0x000B;

const CC_PCR_ALLOCATE: u32 = 0x12B;
const CC_CERTIFY: u32 = 0x148;
const CC_GET_TIME: u32 = 0x14C;
const CC_QUOTE: u32 = 0x158;
const CC_READ_PUBLIC: u32 = 0x173;
const CC_SIGN: u32 = 0x15D;
const CC_SHUTDOWN: u32 = 0x145;
const RH_NULL: u32 = 0x4000_0007;
const RH_ENDORSEMENT: u32 = 0x4000_000B;
const RH_PLATFORM: u32 = 0x4000_000C;
const ALG_NULL: [u8; 2] = [0x00, 0x10];

/// The handle of the loaded object with this TPM2B_PUBLIC. Handles are no secret: every client of a TPM without a
/// resource manager sees and may use all of them.
pub(crate) fn handle(swtpm: &Swtpm, public: &[u8]) -> u32 {
    let found = (0x8000_0000..0x8000_0003).find(|handle| {
        let read = swtpm.command(CC_READ_PUBLIC, &[*handle], 0, &[]);
        read.is_ok_and(|reply| reply.starts_with(public))
    });
    found.unwrap()
}

/// TPMS_ATTEST and TPMT_SIGNATURE.
pub(crate) type Signed = (Vec<u8>, Vec<u8>);

/// TPM2_Quote of any selection of any banks.
pub(crate) fn quote(swtpm: &Swtpm, ak: u32, qualifying: &[u8], selections: &[(u16, &[u8])]) -> Signed {
    let mut parameters = [&tpm2b(qualifying)[..], &ALG_NULL].concat();
    parameters.extend(pcrs(selections));
    signed(&swtpm.command(CC_QUOTE, &[ak], 1, &parameters).unwrap())
}

/// TPM2_Certify of any object by the agent's attestation key.
pub(crate) fn certify(swtpm: &Swtpm, ak: u32, object: u32, qualifying: &[u8]) -> Result<Signed, SwtpmError> {
    let parameters = [&tpm2b(qualifying)[..], &ALG_NULL].concat();
    swtpm.command(CC_CERTIFY, &[object, ak], 2, &parameters).map(|reply| signed(&reply))
}

/// TPM2_GetTime.
pub(crate) fn time(swtpm: &Swtpm, ak: u32, qualifying: &[u8]) -> Signed {
    let parameters = [&tpm2b(qualifying)[..], &ALG_NULL].concat();
    signed(&swtpm.command(CC_GET_TIME, &[RH_ENDORSEMENT, ak], 2, &parameters).unwrap())
}

/// TPM2_Sign of a digest that the TPM did not make itself.
pub(crate) fn sign(swtpm: &Swtpm, key: u32, digest: &[u8; 32]) -> Result<Vec<u8>, SwtpmError> {
    let ticket = [&[0x80, 0x24][..], &RH_NULL.to_be_bytes(), &[0, 0]].concat();
    swtpm.command(CC_SIGN, &[key], 1, &[&tpm2b(digest)[..], &ALG_NULL, &ticket].concat())
}

/// TPM2_PCR_Allocate; in force when the TPM has been started again.
pub(crate) fn allocate(swtpm: &Swtpm, banks: &[(u16, &[u8])]) {
    let reply = swtpm.command(CC_PCR_ALLOCATE, &[RH_PLATFORM], 1, &pcrs(banks)).unwrap();
    assert_eq!(reply[0], 1, "allocationSuccess");
}

/// TPM2_Shutdown, so that the next start is a resume or a restart and not a reset.
pub(crate) fn shutdown_to_resume(swtpm: &Swtpm) {
    swtpm.command(CC_SHUTDOWN, &[], 0, &[0, 1]).unwrap();
}

fn pcrs(selections: &[(u16, &[u8])]) -> Vec<u8> {
    let mut list = u32::try_from(selections.len()).unwrap().to_be_bytes().to_vec();
    for (bank, bitmap) in selections {
        list.extend(bank.to_be_bytes());
        list.push(u8::try_from(bitmap.len()).unwrap());
        list.extend(*bitmap);
    }
    list
}

fn signed(parameters: &[u8]) -> Signed {
    let (attest, signature) = sized(parameters);
    (attest.to_vec(), signature.to_vec())
}

pub(crate) fn tpm2b(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}
