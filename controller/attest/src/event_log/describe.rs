//! What a person understands of an event.

use super::bytes::Bytes;
use super::rules::ERROR_SEPARATOR;
use super::secure_boot::switch;
use super::text::{self, MAX_TEXT_CHARS};
use super::variable::{Guid, Variable};
use super::{DataStanding, Event, EventKind, device_path};

/// Entries of a list that are shown, such as those of `BootOrder`.
const MAX_ENTRIES_SHOWN: usize = 16;

/// A line for people: the type, and what the data says in words, such as `EV_EFI_VARIABLE_DRIVER_CONFIG SecureBoot = on`
/// or `EV_EFI_BOOT_SERVICES_APPLICATION \EFI\debian\shimx64.efi`.
///
/// Nothing in it can act on a terminal, and it has at most 200 characters behind the type. Data that was altered is not
/// shown, nor that of a type which does not belong into its PCR. Where [`Event::standing`] is
/// [`DataStanding::Claimed`], the words are the host's: of two events, compare the digests.
pub fn describe(event: &Event) -> String {
    let kind = event.kind;
    if event.standing == DataStanding::Altered {
        return format!("{kind} (data not shown: it is not what was measured)");
    }
    if !kind.belongs_in(event.pcr) {
        return format!("{kind} (data not shown: no such event belongs into PCR {})", event.pcr);
    }
    match detail(kind, &event.data) {
        Some(detail) => format!("{kind} {}", text::printable(&detail, MAX_TEXT_CHARS)),
        None => kind.to_string(),
    }
}

fn detail(kind: EventKind, data: &[u8]) -> Option<String> {
    match kind {
        EventKind::SEPARATOR => (data == ERROR_SEPARATOR).then(|| "(firmware had an error)".to_owned()),
        EventKind::NO_ACTION => no_action(data),
        EventKind::EVENT_TAG => tagged(data),
        EventKind::EFI_VARIABLE_DRIVER_CONFIG | EventKind::EFI_VARIABLE_BOOT | EventKind::EFI_VARIABLE_BOOT2 => {
            let variable = Variable::parse(data)?;
            Some(format!("{} = {}", variable.name, value(&variable)))
        }
        EventKind::EFI_VARIABLE_AUTHORITY => authority(data),
        EventKind::EFI_BOOT_SERVICES_APPLICATION
        | EventKind::EFI_BOOT_SERVICES_DRIVER
        | EventKind::EFI_RUNTIME_SERVICES_DRIVER => device_path::origin(data),
        EventKind::EFI_PLATFORM_FIRMWARE_BLOB => firmware_volume(data),
        EventKind::EFI_PLATFORM_FIRMWARE_BLOB2 | EventKind::EFI_HANDOFF_TABLES2 => {
            let mut bytes = Bytes::new(data);
            let len = bytes.u8()?;
            text::decode(bytes.take(usize::from(len))?)
        }
        EventKind::EFI_GPT_EVENT | EventKind::EFI_GPT_EVENT2 => partitions(data),
        EventKind::S_CRTM_VERSION => match data.try_into() {
            // As EDK II has it if the vendor sets no version.
            Ok(guid) if text::decode(data).is_none() => Some(Guid(guid).to_string()),
            _ => text::decode(data),
        },
        EventKind::POST_CODE | EventKind::POST_CODE2 => text::decode(data).or_else(|| firmware_volume(data)),
        _ => text::decode(data),
    }
}

/// The value of a variable in words, where it has some.
fn value(variable: &Variable<'_>) -> String {
    let value = variable.value;
    let known = match variable.name.as_str() {
        "SecureBoot" | "SetupMode" | "AuditMode" | "DeployedMode" => {
            let word = if value.is_empty() { Some("not set") } else { switch(value).map(on_or_off) };
            word.map(str::to_owned)
        }
        "PK" | "KEK" | "db" | "dbx" | "dbt" | "dbr" => signatures(value),
        "BootOrder" => boot_order(value),
        name if name.starts_with("Boot") => boot_option(value),
        _ => None,
    };
    known.unwrap_or_else(|| format!("{} bytes", value.len()))
}

const fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// How many entries the `EFI_SIGNATURE_LIST`s of a key database have (UEFI 2.10, section 32.4.1).
fn signatures(value: &[u8]) -> Option<String> {
    let mut bytes = Bytes::new(value);
    let mut entries = 0_usize;
    while !bytes.rest().is_empty() {
        bytes.take(16)?;
        let [list, header, entry] = [bytes.u32()?, bytes.u32()?, bytes.u32()?];
        // The size of the list counts its own fields, 28 bytes.
        let body = bytes.take(usize::try_from(list.checked_sub(28)?).ok()?)?;
        let body = body.len().checked_sub(usize::try_from(header).ok()?)?;
        entries = entries.saturating_add(body.checked_div(usize::try_from(entry).ok()?)?);
    }
    Some(match entries {
        0 => "empty".to_owned(),
        1 => "1 entry".to_owned(),
        entries => format!("{entries} entries"),
    })
}

fn boot_order(value: &[u8]) -> Option<String> {
    let (entries, rest) = value.as_chunks::<2>();
    if !rest.is_empty() || entries.is_empty() {
        return None;
    }
    let shown = entries.iter().take(MAX_ENTRIES_SHOWN).map(|entry| format!("{:04X}", u16::from_le_bytes(*entry)));
    let more = if entries.len() > MAX_ENTRIES_SHOWN { ",…" } else { "" };
    Some(format!("{}{more}", shown.collect::<Vec<_>>().join(",")))
}

/// The description in an `EFI_LOAD_OPTION` (UEFI 2.10, section 3.1.3).
fn boot_option(value: &[u8]) -> Option<String> {
    let mut bytes = Bytes::new(value);
    let (_attributes, _path_len) = (bytes.u32()?, bytes.u16()?);
    let (units, _) = bytes.rest().as_chunks::<2>();
    text::utf16(units.as_flattened()).filter(|text| !text.is_empty())
}

/// Which key vouched for a program: the database, and the owner in the `EFI_SIGNATURE_DATA` (UEFI 2.10, section
/// 32.4.1). What shim measures with this type has no owner, not even that of `db` before 15.3.
fn authority(data: &[u8]) -> Option<String> {
    let (variable, rest) = Variable::parse_prefix(data)?;
    let (name, value) = (variable.name, variable.value);
    match (name.as_str(), value.split_first_chunk::<16>()) {
        ("db" | "dbx" | "KEK" | "PK" | "dbt", Some((owner, _))) if rest.is_empty() => {
            Some(format!("{name}: {}", Guid(*owner)))
        }
        _ => Some(format!("{name}: {}", text::decode(value).unwrap_or_else(|| format!("{} bytes", value.len())))),
    }
}

/// EV_NO_ACTION by its signature. Nothing vouches for these but the replay, and for the locality alone.
fn no_action(data: &[u8]) -> Option<String> {
    let (signature, rest) = data.split_first_chunk::<16>()?;
    match (signature, rest) {
        (b"StartupLocality\0", [locality]) => Some(format!("startup locality {locality}")),
        (b"SP800-155 Event\0" | b"SP800-155 Event2" | b"SP800-155 Event3", _) => {
            Some("reference to the vendor's measurements".to_owned())
        }
        _ => None,
    }
}

/// The text in a `TCG_PCClientTaggedEvent`.
fn tagged(data: &[u8]) -> Option<String> {
    let mut bytes = Bytes::new(data);
    let (tag, len) = (bytes.u32()?, bytes.u32()?);
    let text = text::decode(bytes.take(usize::try_from(len).ok()?)?);
    Some(text.unwrap_or_else(|| format!("tag {tag:#010x}")))
}

/// `UEFI_PLATFORM_FIRMWARE_BLOB`: where the measured code was in memory.
fn firmware_volume(data: &[u8]) -> Option<String> {
    let mut bytes = Bytes::new(data);
    let (base, len) = (bytes.u64()?, bytes.u64()?);
    bytes.rest().is_empty().then(|| format!("{len} bytes at {base:#x}"))
}

/// `UEFI_GPT_DATA`: the disk and how many partitions it has.
fn partitions(data: &[u8]) -> Option<String> {
    let mut bytes = Bytes::new(data);
    bytes.take(56)?;
    let disk = Guid(bytes.array()?);
    bytes.take(20)?;
    let count = bytes.u64()?;
    Some(format!("disk {disk}, partitions: {count}"))
}
