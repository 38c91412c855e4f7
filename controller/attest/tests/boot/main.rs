//! Boot logs and the policies over them: logs as firmware, shim, GRUB and systemd write them, and what can be done to
//! one. Case numbers are those of the attestation specification's section 10.

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod built;
#[cfg(test)]
mod describe;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod parse;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod propose;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod rules;
