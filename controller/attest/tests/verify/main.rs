//! The verifier against structures that a software TPM forges at will, against recorded quotes of a real one, and
//! against arbitrary bytes. A number in a test's name is that
//! of the case in the attestation specification's list of negative tests.

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod certify;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod quote;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod soft_tpm;
#[cfg(test)]
mod state;
#[cfg(test)]
mod swtpm;
