//! Boot logs as firmware, shim, GRUB and systemd write them, and what can be done to
//! one. Case numbers are those of the attestation specification's section 10.

#[cfg(test)]
mod built;
#[cfg(test)]
mod describe;
#[cfg(test)]
mod parse;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod rules;
